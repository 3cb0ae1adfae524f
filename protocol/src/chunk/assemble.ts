import { isDigest, type Digest } from '../digest.ts';
import { fail, FailureError, ok, type Result } from '../failure.ts';
import { chunksOf, type Chunk, type Hasher } from './cut.ts';
import { chunkCutsMax } from './limits.ts';
import { checkChunks } from './list.ts';
import { planChunks, type ChunkPlan, type ChunkStep } from './plan.ts';

/** Bytes at any place. Answers fewer where the blob ends. */
export interface ChunkReader {
  read(offset: number, size: number): Promise<Uint8Array>;
}

/** Where the new blob grows. What lies there from an earlier try is looked at and used. */
export interface ChunkTarget extends ChunkReader {
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Cuts it to a size, or lets it grow to that. */
  resize(size: number): Promise<void>;
}

/** The world as the assembly sees it; files, memory, a block device and a slow link all fit. What throws is a cut, or the `Failure` of a `FailureError`. */
export interface ChunkPorts {
  /** The old blob; nothing has to be known about it. */
  old: ChunkReader & { size: number };
  target: ChunkTarget;
  /** Bytes of the new blob from the network, in pieces of any size; whoever wants to go slowly lets it wait. */
  fetch(offset: number, size: number): AsyncIterable<Uint8Array>;
  makeHasher(): Hasher;
  /** Told after each step. */
  progress?(doneBytes: number, totalBytes: number): void;
}

export interface Assembled {
  copyBytes: number;
  fetchBytes: number;
  heldBytes: number;
}

const readBytes = 256 * 1024;

async function* readAll(reader: ChunkReader, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size;) {
    const bytes = await reader.read(at, Math.min(readBytes, size - at));
    if (bytes.length === 0) return;
    yield bytes;
    at += bytes.length;
  }
}

const hashOf = (bytes: Uint8Array, makeHasher: () => Hasher): string => {
  const hasher = makeHasher();
  hasher.update(bytes);
  return hasher.hex();
};

const isAt = async (reader: ChunkReader, offset: number, chunk: Chunk, makeHasher: () => Hasher): Promise<Uint8Array | undefined> => {
  const bytes = await reader.read(offset, chunk.size);
  return bytes.length === chunk.size && hashOf(bytes, makeHasher) === chunk.hash ? bytes : undefined;
};

interface Work {
  fresh: readonly Chunk[];
  ports: ChunkPorts;
  held: Uint8Array;
  bad: Uint8Array;
  fetched: number;
  copied: number;
}

/** Chunk by chunk through memory; one that the source does not hold as the list says is left to be fetched. */
const copyStep = async (work: Work, step: ChunkStep, reader: ChunkReader): Promise<void> => {
  let at = step.at;
  for (let index = step.first; index <= step.last; index += 1) {
    const chunk = work.fresh[index] as Chunk;
    const bytes = await isAt(reader, at, chunk, work.ports.makeHasher);
    at += chunk.size;
    if (bytes === undefined) {
      work.bad[index] = 1;
      continue;
    }
    await work.ports.target.write(chunk.offset, bytes);
    work.held[index] = 1;
    work.copied += chunk.size;
  }
};

/** Takes what comes, cuts it at the chunks, and writes each that is right. More bytes than asked for are left unread. */
const fetchStep = async (work: Work, step: ChunkStep, element: string): Promise<Result<void>> => {
  let index = step.first;
  let chunk = work.fresh[index] as Chunk;
  let held = new Uint8Array(chunk.size);
  let have = 0;
  for await (const piece of work.ports.fetch(step.at, step.size)) {
    let from = 0;
    while (from < piece.length && index <= step.last) {
      const taken = piece.subarray(from, from + chunk.size - have);
      held.set(taken, have);
      have += taken.length;
      from += taken.length;
      if (have < chunk.size) break;
      if (hashOf(held, work.ports.makeHasher) !== chunk.hash)
        return fail('fatal', 'content-wrong', element, `the bytes at ${chunk.offset} are others than its list of chunks says`);
      await work.ports.target.write(chunk.offset, held);
      work.held[index] = 1;
      work.fetched += chunk.size;
      index += 1;
      if (index > step.last) return ok(undefined);
      chunk = work.fresh[index] as Chunk;
      held = new Uint8Array(chunk.size);
      have = 0;
    }
  }
  return fail('retry', 'content-cut', element, `the transfer broke off at ${chunk.offset + have}`);
};

