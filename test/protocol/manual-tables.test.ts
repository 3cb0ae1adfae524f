import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { permissions, roleNames, roles, type Permission } from '@groundplane/protocol/access';
import { routes } from '@groundplane/protocol/api/routes';
import type { Route } from '@groundplane/protocol/api/route';

const docs = join(import.meta.dirname, '../../docs');
const row = (...cells: string[]): string => `| ${cells.join(' | ')} |`;

const who = ({ auth }: Route): string =>
  auth.access === 'permission' ? `\`${auth.permission}\`${auth.scope === 'tenant' ? ' (tenant)' : ''}` : auth.access === 'self' ? 'logged in' : 'anybody';

/** Tables of the manual that restate what code says; `UPDATE_GOLDEN=1` writes them. */
const tables: [file: string, head: string, rows: string[]][] = [
  [
    'api.md',
    row('method', 'path', 'permission', 'does'),
    Object.values<Route>(routes).map((route) => row(route.method, `\`${route.path}\``, who(route), route.summary)),
  ],
  [
    'security.md',
    row('permission', ...roleNames),
    permissions.map((permission) =>
      row(`\`${permission}\``, ...roleNames.map((role) => ((roles[role] as readonly Permission[]).includes(permission) ? 'yes' : ''))),
    ),
  ],
];

test.each(tables)('the table in docs/%s says what the code does', async (file, head, rows) => {
  const path = join(docs, file);
  const text = await readFile(path, 'utf8');
  const lines = text.split('\n');
  const at = lines.indexOf(head);
  expect(at, `${file} has no line ${head}`).toBeGreaterThan(0);
  const end = lines.findIndex((line, index) => index > at && !line.startsWith('|'));
  if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(path, [...lines.slice(0, at + 2), ...rows, ...lines.slice(end)].join('\n'));
  else expect(lines.slice(at + 2, end)).toEqual(rows);
});
