import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '@groundplane/protocol/digest';

/** Digests of programs, read again only when the file's times or size say that it may be another one: hundreds of megabytes each minute would be too much. */
export const createProgramDigests = () => {
  const known = new Map<string, { mark: string; digest: Digest }>();
  return async (path: string): Promise<Digest | 'absent'> => {
    let mark: string;
    try {
      const seen = await stat(path);
      mark = `${seen.ino} ${seen.size} ${seen.mtimeMs} ${seen.ctimeMs}`;
    } catch {
      known.delete(path);
      return 'absent';
    }
    const before = known.get(path);
    if (before?.mark === mark) return before.digest;
    const hash = createHash('sha256');
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
    const digest: Digest = `sha256:${hash.digest('hex')}`;
    known.set(path, { mark, digest });
    return digest;
  };
};
