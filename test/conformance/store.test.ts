import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
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
  const versionOf = (database: DatabaseSync): number => Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  const database = new DatabaseSync(under.file);
  const version = versionOf(database);
  database.exec(`PRAGMA user_version = ${version + 1}`);
  database.close();
  expect(() => openSqliteStore(under.file, systemClock)).toThrow(/start the newer hub, or restore a backup/);
  const after = new DatabaseSync(under.file);
  expect(versionOf(after)).toBe(version + 1);
  after.exec(`PRAGMA user_version = ${version}`);
  after.close();
  const again = await under.open();
  expect((await again.get('macro', 't', 'a'))?.value.value).toBe('x');
  await again.close();
  await under.remove();
});

test('SQLite: commits are synced to the disk before they are acknowledged', async () => {
  const under = await sqlite();
  const store = await under.open();
  const other = new DatabaseSync(under.file, { readOnly: true });
  expect(other.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
  const done = await store.commit([{ op: 'put', kind: 'macro', tenant: 't', id: 'a', project: 'p', name: 'a', value: { value: 'x' } }]);
  expect(done.ok).toBe(true);
  expect(other.prepare('SELECT count(*) AS n FROM rows').get()).toEqual({ n: 1 });
  other.close();
  await store.close();
  await under.remove();
});
