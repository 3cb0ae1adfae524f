import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Change, Kind, NewEvent, Row, RowValues, Store, Write } from '@groundplane/hub/port/store';

/** A place where a hub's memory can be opened, closed, and opened again. */
export interface StoreUnderTest {
  open(): Promise<Store>;
  /** Throws the data away. */
  remove(): Promise<void>;
}

const tenant = 'ten_one';
const macro = (id: string, fields: Partial<Extract<Write, { op: 'put' }>> = {}): Write =>
  ({ op: 'put', kind: 'macro', tenant, id, project: 'p', name: id, value: { value: id }, ...fields }) as Write;
const event = (message: string, fields: Partial<NewEvent> = {}): Write => ({
  op: 'event',
  event: { tenant, project: 'p', atMs: 1, type: 'normal', reason: 'Test', message, ...fields },
});

const good = async (store: Store, writes: readonly Write[]): Promise<Change[]> => {
  const done = await store.commit(writes);
  if (!done.ok) throw new Error(`${done.failure.code}: ${done.failure.element} ${done.failure.message}`);
  return done.value;
};
const codeOf = async (store: Store, writes: readonly Write[]): Promise<string> => {
  const done = await store.commit(writes);
  return done.ok ? 'ok' : done.failure.code;
};
const allOf = async <K extends Kind>(store: Store, kind: K): Promise<Row<K>[]> => {
  const rows: Row<K>[] = [];
  for await (const row of store.scan(kind)) rows.push(row);
  return rows;
};

type Get = () => { store: Store; reopen: () => Promise<Store> };

