import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Lines of passwd(5) or group(5): the third field is the number. */
const readTable = async (file: string): Promise<Map<string, number>> => {
  const text = await readFile(file, 'utf8').catch(() => '');
  return new Map(
    text
      .split('\n')
      .map((line) => line.split(':'))
      .filter((parts) => parts.length > 2)
      .map((parts) => [parts[0] ?? '', Number(parts[2])]),
  );
};

/**
 * Names and numbers of local accounts. Node has no look-up by name, and calling `getent` per file would cost a process each. Root is known without a table;
 * the agent's own account stands for root where the agent is not root, so that an unprivileged agent can still own its files.
 */
export const createAccounts = (etc: string) => {
  const find = async (table: 'passwd' | 'group', name: string): Promise<number | undefined> => {
    if (/^\d+$/.test(name)) return Number(name);
    if (name === 'root') return own(table);
    return (await readTable(join(etc, table))).get(name);
  };
  const own = (table: 'passwd' | 'group'): number => (table === 'passwd' ? (process.getuid?.() ?? 0) : (process.getgid?.() ?? 0));
  const nameOf = async (table: 'passwd' | 'group', id: number): Promise<string> => {
    if (id === own(table) || id === 0) return 'root';
    const found = [...(await readTable(join(etc, table)))].find(([, number]) => number === id);
    return found?.[0] ?? String(id);
  };
  return {
    userId: (name: string) => find('passwd', name),
    groupId: (name: string) => find('group', name),
    userName: (id: number) => nameOf('passwd', id),
    groupName: (id: number) => nameOf('group', id),
  };
};
