import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';

export interface BlobRequest {
  digest: Digest;
  sizeBytes: number;
  /** An older blob of the same thing: where it lies here, only what changed has to come. */
  base?: Digest | undefined;
  /** For messages. */
  name?: string | undefined;
  /** Told now and then how many bytes are here. */
  onProgress?: ((doneBytes: number) => void) | undefined;
}

/**
 * Large content of this host, as files by digest. A file is there whole and verified, or not at all.
 * Failures: those of `BlobSource`, `disk-full`, `disk-read-only`, `disk-error` (blocked), `content-wrong` (retry: all sources gave other bytes),
 * `superseded` (retry: the signal aborted; what came is kept).
 */
export interface Blobs {
  /** Where the blob lies; undefined while it is not here whole. The file is read-only for everybody, and is gone once nothing names it. */
  path(digest: string): Promise<string | undefined>;
  /** Brings it here and answers its path. Goes on where an earlier try stopped, also after a power cut. */
  fetch(request: BlobRequest, signal: AbortSignal): Promise<Result<string>>;
  /** Takes it from a stream, such as an upload or a medium. */
  receive(request: Pick<BlobRequest, 'digest' | 'sizeBytes' | 'name'>, source: AsyncIterable<Uint8Array>): Promise<Result<string>>;
  /** A durable copy with a mode of its own, shared with the blob on disk where the file system can do that. Written aside and renamed. */
  place(digest: string, target: string, options: { mode: number }): Promise<Result<void>>;
  /** Throws away everything else, except what came within the last hour: whoever brings content names it afterwards. */
  keep(digests: ReadonlySet<string>): Promise<void>;
}

/**
 * One place that may have blobs: a medium, a neighbour, the hub. Failures: `content-unreachable` (retry), `content-missing` (retry), `content-denied` (blocked),
 * `content-coming` (retry: it has it soon), `transfer-window` (retry).
 */
export interface BlobSource {
  /** For messages: `the hub`, `neighbour 10.0.0.7`. */
  name: string;
  /** The line to it is the site's own: it keeps to the rate and to the window. */
  isMetered: boolean;
  /** Bytes from `offset` on, `size` of them. What throws while reading is a cut, or the `Failure` of a `FailureError`. */
  read(digest: Digest, offset: number, size: number, signal: AbortSignal): Promise<Result<AsyncIterable<Uint8Array>>>;
  /** Its list of chunks as it travels, where the source has one. */
  chunks?(digest: Digest, sizeBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
}
