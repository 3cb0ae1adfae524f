import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { missingForLab } from './prerequisite.ts';
import { kwokStageFolders, moduleFile, programs, recipeDigest, type Program } from './recipe.ts';

export interface LabBinaries {
  folder: string;
  /** Multi-call: first argument kube-apiserver, kube-controller-manager, kube-scheduler or kubectl. */
  kube: string;
  etcd: string;
  kwok: string;
  /** kwok's stages as one YAML stream. */
  kwokStages: string;
}

const element = 'Kubernetes lab';
/** A build on a slow, loaded machine stays well below this. */
const buildMsMax = 60 * 60_000;
const outputKeptMax = 64 * 1024;

/** Folder of everything the project keeps for this user. */
export const cacheRoot = (): string => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'groundplane');

/** Where the binaries of this recipe are, or will be. It exists only complete. */
export const binariesFolder = (): string => join(cacheRoot(), 'lab', recipeDigest(`${process.platform}-${process.arch}`));

const binariesIn = (folder: string): LabBinaries => ({
  folder,
  kube: join(folder, 'kube'),
  etcd: join(folder, 'etcd'),
  kwok: join(folder, 'kwok'),
  kwokStages: join(folder, 'kwok-stages.yaml'),
});

const goEnvironment = (cgo: boolean): NodeJS.ProcessEnv => ({
  ...process.env,
  CGO_ENABLED: cgo ? '1' : '0',
  GOWORK: 'off',
  GOFLAGS: '-buildvcs=false -trimpath -mod=mod',
});

/** Turns Go's last words into a failure that says what to do. */
export const explainGoFailure = (what: string, output: string): ReturnType<typeof fail> => {
  const last = output.trim().split('\n').slice(-6).join('\n');
  if (/no space left on device|disk quota exceeded/i.test(output))
    return fail('blocked', 'lab-disk-full', element, `${what}: the disk is full. Free some space and try again.\n${last}`);
  if (/signal: killed|cannot allocate memory|out of memory/i.test(output))
    return fail(
      'blocked',
      'lab-memory',
      element,
      `${what}: Go was killed, most likely for lack of memory (the link needs about 3 GiB). Free some and try again.\n${last}`,
    );
  if (/dial tcp|no such host|i\/o timeout|proxyconnect|connection refused|TLS handshake|GOPROXY=off|50[234] /i.test(output))
    return fail('retry', 'lab-no-network', element, `${what}: the Go module proxy cannot be reached. Check the network and GOPROXY, then try again.\n${last}`);
  return fail('blocked', 'lab-build-failed', element, `${what} failed:\n${last}`);
};

const runGo = async (what: string, args: string[], cwd: string, cgo = false): Promise<Result<string>> =>
  await new Promise((resolve) => {
    const child = spawn('go', args, { cwd, env: goEnvironment(cgo), stdio: ['ignore', 'pipe', 'pipe'], timeout: buildMsMax });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-outputKeptMax * 16)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-outputKeptMax)));
    child.on('error', (error) =>
      resolve(fail('blocked', 'lab-no-go', element, `${what}: Go cannot be started (${error.message}). Install Go and put it in PATH.`)),
    );
    child.on('close', (code) => resolve(code === 0 ? ok(stdout) : explainGoFailure(what, stderr || stdout)));
    // Hours of compiling must not make the machine feel dead.
    if (child.pid !== undefined) setPriority(child.pid, 5);
  });

interface Download {
  GoMod: string;
  Info: string;
  Dir: string;
}

const downloadModule = async (program: Program, cwd: string): Promise<Result<Download>> => {
  const output = await runGo(`Downloading ${program.module}`, ['mod', 'download', '-json', `${program.module}@${program.version}`], cwd);
  return output.ok ? ok(JSON.parse(output.value) as Download) : output;
};

