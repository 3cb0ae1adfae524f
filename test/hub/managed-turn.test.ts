import { describe, expect, test } from 'vitest';
import { managedTurn, type ManagedTurn } from '@groundplane/hub/cloud/managed-turn';
import { freshInfrastructure, scopeOf, type CloudDeps } from '@groundplane/hub/cloud/turn';
import { nextVersion } from '@groundplane/hub/plan/managed';
import { pending, ready, type ManagedClusterFacts, type ManagedClusterProvider, type ManagedPoolFacts } from '@groundplane/hub/port/provider';
import type { Row } from '@groundplane/hub/port/store';
import { fail, ok } from '@groundplane/protocol/failure';
import { virtualClock } from '../fake/clock.ts';
import { cordonNodes } from '@groundplane/hub/resident/pool-nodes';
import { fakeCluster } from '../fake/cluster.ts';
import { infrastructureSchema, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';

/** A managed service in memory: what is asked for takes one more look. */
const service = () => {
  let cluster: ManagedClusterFacts = { state: 'absent' };
  const pools = new Map<string, Omit<ManagedPoolFacts, 'differs'> & { size: string }>();
  /** Sizes that are not to be had. */
  const refused = new Set<string>();
  /** Sizes that are taken, and never come up. */
  const broken = new Set<string>();
  /** Pools that cannot be deleted just now. */
  const busy = new Set<string>();
  /** Pools that can never be deleted. */
  const stuck = new Set<string>();
  const asked: string[] = [];
  const provider: ManagedClusterProvider = {
    check: async () => ok({ identity: 'x', missing: [], unchecked: [] }),
    offers: async () => ok({ regions: [], zones: [], sizes: [], images: [], networks: [] }),
    findTagged: async () => ok([]),
    ensureNothingLeft: async () => ready(undefined),
    observe: async () => ok(cluster),
    ensureCluster: async (_scope, version) => {
      if (cluster.state !== 'absent') return ready(cluster);
      asked.push(`cluster ${version}`);
      cluster = { state: 'ready', version, server: 'https://x' };
      return pending('is being made', 5);
    },
    upgrade: async (_scope, version) => {
      asked.push(`upgrade ${version}`);
      cluster = { ...cluster, version };
      return pending('goes up', 5);
    },
    listPools: async (_scope, wants) =>
      ok(
        [...pools.values()].map((item) => ({
          ...item,
          nodes: `pool=${item.name}`,
          differs: wants.some((want) => want.pool === item.pool && want.size !== item.size) ? ['size'] : [],
        })),
      ),
    ensurePool: async (_scope, want) => {
      const there = pools.get(want.name);
      if (there === undefined && refused.has(want.size)) return fail('blocked', 'quota-reached', `pool ${want.name}`, `you may have no more ${want.size}`);
      if (there?.state === 'failed') return fail('blocked', 'pool-failed', `pool ${want.name}`, 'could not be made');
      if (there?.count === want.count && there.version === want.version) return ready(undefined);
      asked.push(`pool ${want.name} ${want.count} ${want.version}`);
      pools.set(want.name, {
        name: want.name,
        pool: want.pool,
        state: broken.has(want.size) ? 'failed' : 'ready',
        count: want.count,
        version: want.version,
        size: there?.size ?? want.size,
      });
      return pending('is being changed', 5);
    },
    deletePool: async (_scope, name) => {
      if (pools.has(name) && busy.has(name)) return pending('something else is at work on it', 5);
      if (pools.has(name) && stuck.has(name)) return fail('blocked', 'cloud-refused', `pool ${name}`, 'has a lock on it');
      if (!pools.delete(name)) return ready(undefined);
      asked.push(`no pool ${name}`);
      return pending('goes', 5);
    },
    credentials: async () => ok({ server: 'https://x', token: 't' }),
  };
  return { provider, asked, pools, refused, broken, busy, stuck };
};

const specWith = (...pools: object[]): Infrastructure => infrastructureSchema.parse({ environment: 'eks', account: 'a', placement: { region: 'r' }, pools });

const world = (cordon?: ManagedTurn['cordon']) => {
  const { provider, asked, pools, refused, broken, busy, stuck } = service();
  const time = { nowMs: 1 };
  const events: string[] = [];
  const store = {
    get: async () => undefined,
    commit: async (writes: { event?: { reason: string } }[]) => (events.push(...writes.flatMap((write) => write.event?.reason ?? [])), ok(1)),
  };
  const row = { kind: 'cluster', tenant: 't', project: 'p', id: 'clu_1', name: 'shop' } as Row<'cluster'>;
  let infra = freshInfrastructure(specWith());
  /** Turns until nothing is asked for any more; answers what was. */
  const settle = async (spec: Infrastructure, version: string): Promise<string[]> => {
    asked.length = 0;
    const inputs = { ofRow: async () => ok({ profiles: [{ spec: { layers: [{ kubernetes: { distribution: 'eks', version } }] } }] }) };
    for (let round = 0; round < 40; round += 1) {
      const turn: ManagedTurn = {
        deps: { inputs, store, clock: { wallMs: () => 1 } } as unknown as CloudDeps,
        row,
        spec,
        infra,
        scope: scopeOf(row, spec),
        nowMs: time.nowMs,
        provider,
        residents: undefined,
        cordon,
      };
      if ((await managedTurn(turn)) === 60_000) break;
      infra = turn.infra;
    }
    return [...asked];
  };
  return { settle, infra: () => infra, asked, busy, pools, refused, broken, stuck, events, time };
};

describe('managed clusters', () => {
  test('are made, scaled, upgraded one minor at a time with pools behind, and lose a pool last', async () => {
    const { settle, infra } = world();
    const [first, second] = [
      { name: 'first', count: 1, size: 's' },
      { name: 'second', count: 2, size: 's' },
    ];
    expect(await settle(specWith(first), '1.33')).toEqual(['cluster 1.33', 'pool first 1 1.33']);
    expect(await settle(specWith({ ...first, count: 3 }, second), '1.33')).toEqual(['pool second 2 1.33', 'pool first 3 1.33']);
    expect(await settle(specWith({ ...first, count: 3 }, second), '1.35')).toEqual(['upgrade 1.34', 'upgrade 1.35', 'pool first 3 1.35', 'pool second 2 1.35']);
    expect(await settle(specWith({ ...first, count: 3 }), '1.35')).toEqual(['no pool second']);
    expect(await settle(specWith({ ...first, count: 3 }), '1.35')).toEqual([]);
    expect(infra().steps.map((step) => [step.name, step.state])).toEqual([
      ['control-plane', 'done'],
      ['pools', 'done'],
    ]);
  });

  test('a pool that cannot be changed in place is replaced, one at a time', async () => {
    const { settle, infra, pools, events } = world();
    const [first, second] = [
      { name: 'first', count: 2, size: 's' },
      { name: 'second', count: 1, size: 's' },
    ];
    await settle(specWith(first, second), '1.34');
    const larger = specWith({ ...first, size: 'l' }, { ...second, size: 'l' });
    expect(await settle(larger, '1.34')).toEqual(['pool first-2 2 1.34', 'no pool first', 'pool second-2 1 1.34', 'no pool second']);
    expect(events).toEqual(['PoolReplaced', 'PoolRemoved', 'PoolReplaced', 'PoolRemoved']);
    expect(infra().pools['first']).toMatchObject({ wanted: 2, total: 2, ready: 2, outdated: 0, waits: [], parts: [{ name: 'first-2', differs: [] }] });
    expect(await settle(larger, '1.35')).toEqual(['upgrade 1.35', 'pool first-2 2 1.35', 'pool second-2 1 1.35']);
    // The name is free again.
    expect(await settle(specWith({ ...first, size: 'l' }, second), '1.35')).toEqual(['pool second 1 1.35', 'no pool second-2']);
    expect([...pools.keys()].toSorted()).toEqual(['first-2', 'second']);
  });

  test('an upgrade in the middle of a replacement: the successor goes up, the old one just goes', async () => {
    const { settle, pools } = world();
    const first = { name: 'first', count: 2, size: 's' };
    await settle(specWith(first), '1.34');
    pools.set('first-2', { name: 'first-2', pool: 'first', state: 'ready', count: 2, version: '1.34', size: 'l' });
    expect(await settle(specWith({ ...first, size: 'l' }), '1.35')).toEqual(['upgrade 1.35', 'pool first-2 2 1.35', 'no pool first']);
  });

  test('a replacement waits for approval, and for a quota; the old pool stays and follows what it can', async () => {
    const { settle, infra, refused } = world();
    const first = { name: 'first', count: 2, size: 's', update: { approval: 'manual' } };
    const second = { name: 'second', count: 1, size: 's' };
    await settle(specWith(first, second), '1.34');
    const larger = specWith({ ...first, size: 'l', count: 3 }, { ...second, count: 2 });
    expect(await settle(larger, '1.34')).toEqual(['pool first 3 1.34', 'pool second 2 1.34']);
    const state = infra().pools['first'];
    expect(state).toMatchObject({ needsApproval: true, outdated: 3, waits: [expect.stringContaining('gp pool repave')] });
    infra().approved = { first: state?.generation ?? '' };
    refused.add('l');
    expect(await settle(larger, '1.34')).toEqual([]);
    expect(infra().pools['first']).toMatchObject({ needsApproval: false, ready: 3, waits: [expect.stringContaining('you may have no more l')] });
    expect(infra().steps).toContainEqual(
      expect.objectContaining({ name: 'pools', state: 'failed', message: expect.stringContaining('you may have no more l') }),
    );
    refused.clear();
    expect(await settle(larger, '1.34')).toEqual(['pool first-2 3 1.34', 'no pool first']);
  });

  test('a successor that never comes up is tried again with longer and longer pauses, and at once when the document changes', async () => {
    const { settle, infra, broken, time, events } = world();
    const first = { name: 'first', count: 1, size: 's' };
    await settle(specWith(first), '1.34');
    broken.add('l').add('xl');
    const larger = specWith({ ...first, size: 'l' });
    const attempts = async (): Promise<number> => (await settle(larger, '1.34')).filter((line) => line.startsWith('pool first-2')).length;
    expect([await attempts(), await attempts(), await attempts()], 'one, another one, and then a pause').toEqual([1, 1, 0]);
    expect(infra().pools['first']?.waits).toContainEqual(expect.stringContaining('could not be made'));
    const minutes: number[] = [];
    for (let minute = 1; minute <= 120; minute += 1) {
      time.nowMs += 60_000;
      if ((await attempts()) > 0) minutes.push(minute);
    }
    expect(minutes).toEqual([11, 31, 71]);
    expect(events.filter((reason) => reason === 'PoolFailed')).toHaveLength(4);
    expect(await settle(specWith({ ...first, size: 'xl' }), '1.34')).toContain('pool first-3 1 1.34');
    broken.clear();
    time.nowMs += 24 * 3_600_000;
    await settle(larger, '1.34');
    expect(await settle(larger, '1.34')).toContain('no pool first');
    expect(infra().failedSuccessors).toEqual({});
  });

  test('nodes of a pool that goes take no new pods before it is asked to go; when it stays after all, they do again', async () => {
    const cluster = fakeCluster({ clock: virtualClock() });
    for (const [name, pool] of [
      ['a', 'first'],
      ['b', 'first'],
      ['c', 'first-2'],
      ['d', 'second'],
    ] as const)
      // prettier-ignore
      await cluster.create({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { pool } } });
    const cordoned = (): unknown[] => cluster.objects().filter((item) => (item['spec'] as { unschedulable?: boolean } | undefined)?.unschedulable === true).map((item) => item.metadata.name); // prettier-ignore
    const { settle, infra, busy, events } = world((selector, cordon) => cordonNodes(cluster, selector, cordon));
    const first = { name: 'first', count: 2, size: 's' };
    const second = { name: 'second', count: 1, size: 's' };
    await settle(specWith(first, second), '1.34');
    expect(cordoned()).toEqual([]);
    busy.add('first');
    expect(await settle(specWith({ ...first, size: 'l' }, second), '1.34')).toEqual(['pool first-2 2 1.34']);
    expect([cordoned(), Object.keys(infra().cordoned ?? {}), events]).toEqual([['a', 'b'], ['first'], ['PoolReplaced', 'PoolRemoved']]);
    // The document changes back before it went.
    busy.clear();
    expect(await settle(specWith(first, second), '1.34')).toEqual(['no pool first-2']);
    expect([cordoned(), infra().cordoned]).toEqual([['c'], undefined]);
    expect(await settle(specWith(first), '1.34')).toEqual(['no pool second']);
    expect(cordoned()).toEqual(['c', 'd']);
  });

  test('a cluster that cannot be reached holds a replacement up for ten minutes, and says so', async () => {
    const { settle, infra, time, events } = world(async () => fail('retry', 'api-unreachable', 'server', 'does not answer'));
    const first = { name: 'first', count: 2, size: 's' };
    await settle(specWith(first), '1.34');
    const larger = specWith({ ...first, size: 'l' });
    expect(await settle(larger, '1.34')).toEqual(['pool first-2 2 1.34']);
    expect(infra().steps.find((step) => step.name === 'pools')).toMatchObject({
      state: 'doing',
      message: 'the nodes of pool first cannot be cordoned (server: does not answer); it goes all the same in 10 min',
    });
    time.nowMs += 599_999;
    expect(await settle(larger, '1.34')).toEqual([]);
    time.nowMs += 1;
    expect(await settle(larger, '1.34')).toEqual(['no pool first']);
    expect(events).toEqual(['PoolReplaced', 'PoolRemoved', 'PoolNotCordoned']);
    expect(infra().cordoned).toBeUndefined();
  });

  test('while nodes of one pool wait to be cordoned, the other pools are made, changed, replaced and taken away', async () => {
    const asks: string[] = [];
    const { settle, infra, time, events } = world(async (selector) => {
      asks.push(selector);
      return selector === 'pool=third'
        ? fail('retry', 'api-unreachable', 'server', 'does not answer')
        : fail('retry', 'admission', `nodes ${selector}`, 'are looked at by a webhook that is away');
    });
    const [first, second, third] = ['first', 'second', 'third'].map((name) => ({ name, count: 1, size: 's' }));
    await settle(specWith(first ?? {}, second ?? {}, third ?? {}), '1.34');
    const changed = specWith({ ...first, size: 'l' }, { ...second, count: 4 }, { name: 'fourth', count: 1, size: 's' });
    expect(await settle(changed, '1.34')).toEqual(['pool fourth 1 1.34', 'pool first-2 1 1.34', 'pool second 4 1.34']);
    const step = infra().steps.find((item) => item.name === 'pools');
    expect(step).toMatchObject({ state: 'doing', message: expect.stringMatching(/pool first cannot be cordoned.*; the nodes of pool third cannot/) });
    time.nowMs += 600_000;
    expect(await settle(changed, '1.34')).toEqual(['no pool first', 'no pool third']);
    expect(events.filter((reason) => reason === 'PoolNotCordoned')).toHaveLength(2);
  });

  test('a cluster that does not answer is asked once in a look, not once for each pool', async () => {
    let asks = 0;
    const { settle } = world(async () => ((asks += 1), fail('retry', 'api-unreachable', 'server', 'does not answer')));
    const [first, second] = [{ name: 'first', count: 1, size: 's' }, { name: 'second', count: 1, size: 's' }]; // prettier-ignore
    await settle(specWith({ name: 'stays', count: 1, size: 's' }, first, second), '1.34');
    await settle(specWith({ name: 'stays', count: 1, size: 's' }), '1.34');
    expect(asks).toBe(40);
  });

  test('a pool that cannot be taken away holds up no other', async () => {
    const { settle, infra, stuck } = world();
    const [stays, first, second] = ['stays', 'first', 'second'].map((name) => ({ name, count: 1, size: 's' }));
    await settle(specWith(stays ?? {}, first ?? {}, second ?? {}), '1.34');
    stuck.add('first');
    expect(await settle(specWith(stays ?? {}), '1.34')).toEqual(['no pool second']);
    expect(infra().steps).toContainEqual(
      expect.objectContaining({ name: 'pools', state: 'failed', message: expect.stringContaining('first: has a lock on it') }),
    );
  });

  test('never go down; a pool that cannot be made holds up no other', async () => {
    const { settle, infra, refused } = world();
    await settle(specWith({ name: 'first', count: 1, size: 's' }), '1.34');
    refused.add('l');
    expect(await settle(specWith({ name: 'first', count: 1, size: 'l' }, { name: 'second', count: 1, size: 's' }), '1.33')).toEqual(['pool second 1 1.34']);
    expect(infra().steps).toContainEqual(
      expect.objectContaining({ name: 'upgrade', state: 'failed', message: expect.stringContaining('no environment goes back') }),
    );
    expect(infra().pools['first']?.waits).toEqual([expect.stringContaining('you may have no more l')]);
  });

  test('versions: exact ones are met exactly, short ones by any patch', () => {
    const table = [
      ['1.34', '1.34', { kind: 'stay' }],
      ['1.34.1-gke.5', '1.34', { kind: 'stay' }],
      ['1.34.1-gke.5', '1.34.1', { kind: 'stay' }],
      ['v1.34.1', '1.34.2', { kind: 'go', version: '1.34.2' }],
      ['1.33', '1.34', { kind: 'go', version: '1.34' }],
      ['1.32', '1.34.1', { kind: 'go', version: '1.33' }],
      ['1.35', '1.34', { kind: 'blocked' }],
      ['what', '1.34', { kind: 'blocked' }],
    ] as const;
    for (const [has, wants, step] of table) expect(nextVersion(has, wants), `${has} → ${wants}`).toMatchObject(step);
  });
});
