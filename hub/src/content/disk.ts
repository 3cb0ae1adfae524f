import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, FailureError } from '@groundplane/protocol/failure';
import type { ContentStore } from '../port/content.ts';

/** Digests whose presence was checked in this run; saves a `stat` for each object of each bundle. */
const knownMax = 100_000;

/** Files named by their digest, in 256 folders. Written aside, synced, renamed: a reader never sees half a blob. */
export const diskContent = (folder: string): ContentStore => {
  const known = new Set<string>();
  const fileOf = (digest: string): string => join(folder, 'sha256', digest.slice(7, 9), digest.slice(7));
  const remember = (digest: string): void => {
    if (known.size < knownMax) known.add(digest);
  };
  mkdirSync(join(folder, 'tmp'), { recursive: true });

  const sizeOf = async (digest: string): Promise<number | undefined> => {
    if (!isDigest(digest)) return undefined;
    return stat(fileOf(digest)).then(
      (found) => found.size,
      () => undefined,
    );
  };

  const place = async (temporary: string, digest: string): Promise<void> => {
    const handle = await open(temporary, 'r+');
    await handle.sync();
    await handle.close();
    mkdirSync(dirname(fileOf(digest)), { recursive: true });
    await rename(temporary, fileOf(digest));
    remember(digest);
  };

  return {
    put: async (data) => {
      const digest: Digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
      if (known.has(digest) || (await sizeOf(digest)) !== undefined) {
        remember(digest);
        return digest;
      }
      const temporary = join(folder, 'tmp', randomUUID());
      const handle = await open(temporary, 'wx', 0o600);
      await handle.writeFile(data);
      await handle.close();
      await place(temporary, digest);
      return digest;
    },
    receive: async (digest, source, sizeMax) => {
      const temporary = join(folder, 'tmp', randomUUID());
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
        await pipeline(source, check, createWriteStream(temporary, { mode: 0o600 }));
        if (`sha256:${hash.digest('hex')}` !== digest) return fail('fatal', 'content-wrong', digest, 'the bytes that came have another digest');
        await place(temporary, digest);
        return ok(size);
      } catch (error) {
        if (error instanceof FailureError) return { ok: false, failure: error.failure };
        return fail('retry', 'content-cut', digest, `the transfer broke: ${error instanceof Error ? error.message : String(error)}`);
      } finally {
        await rm(temporary, { force: true });
      }
    },
    read: async (digest) => (isDigest(digest) ? readFile(fileOf(digest)).catch(() => undefined) : undefined),
    size: sizeOf,
    stream: (digest, start, end) => createReadStream(fileOf(digest), { start, end }),
  };
};
