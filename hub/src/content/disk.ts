import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, FailureError, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { Clock } from '../port/clock.ts';
import type { BlobCipher, CollectableContent } from '../port/content.ts';
import { systemClock } from '../system/clock.ts';

/** Digests whose presence was checked in this run; saves a `stat` for each object of each bundle. */
const knownMax = 100_000;
const touchedMax = 200_000;
const besideBytesMax = 128 * 1024 * 1024;

/** What ended a transfer: the other side, our disk, or a rule. */
export const receiveFailure = (error: unknown, element: string): Result<never> => {
  if (error instanceof FailureError) return { ok: false, failure: error.failure };
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return fail('blocked', 'disk-full', element, 'there is no room for it on the disk; what came of it was removed. Make room and send it again');
  return fail('retry', 'content-cut', element, `the transfer broke: ${message ?? String(error)}`);
};

/** Writes a stream to a file and checks it on the way; the file is only good when this is. */
export const receiveFile = async (file: string, digest: string, source: Readable, sizeMax: number): Promise<Result<number>> => {
  const hash = createHash('sha256');
  let size = 0;
  const check = new Transform({
    transform: (chunk: Buffer, _, done) => {
      size += chunk.length;
      hash.update(chunk);
      if (size > sizeMax) done(new FailureError(fail('fatal', 'content-too-large', digest, `a blob has at most ${sizeMax} bytes`).failure));
      else done(null, chunk);
    },
  });
  try {
    await pipeline(source, check, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    return receiveFailure(error, digest);
  }
  if (`sha256:${hash.digest('hex')}` !== digest) return fail('fatal', 'content-wrong', digest, 'the bytes that came have another digest');
  return ok(size);
};

/** Files named by their digest, in 256 folders. Written aside, synced, renamed: a reader never sees half a blob. */
export const diskContent = (folder: string, clock: Pick<Clock, 'wallMs'> = systemClock, cipher?: BlobCipher): CollectableContent => {
  const known = new Set<string>();
  /** When somebody last showed interest in a blob; in memory, since who asked before a restart asks again. */
  const touched = new Map<string, number>();
  const fileOf = (digest: string): string => join(folder, 'sha256', digest.slice(7, 9), digest.slice(7));
  const besideFileOf = (digest: string): string => `${fileOf(digest)}.beside`;
  /** Secrets lie beside the others, sealed; they are small, so that they are opened whole. */
  const sealedFileOf = (digest: string): string => `${fileOf(digest)}.sealed`;
  const openSealed = async (digest: string): Promise<Buffer | undefined> => {
    const sealed = cipher === undefined ? undefined : await readFile(sealedFileOf(digest)).catch(() => undefined);
    return sealed === undefined ? undefined : cipher?.open(digest, sealed);
  };
  const remember = (digest: string): void => {
    if (known.size < knownMax) known.add(digest);
  };
  /** Latest touch that was forgotten for want of room: of a blob that is not in the map no earlier one can be told. */
  let forgottenMs = Number.NEGATIVE_INFINITY;
  const touch = (digest: string): void => {
    if (touched.size >= touchedMax) {
      for (const [key, atMs] of [...touched].slice(0, touchedMax / 10)) {
        touched.delete(key);
        forgottenMs = Math.max(forgottenMs, atMs);
      }
    }
    touched.delete(digest);
    touched.set(digest, clock.wallMs());
  };
  const touchedAtMs = (digest: string): number => touched.get(digest) ?? forgottenMs;
  mkdirSync(join(folder, 'tmp'), { recursive: true });

  const sizeOf = async (digest: string): Promise<number | undefined> => {
    if (!isDigest(digest)) return undefined;
    touch(digest);
    const sizeAt = (file: string): Promise<number | undefined> =>
      stat(file).then(
        (found) => found.size,
        () => undefined,
      );
    const plain = await sizeAt(fileOf(digest));
    if (plain !== undefined || cipher === undefined) return plain;
    const sealed = await sizeAt(sealedFileOf(digest));
    return sealed === undefined ? undefined : sealed - cipher.overheadBytes;
  };

  const place = async (temporary: string, digest: string, file = fileOf(digest)): Promise<void> => {
    const handle = await open(temporary, 'r+');
    await handle.sync();
    await handle.close();
    mkdirSync(dirname(file), { recursive: true });
    await rename(temporary, file);
    remember(digest);
  };

  return {
    put: async (data, options = {}) => {
      const digest: Digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
      touch(digest);
      if (known.has(digest) || (await sizeOf(digest)) !== undefined) {
        remember(digest);
        return digest;
      }
      const temporary = join(folder, 'tmp', randomUUID());
      const handle = await open(temporary, 'wx', 0o600);
      const isSealed = options.secret === true && cipher !== undefined;
      await handle.writeFile(isSealed ? cipher.seal(digest, Buffer.from(data)) : data);
      await handle.close();
      await place(temporary, digest, isSealed ? sealedFileOf(digest) : fileOf(digest));
      return digest;
    },
    receive: async (digest, source, sizeMax) => {
      touch(digest);
      const temporary = join(folder, 'tmp', randomUUID());
      try {
        const received = await receiveFile(temporary, digest, source, sizeMax);
        if (!received.ok) return received;
        touch(digest);
        await place(temporary, digest);
        return received;
      } finally {
        await rm(temporary, { force: true });
      }
    },
    read: async (digest) => {
      if (!isDigest(digest)) return undefined;
      const found = await stat(fileOf(digest)).catch(() => undefined);
      // Image layers of many GiB lie here too; whoever names one as a chart gets nothing.
      if ((found?.size ?? 0) > limits.contentBlobBytes) return undefined;
      return (await readFile(fileOf(digest)).catch(() => undefined)) ?? openSealed(digest);
    },
    size: sizeOf,
    stream: (digest, start, end) =>
      cipher === undefined || existsSync(fileOf(digest))
        ? createReadStream(fileOf(digest), { start, end })
        : Readable.from(
            (async function* () {
              const opened = await openSealed(digest);
              if (opened === undefined) throw new Error(`${digest} is gone, or was sealed with another key`);
              yield opened.subarray(start, end + 1);
            })(),
          ),
    beside: {
      read: async (digest) => {
        const found = await stat(besideFileOf(digest)).catch(() => undefined);
        return found === undefined || found.size > besideBytesMax ? undefined : readFile(besideFileOf(digest)).catch(() => undefined);
      },
      write: async (digest, bytes) => {
        const temporary = join(folder, 'tmp', randomUUID());
        try {
          await writeFile(temporary, bytes, { flag: 'wx', mode: 0o600 });
          // Nothing is left beside a blob that went in the meantime.
          if (existsSync(fileOf(digest))) renameSync(temporary, besideFileOf(digest));
        } finally {
          await rm(temporary, { force: true });
        }
      },
    },
    list: async function* () {
      const root = join(folder, 'sha256');
      for (const part of await readdir(root).catch(() => [])) {
        for (const name of await readdir(join(root, part)).catch(() => [])) {
          const digest = `sha256:${name.replace(/\.sealed$/, '')}`;
          if (!isDigest(digest)) continue;
          const found = await stat(join(root, part, name)).catch(() => undefined);
          if (found !== undefined) yield { digest, size: found.size, storedAtMs: found.mtimeMs };
        }
      }
    },
    isTouchedSince: (digest, ms) => touchedAtMs(digest) >= ms,
    remove: async (digest, untouchedSinceMs) => {
      if (touchedAtMs(digest) >= untouchedSinceMs) return false;
      const trash = join(folder, 'tmp', randomUUID());
      // Question and deed in one turn of the event loop: from here on a `put` finds nothing and writes the blob anew.
      known.delete(digest);
      const move = (file: string): boolean => {
        try {
          renameSync(file, trash);
          return true;
        } catch {
          return false;
        }
      };
      const moved = [move(fileOf(digest)), move(sealedFileOf(digest))];
      await rm(besideFileOf(digest), { force: true });
      if (!moved.includes(true)) return false;
      await rm(trash, { force: true });
      return true;
    },
  };
};
