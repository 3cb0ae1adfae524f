import { createHash, type Hash } from 'node:crypto';
import { open, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { fail, FailureError } from '@groundplane/protocol/failure';
import { blobLimits } from './limits.ts';

/** A blob that is on its way: bytes from the beginning on, hashed as they come. */
export interface Partial {
  /** Bytes that are here. */
  size(): number;
  write(bytes: Uint8Array): Promise<void>;
  /** Makes what is here durable, and lets the next try know. */
  settle(): Promise<void>;
  /** Digest of all that is here; the partial takes no more bytes afterwards. */
  finish(): Promise<string>;
  /** Forgets every byte. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

const markOf = (file: string): string => `${file}.at`;

/** How far the file was durable at the last settling. What lies behind may be zeroes after a power cut, whatever the file system says of its size. */
const readMark = async (file: string): Promise<number> => {
  const text = await readFile(markOf(file), 'utf8').catch(() => '');
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
};

const hashFile = async (handle: FileHandle, size: number): Promise<Hash> => {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(blobLimits.copyBytes);
  for (let at = 0; at < size;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return hash;
};

/** Opens what an earlier try left, or begins anew. Throws what the disk throws. */
export const openPartial = async (file: string, sizeMax: number): Promise<Partial> => {
  const handle = await open(file, 'a+', 0o600).then(async (made) => {
    await made.close();
    return open(file, 'r+');
  });
  let size = Math.min(await readMark(file), (await handle.stat()).size, sizeMax);
  await handle.truncate(size);
  let hash = await hashFile(handle, size);
  let settled = size;

  const settle = async (): Promise<void> => {
    if (settled === size) return;
    await handle.datasync();
    await writeFile(`${markOf(file)}.new`, String(size));
    await rename(`${markOf(file)}.new`, markOf(file));
    settled = size;
  };

  return {
    size: () => size,
    write: async (bytes) => {
      if (size + bytes.length > sizeMax) throw new FailureError(fail('retry', 'content-wrong', file, `more than the announced ${sizeMax} bytes came`).failure);
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at, bytes.length - at, size + at)).bytesWritten;
      hash.update(bytes);
      size += bytes.length;
      if (size - settled >= blobLimits.syncBytes) await settle();
    },
    settle,
    finish: async () => {
      await handle.sync();
      return `sha256:${hash.digest('hex')}`;
    },
    restart: async () => {
      await rm(markOf(file), { force: true });
      await handle.truncate(0);
      size = 0;
      settled = 0;
      hash = createHash('sha256');
    },
    close: () => handle.close(),
  };
};

export const dropPartial = async (file: string): Promise<void> => {
  await rm(markOf(file), { force: true });
  await rm(`${markOf(file)}.new`, { force: true });
  await rm(file, { force: true });
};

export const sizeOf = (file: string): Promise<number | undefined> =>
  stat(file).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
