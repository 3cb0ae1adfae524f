import { constants, zstdDecompressSync } from 'node:zlib';
import { deltaWindowLog } from '@groundplane/protocol/delta';
import type { PatchBase } from '../port/content.ts';

/** The new text from the old one and a patch; undefined when it does not fit. The caller checks the digest of what comes out. */
export const patched = (base: string, patch: Buffer, sizeBytes: number): Buffer | undefined => {
  const dictionary = Buffer.from(base, 'utf8');
  try {
    return zstdDecompressSync(patch, {
      dictionary,
      maxOutputLength: Math.max(1, sizeBytes),
      params: { [constants.ZSTD_d_windowLogMax]: deltaWindowLog(dictionary.length + sizeBytes) },
    });
  } catch {
    return undefined;
  }
};

/** What a patch could be made against, when the host still holds it. */
export const patchBase = (
  state: { content(digest: string): string | undefined },
  digest: string | undefined,
  bundle: string | undefined,
): PatchBase | undefined => {
  const text = digest === undefined ? undefined : state.content(digest);
  return digest === undefined || bundle === undefined || text === undefined ? undefined : { digest, text, bundle };
};
