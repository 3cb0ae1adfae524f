import type { KeptFile } from '../port/distribution.ts';
import type { Tools } from '../port/tools.ts';
import { isReadable } from './certificates.ts';

export interface KeptFiles {
  broken: string[];
  renewed: string[];
  /** What stands in each of them now. */
  now: Map<string, string>;
}

/** Which kept files are gone, torn or changed, and which somebody renewed. */
export const compareKept = async (tools: Tools, kept: Readonly<Record<string, KeptFile>>): Promise<KeptFiles> => {
  const found: KeptFiles = { broken: [], renewed: [], now: new Map() };
  for (const [path, file] of Object.entries(kept)) {
    const now = await tools.read(path);
    if (now !== undefined) found.now.set(path, now);
    if (now === file.content) continue;
    const isBroken = now === undefined || file.rule === 'exact' || !isReadable(path, now);
    (isBroken ? found.broken : found.renewed).push(path);
  }
  return found;
};

/** Puts kept files back as they were. */
export const restoreKept = async (tools: Tools, kept: Readonly<Record<string, KeptFile>>, paths: readonly string[]): Promise<void> => {
  for (const path of paths) {
    const file = kept[path];
    if (file !== undefined) await tools.write(path, file.content, file.mode);
  }
};
