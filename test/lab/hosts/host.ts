import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { outputOf, runCommand, type CommandOptions, type CommandResult } from './command.ts';
import { cpuSecondsOf, emptyCgroups, enclosureCgroups, inCgroups, makeCgroups, removeCgroups } from './enclosure.ts';
import { realFolders, stageScript, type Medium } from './host-stage.ts';

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const pluggedMsMax = 10_000;
const bootMsMax = 60_000;
const copyMsMax = 300_000;

export type Power = 'off' | 'booting' | 'on';

export interface HostOptions {
  name: string;
  /** Its number in the site: decides its address. */
  index: number;
  /** Folder of everything that is this host's disk. */
  folder: string;
  /** Root file system that the host's own changes lie on. */
  base: string;
  /** Plugs the network of a booting host in; `pid` is in its namespaces. */
  plug: (pid: number) => Promise<void>;
  address: string;
  nameServer: string;
  media: readonly Medium[];
}

const hostFiles = (options: HostOptions): Record<string, string> => ({
  'etc/hostname': `${options.name}\n`,
  // As Debian's installer writes it.
  'etc/hosts': `127.0.0.1\tlocalhost\n127.0.1.1\t${options.name}\n`,
  // Nothing listens there, so that a look-up fails at once and not after its time.
  'etc/resolv.conf': `nameserver ${options.nameServer}\noptions timeout:1 attempts:1\n`,
  'etc/machine-id': `${randomBytes(16).toString('hex')}\n`,
});

/** The disk of a new host: an empty layer over the base, and folders that are real ones. */
const makeDisk = (options: HostOptions): void => {
  if (existsSync(join(options.folder, 'upper'))) return;
  for (const name of ['work', 'root', 'upper/etc', ...realFolders.map(({ data }) => `data/${data}`)])
    mkdirSync(join(options.folder, name), { recursive: true });
  chmodSync(join(options.folder, 'upper'), 0o755);
  for (const [name, text] of Object.entries(hostFiles(options))) writeFileSync(join(options.folder, 'upper', name), text);
};

const makeFolder = (path: string): string => {
  mkdirSync(path, { recursive: true });
  return path;
};

const childrenOf = (pid: number): number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
};

/** The kernel ends PID 1 of a process namespace by this signal when it asks for a reboot, and by SIGINT when it asks to be switched off (reboot(2)). */
const rebootSignal = 'SIGHUP';

/**
 * A machine with systemd as PID 1, in namespaces of its own. Its disk outlives it: whatever was written is there at the next boot. `systemctl reboot` inside boots
 * it again, `systemctl poweroff` leaves it off.
 */
