import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Host } from '../port/host.ts';
import { lastWords, runCommand, type CommandResult } from './command.ts';

const lines = async (file: string): Promise<string[][]> => (await readFile(file, 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));

/** Accounts by passwd(5) and group(5), changed by useradd, usermod, groupadd and userdel (shadow-utils), which keep shadow and locks right. */
export const linuxAccounts = (root: string): Pick<Host, 'readAccount' | 'setAccount' | 'removeAccount'> => {
  const at = root === '/' ? [] : ['--root', root];
  const groupsOf = async (name: string, primary: string): Promise<string[]> =>
    (await lines(join(root, '/etc/group')))
      .filter(([, , id = '', members = '']) => id === primary || members.split(',').includes(name))
      .map(([group = '']) => group);

  const run = async (name: string, command: string, args: readonly string[], fine: readonly number[] = []): Promise<Result<void>> => {
    const result: CommandResult = await runCommand(command, [...at, ...args]);
    if (result.code === 0 || fine.includes(result.code)) return ok(undefined);
    if (result.code === 127) return fail('blocked', 'host-error', `account ${name}`, `there is no ${command} on this host`);
    if (/permission denied/i.test(result.stderr)) return fail('blocked', 'host-denied', `account ${name}`, 'the agent may not change accounts. Run it as root');
    if (/lock/i.test(result.stderr)) return fail('retry', 'host-error', `account ${name}`, lastWords(result));
    return fail('blocked', 'account-failed', `account ${name}`, `${command} failed: ${lastWords(result)}`);
  };

  const read: Host['readAccount'] = async (name) => {
    const found = (await lines(join(root, '/etc/passwd'))).find(([user]) => user === name);
    return ok(found === undefined ? 'absent' : { groups: await groupsOf(name, found[3] ?? ''), shell: found[6] ?? '' });
  };

  return {
    readAccount: read,
    setAccount: async (name, { groups, shell }) => {
      const before = await read(name);
      if (!before.ok) return before;
      for (const group of groups) {
        // 9: there is one of this name already.
        const made = await run(name, 'groupadd', [group], [9]);
        if (!made.ok) return made;
      }
      const list = groups.length === 0 ? [] : [before.value === 'absent' ? '--groups' : '--groups', groups.join(',')];
      if (before.value === 'absent') {
        const own = (await lines(join(root, '/etc/group'))).some(([group]) => group === name) ? ['--gid', name] : ['--user-group'];
        return run(name, 'useradd', ['--create-home', ...own, '--shell', shell, ...list, name]);
      }
      return run(name, 'usermod', ['--shell', shell, ...(list.length === 0 ? [] : ['--append', ...list]), name]);
    },
    // 6: there is no such account.
    removeAccount: (name) => run(name, 'userdel', [name], [6]),
  };
};
