import { afterEach, describe, expect, test } from 'vitest';
import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import type { Connection, TokenSource } from '@groundplane/agent/cluster/connection';
import { transportLimits, type TransportLimits } from '@groundplane/agent/cluster/http';
import type { Clock } from '@groundplane/agent/port/clock';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { systemClock } from '@groundplane/agent/system/clock';
import { systemRandom } from '@groundplane/agent/system/random';
import type { Result } from '@groundplane/protocol/failure';
import { fakeClock } from '../../fake/clock.ts';
import { eventually } from '../../conformance/cluster-objects.ts';
import { answer, scriptedApi, type Script, type ScriptedApi } from './scripted-api.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const api = async (script: Script): Promise<ScriptedApi> => {
  const made = await scriptedApi(script);
  open.push(made);
  return made;
};

const client = (connection: Connection, clock: Clock = systemClock, limits: Partial<TransportLimits> = {}): Cluster => {
  const made = kubernetesCluster({ connection, clock, random: systemRandom, limits });
  open.push(made);
  return made;
};

const code = (result: Result<unknown>): string => (result.ok ? 'ok' : result.failure.code);
const map = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n', name: 'm' };

describe('requests', () => {
  test('apply sends JSON as an apply patch, without managedFields', async () => {
    const server = await api((_asked, response) => answer(response, 200, {}));
    const cluster = client(server.connection());
    await cluster.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'n', name: 'a:b', managedFields: [] } },
      { fieldManager: 'me & you', force: false, dryRun: true },
    );
    expect(server.asked).toEqual([
      {
        method: 'PATCH',
        path: '/api/v1/namespaces/n/configmaps/a%3Ab?fieldManager=me%20%26%20you&force=false&dryRun=All',
        body: '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":"a:b"}}',
        token: 'the-token',
        contentType: 'application/apply-patch+yaml',
      },
    ]);
  });

  test('delete names propagation and uid', async () => {
    const server = await api((_asked, response) => answer(response, 200, {}));
    await client(server.connection()).delete(map, { propagation: 'Foreground', uid: 'u' });
    expect(JSON.parse(server.asked[0]?.body ?? '')).toMatchObject({ propagationPolicy: 'Foreground', preconditions: { uid: 'u' } });
  });

  test('a refused token is read again once, then given up', async () => {
    let reads = 0;
    const token: TokenSource = { current: async () => ({ ok: true, value: `token-${reads}` }), forget: () => ((reads += 1), true) };
    const server = await api((asked, response) => answer(response, asked.token === 'token-1' ? 200 : 401, { kind: 'Status' }));
    const cluster = client(server.connection(token));
    expect(code(await cluster.get(map))).toBe('ok');
    expect(server.asked.map((one) => one.token)).toEqual(['token-0', 'token-1']);
    const stubborn = await api((_asked, response) => answer(response, 401, { kind: 'Status', message: 'Unauthorized' }));
    expect(code(await client(stubborn.connection(token)).get(map))).toBe('denied');
    expect(stubborn.asked.length).toBe(2);
  });
});

