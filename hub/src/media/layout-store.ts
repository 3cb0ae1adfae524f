import { randomUUID } from 'node:crypto';
import { createReadStream, mkdirSync } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDigest } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { receiveFile } from '../content/disk.ts';
import type { ContentStore } from '../port/content.ts';
import { sha256Of } from '../registry/oci-client.ts';

/** The blobs of an OCI image layout (image specification 1.1, "Image Layout") as a content store: whatever fills stores fills media. */
export const layoutStore = (folder: string): ContentStore => {
  const blobs = join(folder, 'blobs', 'sha256');
  // Rendered objects hold secrets. A folder that is there already, such as that of a stick, keeps its mode.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync(blobs, { recursive: true });
  const fileOf = (digest: string): string => join(blobs, digest.slice(7));
  const size = async (digest: string): Promise<number | undefined> =>
    isDigest(digest)
      ? stat(fileOf(digest)).then(
          (found) => found.size,
          () => undefined,
        )
      : undefined;
  const place = async (temporary: string, digest: string): Promise<void> => {
    const handle = await open(temporary, 'r+');
    await handle.sync();
    await handle.close();
    await rename(temporary, fileOf(digest));
  };
  return {
    size,
    put: async (data) => {
      const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data);
      const digest = sha256Of(bytes);
      if ((await size(digest)) !== undefined) return digest;
      const temporary = join(folder, `.${randomUUID()}`);
      await writeFile(temporary, bytes, { flag: 'wx' });
      await place(temporary, digest);
      return digest;
    },
    receive: async (digest, source, sizeMax) => {
      const temporary = join(folder, `.${randomUUID()}`);
      try {
        const received = await receiveFile(temporary, digest, source, sizeMax);
        if (received.ok) await place(temporary, digest);
        return received;
      } finally {
        await rm(temporary, { force: true });
      }
    },
    read: async (digest) =>
      ((await size(digest)) ?? Number.POSITIVE_INFINITY) > limits.contentBlobBytes ? undefined : readFile(fileOf(digest)).catch(() => undefined),
    stream: (digest, start, end) => createReadStream(fileOf(digest), { start, end }),
  };
};
