import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '@groundplane/hub/port/clock';
import type { AnyRow, Change, Kind, Row, Store, StoredEvent, Write } from '@groundplane/hub/port/store';

/** The hub's database in memory, with the same rules as the real one. `snapshot` is a backup; a store opened on it is a restored hub. */
export interface FakeHubStore extends Store {
  snapshot(): FakeHubDisk;
}
export interface FakeHubDisk {
  rows: Map<string, AnyRow & { lookup?: string }>;
  events: StoredEvent[];
}

const rowKey = (kind: Kind, tenant: string, id: string): string => `${kind} ${tenant} ${id}`;
const unnamed: readonly Kind[] = ['desired', 'observed', 'presence', 'director', 'session'];

export const copyDisk = (disk: FakeHubDisk): FakeHubDisk => ({
  rows: new Map([...disk.rows].map(([key, row]) => [key, structuredClone(row)])),
  events: structuredClone(disk.events),
});

export const emptyHubDisk = (): FakeHubDisk => ({ rows: new Map(), events: [] });

export const fakeHubStore = (clock: Clock, disk: FakeHubDisk = emptyHubDisk()): FakeHubStore => {
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const all = (): (AnyRow & { lookup?: string })[] => [...disk.rows.values()];
  const copy = <K extends Kind>(row: AnyRow | undefined): Row<K> | undefined => (row === undefined ? undefined : (structuredClone(row) as unknown as Row<K>));

  const refusal = (write: Write): Result<never> | undefined => {
    if (write.op === 'event') return undefined;
    const now = disk.rows.get(rowKey(write.kind, write.tenant, write.id));
    const holds = write.expect === undefined || (write.expect === 'absent' ? now === undefined : now?.version === write.expect);
    if (!holds) return fail('retry', 'row-conflict', write.kind, 'was changed by somebody else in the meantime');
    if (write.op === 'delete') return undefined;
    const clash = all().find(
      (row) =>
        row.kind === write.kind &&
        row.id !== write.id &&
        ((!unnamed.includes(row.kind) && row.tenant === write.tenant && row.project === write.project && row.name === write.name) ||
          (write.lookup !== undefined && row.lookup === write.lookup)),
    );
    return clash === undefined ? undefined : fail('blocked', 'name-taken', write.kind, 'exists already');
  };

  const perform = (write: Write): Change[] => {
    if (write.op === 'event') {
      const event = { ...write.event, seq: disk.events.length + 1 };
      disk.events.push(event);
      return [{ op: 'event', event }];
    }
    const key = rowKey(write.kind, write.tenant, write.id);
    const before = disk.rows.get(key);
    if (write.op === 'delete') {
      disk.rows.delete(key);
      return before === undefined ? [] : [{ op: 'delete', row: before }];
    }
    const { op: _op, expect: _expect, ...fields } = write;
    const nowMs = clock.wallMs();
    const row = { ...structuredClone(fields), version: (before?.version ?? 0) + 1, createdAtMs: before?.createdAtMs ?? nowMs, updatedAtMs: nowMs };
    disk.rows.set(key, row);
    return [{ op: 'put', row: structuredClone(row) }];
  };

  return {
    get: (kind, tenant, id) => Promise.resolve(copy(disk.rows.get(rowKey(kind, tenant, id)))),
    byName: (kind, tenant, project, name) =>
      Promise.resolve(copy(all().find((row) => row.kind === kind && row.tenant === tenant && row.project === project && row.name === name))),
    byLookup: (kind, lookup) => Promise.resolve(copy(all().find((row) => row.kind === kind && row.lookup === lookup))),
    list: <K extends Kind>(kind: K, tenant: string, query: { project?: string; after?: string; limit: number }) => {
      const sortKey = (row: AnyRow): string => (query.project === undefined ? row.id : row.name);
      const rows = all().filter(
        (row) =>
          row.kind === kind && row.tenant === tenant && (query.project === undefined || row.project === query.project) && sortKey(row) > (query.after ?? ''),
      );
      const sorted = rows.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)).slice(0, query.limit);
      return Promise.resolve(structuredClone(sorted) as unknown as Row<K>[]);
    },
    scan: async function* <K extends Kind>(kind: K) {
      for (const row of all()) if (row.kind === kind) yield structuredClone(row) as unknown as Row<K>;
    },
    events: (tenant, query) => {
      const matching = disk.events.filter(
        (event) =>
          event.tenant === tenant &&
          (query.project === undefined || event.project === query.project) &&
          (query.cluster === undefined || event.cluster === query.cluster) &&
          (query.host === undefined || event.host === query.host) &&
          event.seq > (query.afterSeq ?? 0),
      );
      return Promise.resolve(query.last === undefined ? matching.slice(0, query.limit) : matching.slice(-Math.min(query.last, query.limit)));
    },
    commit: async (writes) => {
      await Promise.resolve();
      for (const write of writes) {
        const refused = refusal(write);
        if (refused !== undefined) return refused;
      }
      const changes = writes.flatMap(perform);
      if (changes.length > 0) for (const listener of listeners) listener(changes);
      return ok(changes);
    },
    onChange: (listener) => void listeners.push(listener),
    close: () => Promise.resolve(),
    snapshot: () => copyDisk(disk),
  };
};