const rowTests = (get: Get): void => {
  test('a row comes back as it was put, with its counters', async () => {
    const { store } = get();
    const value: RowValues['cluster'] = {
      labels: { a: 'b' },
      spec: { profiles: [{ name: 'p', version: '1.0.0' }], variables: { x: 'Grüße "\n' }, hosts: [] },
      deleting: false,
    };
    const changes = await good(store, [{ op: 'put', kind: 'cluster', tenant, id: 'clu', project: 'p', name: 'shop', value }]);
    const row = await store.get('cluster', tenant, 'clu');
    expect(row).toMatchObject({ kind: 'cluster', tenant, id: 'clu', project: 'p', name: 'shop', version: 1, value });
    expect(changes).toEqual([{ op: 'put', row }]);
    expect(row?.createdAtMs).toBe(row?.updatedAtMs);
    await good(store, [{ op: 'put', kind: 'cluster', tenant, id: 'clu', project: 'p', name: 'shop', value: { ...value, deleting: true } }]);
    const after = await store.get('cluster', tenant, 'clu');
    expect(after).toMatchObject({ version: 2, createdAtMs: row?.createdAtMs, value: { deleting: true } });
  });

  test('what is read is a copy: changing it changes nothing', async () => {
    const { store } = get();
    await good(store, [macro('a')]);
    const row = await store.get('macro', tenant, 'a');
    if (row !== undefined) row.value.value = 'spoilt';
    expect((await store.get('macro', tenant, 'a'))?.value.value).toBe('a');
  });

  test('missing rows are undefined, and deleting them is nothing', async () => {
    const { store } = get();
    expect(await store.get('macro', tenant, 'a')).toBeUndefined();
    expect(await store.byName('macro', tenant, 'p', 'a')).toBeUndefined();
    expect(await store.byLookup('macro', 'a')).toBeUndefined();
    expect(await good(store, [{ op: 'delete', kind: 'macro', tenant, id: 'a' }])).toEqual([]);
  });

  test('a deleted row is gone by every way, and its name is free', async () => {
    const { store } = get();
    await good(store, [macro('a', { lookup: 'secret' })]);
    const [gone] = await good(store, [{ op: 'delete', kind: 'macro', tenant, id: 'a' }]);
    expect(gone).toMatchObject({ op: 'delete', row: { id: 'a', value: { value: 'a' } } });
    expect(await store.get('macro', tenant, 'a')).toBeUndefined();
    expect(await store.byName('macro', tenant, 'p', 'a')).toBeUndefined();
    expect(await store.byLookup('macro', 'secret')).toBeUndefined();
    await good(store, [macro('b', { name: 'a', lookup: 'secret' })]);
    expect((await store.byLookup('macro', 'secret'))?.id).toBe('b');
  });

  test('names are unique for kind, tenant and project; look-ups for the kind', async () => {
    const { store } = get();
    await good(store, [macro('a', { lookup: 'l' })]);
    expect(await codeOf(store, [macro('b', { name: 'a' })])).toBe('name-taken');
    expect(await codeOf(store, [macro('b', { name: 'b', lookup: 'l' })])).toBe('name-taken');
    expect(await codeOf(store, [macro('b', { name: 'b', lookup: 'l', tenant: 'ten_two' })])).toBe('name-taken');
    expect(await codeOf(store, [macro('b', { name: 'a', project: 'q' })])).toBe('ok');
    expect(await codeOf(store, [macro('c', { name: 'a', tenant: 'ten_two' })])).toBe('ok');
    expect(await codeOf(store, [{ op: 'put', kind: 'project', tenant, id: 'd', project: 'p', name: 'a', value: {}, lookup: 'l' }])).toBe('ok');
    expect(await codeOf(store, [macro('a', { name: 'renamed', lookup: 'l' })])).toBe('ok');
    expect(await codeOf(store, [macro('e', { name: 'a' })])).toBe('ok');
  });

  test('inside of one commit names are unique too, and only that commit fails', async () => {
    const { store } = get();
    const [before, bad, lookups, after] = await Promise.all([
      codeOf(store, [macro('before')]),
      codeOf(store, [macro('x', { name: 'same' }), macro('y', { name: 'same' }), event('never')]),
      codeOf(store, [macro('v', { lookup: 'same' }), macro('w', { lookup: 'same' })]),
      codeOf(store, [macro('after')]),
    ]);
    expect([before, bad, lookups, after]).toEqual(['ok', 'name-taken', 'name-taken', 'ok']);
    expect((await allOf(store, 'macro')).map((row) => row.id)).toEqual(['after', 'before']);
    expect(await store.events(tenant, { limit: 10 })).toEqual([]);
  });

  test('one commit can free a name and give it away', async () => {
    const { store } = get();
    await good(store, [macro('a', { name: 'n', lookup: 'l' })]);
    expect(await codeOf(store, [{ op: 'delete', kind: 'macro', tenant, id: 'a' }, macro('b', { name: 'n', lookup: 'l' })])).toBe('ok');
    expect((await store.byName('macro', tenant, 'p', 'n'))?.id).toBe('b');
    expect((await store.byLookup('macro', 'l'))?.id).toBe('b');
  });

  test('tenants do not see each other', async () => {
    const { store } = get();
    await good(store, [
      macro('a', { value: { value: 'mine' } }),
      macro('a', { tenant: 'ten_two', value: { value: 'yours' } }),
      event('mine'),
      event('yours', { tenant: 'ten_two' }),
    ]);
    expect((await store.get('macro', tenant, 'a'))?.value.value).toBe('mine');
    expect((await store.byName('macro', 'ten_two', 'p', 'a'))?.value.value).toBe('yours');
    expect((await store.list('macro', 'ten_two', { project: 'p', limit: 10 })).map((row) => row.value.value)).toEqual(['yours']);
    expect((await store.list('macro', 'ten_two', { limit: 10 })).map((row) => row.value.value)).toEqual(['yours']);
    expect((await store.events('ten_two', { limit: 10 })).map((item) => item.message)).toEqual(['yours']);
    await good(store, [{ op: 'delete', kind: 'macro', tenant: 'ten_two', id: 'a' }]);
    expect(await store.get('macro', tenant, 'a')).toBeDefined();
    expect(await store.get('macro', 'ten_three', 'a')).toBeUndefined();
  });

  test('texts are compared as bytes: quotes, wildcards, case and other scripts mean nothing', async () => {
    const { store } = get();
    const names = ["a' OR 1=1 --", 'a%', 'a_', 'A', 'a', 'ä', 'ａ', '\u{1F600}', '\uFFFD', ''];
    await good(
      store,
      names.map((name, index) => macro(`id${index}`, { name })),
    );
    for (const [index, name] of names.entries()) expect((await store.byName('macro', tenant, 'p', name))?.id).toBe(`id${index}`);
    expect((await store.byName('macro', tenant, 'p', 'ab'))?.id).toBeUndefined();
  });
};

