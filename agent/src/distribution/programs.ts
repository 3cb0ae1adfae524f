import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '@groundplane/protocol/digest';

export interface ProgramDigests {
  digestOf(path: string): Promise<Digest | 'absent'>;
  /** We put this there ourselves, whole and checked: it need not be read again. */
  placed(path: string, digest: Digest): Promise<void>;
}

const markOf = (path: string): Promise<string | undefined> =>
  stat(path).then(
    (seen) => `${seen.ino} ${seen.size} ${seen.mtimeMs} ${seen.ctimeMs}`,
    () => undefined,
  );

/** Digests of programs, read again only when the file's times or size say that it may be another one: hundreds of megabytes each minute would be too much. */
export const createProgramDigests = (): ProgramDigests => {
  const known = new Map<string, { mark: string; digest: Digest }>();
  const digestOf = async (path: string): Promise<Digest | 'absent'> => {
    const mark = await markOf(path);
    if (mark === undefined) {
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
  return {
    digestOf,
    placed: async (path, digest) => {
      const mark = await markOf(path);
      if (mark !== undefined) known.set(path, { mark, digest });
    },
  };
};
