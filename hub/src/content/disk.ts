import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, FailureError, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { BlobCipher, CollectableContent } from '../port/content.ts';
import { systemClock } from '../system/clock.ts';

/** Digests whose presence was checked in this run; saves a `stat` for each object of each bundle. */
const knownMax = 100_000;
const touchedMax = 1_000_000;

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
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
    return fail('retry', 'content-cut', digest, `the transfer broke: ${error instanceof Error ? error.message : String(error)}`);
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
  /** Secrets lie beside the others, sealed; they are small, so that they are opened whole. */
  const sealedFileOf = (digest: string): string => `${fileOf(digest)}.sealed`;
  const openSealed = async (digest: string): Promise<Buffer | undefined> => {
    const sealed = cipher === undefined ? undefined : await readFile(sealedFileOf(digest)).catch(() => undefined);
    return sealed === undefined ? undefined : cipher?.open(digest, sealed);
  };
  const remember = (digest: string): void => {
    if (known.size < knownMax) known.add(digest);
  };
  const touch = (digest: string): void => {
    if (touched.size >= touchedMax) {
      // The oldest go; the collector's grace is long past for them on any hub that sees so many blobs.
      for (const key of [...touched.keys()].slice(0, touchedMax / 10)) touched.delete(key);
    }
    touched.delete(digest);
    touched.set(digest, clock.wallMs());
  };
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
    read: async (digest) => (isDigest(digest) ? ((await readFile(fileOf(digest)).catch(() => undefined)) ?? openSealed(digest)) : undefined),
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
    isTouchedSince: (digest, ms) => (touched.get(digest) ?? Number.NEGATIVE_INFINITY) >= ms,
    remove: async (digest, untouchedSinceMs) => {
      if ((touched.get(digest) ?? Number.NEGATIVE_INFINITY) >= untouchedSinceMs) return false;
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
      if (!moved.includes(true)) return false;
      await rm(trash, { force: true });
      return true;
    },
  };
};
