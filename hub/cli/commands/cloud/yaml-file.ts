import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import type { Context } from '../../io.ts';
import { usage, type Trouble } from '../../trouble.ts';

const bytesMax = 4 * 1024 * 1024;

/** A YAML or JSON document from a file, or from standard input for `-`. */
export const readYamlFile = async (context: Context, file: string): Promise<{ ok: true; value: unknown } | { ok: false; trouble: Trouble }> => {
  const text =
    file === '-'
      ? Buffer.from(await context.io.stdin.read(bytesMax)).toString('utf8')
      : await readFile(resolve(context.io.cwd, file), 'utf8').catch(() => undefined);
  if (text === undefined) return { ok: false, trouble: usage(`file ${file}`, 'cannot be read') };
  try {
    return { ok: true, value: parse(text, { maxAliasCount: 100 }) };
  } catch (error) {
    return { ok: false, trouble: usage(`file ${file}`, error instanceof Error ? error.message : String(error)) };
  }
};
