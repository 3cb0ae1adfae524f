import { expect, test } from 'vitest';
import { kubernetesLayer } from '../plan/distribution-model.ts';
import { configMap, osLayer, packLayer } from './rig.ts';
import { startSite } from './site-rig.ts';

const plain = (version: string) => ({ ...kubernetesLayer(version), programs: [] });
const three = [
  { name: 'cp1', role: 'control-plane' as const },
  { name: 'cp2', role: 'control-plane' as const },
  { name: 'cp3', role: 'control-plane' as const },
  { name: 'w1', role: 'worker' as const },
];
const shop = packLayer('shop', [configMap('shop', 'v1')]);
const extra = packLayer('extra', [configMap('extra', 'v1')]);
const live = (site: ReturnType<typeof startSite>, name: string) =>
  site.cluster.objects().some((object) => object.kind === 'ConfigMap' && object.metadata.name === name);

test('hosts make a cluster of one, three and a worker; one of them applies the add-ons', async () => {
  const site = startSite(three);
  site.offer(1, [plain('1.36.3'), shop]);
  await site.clock.advance(120_000);
  expect(site.phases()).toEqual({ cp1: 'converged', cp2: 'converged', cp3: 'converged', w1: 'converged' });
  expect(site.site.servers).toEqual(new Set(['cp1', 'cp2', 'cp3']));
  expect(live(site, 'shop')).toBe(true);
  expect(site.keeper()).toBe('cp1');
  // An invitation is for one host: what the hub carries tells nobody anything.
  const carried = JSON.stringify(site.host('cp2').engine.state.kv('site'));
  expect(carried).not.toContain('token-');
  await site.close();
});

test('an upgrade goes host by host, with the cluster drained one node at a time', async () => {
  const site = startSite(three);
  site.offer(1, [plain('1.36.3'), shop]);
  await site.clock.advance(120_000);
  site.site.log.length = 0;
  site.offer(2, [plain('1.37.2'), shop]);
  await site.clock.advance(600_000);
  expect(site.phases()).toEqual({ cp1: 'converged', cp2: 'converged', cp3: 'converged', w1: 'converged' });
  const moves = site.site.log.filter((line) => /drain|upgrade/.test(line)).map((line) => line.replace(/^.*: (drain)/, '$1'));
  expect(moves).toEqual(['drain cp1', 'cp1: upgrade first', 'drain cp2', 'cp2: upgrade', 'drain cp3', 'cp3: upgrade', 'drain w1', 'w1: upgrade']);
  const nodes = site.cluster.objects().filter((object) => object.kind === 'Node');
  expect(nodes.map((node) => (node['spec'] as { unschedulable?: boolean } | undefined)?.unschedulable ?? false)).toEqual([false, false, false, false]);
  await site.close();
});

test('when the keeper goes dark another one takes over and knows what there is, without a hub', async () => {
  const site = startSite(three);
  site.offer(1, [plain('1.36.3'), shop, extra]);
  await site.clock.advance(120_000);
  expect(live(site, 'extra')).toBe(true);
  site.offer(2, [plain('1.36.3'), shop]);
  site.kill('cp1');
  site.setHub(false);
  await site.clock.advance(180_000);
  expect(['cp2', 'cp3']).toContain(site.keeper());
  expect(live(site, 'shop')).toBe(true);
  expect(live(site, 'extra'), 'what left the profile is pruned by the one that did not make it').toBe(false);
  expect(site.events(site.keeper()!).map((event) => event.reason)).not.toContain('DriftHealed');
  await site.close();
});

test('a host that was replaced joins under its name; its old member goes first', async () => {
  const site = startSite(three);
  site.offer(1, [plain('1.36.3'), shop]);
  await site.clock.advance(120_000);
  site.kill('cp3');
  site.cluster.setStatus({ apiVersion: 'v1', kind: 'Node', name: 'cp3' }, { conditions: [{ type: 'Ready', status: 'False' }] });
  site.site.log.length = 0;
  site.revive('cp3', true);
  site.offer(2, [plain('1.36.3'), shop]);
  await site.clock.advance(180_000);
  expect(site.phases()).toMatchObject({ cp3: 'converged' });
  expect(site.site.log.indexOf('cp1: forget cp3')).toBeGreaterThanOrEqual(0);
  expect(site.site.log.indexOf('cp1: forget cp3')).toBeLessThan(site.site.log.indexOf('cp3: join'));
  await site.close();
});

test('a host that leaves is wiped, and its node goes', async () => {
  const site = startSite(three);
  const base = osLayer('base', { '/etc/site.conf': 'here' });
  site.offer(1, [base, plain('1.36.3'), shop]);
  await site.clock.advance(120_000);
  expect(site.host('w1').host.state.files['/etc/site.conf']?.content).toBe('here');
  site.offer(2, [base, plain('1.36.3'), shop], three.slice(0, 3));
  await site.clock.advance(180_000);
  expect(site.host('w1').machine.setup).toBeUndefined();
  expect(site.host('w1').host.state.files['/etc/site.conf']).toBeUndefined();
  expect(site.host('w1').engine.state.layers()).toEqual([]);
  expect(
    site.cluster
      .objects()
      .filter((object) => object.kind === 'Node')
      .map((node) => node.metadata.name),
  ).not.toContain('w1');
  expect(live(site, 'shop')).toBe(true);
  await site.close();
});

