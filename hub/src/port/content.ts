import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';
import type { Readable } from 'node:stream';

/** Blobs by digest. A blob is there whole and verified, or not at all. */
export interface ContentStore {
  /** Stores text or bytes under their own digest; costs nothing when it is there already. `secret`: it lies sealed, where the store can do that. */
  put(data: Uint8Array | string, options?: { secret?: boolean }): Promise<Digest>;
  /** Takes a stream of announced digest; refuses other bytes (`content-wrong`, fatal) and more than `sizeMax` (`content-too-large`, fatal). */
  receive(digest: Digest, source: Readable, sizeMax: number): Promise<Result<number>>;
  /** Whole blob in memory; undefined when missing, or larger than `limits.contentBlobBytes`. */
  read(digest: string): Promise<Buffer | undefined>;
  size(digest: string): Promise<number | undefined>;
  /** Bytes from `start` to `end` inclusive. */
  stream(digest: string, start: number, end: number): Readable;
  /** What was found out about a blob with much work, as a file beside it that goes when the blob goes; it may be gone or damaged at any time. */
  beside?: { read(digest: Digest): Promise<Buffer | undefined>; write(digest: Digest, bytes: Uint8Array): Promise<void> };
}

/** Seals blobs at rest. `open` answers undefined for other bytes, another blob's, or another key's. */
export interface BlobCipher {
  overheadBytes: number;
  seal(digest: string, bytes: Uint8Array): Buffer;
  open(digest: string, sealed: Uint8Array): Buffer | undefined;
}

export interface StoredBlob {
  digest: Digest;
  size: number;
  /** When its bytes came, in milliseconds since 1970. */
  storedAtMs: number;
}

/** What the collector needs besides: it is the only one that takes blobs away. */
export interface CollectableContent extends ContentStore {
  list(): AsyncIterable<StoredBlob>;
  /** Somebody stored, received or asked for this blob at or after that time: it may be about to be named by a row. */
  isTouchedSince(digest: Digest, ms: number): boolean;
  /** Takes a blob away unless it was touched since; answers whether it did. Nothing can come between the question and the deed. */
  remove(digest: Digest, untouchedSinceMs: number): Promise<boolean>;
}

/** Room for uploads that come in parts. */
export interface StagingArea {
  open(): Promise<string>;
  /** Bytes that an upload holds; undefined when there is none of this name (any more). */
  size(id: string): Promise<number | undefined>;
  /** Adds at the end; answers the new size, also after a cut, when less came than was announced. More than `sizeMax` in all is `content-too-large`. */
  append(id: string, source: Readable, sizeMax: number): Promise<Result<number>>;
  read(id: string): Readable;
  drop(id: string): Promise<void>;
}
