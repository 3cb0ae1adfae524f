import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, FailureError, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { BlobRequest, Blobs, BlobSource } from '../port/blobs.ts';
import type { Clock } from '../port/clock.ts';
import { diskFailure } from '../system/disk-failure.ts';
import { canChunk, fetchByChunks, type BaseFile } from './by-chunks.ts';
import { blobLimits } from './limits.ts';
import type { Pace } from './pace.ts';
import { dropPartial, openPartial, sizeOf, type Partial } from './partial.ts';
import { pullFrom, superseded, writeTo } from './pull.ts';

export interface DiskBlobsDeps {
  folder: string;
  /** Nearest first; asked anew for each blob. */
  sources: (digest: Digest) => readonly BlobSource[];
  pace: Pace;
  clock: Clock;
  /** An older version of what has this name, outside of the folder: the system that runs. */
  otherBase?: ((name: string) => Promise<BaseFile | undefined>) | undefined;
  /** Bytes that must stay free. */
  reserveBytes?: number;
}

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

export interface DiskBlobs extends Blobs {
  /** Somebody brings it right now. */
  isComing(digest: string): boolean;
}

/** Files under `sha256/ab/…`; what is on its way lies in `partial/`. */
export const diskBlobs = (deps: DiskBlobsDeps): DiskBlobs => {
  const { folder, clock } = deps;
  const fileOf = (digest: string): string => join(folder, 'sha256', digest.slice(7, 9), digest.slice(7));
  const partialOf = (digest: string): string => join(folder, 'partial', digest.slice(7));
  const chunksOf = (digest: string): string => `${partialOf(digest)}.chunks`;
  /** One at a time for each digest. */
  const running = new Map<string, Promise<Result<string>>>();
  /** When it came in this life. */
  const arrivals = new Map<string, number>();
  /** What lies here from before is as new as this life: whoever brought it may not have come to name it. */
  const bornMs = clock.monotonicMs();
  /** Sources that gave wrong bytes, and when. */
  const distrusted = new Map<string, number>();

  const path = async (digest: string): Promise<string | undefined> => {
    if (!isDigest(digest)) return undefined;
    return (await sizeOf(fileOf(digest))) === undefined ? undefined : fileOf(digest);
  };

  const isTrusted = (source: BlobSource, digest: string): boolean => {
    const sinceMs = distrusted.get(`${source.name} ${digest}`);
    return sinceMs === undefined || clock.monotonicMs() - sinceMs >= blobLimits.distrustMs;
  };

  /** Room is asked for before a byte comes: a disk that is full to the brim stops everything else too. */
  const room = async (element: string, bytes: number): Promise<Result<void>> => {
    const { bavail, bsize } = await statfs(folder);
    const reserve = deps.reserveBytes ?? blobLimits.reserveBytes;
    const free = bavail * bsize;
    if (free - bytes >= reserve) return ok(undefined);
    return fail(
      'blocked',
      'disk-full',
      element,
      `needs ${bytes} bytes, ${free} are free, and ${reserve} stay free for the system. Make room in ${folder}; the agent goes on by itself`,
    );
  };

  const settle = async (file: string, digest: string): Promise<string> => {
    const target = fileOf(digest);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await chmod(file, 0o444);
    await rename(file, target);
    await dropPartial(file);
    await syncFolder(dirname(target));
    await syncFolder(dirname(dirname(target)));
    arrivals.set(digest, clock.monotonicMs());
    return target;
  };

  /** The whole from one source after the other; undefined when what came has another digest. */
  const pullAll = async (request: BlobRequest, partial: Partial, sources: readonly BlobSource[], signal: AbortSignal): Promise<Result<true> | undefined> => {
    const element = request.name ?? request.digest;
    const isRight = async (): Promise<Result<true> | undefined> => ((await partial.finish()) === request.digest ? ok(true) : undefined);
    if (partial.size() === request.sizeBytes) return isRight();
    let failed: { ok: false; failure: Failure } = fail('retry', 'content-unreachable', element, 'no place that may have it can be reached');
    for (const source of sources) {
      // A neighbour has it soon; the line carries it once.
      if (source.isMetered && failed.failure.code === 'content-coming') continue;
      const pull = { ...request, element, partial, signal, onProgress: (done: number) => request.onProgress?.(done) };
      const pulled = await pullFrom(pull, source, { clock, pace: deps.pace });
      if (pulled.ok) return isRight();
      if (failed.failure.code !== 'content-coming') failed = pulled;
      if (pulled.failure.code.startsWith('disk-') || pulled.failure.code === 'superseded') break;
    }
    return failed;
  };

  const sequential = async (request: BlobRequest, sources: readonly BlobSource[], signal: AbortSignal): Promise<Result<string>> => {
    const { digest, sizeBytes } = request;
    const element = request.name ?? digest;
    const attempt = async (from: readonly BlobSource[]): Promise<Result<true> | undefined> => {
      const partial = await openPartial(partialOf(digest), sizeBytes);
      try {
        return await pullAll(request, partial, from, signal);
      } finally {
        await partial.close();
      }
    };
    const first = await attempt(sources);
    if (first?.ok === false) return first;
    if (first?.ok === true) return ok(await settle(partialOf(digest), digest));
    // Who gave the wrong bytes cannot be told when several helped. From here on each has to bring the whole.
    for (const source of sources) {
      await dropPartial(partialOf(digest));
      const alone = await attempt([source]);
      if (alone?.ok === true) return ok(await settle(partialOf(digest), digest));
      if (alone === undefined) distrusted.set(`${source.name} ${digest}`, clock.monotonicMs());
      else if (alone.failure.code.startsWith('disk-') || alone.failure.code === 'superseded') return alone;
    }
    await dropPartial(partialOf(digest));
    return fail('retry', 'content-wrong', element, `no place gives bytes with the digest ${digest}`);
  };

  /** The version before of the same thing: a blob of ours, or what the machine runs from. */
  const baseOf = async ({ base, name = '' }: BlobRequest): Promise<BaseFile | undefined> => {
    const held = base === undefined ? undefined : await path(base);
    return held === undefined ? deps.otherBase?.(name) : { path: held };
  };

  const bring = async (request: BlobRequest, signal: AbortSignal): Promise<Result<string>> => {
    const { digest, sizeBytes } = request;
    const element = request.name ?? digest;
    const here = await path(digest);
    if (here !== undefined) return ok(here);
    if (signal.aborted) return superseded(element);
    await mkdir(join(folder, 'partial'), { recursive: true });
    await mkdir(join(folder, 'sha256'), { recursive: true });
    const have = Math.max((await sizeOf(partialOf(digest))) ?? 0, (await sizeOf(chunksOf(digest))) ?? 0);
    const fits = await room(element, Math.max(0, sizeBytes - have));
    if (!fits.ok) return fits;
    const sources = deps.sources(digest).filter((source) => isTrusted(source, digest));
    const base = canChunk(sizeBytes) ? await baseOf(request) : undefined;
    const isHalfHere = ((await sizeOf(partialOf(digest))) ?? 0) * 2 > sizeBytes;
    const near = sources.filter((source) => !source.isMetered);
    const far = sources.filter((source) => source.isMetered);
    if (base === undefined || isHalfHere) return sequential(request, sources, signal);
    // Nearby the whole costs nothing; over the line only what changed should come.
    const local = near.length === 0 ? undefined : await sequential(request, near, signal);
    if (local?.ok === true || (local !== undefined && ['superseded', 'content-coming'].includes(local.failure.code))) return local;
    for (const source of far) {
      const made = await fetchByChunks(request, { base, target: chunksOf(digest) }, source, deps.pace, signal);
      if (made === undefined) continue;
      if (signal.aborted) return superseded(element);
      if (!made.ok) return made;
      const placed = await settle(chunksOf(digest), digest);
      await dropPartial(partialOf(digest));
      return ok(placed);
    }
    await rm(chunksOf(digest), { force: true });
    return sequential(request, far, signal);
  };

  const guarded = async (digest: string, element: string, run: () => Promise<Result<string>>): Promise<Result<string>> => {
    const before = running.get(digest);
    const mine = (before ?? Promise.resolve())
      .then(run)
      .catch((error: unknown) => diskFailure(error, element))
      .then((result) => {
        if (running.get(digest) === mine) running.delete(digest);
        return result;
      });
    running.set(digest, mine);
    return mine;
  };

  const checked = (request: Pick<BlobRequest, 'digest' | 'sizeBytes' | 'name'>): Result<void> =>
    isDigest(request.digest) && Number.isSafeInteger(request.sizeBytes) && request.sizeBytes >= 0 && request.sizeBytes <= limits.largeBlobBytes
      ? ok(undefined)
      : fail(
          'fatal',
          'content-wrong',
          request.name ?? request.digest,
          `is announced with ${request.sizeBytes} bytes; a blob has at most ${limits.largeBlobBytes}`,
        );

  const fill = async (digest: Digest, sizeBytes: number, element: string, source: AsyncIterable<Uint8Array>): Promise<Result<string>> => {
    const here = await path(digest);
    if (here !== undefined) return ok(here);
    await mkdir(join(folder, 'partial'), { recursive: true });
    await mkdir(join(folder, 'sha256'), { recursive: true });
    const fits = await room(element, sizeBytes);
    if (!fits.ok) return fits;
    const file = `${partialOf(digest)}.given`;
    await dropPartial(file);
    const partial = await openPartial(file, sizeBytes);
    let isWhole = false;
    try {
      for await (const piece of source) await writeTo(partial, piece, element);
      isWhole = partial.size() === sizeBytes && (await partial.finish()) === digest;
    } catch (error) {
      if (error instanceof FailureError) return { ok: false, failure: error.failure };
      return fail('retry', 'content-cut', element, `the transfer broke: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await partial.close();
      if (!isWhole) await dropPartial(file);
    }
    if (!isWhole) return fail('fatal', 'content-wrong', element, `the ${partial.size()} bytes that came are not the ${sizeBytes} with this digest`);
    const placed = await settle(file, digest);
    await dropPartial(partialOf(digest));
    await rm(chunksOf(digest), { force: true });
    return ok(placed);
  };

  return {
    path,
    isComing: (digest) => running.has(digest),
    fetch: async (request, signal) => {
      const fine = checked(request);
      return fine.ok ? guarded(request.digest, request.name ?? request.digest, () => bring(request, signal)) : fine;
    },
    receive: async (request, source) => {
      const fine = checked(request);
      return fine.ok
        ? guarded(request.digest, request.name ?? request.digest, () => fill(request.digest, request.sizeBytes, request.name ?? request.digest, source))
        : fine;
    },
    place: async (digest, target, { mode }) => {
      try {
        const from = await path(digest);
        if (from === undefined) return fail('retry', 'content-missing', digest, 'it is not on this host');
        await placeFile(from, target, mode);
        return ok(undefined);
      } catch (error) {
        return error instanceof FailureError ? { ok: false, failure: error.failure } : diskFailure(error, target);
      }
    },
    keep: async (digests) => {
      const isKept = (digest: string, sinceMs = bornMs): boolean =>
        digests.has(digest) || running.has(digest) || clock.monotonicMs() - (arrivals.get(digest) ?? sinceMs) < blobLimits.graceMs;
      for (const prefix of await readdir(join(folder, 'sha256')).catch(() => []))
        for (const name of await readdir(join(folder, 'sha256', prefix)).catch(() => []))
          if (!isKept(`sha256:${name}`)) await rm(join(folder, 'sha256', prefix, name), { force: true }).catch(() => undefined);
      for (const name of await readdir(join(folder, 'partial')).catch(() => []))
        // What is half here was asked for in this life, or nobody asks for it any more.
        if (!isKept(`sha256:${name.slice(0, 64)}`, Number.NEGATIVE_INFINITY)) await rm(join(folder, 'partial', name), { force: true }).catch(() => undefined);
    },
  };
};

/** A durable copy; blocks are shared where the file system can do that. */
const placeFile = async (from: string, target: string, mode: number): Promise<void> => {
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  const aside = `${target}.groundplane-new`;
  await rm(aside, { force: true });
  try {
    await copyFile(from, aside, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    await chmod(aside, mode);
    const handle = await open(aside, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await rm(aside, { force: true }).catch(() => undefined);
    throw error;
  }
};
