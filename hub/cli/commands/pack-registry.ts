import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import type { Failure } from '@groundplane/protocol/failure';
import { readArchive } from '../../src/archive/read.ts';
import { lintPackFiles } from '../../src/pack/lint.ts';
import { readPack } from '../../src/pack/read.ts';
import { packFiles } from '../../src/pack/write.ts';
import { parseReference } from '../../src/registry/oci-reference.ts';
import { packArchiveLimits, pullPack, pushPack } from '../../src/registry/units.ts';
import { localRegistry, type RegistryFlags, printPushed } from '../local-registry.ts';
import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { exits, trouble, type Outcome, type Trouble } from '../trouble.ts';
import { findingLines } from './pack/source.ts';

export const failureTrouble = (failure: Failure): Trouble => ({
  ...trouble(failure.element, failure.message),
  ...(failure.code === 'registry-denied' ? { exit: exits.denied } : {}),
});

/** `gp pack push DIR REF`. The same bytes as `gp pack build`; a pack with errors is not pushed. */
export const packPush = async (context: Context, path: string, text: string, flags: RegistryFlags & { force?: boolean }): Promise<Outcome> => {
  const reference = parseReference(text);
  if (!reference.ok) return failureTrouble(reference.failure);
  const pack = await readPack(resolve(context.io.cwd, path));
  if (!pack.ok) return failureTrouble(pack.failure);
  const errors = (await lintPackFiles(pack.value)).filter((finding) => finding.severity === 'error');
  if (errors.length > 0) {
    await context.io.stderr.write(findingLines(context, errors, true));
    return trouble(path, `the pack has ${errors.length} errors; nothing was pushed`, `gp pack lint ${path}`);
  }
  const built = packFiles(pack.value);
  if (!built.ok) return failureTrouble(built.failure);
  const registry = await localRegistry(context, reference.value.registry, flags);
  if (!registry.ok) return failureTrouble(registry.failure);
  try {
    const pushed = await pushPack(registry.value.client, reference.value, Buffer.from(built.value.bytes), { force: flags.force === true });
    if (!pushed.ok) return failureTrouble(pushed.failure);
    await printPushed(context, pushed.value);
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
