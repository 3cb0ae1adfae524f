import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentTables, type AgentStore, type AgentWrite } from '@groundplane/agent/port/store';

/** A place where an agent's memory can be opened, and opened again as a restarted process would. */
export interface AgentStoreUnderTest {
  open(): AgentStore;
  /** The disk has no room for the next commits; calling what comes back makes room. Without it, that test is left to another variant. */
  fillDisk?: () => () => void;
  remove(): void;
}

const put = (table: AgentWrite['table'], key: string, value: string): AgentWrite => ({ table, key, value });
const drop = (table: AgentWrite['table'], key: string): AgentWrite => ({ table, key, value: null });
const codeOf = (store: AgentStore, writes: readonly AgentWrite[]): string => {
  const done = store.commit(writes);
  return done.ok ? 'ok' : `${done.failure.kind} ${done.failure.code}`;
};

/** What every AgentStore has to do. */
export const agentStoreConformance = (name: string, make: () => AgentStoreUnderTest, canFillDisk = false): void => {
  describe(`AgentStore: ${name}`, () => {
    let under: AgentStoreUnderTest;
    let store: AgentStore;
    beforeEach(() => {
      under = make();
      store = under.open();
    });
    afterEach(() => {
      store.close();
      under.remove();
    });
    const reopen = (): AgentStore => {
      store.close();
      store = under.open();
      return store;
    };

    test('every table keeps texts by key, apart from the others', () => {
      for (const table of agentTables) expect(codeOf(store, [put(table, 'k', `in ${table}`)])).toBe('ok');
      for (const table of agentTables) {
        expect(store.get(table, 'k')).toBe(`in ${table}`);
        expect(store.entries(table)).toEqual([{ key: 'k', value: `in ${table}` }]);
        expect(store.keys(table)).toEqual(['k']);
      }
    });

    test('entries and keys come in key order', () => {
      const keys = ['b', 'a', 'A', '0010', '0009', '', 'a/b', 'z'];
      store.commit(keys.map((key) => put('kv', key, key)));
      const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(store.keys('kv')).toEqual(sorted);
      expect(store.entries('kv').map((row) => row.key)).toEqual(sorted);
    });

    test('later writes of one commit win; null deletes; deleting nothing is fine', () => {
      expect(
        codeOf(store, [put('kv', 'a', '1'), put('kv', 'a', '2'), put('kv', 'b', '1'), drop('kv', 'b'), drop('kv', 'c'), drop('kv', 'd'), put('kv', 'd', '1')]),
      ).toBe('ok');
      expect(store.entries('kv')).toEqual([
        { key: 'a', value: '2' },
        { key: 'd', value: '1' },
      ]);
      expect(store.get('kv', 'b')).toBeUndefined();
    });

    test('texts are kept exactly: empty, large, with quotes, line ends and every script', () => {
      const texts = ['', '"\'\\\n\r\t', 'Grüße 日本 \u{1F600}', 'x'.repeat(3 * 1024 * 1024), "'; DROP TABLE kv; --"];
      store.commit(texts.map((text, index) => put('content', String(index), text)));
      const again = reopen();
      for (const [index, text] of texts.entries()) expect(again.get('content', String(index)) === text).toBe(true);
    });

    test('a restarted process finds everything, and an empty commit is one', () => {
      store.commit(Array.from({ length: 500 }, (_, index) => put('journal', String(index).padStart(4, '0'), `row ${index}`)));
      expect(codeOf(store, [])).toBe('ok');
      const again = reopen();
      expect(again.keys('journal')).toHaveLength(500);
      expect(again.get('journal', '0499')).toBe('row 499');
    });

    if (!canFillDisk) return;
    test('a full disk is a failure that changes nothing, and goes away when there is room', () => {
      store.commit([put('kv', 'before', 'there')]);
      const makeRoom = under.fillDisk?.() ?? ((): void => undefined);
      expect(codeOf(store, [put('kv', 'before', 'changed'), put('content', 'big', 'x'.repeat(2 * 1024 * 1024))])).toBe('blocked disk-full');
      expect(store.get('kv', 'before')).toBe('there');
      expect(store.get('content', 'big')).toBeUndefined();
      makeRoom();
      expect(codeOf(store, [put('kv', 'after', 'there')])).toBe('ok');
      const again = reopen();
      expect(again.entries('kv')).toEqual([
        { key: 'after', value: 'there' },
        { key: 'before', value: 'there' },
      ]);
    });
  });
};
