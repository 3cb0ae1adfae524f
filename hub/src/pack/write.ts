import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { packTgz } from '../archive/write.ts';
import { readPack, textOf, type PackFiles } from './read.ts';
import { requireFetched } from './upstream.ts';

/** A pack as one archive. Equal files give equal bytes, wherever and whenever it is built. */
export interface BuiltPack {
  digest: Digest;
  name: string;
  version: string;
  bytes: Uint8Array;
}

/** Packs files; pack.json comes first, so that a reader of the stream knows early what it has. */
export const packFiles = (pack: PackFiles): Result<BuiltPack> => {
  const { facts, findings } = parsePackJson(textOf(pack, 'pack.json') ?? '');
  if (facts === undefined)
    return fail('fatal', 'pack-invalid', `${pack.from}, pack.json`, findings.find((finding) => finding.severity === 'error')?.message ?? 'cannot be read');
  const fetched = requireFetched(pack);
  if (!fetched.ok) return fetched;
  const files = pack.files.toSorted((a, b) => Number(b.name === 'pack.json') - Number(a.name === 'pack.json') || (a.name < b.name ? -1 : 1));
  const bytes = packTgz(files);
  if (bytes.length > limits.contentBlobBytes)
    return fail('fatal', 'pack-too-large', pack.from, `makes an archive of ${bytes.length} bytes; at most ${limits.contentBlobBytes}`);
  return ok({ digest: digestBytes(bytes), name: facts.name, version: facts.version, bytes });
};

/** A pack folder, or an archive of one whatever its form, as the archive that is stored. */
export const buildPack = async (path: string): Promise<Result<BuiltPack>> => {
  const pack = await readPack(path);
  return pack.ok ? packFiles(pack.value) : pack;
};