const expectationTests = (get: Get): void => {
  test('expectations hold or nothing happens', async () => {
    const { store } = get();
    expect(await codeOf(store, [macro('a', { expect: 1 })])).toBe('row-conflict');
    expect(await codeOf(store, [macro('a', { expect: 'absent' })])).toBe('ok');
    expect(await codeOf(store, [macro('a', { expect: 'absent' })])).toBe('row-conflict');
    expect(await codeOf(store, [macro('a', { expect: 2 })])).toBe('row-conflict');
    expect(await codeOf(store, [macro('a', { expect: 1 })])).toBe('ok');
    expect(await codeOf(store, [{ op: 'delete', kind: 'macro', tenant, id: 'a', expect: 1 }])).toBe('row-conflict');
    expect(await codeOf(store, [{ op: 'delete', kind: 'macro', tenant, id: 'a', expect: 2 }])).toBe('ok');
    expect(await codeOf(store, [{ op: 'delete', kind: 'macro', tenant, id: 'a', expect: 2 }])).toBe('row-conflict');
  });

  test('a commit happens whole or not at all, wherever in it the trouble is', async () => {
    const { store } = get();
    await good(store, [macro('there')]);
    const bad: Write[] = [
      macro('there', { expect: 'absent' }),
      macro('new', { name: 'there' }),
      { op: 'delete', kind: 'macro', tenant, id: 'none', expect: 1 },
    ];
    for (const trouble of bad) {
      for (let place = 0; place < 4; place += 1) {
        const writes = [macro('x'), macro('y'), event('e'), { op: 'delete', kind: 'macro', tenant, id: 'there' } as Write].toSpliced(place, 0, trouble);
        if (place > 3) continue;
        expect(await codeOf(store, writes)).not.toBe('ok');
        expect((await allOf(store, 'macro')).map((row) => row.id)).toEqual(['there']);
        expect(await store.events(tenant, { limit: 10 })).toEqual([]);
      }
    }
  });

  test('one version of a row is redeemed once, by whoever of a hundred comes first', async () => {
    const { store } = get();
    await good(store, [macro('ticket')]);
    const won = await Promise.all(
      Array.from({ length: 100 }, (_, index) => codeOf(store, [macro('ticket', { value: { value: String(index) }, expect: 1 }), macro(`host${index}`)])),
    );
    expect(won.filter((code) => code === 'ok')).toHaveLength(1);
    expect(won.filter((code) => code === 'row-conflict')).toHaveLength(99);
    expect(await allOf(store, 'macro')).toHaveLength(2);
    expect((await store.get('macro', tenant, 'ticket'))?.version).toBe(2);
  });

  test('of a hundred that delete one version, one does', async () => {
    const { store } = get();
    await good(store, [macro('token')]);
    const won = await Promise.all(Array.from({ length: 100 }, () => codeOf(store, [{ op: 'delete', kind: 'macro', tenant, id: 'token', expect: 1 }])));
    expect(won.filter((code) => code === 'ok')).toHaveLength(1);
  });

  test('a thousand commits of the same moment share few transactions, and each is told of', async () => {
    const { store } = get();
    let transactions = 0;
    const told: string[] = [];
    store.onChange((changes) => {
      transactions += 1;
      for (const change of changes) if (change.op === 'put') told.push(change.row.id);
    });
    const codes = await Promise.all(Array.from({ length: 1_000 }, (_, index) => codeOf(store, [macro(`m${index}`)])));
    expect(new Set(codes)).toEqual(new Set(['ok']));
    expect(transactions).toBeLessThanOrEqual(10);
    expect(told).toHaveLength(1_000);
    expect(new Set(told).size).toBe(1_000);
  });

  test('listeners hear of what happened, in order, and of nothing that did not', async () => {
    const { store } = get();
    const told: string[] = [];
    store.onChange((changes) =>
      told.push(...changes.map((change) => (change.op === 'event' ? `event ${change.event.message}` : `${change.op} ${change.row.id}`))),
    );
    await good(store, [macro('a'), event('one'), macro('b')]);
    await codeOf(store, [macro('a', { expect: 'absent' }), event('never')]);
    await good(store, [
      { op: 'delete', kind: 'macro', tenant, id: 'a' },
      { op: 'delete', kind: 'macro', tenant, id: 'none' },
    ]);
    expect(told).toEqual(['put a', 'event one', 'put b', 'delete a']);
  });
};

