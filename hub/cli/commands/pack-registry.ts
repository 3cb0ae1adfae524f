import { mkdir, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { readArchive } from '../../src/archive/read.ts';
import { packTgz, type TarFile } from '../../src/archive/write.ts';
import { requireFetched } from '../../src/pack/upstream.ts';
import { registryLimits } from '../../src/registry/limits.ts';
import { parseReference, referenceText } from '../../src/registry/oci-reference.ts';
import { packArchiveLimits, pullPack, pushPack } from '../../src/registry/units.ts';
import { localRegistry, type RegistryFlags } from '../local-registry.ts';
import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { exits, trouble, type Outcome, type Trouble } from '../trouble.ts';

export const failureTrouble = (failure: Failure): Trouble => ({
  ...trouble(failure.element, failure.message),
  ...(failure.code === 'registry-denied' ? { exit: exits.denied } : {}),
});

const filesMax = 20_000;
const depthMax = 20;

const collect = async (root: string, folder: string, depth: number, files: TarFile[], size: { bytes: number }): Promise<Result<void>> => {
  if (depth > depthMax) return fail('fatal', 'pack-invalid', folder, `folders are nested more than ${depthMax} deep`);
  for (const name of (await readdir(folder)).toSorted()) {
    if (name === '.git' || name === '.DS_Store') continue;
    const path = join(folder, name);
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || (real !== root && !real.startsWith(root + sep)))
      return fail('fatal', 'pack-invalid', path, 'is a link that leads out of the pack, or to nothing; copy the file into it');
    const info = await stat(real);
    if (info.isDirectory()) {
      const below = await collect(root, path, depth + 1, files, size);
      if (!below.ok) return below;
      continue;
    }
    if (!info.isFile()) return fail('fatal', 'pack-invalid', path, 'is neither a file nor a folder');
    size.bytes += info.size;
    if (files.length >= filesMax || size.bytes > registryLimits.packBytes)
      return fail('fatal', 'pack-too-large', root, `a pack has at most ${filesMax} files and ${registryLimits.packBytes} bytes`);
    files.push({ name: relative(root, path).split(sep).join('/'), data: await readFile(real) });
  }
  return ok(undefined);
};

/** A pack folder as an archive whose bytes depend on its files only; an archive is taken as it is. */
export const packPack = async (path: string): Promise<Result<Buffer>> => {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return fail('fatal', 'pack-missing', path, 'there is no such folder or archive');
  if (info.isFile())
    return info.size > registryLimits.packBytes
      ? fail('fatal', 'pack-too-large', path, `has more than ${registryLimits.packBytes} bytes`)
      : ok(await readFile(path));
  const root = await realpath(path);
  const files: TarFile[] = [];
  const walked = await collect(root, root, 0, files, { bytes: 0 });
  if (!walked.ok) return walked;
  if (!files.some((file) => file.name === 'pack.json')) return fail('fatal', 'pack-invalid', path, 'has no pack.json, so it is not the folder of a pack');
  const fetched = requireFetched({ from: path, files: files.map(({ name, data }) => ({ name, data: Buffer.from(data) })) });
  if (!fetched.ok) return fetched;
  return ok(packTgz(files));
};

/** `gp pack push DIR REF`. */
export const packPush = async (context: Context, path: string, text: string, flags: RegistryFlags & { force?: boolean }): Promise<Outcome> => {
  const reference = parseReference(text);
  if (!reference.ok) return failureTrouble(reference.failure);
  const archive = await packPack(resolve(context.io.cwd, path));
  if (!archive.ok) return failureTrouble(archive.failure);
  const registry = await localRegistry(context, reference.value.registry, flags);
  if (!registry.ok) return failureTrouble(registry.failure);
  try {
    const pushed = await pushPack(registry.value.client, reference.value, archive.value, { force: flags.force === true });
    if (!pushed.ok) return failureTrouble(pushed.failure);
    const answer = { reference: referenceText(pushed.value.reference), digest: pushed.value.digest };
    await printOne(context, answer, answer.reference, () => `${answer.reference}@${answer.digest}\n`);
    return exits.ok;
  } finally {
    registry.value.close();
  }
};

/** `gp pack pull DIR REF`. Unpacks into DIR, which must be empty or not there; with a name ending in .tgz the archive itself is written. */
export const packPull = async (context: Context, path: string, text: string, flags: RegistryFlags & { version?: string }): Promise<Outcome> => {
  const reference = parseReference(text);
  if (!reference.ok) return failureTrouble(reference.failure);
  const target = resolve(context.io.cwd, path);
  const there = await readdir(target).catch(() => []);
  if (there.length > 0) return trouble(path, 'is not empty', `name another folder, or remove what is in ${basename(path)}`);
  const registry = await localRegistry(context, reference.value.registry, flags);
  if (!registry.ok) return failureTrouble(registry.failure);
  try {
    const unit = await pullPack(registry.value.client, reference.value, flags.version);
    if (!unit.ok) return failureTrouble(unit.failure);
    const { bytes, name, version, digest, manifest } = unit.value;
    if (/\.(tgz|tar\.gz)$/.test(path)) await writeFile(target, bytes, { flag: 'wx' });
    else {
      const files = await readArchive(Readable.from([bytes]), packArchiveLimits, text);
      if (!files.ok) return failureTrouble(files.failure);
      for (const file of files.value) {
        await mkdir(dirname(join(target, file.name)), { recursive: true });
        await writeFile(join(target, file.name), file.data, { flag: 'wx' });
      }
    }
    await printOne(context, { name, version, digest, manifest, path }, `pack/${name}`, () => `pack ${name} ${version} is in ${path}\n`);
    return exits.ok;
  } finally {
    registry.value.close();
  }
};
