import { afterEach, describe, expect, test } from 'vitest';
import { planAppliers, toldDuty } from '@groundplane/hub/plan/appliers';
import type { Desired } from '@groundplane/protocol/bundle';
import type { HostStatus } from '@groundplane/protocol/observed';
import { fakeInfo } from '../fake/host.ts';
import { applyCluster, applyProfile, enrolledHost, openHub, until, value, type HubWorld } from './world.ts';

type Told = Omit<NonNullable<Desired['cluster']>, 'id' | 'name' | 'role'>;
const host = (name: string, canTakeOver: boolean, told?: Told, cluster = 'c') => ({
  id: `hos_${name}`,
  cluster: told === undefined ? undefined : cluster,
  canTakeOver,
  told: told === undefined ? undefined : toldDuty({ id: cluster, name: 'site', role: 'control-plane', ...told }),
});
const old = (name: string, told?: Told) => host(name, false, told);
const able = (name: string, told?: Told) => host(name, true, told);
const plan = (members: ReturnType<typeof host>[], nowMs = 100, wasShared = false) => planAppliers({ id: 'c', wasShared }, members, nowMs);
const alone = (...list: [string, boolean][]) => list.map(([name, applier]) => ({ host: `hos_${name}`, applier }));

describe('who may apply', () => {
  test('one host alone does without a Lease, as before', () => {
    expect(plan([able('a')])).toEqual(alone(['a', true]));
    expect(plan([able('a', { applier: true })])).toEqual(alone(['a', true]));
  });

  test('several hosts that know how share it from the start, and nobody has to hand over', () => {
    const lease = { hosts: ['hos_a', 'hos_b'], sinceMs: 100 };
    expect(plan([able('b'), able('a')])).toEqual([
      { host: 'hos_b', applier: false, lease },
      { host: 'hos_a', applier: false, lease },
    ]);
  });

  test('whoever applied alone hands over', () => {
    const [first, second] = plan([able('a', { applier: true }), able('b', { applier: false })]);
    expect(first).toEqual({ host: 'hos_a', applier: false, lease: { hosts: ['hos_a', 'hos_b'], sinceMs: 100, from: 'hos_a' } });
    expect(second?.lease).toEqual(first?.lease);
  });

  test('beside an applier that is too old for a Lease nobody begins with one', () => {
    expect(plan([old('a', { applier: true }), able('b', { applier: false }), able('c')])).toEqual(alone(['a', true], ['b', false], ['c', false]));
    // Also where the first one is new: it is not the one that applies.
    expect(plan([able('b', { applier: false }), old('a', { applier: true })])).toEqual(alone(['b', true], ['a', false]));
  });

  test('old agents stand by where others share it', () => {
    const lease = { hosts: ['hos_a', 'hos_c'], sinceMs: 100, from: 'hos_a' };
    expect(plan([able('a', { applier: true }), old('b', { applier: false }), able('c')])).toEqual([
      { host: 'hos_a', applier: false, lease },
      { host: 'hos_b', applier: false },
      { host: 'hos_c', applier: false, lease },
    ]);
  });

  test('whoever applies alone and could hand over stays it, whatever order the hosts are named in', () => {
    expect(plan([old('b', { applier: false }), able('a', { applier: true })])).toEqual(alone(['b', false], ['a', true]));
  });

  const lease = { hosts: ['hos_a', 'hos_b'], sinceMs: 50, from: 'hos_a' };
  test('what is shared stays as it is while nothing changes', () => {
    expect(plan([able('b', { applier: false, lease }), able('a', { applier: false, lease })]).map((item) => item.lease)).toEqual([lease, lease]);
  });
  test('another list of hosts is a newer one, also when the clock went back', () => {
    const grown = plan([able('a', { applier: false, lease }), able('b', { applier: false, lease }), able('c')], 10);
    expect(grown[2]?.lease).toEqual({ hosts: ['hos_a', 'hos_b', 'hos_c'], sinceMs: 51, from: 'hos_a' });
  });
  test('shared once is shared for good: with one host left, and with none of those that were told', () => {
    expect(plan([able('b', { applier: false, lease })], 100, true)[0]?.lease).toEqual({ hosts: ['hos_b'], sinceMs: 100 });
    expect(plan([able('d')], 100, true)[0]?.lease).toEqual({ hosts: ['hos_d'], sinceMs: 100 });
  });
  test('an agent that was made older again is no longer named, and never told to apply', () => {
    const next = plan([able('a', { applier: false, lease }), old('b', { applier: false, lease })], 100, true);
    expect(next).toEqual([
      { host: 'hos_a', applier: false, lease: { hosts: ['hos_a'], sinceMs: 100, from: 'hos_a' } },
      { host: 'hos_b', applier: false },
    ]);
  });
  test('what a host was told for another cluster says nothing', () => {
    expect(plan([able('a'), host('b', true, { applier: true }, 'other')])[0]?.lease).toEqual({ hosts: ['hos_a', 'hos_b'], sinceMs: 100 });
  });
});