const listTests = (get: Get): void => {
  test('pages follow the names in byte order, without gap or repetition', async () => {
    const { store } = get();
    const names = Array.from({ length: 57 }, (_, index) => `n${String.fromCodePoint(33 + ((index * 37) % 80))}${index % 3 === 0 ? 'é' : ''}${index}`);
    await good(
      store,
      names.map((name, index) => macro(`id${index}`, { name })),
    );
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const limit of [1, 7, 56, 57, 58]) {
      const seen: string[] = [];
      let after = '';
      for (let turn = 0; turn < 60; turn += 1) {
        const rows = await store.list('macro', tenant, { project: 'p', limit, after });
        seen.push(...rows.map((row) => row.name));
        after = rows.at(-1)?.name ?? after;
        if (rows.length < limit) break;
      }
      expect(seen).toEqual(sorted);
    }
    expect(await store.list('macro', tenant, { project: 'q', limit: 10 })).toEqual([]);
  });

  test('a scan sees every row of a kind over all tenants, once', async () => {
    const { store } = get();
    await good(
      store,
      Array.from({ length: 1_203 }, (_, index) => macro(`id${index}`, { tenant: `ten_${index % 7}` })),
    );
    await good(store, [{ op: 'put', kind: 'project', tenant, id: 'other', project: '', name: 'other', value: {} }]);
    const rows = await allOf(store, 'macro');
    expect(rows).toHaveLength(1_203);
    expect(new Set(rows.map((row) => row.id)).size).toBe(1_203);
  });

  test('events are filtered, paged and numbered upwards; `last` gives the newest in the same order', async () => {
    const { store } = get();
    for (let index = 0; index < 30; index += 1)
      await good(store, [
        event(`m${index}`, { project: index % 2 === 0 ? 'p' : 'q', ...(index % 3 === 0 ? { cluster: 'c' } : {}), ...(index % 5 === 0 ? { host: 'h' } : {}) }),
      ]);
    const messages = async (query: Partial<Parameters<Store['events']>[1]>): Promise<string[]> =>
      (await store.events(tenant, { limit: 100, ...query })).map((item) => item.message);
    expect(await messages({})).toHaveLength(30);
    expect(await messages({ project: 'p', cluster: 'c' })).toEqual(['m0', 'm6', 'm12', 'm18', 'm24']);
    expect(await messages({ host: 'h' })).toEqual(['m0', 'm5', 'm10', 'm15', 'm20', 'm25']);
    expect(await messages({ cluster: 'c', host: 'h' })).toEqual(['m0', 'm15']);
    expect(await messages({ cluster: 'nobody' })).toEqual([]);
    expect(await messages({ last: 3 })).toEqual(['m27', 'm28', 'm29']);
    expect(await messages({ last: 3, project: 'q' })).toEqual(['m25', 'm27', 'm29']);
    expect(await messages({ last: 50, limit: 2 })).toEqual(['m28', 'm29']);
    expect(await messages({ limit: 2 })).toEqual(['m0', 'm1']);
    const all = await store.events(tenant, { limit: 100 });
    expect(all.map((item) => item.seq)).toEqual(all.map((item) => item.seq).toSorted((a, b) => a - b));
    const tenth = all[9]?.seq ?? 0;
    expect(await messages({ afterSeq: tenth, limit: 2 })).toEqual(['m10', 'm11']);
    expect(await messages({ afterSeq: tenth, last: 1 })).toEqual(['m29']);
    expect(await messages({ afterSeq: all.at(-1)?.seq ?? 0 })).toEqual([]);
  });
};

const lastingTests = (get: Get): void => {
  test('opened again it is the same: rows, look-ups, versions, events, and numbers that go on', async () => {
    const { store, reopen } = get();
    await good(store, [macro('a', { lookup: 'l' }), macro('b'), event('one')]);
    await good(store, [macro('a', { lookup: 'l' })]);
    const before = await allOf(store, 'macro');
    const seq = (await store.events(tenant, { limit: 1 }))[0]?.seq ?? 0;
    const again = await reopen();
    expect(await allOf(again, 'macro')).toEqual(before);
    expect((await again.byLookup('macro', 'l'))?.version).toBe(2);
    expect(await codeOf(again, [macro('c', { name: 'b' })])).toBe('name-taken');
    await good(again, [event('two')]);
    const events = await again.events(tenant, { limit: 10 });
    expect(events.map((item) => item.message)).toEqual(['one', 'two']);
    expect(events[1]?.seq).toBeGreaterThan(seq);
  });

  test('what was asked for before closing is kept; afterwards a commit is a failure, not an exception', async () => {
    const { store, reopen } = get();
    const last = store.commit([macro('last')]);
    const again = await reopen();
    expect((await last).ok).toBe(true);
    expect(await again.get('macro', tenant, 'last')).toBeDefined();
    expect(await codeOf(store, [macro('late')])).toBe('store-unavailable');
  });
};

/** What every Store has to do. */
export const storeConformance = (name: string, make: () => Promise<StoreUnderTest>): void => {
  describe(`Store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      under = await make();
      store = await under.open();
    });
    afterEach(async () => {
      await store.close();
      await under.remove();
    });
    const get: Get = () => ({
      store,
      reopen: async () => {
        await store.close();
        store = await under.open();
        return store;
      },
    });
    describe('rows', () => rowTests(get));
    describe('expectations', () => expectationTests(get));
    describe('lists', () => listTests(get));
    describe('lasting', () => lastingTests(get));
  });
};
