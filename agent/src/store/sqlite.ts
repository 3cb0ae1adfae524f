import { chmodSync, closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { agentTables, type AgentStore, type AgentTable, type AgentWrite } from '../port/store.ts';

const failures: Record<string, [code: string, message: string]> = {
  SQLITE_FULL: ['disk-full', 'the disk is full. Free some space; nothing is lost, and the agent goes on by itself'],
  SQLITE_READONLY: ['disk-read-only', 'the file system is read-only. Check the disk and mount it read-write'],
};

const asFailure = (error: unknown, file: string): Result<never> => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known = Object.entries(failures).find(([prefix]) => code.startsWith(prefix))?.[1];
  const [name, message] = known ?? ['disk-error', `the state cannot be written (${code || String(error)}). Check the disk`];
  return fail('blocked', name, `agent state ${file}`, message);
};

/** What lies in it is its owner's, whoever may enter the folder. The files beside it (`-wal`, `-shm`) get the same mode from SQLite. A disk that takes nothing says so later. */
const keepPrivate = (file: string): void => {
  if (file === ':memory:') return;
  try {
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600);
  } catch {
    // A read-only disk, or somebody else's file.
  }
};

/**
 * State in one SQLite file. WAL with `synchronous=FULL`: measured with recorded writes, NORMAL loses acknowledged commits at a power cut and FULL does not.
 */
export const openSqliteStore = (file: string): AgentStore => {
  keepPrivate(file);
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('journal_size_limit = 4194304');
  for (const table of agentTables) database.exec(`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`);
  const statements = new Map(
    agentTables.map((table) => [
      table,
      {
        get: database.prepare<[string], { value: string }>(`SELECT value FROM ${table} WHERE key = ?`),
        entries: database.prepare<[], { key: string; value: string }>(`SELECT key, value FROM ${table} ORDER BY key`),
        keys: database.prepare<[], { key: string }>(`SELECT key FROM ${table} ORDER BY key`),
        put: database.prepare<[string, string]>(`INSERT INTO ${table} (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`),
        drop: database.prepare<[string]>(`DELETE FROM ${table} WHERE key = ?`),
      },
    ]),
  );
  const on = (table: AgentTable) => {
    const found = statements.get(table);
    if (found === undefined) throw new TypeError(`no table ${table}`);
    return found;
  };
  const apply = database.transaction((writes: readonly AgentWrite[]) => {
    for (const { table, key, value } of writes) {
      if (value === null) on(table).drop.run(key);
      else on(table).put.run(key, value);
    }
  });
  return {
    get: (table, key) => on(table).get.get(key)?.value,
    entries: (table) => on(table).entries.all(),
    keys: (table) =>
      on(table)
        .keys.all()
        .map((row) => row.key),
    commit: (writes) => {
      try {
        apply.immediate(writes);
        return ok(undefined);
      } catch (error) {
        return asFailure(error, file);
      }
    },
    close: () => database.close(),
  };
};
