import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { packFiles } from '../../../src/pack/write.ts';
import { lintPackFiles } from '../../../src/pack/lint.ts';
import { notice, type Context } from '../../io.ts';
import { printOne } from '../../output/print.ts';
import { exits, trouble, type Outcome } from '../../trouble.ts';
import { failureTrouble, findingLines, openPack } from './source.ts';

/** `gp pack build DIR --out FILE.tgz`: the archive that is stored, the same bytes everywhere. A pack with errors is not built. */
export const packBuild = async (context: Context, name: string, out: string): Promise<Outcome> => {
  const pack = await openPack(context, name);
  if (!pack.ok) return pack.trouble;
  const errors = (await lintPackFiles(pack.value)).filter((finding) => finding.severity === 'error');
  if (errors.length > 0) {
    await context.io.stderr.write(findingLines(context, errors, true));
    return trouble(name, `the pack has ${errors.length} errors; nothing was written`, `gp pack lint ${name}`);
  }
  const built = packFiles(pack.value);
  if (!built.ok) return failureTrouble(built.failure);
  const path = resolve(context.io.cwd, out);
  const partial = `${path}.partial`;
  try {
    // Whoever watches for the file never sees half of it.
    await writeFile(partial, built.value.bytes);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    return trouble(out, `cannot be written: ${(error as Error).message}`, 'name a file in a folder that you may write to: --out FILE.tgz');
  }
  const { digest, version, bytes } = built.value;
  await printOne(context, { name: built.value.name, version, digest, bytes: bytes.length, file: out }, digest, () => `${digest}\n`);
  await notice(context, `${built.value.name} ${version}, ${Math.ceil(bytes.length / 1024)} KiB, in ${out}`);
  return exits.ok;
};
