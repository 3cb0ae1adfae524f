import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Packages, PackageState, PackageWish } from '../../port/host.ts';
import { lastWords, runCommand, type CommandResult } from '../command.ts';

export interface AptOptions {
  /** Options for every call of apt, and for dpkg; the tests point them at a folder of their own. */
  apt?: readonly string[];
  dpkg?: readonly string[];
}

const env = { DEBIAN_FRONTEND: 'noninteractive', APT_LISTCHANGES_FRONTEND: 'none', NEEDRESTART_MODE: 'l' };
const timeoutMs = 30 * 60_000;

/** What apt and dpkg say, as the reason it is. Both speak English here (LC_ALL=C). */
const failureOf = (
  result: CommandResult,
  element: string,
): { ok: false; failure: { kind: 'retry' | 'blocked' | 'fatal'; code: string; element: string; message: string } } => {
  const text = `${result.stderr}\n${result.stdout}`;
  const words = lastWords(result);
  if (result.code === 127) return fail('blocked', 'packages-unsupported', element, 'there is no apt-get on this host, or it took too long');
  if (/Could not get lock|Unable to acquire|is another process using it/i.test(text))
    return fail('retry', 'package-busy', element, `somebody else is installing: ${words}`);
  if (/are you root|Permission denied/i.test(text)) return fail('blocked', 'host-denied', element, 'the agent may not install packages. Run it as root');
  if (/No space left|not enough free space|don't have enough free space/i.test(text)) return fail('blocked', 'disk-full', element, words);
  if (/Unable to locate package|Version .* was not found|has no installation candidate/i.test(text)) return fail('blocked', 'package-unknown', element, words);
  if (/Temporary failure resolving|Could not connect|Failed to fetch|Connection failed/i.test(text))
    return fail('retry', 'repository-unreachable', element, words);
  if (/unmet dependencies|held broken packages|conflicts/i.test(text)) return fail('blocked', 'package-conflict', element, words);
  return fail('blocked', 'package-failed', element, words);
};

const named = (names: readonly string[]): string => `packages ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;

/**
 * Debian and Ubuntu. Configuration files that somebody changed stay (`--force-confold`); recommendations are not followed; a package that was cut off in the
 * middle of its installation is finished first. Repositories are asked for their lists only when what is wanted is not known.
 */
export const aptPackages = (options: AptOptions = {}): Packages => {
  const apt = (...args: string[]): Promise<CommandResult> =>
    runCommand(
      'apt-get',
      ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Options::=--force-confold', '-o', 'Dpkg::Options::=--force-confdef', ...(options.apt ?? []), ...args],
      {
        env,
        timeoutMs,
      },
    );
  const mark = (verb: 'hold' | 'unhold', names: readonly string[]): Promise<CommandResult> =>
    names.length === 0 ? Promise.resolve({ code: 0, stdout: '', stderr: '' }) : runCommand('apt-mark', [...(options.apt ?? []), verb, ...names], { env });

  /** One attempt, then again after what the first one asked for: finishing what was cut off, or fresh lists. */
  const attempt = async (element: string, ...args: string[]): Promise<Result<void>> => {
    let result = await apt(...args);
    if (result.code !== 0 && /dpkg was interrupted/i.test(result.stderr)) {
      const configured = await runCommand('dpkg', [...(options.dpkg ?? []), '--configure', '-a', '--force-confold'], { env, timeoutMs });
      if (configured.code !== 0) return failureOf(configured, element);
      result = await apt(...args);
    }
    if (result.code !== 0 && /Unable to locate package|was not found|no installation candidate|Failed to fetch/i.test(result.stderr)) {
      const updated = await apt('update');
      if (updated.code !== 0) return failureOf(updated, element);
      result = await apt(...args);
    }
    return result.code === 0 ? ok(undefined) : failureOf(result, element);
  };

  const read: Packages['read'] = async (names) => {
    const states = new Map<string, PackageState | 'absent'>(names.map((name) => [name, 'absent']));
    const query = await runCommand('dpkg-query', [
      ...(options.dpkg ?? []),
      '--show',
      '--showformat=${binary:Package}\\t${Package}\\t${Version}\\t${db:Status-Want}\\t${db:Status-Status}\\n',
      ...names,
    ]);
    // 1: some of them are not there, which is no failure.
    if (query.code > 1) return failureOf(query, named(names));
    for (const line of query.stdout.split('\n')) {
      const [full = '', short = '', version = '', want, status] = line.split('\t');
      if (status !== 'installed') continue;
      for (const name of [full, short]) if (states.has(name)) states.set(name, { version, held: want === 'hold' });
    }
    return ok(states);
  };

  const holdAsWished = async (wishes: readonly PackageWish[], element: string): Promise<Result<void>> => {
    const isHeld = (wish: PackageWish): boolean => wish.version !== undefined && wish.held !== false;
    for (const [verb, names] of [
      ['hold', wishes.filter(isHeld).map((wish) => wish.name)],
      ['unhold', wishes.filter((wish) => !isHeld(wish)).map((wish) => wish.name)],
    ] as const) {
      const marked = await mark(verb, names);
      if (marked.code !== 0) return failureOf(marked, element);
    }
    return ok(undefined);
  };

  return {
    name: 'apt',
    read,
    install: async (wishes) => {
      const element = named(wishes.map((wish) => wish.name));
      const wanted = wishes.map((wish) => (wish.version === undefined ? wish.name : `${wish.name}=${wish.version}`));
      const done = await attempt(element, 'install', '--yes', '--no-install-recommends', '--allow-downgrades', '--allow-change-held-packages', '--', ...wanted);
      return done.ok ? holdAsWished(wishes, element) : done;
    },
    remove: async (names) => {
      const states = await read(names);
      if (!states.ok) return states;
      const there = names.filter((name) => states.value.get(name) !== 'absent');
      return there.length === 0 ? ok(undefined) : attempt(named(there), 'remove', '--yes', '--allow-change-held-packages', '--', ...there);
    },
  };
};
