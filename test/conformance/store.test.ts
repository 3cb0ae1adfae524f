import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openSqliteStore } from '@groundplane/hub/store/sqlite';
import { systemClock } from '@groundplane/hub/system/clock';
import { storeConformance, type StoreUnderTest } from './store.ts';

const sqlite = async (): Promise<StoreUnderTest & { file: string }> => {
  const folder = await mkdtemp(join(tmpdir(), 'gp-store-'));
  const file = join(folder, 'hub.db');
  return { file, open: async () => openSqliteStore(file, systemClock), remove: () => rm(folder, { recursive: true, force: true }) };
};

storeConformance('SQLite', sqlite);

test('SQLite: a schema of a newer hub is refused with what to do, and stays untouched', async () => {
  const under = await sqlite();
  const store = await under.open();
  await store.commit([{ op: 'put', kind: 'macro', tenant: 't', id: 'a', project: 'p', name: 'a', value: { value: 'x' } }]);
  await store.close();
  const database = new Database(under.file);
  const version = database.pragma('user_version', { simple: true }) as number;
  database.pragma(`user_version = ${version + 1}`);
  database.close();
  expect(() => openSqliteStore(under.file, systemClock)).toThrow(/start the newer hub, or restore a backup/);
  const after = new Database(under.file);
  expect(after.pragma('user_version', { simple: true })).toBe(version + 1);
  after.pragma(`user_version = ${version}`);
  after.close();
  const again = await under.open();
  expect((await again.get('macro', 't', 'a'))?.value.value).toBe('x');
  await again.close();
  await under.remove();
});

test('SQLite: commits are synced to the disk before they are acknowledged', async () => {
  const under = await sqlite();
  const store = await under.open();
  const other = new Database(under.file, { readonly: true });
  expect(other.pragma('journal_mode', { simple: true })).toBe('wal');
  const done = await store.commit([{ op: 'put', kind: 'macro', tenant: 't', id: 'a', project: 'p', name: 'a', value: { value: 'x' } }]);
  expect(done.ok).toBe(true);
  expect(other.prepare('SELECT count(*) AS n FROM rows').get()).toEqual({ n: 1 });
  other.close();
  await store.close();
  await under.remove();
});
