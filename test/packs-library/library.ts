import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readPack, textOf, type PackFiles } from '@groundplane/hub/pack/read';
import { parsePackJson, type PackFacts } from '@groundplane/protocol/pack/pack-json';
import { value } from '../hub/world.ts';

export interface LibraryPack {
  /** `flannel-0.27.0` */
  folder: string;
  files: PackFiles;
  facts: PackFacts;
  /** Whether its charts are at their upstream, so that nothing can be rendered here. */
  isThin: boolean;
}

export const libraryFolder = join(import.meta.dirname, '..', '..', 'packs');

const read = async (folder: string): Promise<LibraryPack> => {
  const files = value(await readPack(join(libraryFolder, folder)));
  const { facts } = parsePackJson(textOf(files, 'pack.json') ?? '');
  if (facts === undefined) throw new Error(`${folder} has no pack.json that can be read`);
  return { folder, files, facts, isThin: textOf(files, 'upstream.yaml') !== undefined };
};

/** Our own packs, by folder. */
export const library = async (): Promise<LibraryPack[]> =>
  Promise.all(
    readdirSync(libraryFolder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => read(entry.name)),
  );

export const packText = (pack: LibraryPack, name: string): string => textOf(pack.files, name) ?? '';
