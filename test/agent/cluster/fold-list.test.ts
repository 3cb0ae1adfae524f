import { expect, test } from 'vitest';
import { foldList } from '@groundplane/agent/cluster/fold-list';
import { lookAtCluster } from '@groundplane/agent/cluster/look';
import type { Cluster, PageQuery } from '@groundplane/agent/port/cluster';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { limits } from '@groundplane/protocol/limits';
import { virtualClock } from '../../fake/clock.ts';
import { fakeCluster } from '../../fake/cluster.ts';

type Page = Result<{ items: KubeObject[]; next?: string }>;
const nodes = (count: number): KubeObject[] =>
  Array.from({ length: count }, (_, index) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: `n${index}` } }));
/** A cluster of which only the pages of lists are of interest. */
const paged = (answer: (query: PageQuery, call: number) => Page) => {
  let calls = 0;
  const cluster: Cluster = { ...fakeCluster({ clock: virtualClock() }), page: async (query) => answer(query, (calls += 1)) };
  return { cluster, calls: (): number => calls };
};
/** So many nodes, in pages as they are asked for. */
const holding = (count: number) =>
  paged(({ limit, after = '0' }) => {
    const left = count - Number(after);
    return ok({ items: nodes(Math.min(limit, left)), ...(left > limit ? { next: String(Number(after) + limit) } : {}) });
  });
const count = (cluster: Cluster, isLate?: () => boolean) =>
  foldList(cluster, { query: { apiVersion: 'v1', kind: 'Node' }, empty: () => 0, add: (sum) => sum + 1, ...(isLate === undefined ? {} : { isLate }) });

test('counts all of a list up to the bound, and says from there on that there is more', async () => {
  const { lookObjects, lookPageObjects } = limits;
  expect(await count(holding(0).cluster)).toEqual(ok({ value: 0, isMore: false }));
  expect(await count(holding(lookPageObjects).cluster)).toEqual(ok({ value: lookPageObjects, isMore: false }));
  const most = holding(lookObjects);
  expect(await count(most.cluster)).toEqual(ok({ value: lookObjects, isMore: false }));
  expect(most.calls()).toBe(lookObjects / lookPageObjects);
  const over = holding(lookObjects + 1);
  expect(await count(over.cluster)).toEqual(ok({ value: lookObjects, isMore: true }));
  expect(over.calls(), 'nothing is read for the one that is not counted').toBe(lookObjects / lookPageObjects);
});

test('a server that goes on for ever is left: with empty pages, always the same place, or more than it was asked for', async () => {
  const empty = paged((_query, call) => ok({ items: [], next: `p${call}` }));
  expect(await count(empty.cluster)).toEqual(ok({ value: 0, isMore: true }));
  expect(empty.calls()).toBe(limits.lookPages);
  const same = paged(() => ok({ items: nodes(1), next: 'same' }));
  expect(await count(same.cluster)).toEqual(ok({ value: limits.lookPages, isMore: true }));
  const wide = paged(() => ok({ items: nodes(limits.lookObjects + 7) }));
  expect(await count(wide.cluster)).toEqual(ok({ value: limits.lookObjects, isMore: true }));
  expect(wide.calls()).toBe(1);
});

test('a place that is lost begins the count anew, three times', async () => {
  const gone = fail('retry', 'history-gone', 'Node list', 'too old');
  const once = paged(({ after }, call) => (call === 2 ? gone : ok({ items: nodes(2), ...(after === undefined ? { next: 'more' } : {}) })));
  expect(await count(once.cluster)).toEqual(ok({ value: 4, isMore: false }));
  expect(once.calls()).toBe(4);
  const always = paged(({ after }) => (after === undefined ? ok({ items: nodes(2), next: 'more' }) : gone));
  expect(await count(always.cluster)).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'api-error' } });
  expect(always.calls()).toBe(8);
});

test('other failures are told as they are; time that is up ends the count after a page', async () => {
  const denied = fail('blocked', 'denied', 'Node list', 'may not');
  expect(await count(paged(() => denied).cluster)).toEqual(denied);
  expect(await count(holding(5_000).cluster, () => true)).toEqual(ok({ value: limits.lookPageObjects, isMore: true }));
});

test('a look says of what there is more', async () => {
  const many = paged(({ kind }) => (kind === 'Node' ? ok({ items: nodes(3) }) : ok({ items: nodes(500), next: 'x' })));
  expect(await lookAtCluster(many.cluster)).toEqual(
    ok({ version: 'v1.37.2', nodes: 3, nodesReady: 0, workloads: 3 * limits.lookObjects, more: ['workloads'] }),
  );
  const odd = [null, undefined, {}, { conditions: null }, { conditions: 'Ready' }, { conditions: [null, 5, { type: 'Ready', status: 'True' }] }];
  const strange = paged(({ kind }) => ok({ items: kind === 'Node' ? odd.map((status) => ({ ...nodes(1)[0], status }) as KubeObject) : [] }));
  expect(await lookAtCluster(strange.cluster)).toEqual(ok({ version: 'v1.37.2', nodes: 6, nodesReady: 1, workloads: 0 }));
});