describe('answers that do not come as hoped', () => {
  test('throttling is waited out for as long as the server asks, but not for ever', async () => {
    const clock = fakeClock();
    const server = await api((_asked, response, count) => answer(response, count < 2 ? 429 : 200, {}, { 'retry-after': '2' }));
    const waiting = client(server.connection(), clock).get(map);
    await eventually(() => expect(server.asked.length).toBe(1));
    await eventually(async () => {
      await clock.advance(1000);
      expect(server.asked.length).toBe(2);
    });
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(2000);
    await eventually(async () => {
      await clock.advance(1000);
      expect(server.asked.length).toBe(3);
    });
    expect(code(await waiting)).toBe('ok');
    const busy = await api((_asked, response) => answer(response, 429, '', { 'retry-after': '60' }));
    expect(code(await client(busy.connection(), clock).get(map))).toBe('api-throttled');
    expect(busy.asked.length).toBe(1);
  });

  test('an answer that never comes ends by the clock, and names the server', async () => {
    const clock = fakeClock();
    const server = await api(() => {});
    const waiting = client(server.connection(), clock).get(map);
    await eventually(() => expect(server.asked.length).toBe(1));
    await clock.advance(transportLimits.timeoutMs);
    const result = await waiting;
    expect(code(result)).toBe('api-unreachable');
    expect(!result.ok && result.failure.message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ did not answer within 30000 ms/);
    expect(clock.waiting()).toBe(0);
  });

  test('a body that stops half-way is unreachable, and one beyond the limit is refused', async () => {
    const cut = await api((_asked, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
      response.socket?.destroy();
    });
    expect(code(await client(cut.connection()).get(map))).toBe('api-unreachable');
    const big = await api((_asked, response) => answer(response, 200, JSON.stringify({ a: 'x'.repeat(89) })));
    expect(code(await client(big.connection(), systemClock, { bodyBytesMax: 2000 }).get(map))).toBe('ok');
    const tooBig = await api((_asked, response) => answer(response, 200, JSON.stringify({ a: 'x'.repeat(3000) })));
    const refused = await client(tooBig.connection(), systemClock, { bodyBytesMax: 2000 }).get(map);
    expect(!refused.ok && refused.failure.message).toContain('larger than 2000 bytes');
  });

  test('garbage and closed clients are failures, not exceptions', async () => {
    const server = await api((_asked, response) => answer(response, 200, 'not json'));
    const cluster = client(server.connection());
    expect(code(await cluster.get(map))).toBe('api-error');
    expect(code(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap' }))).toBe('api-error');
    cluster.close();
    expect(code(await cluster.get(map))).toBe('api-unreachable');
  });

  test('one connection carries many requests', async () => {
    const ports = new Set<number | undefined>();
    const server = await api((_asked, response) => {
      ports.add(response.socket?.remotePort);
      answer(response, 200, {});
    });
    const cluster = client(server.connection());
    for (let index = 0; index < 5; index += 1) expect(code(await cluster.get(map))).toBe('ok');
    expect(ports.size).toBe(1);
  });
});

describe('lists', () => {
  const page = (names: string[], next?: string): object => ({
    metadata: { resourceVersion: '7', continue: next },
    items: names.map((name) => ({ metadata: { name } })),
  });

  test('begin again when the server lost the place between two pages', async () => {
    const server = await api((asked, response, count) => {
      if (!asked.path.includes('continue')) answer(response, 200, page(['a'], 'more'));
      else answer(response, count < 3 ? 410 : 200, count < 3 ? { kind: 'Status', reason: 'Expired' } : page(['b']));
    });
    const listed = await client(server.connection()).list({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n', labelSelector: 'a in (b)' });
    expect(listed.ok && listed.value.items.map((item) => item.metadata.name)).toEqual(['a', 'b']);
    expect(server.asked.map((one) => one.path.replace('/api/v1/namespaces/n/configmaps', ''))).toEqual([
      '?limit=500&labelSelector=a%20in%20(b)',
      '?limit=500&labelSelector=a%20in%20(b)&continue=more',
      '?limit=500&labelSelector=a%20in%20(b)',
      '?limit=500&labelSelector=a%20in%20(b)&continue=more',
    ]);
  });

  test('a page is asked for as it was asked for, and a lost place is told', async () => {
    const server = await api((asked, response) =>
      answer(
        response,
        asked.path.includes('continue') ? 410 : 200,
        asked.path.includes('continue') ? { kind: 'Status', reason: 'Expired' } : page(['a'], 'more'),
      ),
    );
    const cluster = client(server.connection());
    const query = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n', limit: 7 };
    expect(await cluster.page(query)).toMatchObject({ ok: true, value: { items: [{ kind: 'ConfigMap', metadata: { name: 'a' } }], next: 'more' } });
    expect(code(await cluster.page({ ...query, after: 'mo&re' }))).toBe('history-gone');
    expect(server.asked.map((one) => one.path.replace('/api/v1/namespaces/n/configmaps', ''))).toEqual(['?limit=7', '?limit=7&continue=mo%26re']);
  });

  test('a list of another shape is a failure, not an exception', async () => {
    const shapes: unknown[] = [null, 'list', { items: 'all' }, { items: [null] }, { items: [5] }, { items: {} }];
    const server = await api((_asked, response, count) =>
      answer(response, 200, JSON.stringify(shapes[count] ?? { items: [{ metadata: null }], metadata: null })),
    );
    const cluster = client(server.connection());
    const codes: string[] = [];
    for (let index = 0; index < shapes.length; index += 1) codes.push(code(await cluster.page({ apiVersion: 'v1', kind: 'ConfigMap', limit: 7 })));
    // No items at all are none.
    expect(codes).toEqual(['ok', 'ok', 'api-error', 'api-error', 'api-error', 'api-error']);
    expect(await cluster.page({ apiVersion: 'v1', kind: 'ConfigMap', limit: 7 })).toMatchObject({ ok: true, value: { items: [{ metadata: {} }] } });
  });

  test('give up when that happens every time', async () => {
    const server = await api((asked, response) =>
      answer(response, asked.path.includes('continue') ? 410 : 200, asked.path.includes('continue') ? { kind: 'Status' } : page(['a'], 'more')),
    );
    expect(code(await client(server.connection()).list({ apiVersion: 'v1', kind: 'ConfigMap' }))).toBe('api-error');
    expect(server.asked.length).toBe(8);
  });
});

describe('discovery', () => {
  test('an unknown kind is looked up again, but not more often than twice a second', async () => {
    const clock = fakeClock();
    let isServed = false;
    const server = await api((_asked, response) =>
      isServed
        ? answer(response, 200, { resources: [{ name: 'widgets', kind: 'Widget', namespaced: false, verbs: [] }] })
        : answer(response, 404, '404 page not found'),
    );
    const cluster = client(server.connection(), clock);
    expect(code(await cluster.resource('x.example/v1', 'Widget'))).toBe('kind-unknown');
    isServed = true;
    expect(code(await cluster.resource('x.example/v1', 'Widget'))).toBe('kind-unknown');
    expect(server.asked.length).toBe(1);
    await clock.advance(500);
    const found = await Promise.all([1, 2, 3].map(async () => await cluster.resource('x.example/v1', 'Widget')));
    expect(found.map(code)).toEqual(['ok', 'ok', 'ok']);
    expect(server.asked.map((one) => one.path)).toEqual(['/apis/x.example/v1', '/apis/x.example/v1']);
  });

  test.each(['../v1', 'a/b/v1', 'v1?x=1', 'Group/v1', '', '/v1', 'a/../v1'])('the apiVersion %j never becomes a path', async (apiVersion) => {
    const server = await api((_asked, response) => answer(response, 200, {}));
    expect(code(await client(server.connection()).resource(apiVersion, 'ConfigMap'))).toBe('object-invalid');
    expect(server.asked.length).toBe(0);
  });

  test('servers without aggregated discovery are asked group by group, preferred versions first', async () => {
    const answers: Record<string, object> = {
      '/api': { kind: 'APIVersions', versions: ['v1'] },
      '/apis': {
        kind: 'APIGroupList',
        groups: [
          {
            name: 'g.example',
            versions: [{ groupVersion: 'g.example/v1beta1' }, { groupVersion: 'g.example/v1' }],
            preferredVersion: { groupVersion: 'g.example/v1' },
          },
        ],
      },
      '/apis/g.example/v1': { resources: [{ name: 'as', kind: 'A', namespaced: true, verbs: ['list'] }] },
      '/apis/g.example/v1beta1': {
        resources: [
          { name: 'as', kind: 'A', namespaced: true },
          { name: 'bs', kind: 'B', namespaced: false },
        ],
      },
    };
    const server = await api((asked, response) => answer(response, 200, answers[asked.path]));
    const all = await client(server.connection()).resources();
    expect(all.ok && all.value.map((one) => `${one.apiVersion} ${one.resource}`)).toEqual([
      'v1 configmaps',
      'v1 pods',
      'g.example/v1 as',
      'g.example/v1beta1 bs',
    ]);
  });

  test('a group that cannot be asked makes the whole answer a failure', async () => {
    const stale = { kind: 'APIGroupDiscoveryList', items: [{ metadata: { name: 'metrics.k8s.io' }, versions: [{ version: 'v1beta1', freshness: 'Stale' }] }] };
    const server = await api((asked, response) => answer(response, 200, asked.path === '/apis' ? stale : { kind: 'APIGroupDiscoveryList', items: [] }));
    const all = await client(server.connection()).resources();
    expect(!all.ok && all.failure.message).toContain('metrics.k8s.io/v1beta1');
  });
});
