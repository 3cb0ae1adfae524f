import { createWriteStream } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { fail, FailureError, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { extract, type Header } from 'tar-stream';
import { diskFailure } from '../system/disk-failure.ts';

/** What a medium consists of; whatever else an archive carries is passed over, and nothing of it reaches the disk. */
const ownName = /^(?:oci-layout|index\.json|groundplane-signature\.json|blobs\/sha256\/[0-9a-f]{64})$/;
const element = 'upload';

const refuse = (code: string, message: string): FailureError => new FailureError(fail('fatal', code, element, message).failure);

export interface Bounds {
  bytesMax: number;
  entriesMax: number;
  /** Bytes that stay free on the disk whatever comes. */
  reserveBytes: number;
  freeBytes: (folder: string) => Promise<number>;
}

export const uploadBounds: Bounds = {
  bytesMax: limits.uploadBytes,
  entriesMax: limits.uploadEntries,
  reserveBytes: limits.uploadReserveBytes,
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

/** One file of an archive onto the disk under its own name, or nowhere. */
const writeEntry = async (header: Header, entry: Readable, folder: string, bounds: Bounds): Promise<void> => {
  const name = header.name.replace(/^\.\//, '');
  if (header.type !== 'file' || !ownName.test(name)) {
    entry.resume();
    return finished(entry, { writable: false });
  }
  if ((await bounds.freeBytes(folder)) - (header.size ?? 0) < bounds.reserveBytes)
    throw new FailureError(
      fail('blocked', 'disk-full', element, 'does not fit on the disk beside what is there. Free some space, or bring it on a stick').failure,
    );
  await pipeline(entry, createWriteStream(join(folder, name), { flags: 'wx', mode: 0o600 }));
};

const failureOf = (error: unknown): Result<never> => {
  if (error instanceof FailureError) return { ok: false, failure: error.failure };
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST') return fail('fatal', 'media-invalid', element, 'holds a file twice');
  if (/^E[A-Z]+$/.test(code) && code !== 'ECONNRESET' && code !== 'EPIPE') return diskFailure(error, element);
  return fail('fatal', 'media-invalid', element, `is no whole archive of a medium (.tar): ${message}. A sealed one (.tar.age) is opened by gp first`);
};

/** Writes the files of an archive into a folder, each under the name that it may have and no other. What the bytes are is checked by the import. */
export const unpackMedium = async (body: Readable, folder: string, onBytes: (bytes: number) => void, bounds: Bounds): Promise<Result<void>> => {
  const tar = extract();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // It may fail before anybody waits for it, while the folder is being made; that would end the process.
  promise.catch(() => undefined);
  let [bytes, entries] = [0, 0];
  // By events, since leaving its iterator in the middle of a file waits for an end that never comes.
  tar.on('entry', (header, entry, next) => {
    entries += 1;
    bytes += header.size ?? 0;
    // It may break while nobody reads it yet; the archive itself tells.
    entry.on('error', () => undefined);
    const stop = (error: unknown): void => {
      reject(error);
      tar.destroy();
    };
    if (entries > bounds.entriesMax) return stop(refuse('upload-too-large', `has more than ${bounds.entriesMax} files`));
    if (bytes > bounds.bytesMax) return stop(refuse('upload-too-large', `has more than ${bounds.bytesMax} bytes. Bring it on a stick`));
    writeEntry(header, entry as unknown as Readable, folder, bounds).then(() => {
      onBytes(bytes);
      next();
    }, stop);
  });
  tar.on('finish', resolve);
  tar.on('error', reject);
  tar.on('close', () => reject(new Error('it ends in the middle')));
  body.on('error', (error) => {
    reject(error);
    tar.destroy();
  });
  const onLost = (): void => {
    if (body.readableEnded) return;
    reject(new Error('the line broke before its end'));
    tar.destroy();
  };
  body.on('close', onLost);
  // It may be gone before anybody listened.
  if (body.destroyed) onLost();
  try {
    await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true, mode: 0o700 });
    body.pipe(tar);
    await promise;
    return ok(undefined);
  } catch (error) {
    return failureOf(error);
  } finally {
    body.unpipe(tar);
    tar.destroy();
  }
};
