import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';
import type { Readable } from 'node:stream';

/** Blobs by digest. A blob is there whole and verified, or not at all. */
export interface ContentStore {
  /** Stores text or bytes under their own digest; costs nothing when it is there already. */
  put(data: Uint8Array | string): Promise<Digest>;
  /** Takes a stream of announced digest; refuses other bytes (`content-wrong`, fatal) and more than `sizeMax` (`content-too-large`, fatal). */
  receive(digest: Digest, source: Readable, sizeMax: number): Promise<Result<number>>;
  /** Whole blob in memory; undefined when missing. For small ones. */
  read(digest: string): Promise<Buffer | undefined>;
  size(digest: string): Promise<number | undefined>;
  /** Bytes from `start` to `end` inclusive. */
  stream(digest: string, start: number, end: number): Readable;
}