describe('a cluster whose hosts share the duty', () => {
  const open: HubWorld[] = [];
  afterEach(async () => {
    for (const hub of open.splice(0)) await hub.close();
  });

  const start = async () => {
    const hub = await openHub();
    open.push(hub);
    const hosts = { a: await enrolledHost(hub, 'a'), b: await enrolledHost(hub, 'b') };
    for (const { line } of Object.values(hosts)) line.say({ t: 'report', seq: 1, info: { ...fakeInfo, canTakeOver: true } });
    await until(() => [...hub.core.fleet.hosts()].every((item) => item.canTakeOver), 'both told what they can');
    await applyProfile(hub.admin, 'web', '1.0.0');
    await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['a', 'b']);
    let seq = 1;
    const report = async (
      name: 'a' | 'b',
      phase: HostStatus['phase'],
      kubernetes: HostStatus['kubernetes'],
      failure?: HostStatus['failure'],
    ): Promise<void> => {
      seq += 1;
      const now = seq;
      const { line, id } = hosts[name];
      const version = await until(async () => (await hub.store.get('desired', hub.tenant, id))?.value.version, 'it is told something');
      line.say({ t: 'report', seq: now, status: { version, phase, layers: [], kubernetes, ...(failure === undefined ? {} : { failure }) } });
      await until(() => line.heard.some((message) => message.t === 'ack' && message.seq === now), 'kept');
    };
    const view = async () => value(await hub.admin.call('getCluster', { params: { project: 'default', name: 'shop' } }));
    const applier = async () => (await view()).conditions.find((condition) => condition.type === 'Applier');
    return { hub, hosts, report, view, applier };
  };

  test('is told so, each host the same', async () => {
    const { hosts } = await start();
    const told = await Promise.all(Object.values(hosts).map(async ({ line }) => (await line.hear('desired')).desired.cluster));
    expect(told[0]).toMatchObject({ applier: false, lease: { hosts: [hosts.a.id, hosts.b.id].toSorted() } });
    expect(told[1]?.lease).toEqual(told[0]?.lease);
    expect(told[0]?.lease).not.toHaveProperty('from');
  });

  test('shows who applies, who would, and who cannot', async () => {
    const { hosts, report, view, applier } = await start();
    await report('b', 'converged', { state: 'reachable', version: 'v1.37.2', applier: 'holds' });
    await report('a', 'converged', { state: 'reachable', version: 'v1.37.2', applier: 'waits', why: `host ${hosts.b.id} holds the Lease and applies` });
    expect(await view()).toMatchObject({ state: 'ready', hosts: [{ applier: 'waits' }, { applier: 'holds' }] });
    expect(await applier()).toMatchObject({ status: 'True', message: 'b holds the Lease and applies. Ready to take over: a.' });
    await report('a', 'converged', { state: 'unreachable', applier: 'cannot', why: 'kubeconfig: cannot be read' });
    expect((await applier())?.message).toContain('No other connected host could take over. Not able to: a: kubeconfig: cannot be read');
    expect((await view()).state, 'a host without a kubeconfig is no failure').toBe('ready');
    hosts.b.line.hangUp();
    expect(await applier()).toMatchObject({ status: 'Unknown', reason: 'offline' });
    expect((await view()).hosts[1]).toMatchObject({ applier: 'held' });
  });

  test('is not ready when nobody applies, though each host is well for itself', async () => {
    const { report, view, applier } = await start();
    for (const name of ['a', 'b'] as const) await report(name, 'converged', { state: 'unreachable', applier: 'cannot', why: 'Lease x: 403' });
    expect(await view()).toMatchObject({ state: 'blocked', message: "no host holds the cluster's Lease, so nobody applies. a: Lease x: 403; b: Lease x: 403" });
    expect(await applier()).toMatchObject({ status: 'False', reason: 'nobody' });
  });

  test('does not count a host that held the Lease and was cut off, once another one applies', async () => {
    const { report, view } = await start();
    const failure = { kind: 'retry' as const, code: 'api-unreachable', element: 'Kubernetes', message: 'does not answer' };
    const cut = { state: 'unreachable' as const, applier: 'cannot' as const, why: 'Kubernetes: does not answer' };
    await report('a', 'blocked', cut, failure);
    await report('b', 'converged', { state: 'reachable', applier: 'waits', why: 'x' });
    expect((await view()).state, 'nobody else applies yet').toBe('blocked');
    await report('b', 'converged', { state: 'reachable', applier: 'holds' });
    expect((await view()).state).toBe('ready');
    await report('a', 'blocked', cut, { ...failure, element: 'layer base', message: 'the disk is full' });
    expect((await view()).state, 'what else is wrong with it counts').toBe('blocked');
  });
});
