import { fail, ok, type Failure } from '@groundplane/protocol/failure';
import { digestBytes } from '@groundplane/protocol/digest';
import type { Blobs } from '@groundplane/agent/port/blobs';

export interface FakeBlobs extends Blobs {
  /** What lies here, by digest. */
  held: Map<string, Buffer>;
  placed: Map<string, { digest: string; mode: number }>;
  /** Digests that were asked for at the source. */
  fetched: string[];
  /** The next fetches fail in this way. */
  failNext(failure: Failure, times?: number): void;
}

/** Large content in memory. `origin` is what all sources together have; a request waits for `gate` first, so that a test can hold it back. */
export const fakeBlobs = (
  origin: ReadonlyMap<string, Buffer | string>,
  options: { held?: Map<string, Buffer>; gate?: (digest: string) => Promise<void>; isReachable?: () => boolean } = {},
): FakeBlobs => {
  const held = options.held ?? new Map<string, Buffer>();
  const placed = new Map<string, { digest: string; mode: number }>();
  const fetched: string[] = [];
  const faults: Failure[] = [];
  const pathOf = (digest: string): string => `/blobs/${digest.slice(7)}`;
  return {
    held,
    placed,
    fetched,
    failNext: (failure, times = 1) => void faults.push(...Array.from({ length: times }, () => failure)),
    path: (digest) => Promise.resolve(held.has(digest) ? pathOf(digest) : undefined),
    fetch: async ({ digest, sizeBytes, onProgress }, signal) => {
      if (held.has(digest)) return ok(pathOf(digest));
      await options.gate?.(digest);
      if (signal.aborted) return fail('retry', 'superseded', digest, 'something newer came');
      const failure = faults.shift();
      if (failure !== undefined) return { ok: false, failure };
      if (options.isReachable?.() === false) return fail('retry', 'content-unreachable', digest, 'cut');
      fetched.push(digest);
      const found = origin.get(digest);
      if (found === undefined) return fail('retry', 'content-missing', digest, 'nobody has it');
      const bytes = Buffer.from(found as Buffer);
      if (bytes.length !== sizeBytes || digestBytes(bytes) !== digest) return fail('retry', 'content-wrong', digest, 'other bytes');
      onProgress?.(sizeBytes);
      held.set(digest, bytes);
      return ok(pathOf(digest));
    },
    receive: async ({ digest, sizeBytes }, source) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of source) pieces.push(piece);
      const bytes = Buffer.concat(pieces);
      if (bytes.length !== sizeBytes || digestBytes(bytes) !== digest) return fail('fatal', 'content-wrong', digest, 'other bytes');
      held.set(digest, bytes);
      return ok(pathOf(digest));
    },
    place: (digest, target, { mode }) => {
      if (!held.has(digest)) return Promise.resolve(fail('retry', 'content-missing', digest, 'it is not on this host'));
      placed.set(target, { digest, mode });
      return Promise.resolve(ok(undefined));
    },
    keep: (digests) => {
      for (const digest of held.keys()) if (!digests.has(digest)) held.delete(digest);
      return Promise.resolve();
    },
  };
};
