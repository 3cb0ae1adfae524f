import { dutyLease } from '@groundplane/agent/cluster/duty';
import { createState } from '@groundplane/agent/store/state';
import { expect, test } from 'vitest';
import { configMap, deployment, osLayer, packLayer } from './rig.ts';
import { hostId, sharedCluster, startShared } from './shared-rig.ts';

const { namespace: _none, ...plain } = packLayer('kubernetes', []);
const kubernetes = { ...plain, kind: 'kubernetes' as const, kubernetes: { distribution: 'existing' as const } };
const base = osLayer('base', { '/etc/site.conf': 'here' });
const shop = packLayer('shop', [configMap('shop', 'v1')]);
const extra = packLayer('extra', [configMap('extra', 'v1')]);
const hosts = ['a', 'b', 'c'];
const seconds = (count: number): number => count * 1_000;

test('of hosts that share a Kubernetes one applies, and the others are well with their own machines', async () => {
  const site = startShared(hosts);
  site.offer(1, [base, kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  expect(site.phases()).toEqual({ a: 'converged', b: 'converged', c: 'converged' });
  const holder = site.holder()!;
  expect(site.appliers()).toEqual({ a: 'waits', b: 'waits', c: 'waits', [holder]: 'holds' });
  expect(site.live('shop')).toBeDefined();
  const names = Object.fromEntries(
    hosts.map((name) => [
      name,
      site
        .status(name)
        .layers.map((layer) => layer.name)
        .join(),
    ]),
  );
  expect(names).toEqual({ a: 'base,kubernetes', b: 'base,kubernetes', c: 'base,kubernetes', [holder]: 'base,kubernetes,shop' });
  const [other] = hosts.filter((name) => name !== holder);
  expect(site.status(other!).kubernetes.why).toContain(hostId(holder));
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('when the holder loses its power another one goes on with what it knew, and makes nothing anew', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop, extra], { hosts });
  await site.clock.advance(seconds(60));
  const [first, uid] = [site.holder()!, site.live('shop')?.metadata.uid];
  site.kill(first);
  site.offer(2, [kubernetes, shop], { hosts });
  site.log.length = 0;
  await site.clock.advance(seconds(90));
  const second = site.holder()!;
  expect(second).not.toBe(first);
  expect(site.log).toEqual([`${second}: delete extra`]);
  expect(site.live('shop')?.metadata.uid).toBe(uid);
  expect(site.status(second).layers.find((layer) => layer.name === 'shop')).toMatchObject({ state: 'ready', drift: { healed: 0 } });
  // Its old memory is of another time: it neither brings back what went nor is counted by it.
  site.revive(first);
  await site.clock.advance(seconds(120));
  expect(site.appliers()[first]).toBe('waits');
  expect(site.status(first).layers.map((layer) => layer.name)).toEqual(['kubernetes']);
  expect(site.live('extra')).toBeUndefined();
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('a holder that is cut off writes nothing more, and says so; back again it finds its successor', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const first = site.holder()!;
  site.way[first] = 'cut';
  site.offer(2, [kubernetes, packLayer('shop', [configMap('shop', 'v2')])], { hosts });
  await site.clock.advance(seconds(90));
  const second = site.holder()!;
  expect(second).not.toBe(first);
  expect(site.live('shop')?.['data']).toEqual({ text: 'v2' });
  expect(site.status(first)).toMatchObject({ phase: 'blocked', kubernetes: { applier: 'cannot', why: expect.stringContaining('the line is cut') as string } });
  expect(site.status(first).committed?.generation, 'nothing passes for applied because it could not be tried').toBe(1);
  site.way[first] = 'open';
  await site.clock.advance(seconds(180));
  expect(site.phases()).toEqual({ a: 'converged', b: 'converged', c: 'converged' });
  expect(site.appliers()[first]).toBe('waits');
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('a host without a kubeconfig never holds the Lease, says why, and is well; with none that has one nobody applies', async () => {
  const site = startShared(hosts);
  Object.assign(site.way, { a: 'none', b: 'none', c: 'open' });
  site.offer(1, [base, kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  expect(site.holder()).toBe('c');
  expect(site.phases()).toEqual({ a: 'converged', b: 'converged', c: 'converged' });
  expect(site.status('a').kubernetes).toEqual({ state: 'unreachable', applier: 'cannot', why: 'kubeconfig: the file cannot be read: ENOENT' });
  site.kill('c');
  await site.clock.advance(seconds(120));
  expect(site.holder()).toBe('c');
  // A person brings the file.
  site.way['a'] = 'open';
  await site.clock.advance(seconds(180));
  expect(site.holder()).toBe('a');
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('a kubeconfig that may not write Leases is no candidate, and the denial is told', async () => {
  const site = startShared(hosts);
  Object.assign(site.way, { a: 'viewer', b: 'viewer', c: 'none' });
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  expect(site.holder()).toBeUndefined();
  expect(site.status('a').kubernetes).toMatchObject({ state: 'reachable', applier: 'cannot', why: expect.stringContaining('403') as string });
  expect(site.log).toEqual([]);
  site.way['b'] = 'open';
  await site.clock.advance(seconds(180));
  expect(site.holder()).toBe('b');
  await site.close();
});

test('one host alone asks for no Lease and writes none: it needs the rights that it needed before', async () => {
  const site = startShared(['a']);
  site.offer(1, [kubernetes, shop], { alone: 'a' });
  await site.clock.advance(seconds(60));
  expect(site.phases()).toEqual({ a: 'converged' });
  expect(site.holder()).toBeUndefined();
  expect(site.inventory()).toEqual([]);
  expect(site.status('a').kubernetes).not.toHaveProperty('applier');
  await site.close();
});

test('what one host applied alone is handed over: nothing is deleted, made anew or run twice', async () => {
  const site = startShared(hosts);
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'setup', namespace: 'shop' },
    spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'setup:1' }] } } },
  };
  const made = packLayer('hook', [job]).objects[0]!;
  const hooked = packLayer('shop', [configMap('shop', 'v1')], {
    hooks: [{ ref: made.ref, digest: made.digest, size: made.size, events: ['pre-install'], weight: 0, deletePolicies: ['hook-succeeded'] }],
  });
  site.offer(1, [kubernetes, hooked, extra], { alone: 'a' });
  await site.clock.advance(seconds(60));
  expect(site.phases()['a']).toBe('converged');
  const uids = ['shop', 'extra'].map((name) => site.live(name)?.metadata.uid);
  site.log.length = 0;
  // The others hear of it first, and a is dark.
  site.kill('a');
  site.offer(2, [kubernetes, hooked, extra], { hosts, from: 'a' }, ['b', 'c']);
  await site.clock.advance(seconds(300));
  expect(site.holder(), 'nobody begins without what a knows').toBeUndefined();
  expect(site.status('b').kubernetes.why).toContain('hand over');
  site.revive('a');
  site.cutOnceHeld('a');
  site.offer(2, [kubernetes, hooked, extra], { hosts, from: 'a' }, ['a']);
  await site.clock.advance(seconds(5));
  expect(site.holder()).toBe('a');
  site.kill('a');
  await site.clock.advance(seconds(90));
  expect(['b', 'c']).toContain(site.holder());
  expect(site.log).toEqual([]);
  expect(['shop', 'extra'].map((name) => site.live(name)?.metadata.uid)).toEqual(uids);
  site.offer(3, [kubernetes, hooked], { hosts, from: 'a' });
  await site.clock.advance(seconds(60));
  expect(site.live('extra')).toBeUndefined();
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('an agent that was made older again reads that it is no applier, whatever it has in its memory', () => {
  const site = startShared(['a']);
  site.offer(1, [kubernetes, shop], { hosts: ['a'] });
  const { desired } = createState(site.host('a').store).slot('candidate') ?? { desired: undefined };
  expect(desired?.cluster?.applier).toBe(false);
  return site.close();
});

test('a holder that leaves the cluster lets go at once, and takes nothing away', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const first = site.holder()!;
  const rest = hosts.filter((name) => name !== first);
  site.log.length = 0;
  site.offer(2, [kubernetes, packLayer('shop', [configMap('shop', 'v2')])], { hosts: rest, gone: [first], sinceMs: 2 });
  await site.clock.advance(seconds(20));
  expect(rest).toContain(site.holder());
  expect(site.live('shop')?.['data'], 'nobody has to wait until its time is over').toEqual({ text: 'v2' });
  await site.clock.advance(seconds(60));
  expect(site.log).toEqual([`${site.holder()!}: apply shop`]);
  expect(site.host(first).engine.state.layers()).toEqual([]);
  expect(site.phases()).toEqual({ a: 'converged', b: 'converged', c: 'converged' });
  await site.close();
});

test('a holder that was taken out and has not heard of it loses the Lease to those who have', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const first = site.holder()!;
  const rest = hosts.filter((name) => name !== first);
  site.offer(2, [kubernetes, packLayer('shop', [configMap('shop', 'v2')])], { hosts: rest, sinceMs: 2 }, rest);
  await site.clock.advance(seconds(5));
  expect(site.holder(), 'it may be hearing of it just now').toBe(first);
  await site.clock.advance(seconds(20));
  expect(rest).toContain(site.holder());
  expect(site.live('shop')?.['data'], 'the one before may believe for a while that it holds it').toEqual({ text: 'v1' });
  await site.clock.advance(seconds(90));
  expect(site.live('shop')?.['data']).toEqual({ text: 'v2' });
  expect(site.appliers()[first]).toBe('waits');
  expect(rest).toContain(site.holder());
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('a holder that dies in the middle of a layer leaves nothing that its successor does not know', async () => {
  const site = startShared(hosts);
  const big = packLayer('big', [configMap('one', 'x'), deployment('stuck', 'stuck:broken')], { readinessTimeoutMs: 600_000 });
  site.offer(1, [kubernetes, big], { hosts });
  await site.clock.advance(seconds(30));
  const first = site.holder()!;
  expect([site.live('one'), site.live('stuck')]).not.toContain(undefined);
  site.kill(first);
  site.offer(2, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(120));
  expect(site.holder()).not.toBe(first);
  expect([site.live('one'), site.live('stuck')]).toEqual([undefined, undefined]);
  expect(site.live('shop')).toBeDefined();
  await site.close();
});

test('a cluster that is deleted is cleared by its holder, with the Lease and what was laid down', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  expect(site.inventory()).toHaveLength(1);
  site.offer(2, undefined, {});
  await site.clock.advance(seconds(120));
  expect(site.phases()).toEqual({ a: 'converged', b: 'converged', c: 'converged' });
  expect([site.live('shop'), site.holder()]).toEqual([undefined, undefined]);
  expect(site.inventory()).toEqual([]);
  expect(site.cluster.objects().some((object) => object.kind === 'Lease')).toBe(false);
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('a holder that stood still in the middle of its work and woke up after its time writes nothing more', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const first = site.holder()!;
  site.log.length = 0;
  // Asked once by the look, and once right before it is made.
  site.freezeAt(first, 'second', 2);
  const layers = [kubernetes, packLayer('shop', [configMap('shop', 'v1'), configMap('second', 'x')])];
  site.offer(2, layers, { hosts });
  await site.clock.advance(seconds(1));
  expect(site.log).toEqual([]);
  await site.clock.advance(seconds(90));
  const second = site.holder()!;
  expect(second).not.toBe(first);
  expect(site.log).toEqual([`${second}: apply second`]);
  site.thaw();
  await site.clock.advance(seconds(120));
  expect(site.log).toEqual([`${second}: apply second`]);
  expect(site.intruders).toEqual([]);
  expect(site.phases()).toEqual({ a: 'converged', b: 'converged', c: 'converged' });
  // Its turn again, over the same connection: it sees the objects by what its successor knew, and nothing has to be healed.
  for (const name of hosts.filter((name) => name !== first)) site.kill(name);
  await site.clock.advance(seconds(120));
  expect(site.holder()).toBe(first);
  expect(site.log).toEqual([`${second}: apply second`]);
  await site.close();
});

test('a Lease that somebody deleted is made again, by its holder or by whoever finds what it laid down', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const first = site.holder()!;
  const gone = () => site.cluster.delete(dutyLease(sharedCluster), { propagation: 'Background' });
  await gone();
  await site.clock.advance(seconds(30));
  expect(site.holder()).toBe(first);
  site.kill(first);
  await gone();
  await site.clock.advance(seconds(150));
  expect(hosts.filter((name) => name !== first)).toContain(site.holder());
  expect(site.intruders).toEqual([]);
  await site.close();
});

test('a host that slept while its cluster was deleted does not fill it again, before it is told', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const [asleep] = hosts.filter((name) => name !== site.holder());
  site.kill(asleep!);
  site.offer(2, undefined, {});
  await site.clock.advance(seconds(120));
  expect([site.live('shop'), site.holder()]).toEqual([undefined, undefined]);
  site.revive(asleep!);
  await site.clock.advance(seconds(300));
  expect([site.live('shop'), site.holder()]).toEqual([undefined, undefined]);
  expect(site.status(asleep!).kubernetes).toMatchObject({ applier: 'waits', why: expect.stringContaining('cleared') as string });
  // It was no deletion after all: the hub names its hosts anew.
  site.offer(3, [kubernetes, shop], { hosts: [asleep!], sinceMs: 3 });
  await site.clock.advance(seconds(120));
  expect(site.live('shop')).toBeDefined();
  await site.close();
});

test('what a hub has forgotten from a back-up is still done under the Lease: the host that it calls alone waits for the one that holds it', async () => {
  const site = startShared(hosts);
  site.offer(1, [kubernetes, shop], { hosts });
  await site.clock.advance(seconds(60));
  const first = site.holder()!;
  const [other, third] = hosts.filter((name) => name !== first);
  site.log.length = 0;
  // The holder has not heard.
  site.offer(2, [kubernetes, packLayer('shop', [configMap('shop', 'v2')])], { alone: other! }, [other!, third!]);
  await site.clock.advance(seconds(35));
  expect(site.log).toEqual([]);
  await site.clock.advance(seconds(60));
  expect(site.holder()).toBe(other);
  expect(site.live('shop')?.['data']).toEqual({ text: 'v2' });
  expect(site.intruders).toEqual([]);
  await site.close();
});
