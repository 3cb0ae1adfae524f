import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** A file of the image that runs, where it lies: a partition has more bytes than the image in it. */
export interface RunningFile {
  path: string;
  sizeBytes: number;
}

const superblockAt = 1024;
const magic = 0xe0f5e1e2;

/** Size of an erofs image from its superblock (Linux, fs/erofs/erofs_fs.h): block size as a power of two at 12, number of blocks at 36. */
export const erofsSize = async (path: string): Promise<number | undefined> => {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const block = Buffer.alloc(128);
    const { bytesRead } = await handle.read(block, 0, block.length, superblockAt);
    if (bytesRead < block.length || block.readUInt32LE(0) !== magic) return undefined;
    const bits = block.readUInt8(12);
    return bits < 9 || bits > 16 ? undefined : block.readUInt32LE(36) * 2 ** bits;
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
};

/** Digest of that file, and undefined when it cannot be read. */
export const digestOfRunning = async ({ path, sizeBytes }: RunningFile): Promise<string | undefined> => {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const hash = createHash('sha256');
    const piece = Buffer.alloc(1024 * 1024);
    for (let done = 0; done < sizeBytes;) {
      const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, sizeBytes - done), done);
      if (bytesRead === 0) return undefined;
      hash.update(piece.subarray(0, bytesRead));
      done += bytesRead;
    }
    return `sha256:${hash.digest('hex')}`;
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
};
