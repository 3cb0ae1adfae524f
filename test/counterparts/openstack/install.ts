import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { acquireLock, cacheRoot } from '../../lab/build.ts';

const element = 'OpenStack counterpart';
const requirementsFile = join(import.meta.dirname, 'requirements.txt');
export const pythonFolder = join(import.meta.dirname, 'python');
/** 150 packages on a slow line, or a bootstrap on a machine that does other things. */
const installMsMax = 30 * 60_000;
const outputKeptMax = 16 * 1024;

export interface Installed {
  python: string;
  /** Database, keys and facts of a bootstrapped cloud; copied for each start. */
  snapshot: string;
  environment: Record<string, string>;
}

const shortDigest = (parts: readonly string[]): string =>
  digestBytes(parts.join('\0'))
    .replace(/^sha256:/, '')
    .slice(0, 16);
const parent = (): string => join(cacheRoot(), 'openstack');

/** The virtualenv lives as long as its versions, the snapshot as long as our files beside it: an edit of ours installs nothing again. */
const places = (version: string): { virtualenv: string; snapshot: string } => {
  const requirements = readFileSync(requirementsFile, 'utf8');
  const ours = readdirSync(pythonFolder)
    .filter((name) => name.endsWith('.py'))
    .sort()
    .map((name) => `${name}\n${readFileSync(join(pythonFolder, name), 'utf8')}`);
  const key = [process.platform, process.arch, version, requirements];
  return { virtualenv: join(parent(), `virtualenv-${shortDigest(key)}`), snapshot: join(parent(), `cloud-${shortDigest([...key, ...ours])}`) };
};

interface Ran {
  code: number | null;
  output: string;
}
const run = async (program: string, args: readonly string[], environment: Record<string, string> = {}, msMax = installMsMax): Promise<Ran> =>
  await new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment }, timeout: msMax });
    let output = '';
    const keep = (text: string): void => void (output = (output + text).slice(-outputKeptMax));
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => resolve({ code: null, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });

const pythonVersion = async (): Promise<string | undefined> => {
  const { code, output } = await run('python3', ['-c', 'import ensurepip, sqlite3, sys, venv; print("%d.%d" % sys.version_info[:2])'], {}, 20_000);
  return code === 0 ? output.trim() : undefined;
};

/** OpenStack 2026.2 asks for this. */
const isPythonEnough = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 11);
};

/** What this machine lacks, one sentence each. Whether PyPI can be reached is seen when it is asked. */
export const missingForOpenStack = async (): Promise<string[]> => {
  if (process.platform !== 'linux') return [`OpenStack's services run on Linux only; this is ${process.platform}.`];
  const version = await pythonVersion();
  if (version === undefined)
    return ['python3 with venv, ensurepip and sqlite3 is not installed; OpenStack comes from PyPI (Debian: apt-get install python3-venv).'];
  return isPythonEnough(version) ? [] : [`Python ${version} is too old; OpenStack 2026.2 needs 3.11 or newer.`];
};

const tail = (output: string): string => output.trim().split('\n').slice(-6).join('\n');

const makeVirtualenv = async (target: string): Promise<Result<void>> => {
  // A virtualenv names its own folder, so it cannot be moved into place; a file says that it is complete.
  await rm(target, { recursive: true, force: true });
  const made = await run('python3', ['-m', 'venv', target]);
  if (made.code !== 0) return fail('blocked', 'counterpart-no-venv', element, `a virtualenv cannot be made:\n${tail(made.output)}`);
  const installed = await run(join(target, 'bin/pip'), ['install', '--no-input', '--no-deps', '--disable-pip-version-check', '-r', requirementsFile]);
  if (installed.code !== 0) return fail('retry', 'counterpart-no-packages', element, `PyPI's packages cannot be installed:\n${tail(installed.output)}`);
  await writeFile(join(target, 'complete'), '');
  return ok(undefined);
};

/** Neutron finds drivers by the entry points of installed packages; this is one. */
const writePlugin = async (folder: string): Promise<void> => {
  const info = join(folder, 'groundplane_ml2-1.0.dist-info');
  await mkdir(info, { recursive: true });
  await cp(join(pythonFolder, 'groundplane_ml2.py'), join(folder, 'groundplane_ml2.py'));
  await writeFile(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: groundplane_ml2\nVersion: 1.0\n');
  await writeFile(join(info, 'entry_points.txt'), '[neutron.ml2.mechanism_drivers]\ngroundplane = groundplane_ml2:BindsEveryPort\n');
};

const environmentOf = (snapshot: string): Record<string, string> => ({
  PYTHONPATH: join(snapshot, 'plugin'),
  // Nothing is written beside our sources; the packages were compiled when they were installed.
  PYTHONDONTWRITEBYTECODE: '1',
  // stevedore keeps its list of entry points here.
  XDG_CACHE_HOME: join(snapshot, 'cache'),
});

const makeSnapshot = async (python: string, target: string): Promise<Result<void>> => {
  // We hold the lock, so whatever is half-made here belongs to nobody alive.
  for (const name of await readdir(parent())) if (name.startsWith('.bootstrapping-')) await rm(join(parent(), name), { recursive: true, force: true });
  const staging = join(parent(), `.bootstrapping-${randomUUID()}`);
  await mkdir(staging, { recursive: true });
  try {
    await writePlugin(join(staging, 'plugin'));
    const made = await run(python, [join(pythonFolder, 'stack.py'), 'prepare', staging], environmentOf(staging));
    if (made.code !== 0) return fail('blocked', 'counterpart-not-made', element, `its services did not come up:\n${tail(made.output)}`);
    await rm(join(staging, 'log'), { recursive: true, force: true });
    await rename(staging, target);
    return ok(undefined);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
};

/**
 * Installs what is pinned and bootstraps a cloud on the first call (minutes); answers at once afterwards. Failures: `counterpart-unavailable`,
 * `counterpart-no-venv`, `counterpart-no-packages`, `counterpart-not-made`, `lab-locked`.
 */
export const ensureOpenStack = async (): Promise<Result<Installed>> => {
  const missing = await missingForOpenStack();
  if (missing.length > 0) return fail('blocked', 'counterpart-unavailable', element, missing.join(' '));
  const { virtualenv, snapshot } = places((await pythonVersion()) ?? '');
  const installed: Installed = { python: join(virtualenv, 'bin/python'), snapshot, environment: environmentOf(snapshot) };
  const isComplete = (): boolean => existsSync(join(virtualenv, 'complete'));
  if (isComplete() && existsSync(snapshot)) return ok(installed);
  const lock = await acquireLock(`groundplane-openstack-${parent()}`.slice(0, 100), () => undefined);
  if (!lock.ok) return lock;
  try {
    await mkdir(parent(), { recursive: true });
    if (!isComplete()) {
      const made = await makeVirtualenv(virtualenv);
      if (!made.ok) return made;
    }
    if (!existsSync(snapshot)) {
      const made = await makeSnapshot(installed.python, snapshot);
      if (!made.ok) return made;
    }
    return ok(installed);
  } finally {
    lock.value();
  }
};
