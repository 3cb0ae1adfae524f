import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ImportedMedium, MediaDeps } from './import.ts';
import type { ReceiptDeps } from './receipt.ts';

export interface FinishedImport extends ImportedMedium {
  folder: string;
  /** Where the receipt lies; absent when the medium takes none (read-only). */
  receipt?: string;
}

export type ImportState =
  | { state: 'idle' }
  | { state: 'running'; folder: string }
  | { state: 'done'; result: FinishedImport }
  | { state: 'failed'; folder: string; message: string };

/** Places where desktops and servers mount what is plugged in. */
const mountRoots = ['/media/', '/run/media/', '/mnt/'];
const foundMax = 20;

/** Mount points in the form of `/proc/self/mounts`; spaces are written as `\040`. */
export const mountPoints = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))))
    .filter((path) => mountRoots.some((root) => `${path}/`.startsWith(root)));

/** Imports, one at a time, with a receipt written back at the end. */
export const createImporter = (deps: { media: MediaDeps; receipt: ReceiptDeps; mounts?: () => Promise<string> }) => {
  let now: ImportState = { state: 'idle' };

  // Loaded by the first who brings a medium: an idle agent has no use for it.
  const reader = () => import('./import.ts');
  const writer = () => import('./receipt.ts');

  const run = async (folder: string): Promise<Result<FinishedImport>> => {
    if (now.state === 'running') return fail('blocked', 'media-busy', folder, `${now.folder} is being imported; wait for its end`);
    if (!isAbsolute(folder)) return fail('fatal', 'media-invalid', folder, 'is no absolute path');
    now = { state: 'running', folder };
    // However it ends, it has to end: nobody could begin another one.
    const done = await take(folder).catch((error: unknown) =>
      fail('blocked', 'media-unreadable', folder, error instanceof Error ? error.message : String(error)),
    );
    now = done.ok ? { state: 'done', result: done.value } : { state: 'failed', folder, message: `${done.failure.element}: ${done.failure.message}` };
    return done;
  };

  const take = async (folder: string): Promise<Result<FinishedImport>> => {
    const { importMedium } = await reader();
    const { makeReceipt, writeReceipt } = await writer();
    const done = await importMedium(deps.media, folder);
    if (!done.ok) return done;
    const receipt = makeReceipt(deps.receipt, done.value.index);
    const written = receipt.ok ? await writeReceipt(folder, receipt.value) : receipt;
    return ok({ folder, ...done.value, ...(written.ok ? { receipt: written.value } : {}) });
  };

  return {
    run,
    status: (): ImportState => now,
    /** A receipt alone, on a medium that only goes back. */
    report: async (folder: string): Promise<Result<string>> => {
      const { makeReceipt, writeReceipt } = await writer();
      const receipt = makeReceipt(deps.receipt, undefined);
      return receipt.ok ? writeReceipt(folder, receipt.value) : receipt;
    },
    /** Media of ours that are plugged in. */
    found: async (): Promise<string[]> => {
      const text = await (deps.mounts ?? (() => readFile('/proc/self/mounts', 'utf8')))().catch(() => '');
      const points = mountPoints(text).slice(0, foundMax);
      const known = await Promise.all(
        points.map((point) =>
          stat(join(point, 'index.json')).then(
            (info) => info.isFile(),
            () => false,
          ),
        ),
      );
      return points.filter((_, index) => known[index]);
    },
  };
};
export type Importer = ReturnType<typeof createImporter>;
