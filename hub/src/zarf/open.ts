import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { z } from 'zod';
import { zarfReadLimits } from './limits.ts';
import type { OpenPackage } from './read.ts';

/** `.part000` of a split package (`zarf package create --max-package-size`): how many parts follow, and their size together. */
const splitSchema = z.looseObject({ Sha256Sum: z.string(), Bytes: z.int().min(0), Count: z.int().min(1).max(zarfReadLimits.splitParts) });
const splitBytesMax = 4_096;

const partName = (path: string, number: number): string => path.replace(/\.part000$/, `.part${String(number).padStart(3, '0')}`);

const readSplit = async (path: string): Promise<Result<OpenPackage>> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'zarf-split-invalid', path, why);
  const text = await readFile(path);
  if (text.length > splitBytesMax) return wrong('is not the first part of a split package; name the file that ends with .part000');
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch {
    return wrong('is not the first part of a split package (no JSON in it)');
  }
  const parsed = splitSchema.safeParse(value);
  if (!parsed.success) return wrong('is not the first part of a split package');
  const names = Array.from({ length: parsed.data.Count }, (_, index) => partName(path, index + 1));
  const sizes = await Promise.all(names.map(async (name) => (await stat(name).catch(() => undefined))?.size));
  const missing = names.filter((_, index) => sizes[index] === undefined);
  if (missing.length > 0)
    return wrong(
      `${missing
        .slice(0, 5)
        .map((name) => basename(name))
        .join(', ')} of ${parsed.data.Count} parts is not beside it`,
    );
  const bytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  if (bytes !== parsed.data.Bytes) return wrong(`its parts have ${bytes} bytes together, and it says ${parsed.data.Bytes}; copy them again`);
  return ok(() =>
    Readable.from(
      (async function* () {
        for (const name of names) yield* createReadStream(name) as AsyncIterable<Buffer>;
      })(),
    ),
  );
};

/** A package file on disk: `.tar.zst`, `.tar`, or the first part of a split one. */
export const openPackageFile = async (path: string): Promise<Result<OpenPackage>> => {
  try {
    if (/\.part\d{3}$/.test(path)) return await readSplit(path.replace(/\.part\d{3}$/, '.part000'));
    const info = await stat(path);
    if (info.isDirectory()) return fail('fatal', 'zarf-not-a-package', path, 'is a folder; build a package from it: zarf package create');
    return ok(() => createReadStream(path));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') return fail('fatal', 'zarf-unreadable', path, `cannot be read: ${message}`);
    const split = (await readdir(dirname(path)).catch(() => [])).find((name) => name === `${basename(path)}.part000`);
    return fail(
      'fatal',
      'zarf-unreadable',
      path,
      split === undefined ? 'there is no such file' : `there is no such file, but a split one: name ${join(dirname(path), split)}`,
    );
  }
};
