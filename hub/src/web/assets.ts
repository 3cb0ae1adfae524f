import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { buildDashboard as BuildDashboard } from '../../dashboard/build.ts';
import { manifestFile } from '../../dashboard/manifest.ts';

const root = join(import.meta.dirname, '..', '..', '..');
/** Everything that a build of the page depends on. */
const inputs = ['hub/dashboard', 'protocol/src', 'hub/package.json', 'pnpm-lock.yaml'];

const filesUnder = async (path: string): Promise<string[]> => {
  if (!existsSync(path)) return [];
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [path];
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
};

/** SHA-256 over names and contents of the page's sources. */
export const sourcesDigest = async (): Promise<string> => {
  const files = (await Promise.all(inputs.map((input) => filesUnder(join(root, input))))).flat().toSorted();
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file.slice(root.length)}\n`).update(await readFile(file));
  return hash.digest('hex');
};

/** A finished build that ships with the hub. */
export const shippedAssets =
  (dir: string): (() => Promise<string>) =>
  () =>
    Promise.resolve(dir);

/** Builds of earlier sources are of no use any more. */
const forgetOthers = async (cacheDir: string, keep: string): Promise<void> => {
  const names = await readdir(cacheDir);
  const old = names.filter((name) => /^[0-9a-f]{16}$/.test(name) && join(cacheDir, name) !== keep);
  await Promise.all(old.map((name) => rm(join(cacheDir, name), { recursive: true, force: true })));
};

/**
 * Development: builds into `cacheDir` when the sources changed since the last build there. Start it without waiting; the hub answers "building" meanwhile.
 * The bundler is named at run time only, since the shipped hub does not have it.
 */
export const developmentAssets =
  (cacheDir: string): (() => Promise<string>) =>
  async () => {
    const dir = join(cacheDir, (await sourcesDigest()).slice(0, 16));
    if (existsSync(join(dir, manifestFile))) return dir;
    const builder = new URL('../../dashboard/build.ts', import.meta.url).href;
    const { buildDashboard } = (await import(builder)) as { buildDashboard: typeof BuildDashboard };
    await buildDashboard(dir, { compression: 'fast' });
    await forgetOthers(cacheDir, dir);
    return dir;
  };
