import { chmodSync, closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { fail, FailureError, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { AnyRow, Change, EventQuery, Kind, Row, Store, StoredEvent, Write } from '../port/store.ts';
import { migrate } from './migrations.ts';

interface RawRow {
  kind: Kind;
  tenant: string;
  id: string;
  project: string;
  name: string;
  version: number;
  createdAtMs: number;
  updatedAtMs: number;
  value: string;
}

const columns = 'kind, tenant, id, project, name, version, created_ms AS createdAtMs, updated_ms AS updatedAtMs, value';

const toRow = <K extends Kind>(raw: RawRow): Row<K> => ({ ...raw, value: JSON.parse(raw.value) as unknown }) as Row<K>;

const prepareAll = (database: Database.Database) => ({
  get: database.prepare<[string, string, string], RawRow>(`SELECT ${columns} FROM rows WHERE kind = ? AND tenant = ? AND id = ?`),
  byName: database.prepare<[string, string, string, string], RawRow>(`SELECT ${columns} FROM rows WHERE kind = ? AND tenant = ? AND project = ? AND name = ?`),
  byLookup: database.prepare<[string, string], RawRow>(`SELECT ${columns} FROM rows WHERE kind = ? AND lookup = ?`),
  listProject: database.prepare<[string, string, string, string, number], RawRow>(
    `SELECT ${columns} FROM rows WHERE kind = ? AND tenant = ? AND project = ? AND name > ? ORDER BY name LIMIT ?`,
  ),
  listTenant: database.prepare<[string, string, string, number], RawRow>(
    `SELECT ${columns} FROM rows WHERE kind = ? AND tenant = ? AND id > ? ORDER BY id LIMIT ?`,
  ),
  scan: database.prepare<[string, string, string], RawRow>(
    `SELECT ${columns} FROM rows WHERE kind = ? AND (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT 500`,
  ),
  put: database.prepare(
    `INSERT INTO rows (kind, tenant, id, project, name, lookup, version, created_ms, updated_ms, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (kind, tenant, id) DO UPDATE SET project = excluded.project, name = excluded.name, lookup = excluded.lookup, version = excluded.version, updated_ms = excluded.updated_ms, value = excluded.value`,
  ),
  /** For rows that nobody guards: one statement instead of a look and a write. */
  overwrite: database.prepare<unknown[], { version: number; createdAtMs: number }>(
    `INSERT INTO rows (kind, tenant, id, project, name, lookup, version, created_ms, updated_ms, value) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)
     ON CONFLICT (kind, tenant, id) DO UPDATE SET version = version + 1, updated_ms = excluded.updated_ms, value = excluded.value RETURNING version, created_ms AS createdAtMs`,
  ),
  drop: database.prepare('DELETE FROM rows WHERE kind = ? AND tenant = ? AND id = ?'),
  event: database.prepare('INSERT INTO events (tenant, project, cluster, host, value) VALUES (?, ?, ?, ?, ?)'),
  trim: database.prepare('DELETE FROM events WHERE seq <= ?'),
});

/** Kinds whose rows are written again and again by reports: no name index helps them, and their names never clash. */
const unnamed: ReadonlySet<Kind> = new Set(['desired', 'observed', 'invitation', 'presence', 'director', 'session']);

/** How long a patient commit waits for company: a synced transaction costs about as much for one row as for a hundred. */
const patienceMs = 60;

/** Events kept over all tenants; the oldest go first. */
const eventsMax = 500_000;

/** Nothing guards it and no name of it can be taken: its commit needs no way back. */
const cannotFail = (write: Write): boolean =>
  write.op === 'event' || (write.op === 'put' && write.expect === undefined && write.lookup === undefined && unnamed.has(write.kind));

interface Waiting {
  writes: readonly Write[];
  resolve: (result: Result<Change[]>) => void;
}

/** Hashes, tickets and rendered Secrets lie in it: it is its owner's, whoever may enter the folder. SQLite gives the files beside it the same mode. */
const keepPrivate = (file: string): void => {
  if (file === ':memory:') return;
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
};

/**
 * One SQLite file. Commits that arrive in the same turn of the event loop share one fully synced transaction (group commit); each is still atomic on its own.
 */
export const openSqliteStore = (file: string, clock: Clock): Store => {
  keepPrivate(file);
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('journal_size_limit = 67108864');
  database.pragma('cache_size = -16384');
  database.pragma('temp_store = MEMORY');
  migrate(database);
  const sql = prepareAll(database);
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  let queue: Waiting[] = [];
  let isUrgent = false;
  /** Sequence number at which old events are thrown away next. */
  let trimAt = 0;
  let cancelPatience: (() => void) | undefined;

  const refusal = (write: Write): Result<never> | undefined => {
    if (write.op === 'event') return undefined;
    const isKnown = write.op === 'put' && write.expect === undefined && unnamed.has(write.kind);
    if (isKnown) return undefined;
    const now = sql.get.get(write.kind, write.tenant, write.id);
    const { expect } = write;
    if (expect !== undefined && (expect === 'absent' ? now !== undefined : now?.version !== expect)) {
      return fail('retry', 'row-conflict', `${write.kind} ${now?.name ?? write.id}`, 'was changed by somebody else in the meantime. Read it again and repeat');
    }
    if (write.op === 'delete') return undefined;
    const named = unnamed.has(write.kind) ? undefined : sql.byName.get(write.kind, write.tenant, write.project, write.name);
    const found = write.lookup === undefined ? undefined : sql.byLookup.get(write.kind, write.lookup);
    const other = [named, found].find((row) => row !== undefined && row.id !== write.id);
    return other === undefined ? undefined : fail('blocked', 'name-taken', `${write.kind} ${write.name}`, 'exists already');
  };

  const perform = (write: Write, nowMs: number): Change | undefined => {
    if (write.op === 'event') {
      const { event } = write;
      const done = sql.event.run(event.tenant, event.project, event.cluster ?? null, event.host ?? null, JSON.stringify(event));
      return { op: 'event', event: { ...event, seq: Number(done.lastInsertRowid) } };
    }
    if (write.op === 'put' && write.lookup === undefined && unnamed.has(write.kind)) {
      const { kind, tenant, id, project, name, value } = write;
      const written = sql.overwrite.get(kind, tenant, id, project, name, null, nowMs, nowMs, JSON.stringify(value));
      return {
        op: 'put',
        row: {
          kind,
          tenant,
          id,
          project,
          name,
          version: written?.version ?? 1,
          createdAtMs: written?.createdAtMs ?? nowMs,
          updatedAtMs: nowMs,
          value,
        } as AnyRow,
      };
    }
    const before = sql.get.get(write.kind, write.tenant, write.id);
    if (write.op === 'delete') {
      if (before === undefined) return undefined;
      sql.drop.run(write.kind, write.tenant, write.id);
      return { op: 'delete', row: toRow(before) as AnyRow };
    }
    const { kind, tenant, id, project, name, value } = write;
    const version = (before?.version ?? 0) + 1;
    const createdAtMs = before?.createdAtMs ?? nowMs;
    sql.put.run(kind, tenant, id, project, name, write.lookup ?? null, version, createdAtMs, nowMs, JSON.stringify(value));
    return { op: 'put', row: { kind, tenant, id, project, name, version, createdAtMs, updatedAtMs: nowMs, value } as AnyRow };
  };

  const performChecked = (write: Write, nowMs: number): Change[] => {
    const refused = refusal(write);
    if (refused !== undefined && !refused.ok) throw new FailureError(refused.failure);
    const change = perform(write, nowMs);
    return change === undefined ? [] : [change];
  };
  /** Inside of another transaction this is a savepoint: a commit that is refused at its third write takes back its first two, and nothing of its neighbours'. */
  const performTogether = database.transaction((writes: readonly Write[], nowMs: number): Change[] => writes.flatMap((write) => performChecked(write, nowMs)));

  const runAll = database.transaction((batch: readonly Waiting[]): Result<Change[]>[] => {
    const nowMs = clock.wallMs();
    return batch.map(({ writes }) => {
      try {
        // A savepoint copies every page it touches, which reports by the thousand would pay dearly for.
        return ok(writes.length > 1 && !writes.every(cannotFail) ? performTogether(writes, nowMs) : writes.flatMap((write) => performChecked(write, nowMs)));
      } catch (error) {
        if (error instanceof FailureError) return { ok: false, failure: error.failure };
        throw error;
      }
    });
  });

  const flush = (): void => {
    const batch = queue;
    queue = [];
    cancelPatience?.();
    cancelPatience = undefined;
    isUrgent = false;
    write(batch);
  };

  const write = (batch: readonly Waiting[]): void => {
    let results: Result<Change[]>[];
    try {
      results = runAll.immediate(batch);
    } catch (error) {
      const failed = fail('retry', 'store-unavailable', 'hub database', `cannot be written: ${error instanceof Error ? error.message : String(error)}`);
      for (const { resolve } of batch) resolve(failed);
      return;
    }
    const changes = results.flatMap((result) => (result.ok ? result.value : []));
    if (changes.length > 0) for (const listener of listeners) listener(changes);
    const lastEvent = changes.findLast((change) => change.op === 'event');
    if (lastEvent?.op === 'event' && lastEvent.event.seq >= trimAt) {
      sql.trim.run(lastEvent.event.seq - eventsMax);
      trimAt = lastEvent.event.seq + 10_000;
    }
    batch.forEach(({ resolve }, index) => resolve(results[index] as Result<Change[]>));
  };

  const commit: Store['commit'] = (writes, options) => {
    const { promise, resolve } = Promise.withResolvers<Result<Change[]>>();
    queue.push({ writes, resolve });
    if (options?.patient === true) cancelPatience ??= clock.after(patienceMs, flush);
    else if (!isUrgent) {
      isUrgent = true;
      setImmediate(flush);
    }
    return promise;
  };

  const scan = async function* <K extends Kind>(kind: K): AsyncIterable<Row<K>> {
    let tenant = '';
    let id = '';
    for (;;) {
      const page = sql.scan.all(kind, tenant, id);
      for (const raw of page) yield toRow<K>(raw);
      const last = page.at(-1);
      if (last === undefined) return;
      tenant = last.tenant;
      id = last.id;
    }
  };

  return {
    get: async (kind, tenant, id) => rowOrNone(sql.get.get(kind, tenant, id)),
    byName: async (kind, tenant, project, name) => rowOrNone(sql.byName.get(kind, tenant, project, name)),
    byLookup: async (kind, lookup) => rowOrNone(sql.byLookup.get(kind, lookup)),
    list: async (kind, tenant, query) =>
      (query.project === undefined
        ? sql.listTenant.all(kind, tenant, query.after ?? '', query.limit)
        : sql.listProject.all(kind, tenant, query.project, query.after ?? '', query.limit)
      ).map((raw) => toRow(raw)),
    scan,
    events: async (tenant, query) => readEvents(database, tenant, query),
    commit,
    onChange: (listener) => void listeners.push(listener),
    close: async () => {
      if (queue.length > 0) flush();
      database.close();
    },
  };
};

const rowOrNone = <K extends Kind>(raw: RawRow | undefined): Row<K> | undefined => (raw === undefined ? undefined : toRow<K>(raw));

const readEvents = (database: Database.Database, tenant: string, query: EventQuery): StoredEvent[] => {
  const conditions = ['tenant = ?'];
  const values: (string | number)[] = [tenant];
  for (const key of ['project', 'cluster', 'host'] as const) {
    const wanted = query[key];
    if (wanted === undefined) continue;
    conditions.push(`${key} = ?`);
    values.push(wanted);
  }
  if (query.afterSeq !== undefined) {
    conditions.push('seq > ?');
    values.push(query.afterSeq);
  }
  const isLast = query.last !== undefined;
  const rows = database
    .prepare<(string | number)[], { seq: number; value: string }>(
      `SELECT seq, value FROM events WHERE ${conditions.join(' AND ')} ORDER BY seq ${isLast ? 'DESC' : 'ASC'} LIMIT ?`,
    )
    .all(...values, Math.min(query.last ?? query.limit, query.limit));
  const events = rows.map((row) => ({ ...(JSON.parse(row.value) as Omit<StoredEvent, 'seq'>), seq: row.seq }));
  return isLast ? events.toReversed() : events;
};
