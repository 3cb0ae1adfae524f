import type { Digest } from '@groundplane/protocol/digest';
import { fail, FailureError, ok, type Result } from '@groundplane/protocol/failure';
import { sleep, type Clock } from '../port/clock.ts';
import type { BlobSource } from '../port/blobs.ts';
import { diskFailure } from '../system/disk-failure.ts';
import { blobLimits } from './limits.ts';
import type { Pace } from './pace.ts';
import type { Partial } from './partial.ts';

export interface PullDeps {
  clock: Clock;
  pace: Pace;
}

export interface Pull {
  digest: Digest;
  sizeBytes: number;
  /** For messages. */
  element: string;
  partial: Partial;
  signal: AbortSignal;
  onProgress(doneBytes: number): void;
}

export const superseded = (element: string): Result<never> => fail('retry', 'superseded', element, 'something newer came; what is here already is kept');

const minuteMs = 60_000;

/** What a disk threw becomes a failure; what is left is the other side's doing. */
export const writeTo = async (partial: Partial, bytes: Uint8Array, element: string): Promise<void> => {
  try {
    await partial.write(bytes);
  } catch (error) {
    const failed = diskFailure(error, element);
    if (!failed.ok) throw new FailureError(failed.failure);
  }
};

/** Reads one answer of a source to its end, to a cut, or until it is too slow. */
const readOnce = async (pull: Pull, source: BlobSource, stream: AsyncIterable<Uint8Array>, deps: PullDeps): Promise<Result<void>> => {
  const { partial, element } = pull;
  let [atMs, atBytes, told] = [deps.clock.monotonicMs(), partial.size(), partial.size()];
  try {
    for await (const piece of source.isMetered ? deps.pace.through(stream, element, pull.signal) : stream) {
      if (pull.signal.aborted) return superseded(element);
      await writeTo(partial, piece, element);
      if (partial.size() - told >= blobLimits.progressBytes) pull.onProgress((told = partial.size()));
      if (source.isMetered || deps.clock.monotonicMs() - atMs < minuteMs) continue;
      if (partial.size() - atBytes < blobLimits.slowestBytes) return fail('retry', 'content-unreachable', element, `${source.name} is too slow`);
      [atMs, atBytes] = [deps.clock.monotonicMs(), partial.size()];
    }
  } catch (error) {
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
  }
  return pull.signal.aborted ? superseded(element) : ok(undefined);
};

/** Fills a partial from one source as far as that goes. Every failure leaves what came, except of a full disk, which needs the room more. */
export const pullFrom = async (pull: Pull, source: BlobSource, deps: PullDeps): Promise<Result<void>> => {
  const { partial, sizeBytes, element } = pull;
  for (let cuts = 0; partial.size() < sizeBytes;) {
    if (pull.signal.aborted) return superseded(element);
    const closed = source.isMetered ? deps.pace.closed(element) : undefined;
    if (closed !== undefined) return { ok: false, failure: closed };
    const before = partial.size();
    const opened = await source.read(pull.digest, before, sizeBytes - before, pull.signal);
    if (!opened.ok) return pull.signal.aborted ? superseded(element) : opened;
    const read = await readOnce(pull, source, opened.value, deps);
    if (!read.ok && read.failure.code === 'disk-full') await partial.restart();
    else await partial.settle();
    if (!read.ok) return read;
    cuts = partial.size() > before ? 0 : cuts + 1;
    if (cuts >= blobLimits.cutsMax) return fail('retry', 'content-unreachable', element, `the transfer from ${source.name} broke too often`);
    if (partial.size() < sizeBytes) await sleep(deps.clock, 200 * (cuts + 1), pull.signal);
  }
  return ok(undefined);
};