/** Builds one program into the folder `target`, in a main module of its own below `work`. */
export const buildProgram = async (program: Program, work: string, target: string): Promise<Result<Download>> => {
  const source = join(work, program.name);
  await mkdir(source, { recursive: true });
  const download = await downloadModule(program, source);
  if (!download.ok) return download;
  const upstream = await runGo(`Reading ${program.module}`, ['mod', 'edit', '-json', download.value.GoMod], source);
  if (!upstream.ok) return upstream;
  await writeFile(join(source, 'go.mod'), moduleFile(JSON.parse(upstream.value) as Parameters<typeof moduleFile>[0], program));
  if (program.main !== undefined) await writeFile(join(source, 'main.go'), program.main);
  const info = JSON.parse(await readFile(download.value.Info, 'utf8')) as { Time: string };
  const cgo = program.cgo === true;
  const flags = ['-s', '-w', ...program.stamp(info.Time).map((setting) => `-X ${setting}`), ...(cgo ? ['-extldflags -static'] : [])].join(' ');
  const tags = program.tags === undefined ? [] : ['-tags', program.tags.join(',')];
  // Two compilers at once: more only trade memory for nothing on the small machines this runs on.
  const args = ['build', '-p', '2', ...tags, '-ldflags', flags, '-o', join(target, program.name), program.package];
  const built = await runGo(`Building ${program.name}`, args, source, cgo);
  return built.ok ? download : built;
};

const copyStages = async (moduleFolder: string, target: string): Promise<void> => {
  const texts: string[] = [];
  for (const folder of kwokStageFolders) {
    const names = (await readdir(join(moduleFolder, folder))).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml').sort();
    for (const name of names) texts.push(await readFile(join(moduleFolder, folder, name), 'utf8'));
  }
  await writeFile(join(target, 'kwok-stages.yaml'), texts.join('\n---\n'));
};

/**
 * Holds a lock that the kernel frees when this process dies: an abstract socket name can be bound once. A lock file would outlive a crash.
 */
export const acquireLock = async (name: string, progress: (line: string) => void): Promise<Result<() => void>> => {
  const deadline = performance.now() + buildMsMax;
  for (let attempt = 0; performance.now() < deadline; attempt += 1) {
    const release = await new Promise<(() => void) | undefined>((resolve, reject) => {
      const server = createServer();
      server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
      server.listen({ path: `\0${name}` }, () => resolve(() => void server.close()));
    });
    if (release !== undefined) return ok(release);
    if (attempt === 0) progress('another process is building the lab; waiting for it');
    await delay(500);
  }
  return fail('retry', 'lab-locked', element, 'Another process has been building the lab for an hour. End it or wait, then try again.');
};

const buildAll = async (target: string, progress: (line: string) => void): Promise<Result<LabBinaries>> => {
  const parent = join(cacheRoot(), 'lab');
  await mkdir(parent, { recursive: true });
  // We hold the lock, so whatever is half-built here belongs to nobody alive.
  for (const name of await readdir(parent)) if (name.startsWith('.building-')) await rm(join(parent, name), { recursive: true, force: true });
  const staging = join(parent, `.building-${randomUUID()}`);
  const work = join(tmpdir(), `groundplane-lab-build-${randomUUID()}`);
  await mkdir(staging);
  try {
    for (const program of programs) {
      const started = performance.now();
      progress(`building ${program.name} ${program.version}`);
      const built = await buildProgram(program, work, staging);
      if (!built.ok) return built;
      if (program.name === 'kwok') await copyStages(built.value.Dir, staging);
      await chmod(join(staging, program.name), 0o755);
      progress(`built ${program.name} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
    await rename(staging, target);
    return ok(binariesIn(target));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return explainGoFailure('Building the lab', text);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(staging, { recursive: true, force: true });
  }
};

/**
 * Makes sure that the lab's binaries exist, building them on the first call (minutes) and answering at once afterwards. Two processes never
 * build twice. Failures: `lab-unavailable` (names what the machine lacks), `lab-no-go`, `lab-no-network`, `lab-disk-full`, `lab-memory`,
 * `lab-build-failed`, `lab-locked`.
 */
export const ensureBinaries = async (progress: (line: string) => void = () => {}): Promise<Result<LabBinaries>> => {
  const target = binariesFolder();
  if (existsSync(target)) return ok(binariesIn(target));
  const missing = await missingForLab();
  if (missing.length > 0) return fail('blocked', 'lab-unavailable', element, missing.join(' '));
  const lock = await acquireLock(`groundplane-lab-${target}`.slice(0, 100), progress);
  if (!lock.ok) return lock;
  try {
    return existsSync(target) ? ok(binariesIn(target)) : await buildAll(target, progress);
  } finally {
    lock.value();
  }
};
