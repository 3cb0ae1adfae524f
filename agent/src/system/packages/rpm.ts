import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Packages, PackageState, PackageWish } from '../../port/host.ts';
import { lastWords, runCommand, type CommandResult } from '../command.ts';

/** How dnf(8) and zypper(8) say the same things. */
interface RpmManager {
  name: 'dnf' | 'zypper';
  install: (specs: readonly string[]) => string[];
  remove: (names: readonly string[]) => string[];
  lock: (names: readonly string[]) => string[];
  unlock: (names: readonly string[]) => string[];
  locks: () => string[];
  /** Names in the output of `locks`. */
  parseLocks: (text: string) => string[];
  spec: (wish: PackageWish) => string;
}

const rpmManagers: Readonly<Record<RpmManager['name'], RpmManager>> = {
  dnf: {
    name: 'dnf',
    install: (specs) => ['install', '--assumeyes', '--allowerasing', '--setopt=install_weak_deps=False', ...specs],
    remove: (names) => ['remove', '--assumeyes', '--setopt=clean_requirements_on_remove=False', ...names],
    lock: (names) => ['versionlock', 'add', ...names],
    unlock: (names) => ['versionlock', 'delete', ...names],
    locks: () => ['versionlock', 'list', '--quiet'],
    // `bash-0:5.2-1.el9.*` (dnf 4) or `Package name: bash` (dnf 5)
    parseLocks: (text) => [...text.matchAll(/^(?:Package name: (\S+)|(\S+)-\d+:\S+)$/gm)].map((match) => match[1] ?? match[2] ?? ''),
    spec: ({ name, version }) => (version === undefined ? name : `${name}-${version}`),
  },
  zypper: {
    name: 'zypper',
    install: (specs) => ['--non-interactive', 'install', '--no-recommends', '--oldpackage', '--auto-agree-with-licenses', ...specs],
    remove: (names) => ['--non-interactive', 'remove', ...names],
    lock: (names) => ['--non-interactive', 'addlock', ...names],
    unlock: (names) => ['--non-interactive', 'removelock', ...names],
    locks: () => ['--non-interactive', '--terse', 'locks'],
    parseLocks: (text) =>
      text
        .split('\n')
        .map((line) => line.split('|').map((part) => part.trim()))
        .filter((parts) => parts.length > 2 && /^\d+$/.test(parts[0] ?? ''))
        .map((parts) => parts[1] ?? ''),
    spec: ({ name, version }) => (version === undefined ? name : `${name}=${version}`),
  },
};

const timeoutMs = 30 * 60_000;
type Run = (command: string, args: readonly string[], options?: { timeoutMs?: number }) => Promise<CommandResult>;

const failureOf = (result: CommandResult, element: string) => {
  const text = `${result.stderr}\n${result.stdout}`;
  const words = lastWords(result);
  if (result.code === 127) return fail('blocked', 'packages-unsupported', element, 'the package manager is not on this host, or it took too long');
  if (/superuser|root privileges|Permission denied/i.test(text))
    return fail('blocked', 'host-denied', element, 'the agent may not install packages. Run it as root');
  if (/System management is locked|Waiting for process|another process/i.test(text)) return fail('retry', 'package-busy', element, words);
  if (/No match for argument|Unable to find a match|not found in package names|No provider of/i.test(text))
    return fail('blocked', 'package-unknown', element, words);
  if (/Cannot download|Curl error|Failed to download|Could not resolve host/i.test(text)) return fail('retry', 'repository-unreachable', element, words);
  if (/No space left|insufficient space/i.test(text)) return fail('blocked', 'disk-full', element, words);
  if (/conflict|nothing provides/i.test(text)) return fail('blocked', 'package-conflict', element, words);
  return fail('blocked', 'package-failed', element, words);
};

/**
 * What a reboot is needed for, by `dnf needs-restarting --reboothint`; its exit code does not say, since a dnf without that plugin ends with 1 as well.
 * Both dnf 4 and 5 list packages behind stars and end with this sentence.
 */
const parseRebootHint = (text: string): string[] | undefined =>
  /^Reboot is required/m.test(text) ? [...text.matchAll(/^\s+\* (\S+)/gm)].map(([, name = '']) => name) : undefined;

/** Red Hat's and SUSE's families. dnf leaves no sign that a reboot is needed, so `noteReboot` is told of it after a change. Versions are written as rpm shows them without the epoch: `5.2.26-3.el9`. */
export const rpmPackages = (
  which: RpmManager['name'],
  run: Run = runCommand,
  noteReboot: (packages: readonly string[]) => Promise<void> = () => Promise.resolve(),
): Packages => {
  const manager = rpmManagers[which];
  const askForReboot = async (): Promise<void> => {
    if (which !== 'dnf') return;
    const needed = parseRebootHint((await run('dnf', ['needs-restarting', '--reboothint'], { timeoutMs: 5 * 60_000 })).stdout);
    // The change itself is done; a sign that cannot be left must not make it look failed.
    if (needed !== undefined) await noteReboot(needed).catch(() => undefined);
  };
  const call = async (element: string, args: readonly string[]): Promise<Result<CommandResult>> => {
    const result = await run(manager.name, args, { timeoutMs });
    return result.code === 0 ? ok(result) : failureOf(result, element);
  };
  const element = (names: readonly string[]): string => `packages ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
  const locked = async (): Promise<Set<string>> => new Set(manager.parseLocks((await run(manager.name, manager.locks())).stdout));

  const read: Packages['read'] = async (names) => {
    const states = new Map<string, PackageState | 'absent'>(names.map((name) => [name, 'absent']));
    // rpm ends with the number of those that are not there and says so on stdout; they do not have the form of the others.
    const query = await run('rpm', ['--query', '--queryformat', '%{NAME}\\t%{VERSION}-%{RELEASE}\\n', ...names]);
    if (query.code === 127) return failureOf(query, element(names));
    const held = await locked();
    for (const line of query.stdout.split('\n')) {
      const [name = '', version] = line.split('\t');
      if (version !== undefined && states.has(name)) states.set(name, { version, held: held.has(name) });
    }
    return ok(states);
  };

  return {
    name: manager.name,
    read,
    install: async (wishes) => {
      const names = wishes.map((wish) => wish.name);
      const before = await locked();
      const open = names.filter((name) => before.has(name));
      const unlocked = open.length === 0 ? ok(undefined) : await call(element(open), manager.unlock(open));
      if (!unlocked.ok) return unlocked;
      const done = await call(element(names), manager.install(wishes.map(manager.spec)));
      if (!done.ok) return done;
      await askForReboot();
      const held = wishes.filter((wish) => wish.version !== undefined && wish.held !== false).map((wish) => wish.name);
      const lock = held.length === 0 ? ok(undefined) : await call(element(held), manager.lock(held));
      return lock.ok ? ok(undefined) : lock;
    },
    remove: async (names) => {
      const states = await read(names);
      if (!states.ok) return states;
      const there = names.filter((name) => states.value.get(name) !== 'absent');
      const held = there.filter((name) => {
        const state = states.value.get(name);
        return state !== undefined && state !== 'absent' && state.held;
      });
      const unlocked = held.length === 0 ? ok(undefined) : await call(element(held), manager.unlock(held));
      if (!unlocked.ok) return unlocked;
      if (there.length === 0) return ok(undefined);
      const done = await call(element(there), manager.remove(there));
      if (!done.ok) return done;
      await askForReboot();
      return ok(undefined);
    },
  };
};
