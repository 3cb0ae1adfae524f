import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { assembleChunks } from '@groundplane/protocol/chunk/assemble';
import type { Hasher } from '@groundplane/protocol/chunk/cut';
import { chunkedBytesMax, chunkedBytesMin } from '@groundplane/protocol/chunk/limits';
import { readChunkList } from '@groundplane/protocol/chunk/list';
import { FailureError, type Result } from '@groundplane/protocol/failure';
import type { BlobRequest, BlobSource } from '../port/blobs.ts';
import { diskFailure } from '../system/disk-failure.ts';
import type { Pace } from './pace.ts';

const makeHasher = (): Hasher => {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
};

/** An older version of a blob. */
export interface BaseFile {
  path: string;
  /** Of a partition the part that counts; absent: the whole file. */
  sizeBytes?: number | undefined;
}

export const canChunk = (sizeBytes: number): boolean => sizeBytes > chunkedBytesMin && sizeBytes <= chunkedBytesMax;

/** Failures of our own disk are told apart from those of the source. */
const onDisk = async <T>(run: () => Promise<T>, element: string): Promise<T> => {
  try {
    return await run();
  } catch (error) {
    const failed = diskFailure(error, element);
    throw failed.ok ? error : new FailureError(failed.failure);
  }
};

async function* rangeOf(source: BlobSource, request: BlobRequest, offset: number, size: number, pace: Pace, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const element = request.name ?? request.digest;
  const closed = source.isMetered ? pace.closed(element) : undefined;
  if (closed !== undefined) throw new FailureError(closed);
  const opened = await source.read(request.digest, offset, size, signal);
  if (!opened.ok) throw new FailureError(opened.failure);
  yield* source.isMetered ? pace.through(opened.value, element, signal) : opened.value;
}

/**
 * Makes a blob in a file from an older one and the chunks that are new in it. What the file holds from an earlier try is looked at and used. Undefined when the
 * source has no list that holds: then the whole is fetched. The bytes in the file are verified when this is ok.
 */
export const fetchByChunks = async (
  request: BlobRequest,
  files: { base: BaseFile; target: string },
  source: BlobSource,
  pace: Pace,
  signal: AbortSignal,
): Promise<Result<void> | undefined> => {
  const { digest, sizeBytes } = request;
  const element = request.name ?? digest;
  const bytes = await source.chunks?.(digest, sizeBytes, signal).catch(() => undefined);
  const list = bytes === undefined ? undefined : readChunkList(bytes, sizeBytes, digest);
  if (list?.ok !== true) return undefined;
  const old = await open(files.base.path, 'r').catch(() => undefined);
  if (old === undefined) return undefined;
  const target = await open(files.target, 'a').then(async (made) => {
    await made.close();
    return open(files.target, 'r+');
  });
  const read = async (handle: typeof old, offset: number, size: number): Promise<Uint8Array> => {
    const buffer = Buffer.allocUnsafe(size);
    const { bytesRead } = await handle.read(buffer, 0, size, offset);
    return buffer.subarray(0, bytesRead);
  };
  try {
    const made = await assembleChunks(digest, sizeBytes, list.value, {
      old: { size: files.base.sizeBytes ?? (await old.stat()).size, read: (offset, size) => onDisk(() => read(old, offset, size), element) },
      target: {
        read: (offset, size) => onDisk(() => read(target, offset, size), element),
        write: (offset, data) =>
          onDisk(async () => {
            for (let at = 0; at < data.length;) at += (await target.write(data, at, data.length - at, offset + at)).bytesWritten;
          }, element),
        resize: (size) => onDisk(() => target.truncate(size), element),
      },
      fetch: (offset, size) => rangeOf(source, request, offset, size, pace, signal),
      makeHasher,
      progress: (done) => request.onProgress?.(done),
    });
    if (!made.ok) return made.failure.kind === 'fatal' ? undefined : made;
    await onDisk(() => target.sync(), element);
    return { ok: true, value: undefined };
  } finally {
    await old.close();
    await target.close();
  }
};
