import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { acquireLock, cacheRoot } from '../lab/build.ts';

/** Some tens of packages on a slow line. */
const installMsMax = 20 * 60_000;
const outputKeptMax = 16 * 1024;

const run = async (program: string, args: readonly string[], msMax = installMsMax): Promise<{ code: number | null; output: string }> =>
  await new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: msMax });
    let output = '';
    const keep = (text: string): void => void (output = (output + text).slice(-outputKeptMax));
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => resolve({ code: null, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });

const pythonVersion = async (): Promise<string | undefined> => {
  const { code, output } = await run('python3', ['-c', 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])'], 20_000);
  return code === 0 ? output.trim() : undefined;
};

/** What this machine lacks for packages from PyPI, one sentence each. Whether PyPI can be reached is seen when it is asked. */
export const missingForVirtualenv = async (what: string, [major, minor]: readonly [number, number]): Promise<string[]> => {
  const version = await pythonVersion();
  if (version === undefined) return [`python3 with venv and ensurepip is not installed; ${what} comes from PyPI (Debian: apt-get install python3-venv).`];
  const [foundMajor = 0, foundMinor = 0] = version.split('.').map(Number);
  const isEnough = foundMajor > major || (foundMajor === major && foundMinor >= minor);
  return isEnough ? [] : [`Python ${version} is too old; ${what} needs ${major}.${minor} or newer.`];
};

const tail = (output: string): string => output.trim().split('\n').slice(-6).join('\n');

/**
 * A virtualenv with exactly the packages of a pinned list, made on the first call and kept in the user's cache folder under the digest of the list. Answers its
 * folder. Failures: `counterpart-no-venv`, `counterpart-no-packages`, `lab-locked`.
 */
export const ensureVirtualenv = async (name: string, requirementsFile: string): Promise<Result<string>> => {
  const element = `${name} counterpart`;
  const parent = join(cacheRoot(), name);
  const key = [process.platform, process.arch, (await pythonVersion()) ?? '', await readFile(requirementsFile, 'utf8')].join('\0');
  const digest = digestBytes(key)
    .replace(/^sha256:/, '')
    .slice(0, 16);
  const target = join(parent, `virtualenv-${digest}`);
  const isComplete = (): boolean => existsSync(join(target, 'complete'));
  if (isComplete()) return ok(target);
  const lock = await acquireLock(`groundplane-${name}-${parent}`.slice(0, 100), () => undefined);
  if (!lock.ok) return lock;
  try {
    if (isComplete()) return ok(target);
    await mkdir(parent, { recursive: true });
    // A virtualenv names its own folder, so it cannot be moved into place; a file says that it is complete.
    await rm(target, { recursive: true, force: true });
    const made = await run('python3', ['-m', 'venv', target]);
    if (made.code !== 0) return fail('blocked', 'counterpart-no-venv', element, `a virtualenv cannot be made:\n${tail(made.output)}`);
    const installed = await run(join(target, 'bin/pip'), ['install', '--no-input', '--no-deps', '--disable-pip-version-check', '-r', requirementsFile]);
    if (installed.code !== 0) return fail('retry', 'counterpart-no-packages', element, `PyPI's packages cannot be installed:\n${tail(installed.output)}`);
    await writeFile(join(target, 'complete'), '');
    return ok(target);
  } finally {
    lock.value();
  }
};
