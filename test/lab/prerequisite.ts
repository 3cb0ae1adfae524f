import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { binariesFolder, cacheRoot } from './build.ts';
import { goVersionMin } from './recipe.ts';

/** What a cold build needs: module and build caches on disk, and the linker's appetite for the multi-call binary. */
const buildDiskBytesMin = 8 * 2 ** 30;
const buildMemoryBytesMin = 3 * 2 ** 30;

const goVersion = async (): Promise<string | undefined> =>
  await new Promise((resolve) => {
    execFile('go', ['env', 'GOVERSION'], { timeout: 20_000 }, (error, stdout) => resolve(error === null ? stdout.trim().replace(/^go/, '') : undefined));
  });

/** Compares `1.26.8` with `1.26` by their numbers. */
export const isGoEnough = (found: string, needed: string = goVersionMin): boolean => {
  const [foundMajor = 0, foundMinor = 0] = found.split('.').map((part) => Number.parseInt(part, 10));
  const [neededMajor = 0, neededMinor = 0] = needed.split('.').map((part) => Number.parseInt(part, 10));
  return foundMajor > neededMajor || (foundMajor === neededMajor && foundMinor >= neededMinor);
};

const availableMemoryBytes = async (): Promise<number> => {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1];
  return kibibytes === undefined ? Number.POSITIVE_INFINITY : Number(kibibytes) * 1024;
};

const freeDiskBytes = async (folder: string): Promise<number> => {
  let existing = folder;
  while (!existsSync(existing) && existing !== '/') existing = existing.slice(0, existing.lastIndexOf('/')) || '/';
  const stats = await statfs(existing).catch(() => undefined);
  return stats === undefined ? Number.POSITIVE_INFINITY : stats.bavail * stats.bsize;
};

const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);

/** What this machine lacks for the light lab, one sentence each; empty when it can run. Binaries that are already built need neither Go nor room. */
export const missingForLab = async (platform: string = process.platform): Promise<string[]> => {
  if (platform !== 'linux') return [`The Kubernetes lab runs on Linux only; this is ${platform}.`];
  return existsSync(binariesFolder()) ? [] : await missingForBuild();
};

/** What this machine lacks for building Kubernetes from Go modules. */
export const missingForBuild = async (): Promise<string[]> => {
  const missing: string[] = [];
  const version = await goVersion();
  if (version === undefined) missing.push(`Go ${goVersionMin} or newer is not installed (no "go" in PATH); the lab builds Kubernetes from Go modules.`);
  else if (!isGoEnough(version)) missing.push(`Go ${version} is too old; the lab needs Go ${goVersionMin} or newer to build Kubernetes.`);
  const memory = await availableMemoryBytes();
  if (memory < buildMemoryBytesMin)
    missing.push(`Building Kubernetes needs ${gibibytes(buildMemoryBytesMin)} GiB of free memory; ${gibibytes(memory)} GiB are available.`);
  const disk = await freeDiskBytes(cacheRoot());
  if (disk < buildDiskBytesMin)
    missing.push(`Building Kubernetes needs ${gibibytes(buildDiskBytesMin)} GiB of free disk at ${cacheRoot()}; ${gibibytes(disk)} GiB are free.`);
  return missing;
};

/** True when the environment demands that tests with this prerequisite run (`GROUNDPLANE_TEST_REQUIRE=go,root` or `all`). */
export const isRequired = (prerequisite: string): boolean => {
  const required = (process.env['GROUNDPLANE_TEST_REQUIRE'] ?? '').split(/[\s,]+/);
  return required.includes('all') || required.includes(prerequisite);
};
