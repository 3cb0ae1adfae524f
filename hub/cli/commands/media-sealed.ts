import { mkdtemp, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { decryptFile, encryptedSuffix } from '../../src/media/encryption.ts';
import type { Context } from '../io.ts';
import { usage, type Outcome } from '../trouble.ts';
import { readKeyFile } from './media-commands.ts';
import { failureTrouble } from './pack-registry.ts';

/** Runs something on a medium; an encrypted one is opened into a folder of its own beside it, and that is removed afterwards, whatever happened. */
export const withPlain = async (context: Context, file: string, identity: string | undefined, run: (path: string) => Promise<Outcome>): Promise<Outcome> => {
  if (!file.endsWith(encryptedSuffix)) return run(file);
  if (identity === undefined) return usage(file, 'is encrypted', 'give --identity FILE, as age-keygen wrote it');
  const keys = await readKeyFile(context, identity);
  if (!keys.ok) return failureTrouble(keys.failure);
  const path = resolve(context.io.cwd, file);
  const folder = await mkdtemp(join(dirname(path), '.groundplane-open-'));
  try {
    const plain = join(folder, basename(path).slice(0, -'.age'.length));
    const opened = await decryptFile(path, plain, keys.value);
    return opened.ok ? await run(plain) : failureTrouble(opened.failure);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