const asFailure = (error: unknown, element: string): Result<never> =>
  error instanceof FailureError
    ? { ok: false, failure: error.failure }
    : fail('retry', 'content-cut', element, `the transfer broke: ${error instanceof Error ? error.message : String(error)}`);

const runPlan = async (work: Work, plan: ChunkPlan, element: string): Promise<Result<void>> => {
  const total = plan.copyBytes + plan.fetchBytes + plan.heldBytes;
  let done = plan.heldBytes;
  for (const step of plan.steps) {
    const ran =
      step.from === 'source' ? await fetchStep(work, step, element) : ok(await copyStep(work, step, step.from === 'old' ? work.ports.old : work.ports.target));
    if (!ran.ok) return ran;
    done += step.size;
    work.ports.progress?.(done, total);
  }
  return ok(undefined);
};

/** Which chunks lie at their place already. A target that ends early is not asked further. */
const findHeld = async (work: Work): Promise<void> => {
  const first = await work.ports.target.read(0, 1);
  if (first.length === 0) return;
  for (const [index, chunk] of work.fresh.entries())
    if ((await isAt(work.ports.target, chunk.offset, chunk, work.ports.makeHasher)) !== undefined) work.held[index] = 1;
};

/**
 * Makes the new blob in the target from the old one and what has to be fetched. Goes on after cuts, within one call and in the next one: what lies in the target
 * is verified and kept. The result is verified as a whole by its digest, whatever the list says.
 * Failures: `chunks-invalid` and `content-wrong` (fatal: fetch it whole), `content-cut` (retry: call again), and those of the ports.
 */
export const assembleChunks = async (digest: Digest, size: number, fresh: readonly Chunk[], ports: ChunkPorts): Promise<Result<Assembled>> => {
  if (!isDigest(digest)) return fail('fatal', 'chunks-invalid', digest, 'is no digest');
  const checked = checkChunks(fresh, size, digest);
  if (!checked.ok) return checked;
  const work: Work = { fresh, ports, held: new Uint8Array(fresh.length), bad: new Uint8Array(fresh.length), fetched: 0, copied: 0 };
  let heldBytes: number | undefined;
  try {
    await findHeld(work);
    const old: Chunk[] = [];
    for await (const chunk of chunksOf(readAll(ports.old, ports.old.size), ports.makeHasher)) old.push(chunk);
    for (let cuts = 0; ;) {
      const plan = planChunks(
        old,
        fresh,
        (index) => work.held[index] === 1,
        (index) => work.bad[index] === 1,
      );
      heldBytes ??= plan.heldBytes;
      if (plan.steps.length === 0) break;
      const before = work.fetched + work.copied;
      const ran = await runPlan(work, plan, digest).catch((error: unknown) => asFailure(error, digest));
      if (ran.ok) continue;
      if (ran.failure.code !== 'content-cut') return ran;
      cuts = work.fetched + work.copied > before ? 0 : cuts + 1;
      if (cuts >= chunkCutsMax) return ran;
    }
    await ports.target.resize(size);
    const whole = ports.makeHasher();
    let bytes = 0;
    for await (const piece of readAll(ports.target, size)) {
      whole.update(piece);
      bytes += piece.length;
    }
    if (bytes !== size || `sha256:${whole.hex()}` !== digest) return fail('fatal', 'content-wrong', digest, 'its chunks make bytes of another digest');
    return ok({ copyBytes: work.copied, fetchBytes: work.fetched, heldBytes });
  } catch (error) {
    return asFailure(error, digest);
  }
};

/** A target and a reader in memory. */
export const memoryChunks = (size: number): ChunkTarget & { bytes(): Uint8Array } => {
  let bytes = new Uint8Array(size);
  let filled = 0;
  return {
    bytes: () => bytes,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, Math.min(filled, offset + length))),
    write: (offset, data) => {
      bytes.set(data, offset);
      filled = Math.max(filled, offset + data.length);
      return Promise.resolve();
    },
    resize: (next) => {
      if (next !== bytes.length) {
        const other = new Uint8Array(next);
        other.set(bytes.subarray(0, Math.min(next, bytes.length)));
        bytes = other;
      }
      filled = next;
      return Promise.resolve();
    },
  };
};