export const createHost = (options: HostOptions) => {
  makeDisk(options);
  const { name, folder } = options;
  const root = join(folder, 'root');
  const groups = makeCgroups(enclosureCgroups(), name);
  let power: Power = 'off';
  let outer: ChildProcess | undefined;
  let init = 0;
  let boots = 0;
  let rebootFailure: unknown;
  const gone = { promise: Promise.resolve() };

  const inside = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): string[] => {
    const settings = Object.entries({ PATH: path, HOME: '/root', TERM: 'dumb', ...env }).map(([key, value]) => `${key}=${value}`);
    const enter = ['nsenter', '--target', String(init), '--mount', '--uts', '--ipc', '--pid', '--net', '--cgroup', '--root', '--wd'];
    return ['sh', ...inCgroups(groups, [...enter, '--', 'env', '-i', ...settings, 'setpriv', '--pdeathsig', 'KILL', ...argv])];
  };
  const exec = async (argv: readonly string[], how: CommandOptions = {}): Promise<CommandResult> => {
    if (power === 'off') throw new Error(`${name} is off; ${argv.join(' ').slice(0, 100)} cannot run there`);
    const { env, ...rest } = how;
    return await runCommand(inside(argv, env), rest);
  };

  const start = async (): Promise<void> => {
    power = 'booting';
    // A machine that comes up knows nothing of the cgroups that it had before; whoever finds some believes that their processes live.
    if (!(await emptyCgroups(groups))) throw new Error(`${name}: processes of its last boot are still in ${groups.join(' ')}`);
    const bootId = randomUUID();
    const script = join(folder, 'stage.sh');
    writeFileSync(script, stageScript({ root, data: join(folder, 'data'), name, bootId, media: options.media }));
    if ((await runCommand(['mountpoint', '-q', root])).code !== 0)
      await outputOf([
        'mount',
        '-t',
        'overlay',
        '-o',
        `lowerdir=${options.base},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`,
        'overlay',
        root,
      ]);
    const log = openSync(join(folder, 'console.log'), 'a');
    const unshare = ['unshare', '--mount', '--uts', '--ipc', '--pid', '--net', '--cgroup', '--fork', '--kill-child=SIGKILL', '--', 'sh', script];
    const child = spawn('sh', inCgroups(groups, unshare), { stdio: ['pipe', log, log], detached: true });
    closeSync(log);
    outer = child;
    const ended = Promise.withResolvers<void>();
    gone.promise = ended.promise;
    child.on('exit', (_code, signal) => {
      ended.resolve();
      if (outer !== child) return;
      outer = undefined;
      const isReboot = signal === rebootSignal && power !== 'off';
      power = 'off';
      if (isReboot) void boot().catch((error: unknown) => (rebootFailure = error));
    });
    const end = performance.now() + pluggedMsMax;
    for (;;) {
      const [first] = child.pid === undefined ? [] : childrenOf(child.pid);
      if (first !== undefined) {
        init = first;
        break;
      }
      if (performance.now() > end || child.exitCode !== null) throw new Error(`${name} does not start: ${consoleTail()}`);
      await delay(5);
    }
    await options.plug(init);
    child.stdin?.end('go\n');
  };

  const consoleTail = (): string => readFileSync(join(folder, 'console.log'), 'utf8').slice(-3000);

  /** Waits until systemd has started everything; `degraded` (a unit has failed) is for the test to judge. */
  const waitUp = async (): Promise<void> => {
    for (const end = performance.now() + bootMsMax; ;) {
      if (outer === undefined) throw new Error(`${name} went off while booting: ${consoleTail()}`);
      const said = await runCommand(inside(['systemctl', 'is-system-running']), { timeoutMs: 10_000 }).catch(() => undefined);
      if (/^(running|degraded)/.test(said?.stdout ?? '')) break;
      if (performance.now() > end) throw new Error(`${name} is not up within ${bootMsMax / 1000} s (${said?.stdout.trim() ?? ''}): ${consoleTail()}`);
      await delay(50);
    }
    boots += 1;
    power = 'on';
  };

  const boot = async (): Promise<void> => {
    if (power !== 'off') throw new Error(`${name} is ${power} already`);
    await start();
    await waitUp();
  };

  /** SIGKILL for PID 1; the kernel kills everything in its process namespace with it. What was not written to disk yet stays in the page cache. */
  const powerCut = async (): Promise<void> => {
    power = 'off';
    if (outer === undefined) return;
    outer = undefined;
    try {
      process.kill(init, 'SIGKILL');
    } catch {
      // It was just going by itself.
    }
    await gone.promise;
  };

  /** Nothing may lie over the disk while it is copied or replaced. */
  const detach = async (): Promise<void> => {
    if (power !== 'off') throw new Error(`${name} is ${power}; its disk can be copied only while it is off`);
    if ((await runCommand(['mountpoint', '-q', root])).code === 0) await outputOf(['umount', root]);
  };

  return {
    name,
    address: options.address,
    /** Its root folder, as seen from outside. What lies in `realFolders` is not visible through it. */
    root,
    power: (): Power => power,
    /** How often it has come up. */
    boots: (): number => boots,
    boot,
    exec,
    /** Like `exec`, for what must succeed: its standard output. */
    run: async (argv: readonly string[], how: CommandOptions = {}): Promise<string> => {
      const result = await exec(argv, how);
      if (result.code === 0) return result.stdout;
      throw new Error(`${name}: ${argv.join(' ').slice(0, 300)} ended with ${result.code}\n${result.stdout.slice(-3000)}${result.stderr.slice(-3000)}`);
    },
    powerCut,
    /** Waits until it has come up that many times, which is how a reboot from inside is seen. */
    waitBoots: async (count: number, timeoutMs = bootMsMax): Promise<void> => {
      for (const end = performance.now() + timeoutMs; boots < count || power !== 'on'; await delay(50)) {
        if (rebootFailure !== undefined) throw new Error(`${name} did not come back from its reboot`, { cause: rebootFailure });
        if (performance.now() > end) throw new Error(`${name} has come up ${boots} times, not ${count}, and is ${power}`);
      }
    },
    /** In good order, as by its power button. */
    shutdown: async (): Promise<void> => {
      if (power === 'off') return;
      await runCommand(inside(['systemctl', 'poweroff']), { timeoutMs: 10_000 });
      await gone.promise;
    },
    cpuSeconds: (): number => cpuSecondsOf(groups),
    /** Keeps a copy of its disk under a name; it has to be off. */
    saveDisk: async (copy: string): Promise<void> => {
      await detach();
      await outputOf(['cp', '-a', '--reflink=auto', join(folder, 'upper'), join(folder, 'data'), makeFolder(join(folder, 'saved', copy))], {
        timeoutMs: copyMsMax,
      });
    },
    /** Makes its disk what it was when it was saved under this name; it has to be off. */
    restoreDisk: async (copy: string): Promise<void> => {
      await detach();
      for (const part of ['upper', 'data', 'work']) rmSync(join(folder, part), { recursive: true, force: true });
      makeFolder(join(folder, 'work'));
      const saved = join(folder, 'saved', copy);
      await outputOf(['cp', '-a', '--reflink=auto', join(saved, 'upper'), join(saved, 'data'), folder], { timeoutMs: copyMsMax });
    },
    /** Leaves nothing: no process, no mount, no cgroup; with `keepDisk` only its disk. */
    stop: async (how: { keepDisk?: boolean } = {}): Promise<void> => {
      await powerCut();
      if (!(await removeCgroups(groups))) throw new Error(`${name}: processes are still in ${groups.join(' ')}`);
      if ((await runCommand(['mountpoint', '-q', root])).code === 0) await outputOf(['umount', root]);
      if (how.keepDisk !== true) rmSync(folder, { recursive: true });
    },
  };
};
export type TestHost = ReturnType<typeof createHost>;
