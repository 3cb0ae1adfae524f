import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Test hosts live in a world that the test makes: network, mounts and processes of their own. So nothing of theirs can reach the machine, and when the first
 * process of that world dies, the kernel takes everything in it away: processes, interfaces and mounts. Only cgroups and files are left to tidy up.
 */
const marker = 'GROUNDPLANE_ENCLOSED';

/** Whether this process was started by `runEnclosed`. What makes interfaces and mounts refuses to work elsewhere. */
export const isEnclosed = (): boolean => process.env[marker] === '1';

/** Where the controllers are: one folder for each hierarchy of cgroup v1, or the one of cgroup v2. */
const hierarchyRoot = '/sys/fs/cgroup';

/** The cgroup of a process in every hierarchy that has controllers (or systemd's name), as folders. */
export const cgroupsOf = (pid: number | 'self' = 'self', text = readFileSync(`/proc/${pid}/cgroup`, 'utf8')): string[] =>
  text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [id = '', controllers = '', ...path] = line.split(':');
      const below = path.join(':');
      if (id === '0') return existsSync(join(hierarchyRoot, 'cgroup.controllers')) ? [join(hierarchyRoot, below)] : [];
      const folder = join(hierarchyRoot, controllers.replace(/^name=/, ''));
      return existsSync(folder) ? [join(folder, below)] : [];
    });

/** Makes a cgroup of this name below the given ones. A new cpuset has no processors until it is told, and takes no process. */
export const makeCgroups = (parents: readonly string[], name: string): string[] =>
  parents.map((parent) => {
    const folder = join(parent, name);
    mkdirSync(folder, { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (existsSync(join(folder, file)) && readFileSync(join(folder, file), 'utf8').trim() === '')
        writeFileSync(join(folder, file), readFileSync(join(parent, file), 'utf8'));
    if (existsSync(join(folder, 'cgroup.clone_children'))) writeFileSync(join(folder, 'cgroup.clone_children'), '1');
    return folder;
  });

const removeTree = (folder: string): boolean => {
  if (!existsSync(folder)) return true;
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name));
  try {
    rmdirSync(folder);
    return true;
  } catch {
    // A process of it is still dying.
    return false;
  }
};

/** What is below these cgroups, as after a boot: nothing. Their own counts go on. */
export const emptyCgroups = async (folders: readonly string[]): Promise<boolean> =>
  await removeCgroups(
    folders.flatMap((folder) =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(folder, entry.name)),
    ),
  );

/** True when all of them are gone. Processes that were killed take a moment to leave. */
export const removeCgroups = async (folders: readonly string[], patienceMs = 10_000): Promise<boolean> => {
  for (const end = performance.now() + patienceMs; ;) {
    if (folders.map((folder) => removeTree(folder)).every(Boolean)) return true;
    if (performance.now() > end) return false;
    await delay(100);
  }
};

/** CPU time that everything in these cgroups has used since they were made, in seconds. */
export const cpuSecondsOf = (folders: readonly string[]): number => {
  for (const folder of folders) {
    if (existsSync(join(folder, 'cpuacct.usage'))) return Number(readFileSync(join(folder, 'cpuacct.usage'), 'utf8')) / 1e9;
    const stat = join(folder, 'cpu.stat');
    const usage = existsSync(stat) ? /^usage_usec (\d+)$/m.exec(readFileSync(stat, 'utf8'))?.[1] : undefined;
    if (usage !== undefined) return Number(usage) / 1e6;
  }
  return 0;
};

/** The cgroups of the whole enclosure that this process is in; hosts get theirs below them. */
export const enclosureCgroups = (): string[] => cgroupsOf().map((folder) => dirname(folder));

/** Joins the cgroups given as leading arguments up to `--`, then becomes the rest of them. */
const joinAndExec = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"';

/** Arguments for `sh` that put it into cgroups before it becomes the command. */
export const inCgroups = (folders: readonly string[], command: readonly string[]): string[] => ['-c', joinAndExec, 'sh', ...folders, '--', ...command];

export interface Enclosed {
  /** Exit code of the script, and the CPU time of everything that ran in the enclosure, in seconds. Rejects when something of it does not go away. */
  done: Promise<{ code: number; cpuSeconds: number }>;
  /** Standard output, line by line as it comes. */
  child: ChildProcess;
  /** Ends the enclosure with everything in it. */
  kill: () => void;
}

/** Capabilities that no namespace holds back: whoever has them sets the machine's clock and loads modules into its kernel. */
export const droppedCapabilities = ['sys_time', 'sys_module', 'sys_rawio'] as const;
const dropped = droppedCapabilities.map((name) => `-${name}`).join(',');

const groupPrefix = 'groundplane-e2e-';

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** Takes away the empty cgroups of runs that were killed. Those in use cannot be removed, and are not. */
const sweepCgroups = async (parents: readonly string[]): Promise<void> => {
  const left = parents.flatMap((parent) =>
    readdirSync(parent)
      .filter((name) => name.startsWith(groupPrefix) && !isAlive(Number(name.slice(groupPrefix.length))))
      .map((name) => join(parent, name)),
  );
  await removeCgroups(left, 0);
};

/** Runs a script of ours in an enclosure. It dies with this process, and everything in the enclosure with it. */
export const runEnclosed = async (script: string, args: readonly string[]): Promise<Enclosed> => {
  const parents = cgroupsOf();
  await sweepCgroups(parents);
  const groups = makeCgroups(parents, `${groupPrefix}${process.pid}`);
  const own = makeCgroups(groups, 'test');
  const unshare = ['unshare', '--net', '--mount', '--ipc', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc', '--propagation', 'private'];
  const child = spawn(
    'sh',
    inCgroups(own, [
      'setpriv',
      '--pdeathsig',
      'KILL',
      `--bounding-set=${dropped}`,
      `--inh-caps=${dropped}`,
      ...unshare,
      '--',
      process.execPath,
      script,
      ...args,
    ]),
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, [marker]: '1' },
    },
  );
  const exited = Promise.withResolvers<number>();
  child.on('error', (error) => exited.reject(error));
  child.on('close', (code) => exited.resolve(code ?? 1));
  const done = exited.promise.then(async (code) => {
    const cpuSeconds = cpuSecondsOf(groups);
    if (!(await removeCgroups(groups))) throw new Error(`processes of the test hosts are still there: ${groups.join(' ')}`);
    return { code, cpuSeconds };
  });
  return { child, done, kill: () => void child.kill('SIGKILL') };
};