test('a set-up that is cut goes on, and begins afresh when that does not help', async () => {
  const site = startSite(three.slice(0, 1));
  site.host('cp1').machine.failNext = 'init';
  site.offer(1, [plain('1.36.3'), shop]);
  await site.clock.advance(120_000);
  expect(site.phases()).toEqual({ cp1: 'converged' });
  expect(site.site.log.filter((line) => line === 'cp1: init')).toHaveLength(2);
  await site.close();
});

test('a file of Kubernetes that somebody changed is put back, and people are told', async () => {
  const site = startSite(three.slice(0, 1));
  site.offer(1, [plain('1.36.3')]);
  await site.clock.advance(120_000);
  const { machine } = site.host('cp1');
  const path = Object.keys(machine.files)[0]!;
  const good = machine.files[path];
  machine.files[path] = 'garbage';
  await site.clock.advance(120_000);
  expect(machine.files[path]).toBe(good);
  expect(site.events('cp1').map((event) => event.reason)).toContain('DriftHealed');
  await site.close();
});

test('a host whose Services are dead is not ready, and kube-proxy is started anew until they answer', async () => {
  const site = startSite(three.slice(0, 1));
  const { machine } = site.host('cp1');
  machine.isProxyDead = 'for ever';
  site.offer(1, [plain('1.36.3'), shop]);
  await site.clock.advance(60_000);
  expect(live(site, 'shop'), 'what lies above is not held up: it may bring what is missing').toBe(true);
  expect(site.phases()).toEqual({ cp1: 'applying' });
  expect(
    site
      .host('cp1')
      .engine.status()
      .layers.find((layer) => layer.name === 'kubernetes')?.message,
  ).toContain('kube-proxy');
  const heals = () => site.site.log.filter((line) => line === 'cp1: heal services').length;
  expect(heals(), 'after half a minute').toBe(1);
  await site.clock.advance(600_000);
  expect(heals(), 'calmly').toBeGreaterThanOrEqual(3);
  expect(heals()).toBeLessThanOrEqual(5);
  machine.isProxyDead = true;
  await site.clock.advance(200_000);
  expect(site.phases()).toEqual({ cp1: 'converged' });
  expect(site.events('cp1').map((event) => event.reason)).toContain('ServicePathHealed');
  await site.close();
});

test('Services that die later are seen and healed; a kube-proxy that is only late is left alone', async () => {
  const site = startSite(three.slice(0, 1));
  site.offer(1, [plain('1.36.3')]);
  await site.clock.advance(120_000);
  const { machine } = site.host('cp1');
  machine.isProxyDead = true;
  await site.clock.advance(180_000);
  expect(site.site.log.filter((line) => line === 'cp1: heal services')).toHaveLength(1);
  expect(site.phases()).toEqual({ cp1: 'converged' });
  site.site.log.length = 0;
  machine.isProxyDead = true;
  site.host('cp1').engine.wake();
  await site.clock.advance(10_000);
  machine.isProxyDead = false;
  await site.clock.advance(120_000);
  expect(site.site.log).toEqual([]);
  await site.close();
});

test('only the keeper asks which labels and taints are ours', async () => {
  const site = startSite(three);
  site.offer(1, [plain('1.36.3')]);
  await site.clock.advance(120_000);
  const [before, minutes] = [site.noteReads(), 10];
  await site.clock.advance(minutes * 60_000);
  const reads = Object.entries(site.noteReads()).map(([host, count]) => [host, count - (before[host] ?? 0)] as const);
  expect(reads.flatMap(([host, count]) => (count > 0 ? host : []))).toEqual([site.keeper()]);
  await site.close();
});

test('labels and taints of hosts that have joined follow the cluster, and what others put there stays', async () => {
  const site = startSite(three);
  const worker = () => site.cluster.objects().find((object) => object.kind === 'Node' && object.metadata.name === 'w1')!;
  const taintsOf = () => ((worker()['spec'] as { taints?: object[] } | undefined)?.taints ?? []) as { key: string }[];
  site.offer(1, [plain('1.36.3')]);
  await site.clock.advance(120_000);
  await site.cluster.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'w1', labels: { theirs: 'x' } } }, { fieldManager: 'somebody', force: true });
  const dressed = [
    ...three.slice(0, 3),
    { ...three[3]!, labels: { tier: 'web', 'node-role.kubernetes.io/worker': '' }, taints: [{ key: 'gpu', effect: 'NoSchedule' }] },
  ];
  site.offer(2, [plain('1.36.3')], dressed);
  await site.clock.advance(180_000);
  expect(worker().metadata.labels).toMatchObject({ tier: 'web', 'node-role.kubernetes.io/worker': '', theirs: 'x' });
  expect(taintsOf()).toEqual([{ key: 'gpu', effect: 'NoSchedule' }]);
  // The node says of itself what is not so; only what we noted ourselves counts.
  const live = worker();
  await site.cluster.replace({
    ...live,
    spec: {
      ...(live['spec'] as object),
      taints: [
        { key: 'gpu', effect: 'NoSchedule' },
        { key: 'kept-off', effect: 'NoExecute' },
      ],
    },
  });
  site.offer(3, [plain('1.36.3')], three);
  await site.clock.advance(180_000);
  expect(worker().metadata.labels).toMatchObject({ theirs: 'x' });
  expect(worker().metadata.labels).not.toHaveProperty('tier');
  expect(taintsOf().map((taint) => taint.key)).toEqual(['kept-off']);
  expect(site.phases()).toEqual({ cp1: 'converged', cp2: 'converged', cp3: 'converged', w1: 'converged' });
  const note = site.cluster.objects().find((object) => object.metadata.name === 'groundplane-node-traits')!;
  expect(note['data']).toEqual({});
  await site.close();
});
