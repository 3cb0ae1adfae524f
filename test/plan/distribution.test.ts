import { layerDigest } from '@groundplane/protocol/bundle';
import { limits } from '@groundplane/protocol/limits';
import { expect, test } from 'vitest';
import { planDistribution } from '@groundplane/protocol/plan/distribution';
import { seededRandom } from '../fake/random.ts';
import { factsFor, isUp, kubernetesLayer, machine, powerCycle, round, site, type SiteWorld } from './distribution-model.ts';

const old = kubernetesLayer('1.36.3');
const next = kubernetesLayer('1.37.2');
const layers = [old, next];

/** All agents, one after the other, until nobody has anything to do; answers how many rounds that took. */
const settle = (world: SiteWorld, layer: typeof old, max = 100): number => {
  for (let turn = 0; turn < max; turn += 1) {
    const plans = world.machines.filter((item) => item.isOn).map((item) => round(world, item, layer, layers));
    if (plans.every((plan) => plan.steps.length === 0)) return turn;
  }
  throw new Error(`does not settle:\n${world.log.slice(-40).join('\n')}`);
};

const runs = (world: SiteWorld): string[] => world.machines.map((item) => `${item.member.name} ${item.runs?.kubelet ?? '-'} ${item.runs?.server ?? '-'}`);

test('one host makes its cluster and has nothing more to do', () => {
  const world = site(1, 0);
  settle(world, old);
  expect(world.log).toEqual(['cp1: placeProgram', 'cp1: placeProgram', 'cp1: setHostNames', 'cp1: initKubernetes', 'cp1: startKubernetes', 'cp1: markApplied']);
  expect(runs(world)).toEqual(['cp1 v1.36.3 v1.36.3']);
});

test('one host is changed in place: snapshot first, no drain, kubelet last', () => {
  const world = site(1, 0);
  settle(world, old);
  world.log = [];
  settle(world, next);
  expect(world.log).toEqual([
    'cp1: giveTurn',
    'cp1: saveDatastore',
    'cp1: placeProgram',
    'cp1: upgradeKubernetes',
    'cp1: placeProgram',
    'cp1: startKubernetes',
    'cp1: markApplied',
    'cp1: endTurn',
  ]);
  expect(world.nodes.get('cp1')).toMatchObject({ turn: undefined, isCordoned: false, applied: layerDigest(next) });
});

test('three control planes and two workers join by invitation, and change one after the other, control planes first', () => {
  const world = site(3, 2);
  settle(world, old);
  expect([...world.nodes.keys()].toSorted()).toEqual(['cp1', 'cp2', 'cp3', 'w1', 'w2']);
  world.log = [];
  settle(world, next);
  const changes = world.log.filter((line) => line.endsWith('upgradeKubernetes')).map((line) => line.split(':')[0]);
  expect(changes).toEqual(['cp1', 'cp2', 'cp3', 'w1', 'w2']);
  expect(new Set(runs(world).map((line) => line.split(' ')[1]))).toEqual(new Set(['v1.37.2']));
  expect([...world.nodes.values()].every((node) => node.turn === undefined && !node.isCordoned)).toBe(true);
});

test('several workers go at once where the layer allows it', () => {
  const world = site(1, 4);
  const [before, after] = [kubernetesLayer('1.36.3', { workersAtOnce: 3 }), kubernetesLayer('1.37.2', { workersAtOnce: 3 })];
  const all = [before, after];
  for (let turn = 0; turn < 20; turn += 1) for (const item of world.machines) round(world, item, before, all);
  // The control plane first, alone.
  for (let turn = 0; turn < 3; turn += 1) round(world, world.machines[0]!, after, all);
  const plan = planDistribution(factsFor(world, world.machines[0]!), after, layerDigest(after), []);
  for (const step of plan.steps) if (step.step === 'giveTurn') world.nodes.get(step.node)!.turn = step.digest;
  expect([...world.nodes.values()].filter((node) => node.turn !== undefined).map((node) => node.name)).toEqual(['w1', 'w2', 'w3']);
});

test('while a control plane is away no other one is changed, and the words say which', () => {
  const world = site(3, 0);
  settle(world, old);
  world.machines[2]!.isOn = false;
  const plan = round(world, world.machines[0]!, next, layers);
  expect(plan.steps.filter((step) => step.step === 'giveTurn')).toEqual([]);
  expect(plan.wait).toMatchObject({ code: 'quorum-waiting', message: expect.stringContaining('cp3') as string });
  world.machines[2]!.isOn = true;
  settle(world, next);
  expect(new Set(runs(world).map((line) => line.split(' ')[1]))).toEqual(new Set(['v1.37.2']));
});

test('a worker that is away does not hold up the others, and changes when it is back', () => {
  const world = site(1, 2);
  settle(world, old);
  world.machines[1]!.isOn = false;
  settle(world, next);
  expect(runs(world)).toEqual(['cp1 v1.37.2 v1.37.2', 'w1 v1.36.3 -', 'w2 v1.37.2 -']);
  world.machines[1]!.isOn = true;
  settle(world, next);
  expect(runs(world)[1]).toBe('w1 v1.37.2 -');
});

test('a minor version is never skipped, and never gone back to', () => {
  for (const [from, to, code] of [
    ['1.35.1', '1.37.2', 'version-skips-minor'],
    ['1.37.2', '1.36.3', 'version-goes-back'],
  ] as const) {
    const [first, second] = [kubernetesLayer(from), kubernetesLayer(to)];
    const world = site(1, 0);
    for (let turn = 0; turn < 5; turn += 1) round(world, world.machines[0]!, first, [first, second]);
    world.nodes.get('cp1')!.turn = layerDigest(second);
    const plan = planDistribution(factsFor(world, world.machines[0]!), second, layerDigest(second), []);
    expect(plan.wait).toMatchObject({ kind: 'blocked', code });
    expect(plan.steps.filter((step) => step.step === 'upgradeKubernetes')).toEqual([]);
  }
});

test('a machine that was replaced under its name joins anew, and its old node and datastore member go first', () => {
  const world = site(3, 0);
  settle(world, old);
  world.machines[2] = { ...machine('cp3', 'control-plane') };
  settle(world, old);
  const order = world.log.slice(world.log.indexOf('cp1: removeNode'));
  expect(order.findIndex((line) => line === 'cp1: removeNode')).toBeLessThan(order.findIndex((line) => line === 'cp3: joinKubernetes'));
  expect(world.datastore).toEqual(new Set(['cp1', 'cp2', 'cp3']));
});

test('a host that left the members is taken out of the cluster', () => {
  const world = site(3, 1);
  settle(world, old);
  world.members = world.members.filter((member) => member.name !== 'w1');
  world.machines.pop();
  settle(world, old);
  expect([...world.nodes.keys()].toSorted()).toEqual(['cp1', 'cp2', 'cp3']);
});

test('Kubernetes that somebody else made is left alone', () => {
  const world = site(1, 0);
  Object.assign(world.machines[0]!.local, { member: 'partial', isForeign: true });
  const plan = planDistribution(factsFor(world, world.machines[0]!), old, layerDigest(old), []);
  expect(plan).toMatchObject({ steps: [], wait: { kind: 'blocked', code: 'kubernetes-foreign' } });
});

test('broken files, old certificates and a stopped kubelet are mended without an API server', () => {
  const world = site(1, 0);
  settle(world, old);
  const [item] = world.machines;
  Object.assign(item!.local, { broken: ['/etc/kubernetes/manifests/etcd.yaml'], certificates: 'due', services: 'stopped' });
  item!.runs = undefined;
  const plan = planDistribution(factsFor(world, item!), old, layerDigest(old), []);
  expect(plan.steps.map((step) => step.step)).toEqual(['repairKubernetes', 'renewCertificates', 'startKubernetes']);
});

test.each([
  ['is open', { state: 'open' as const }, [], undefined],
  ['is not known', undefined, [], undefined],
  ['is closed for a moment', { state: 'closed' as const, closedMs: limits.servicePathPatienceMs - 1, healedAgoMs: undefined }, [], 'service-path-closed'],
  ['stays closed', { state: 'closed' as const, closedMs: limits.servicePathPatienceMs, healedAgoMs: undefined }, ['healServicePath'], 'service-path-closed'],
  ['was just healed', { state: 'closed' as const, closedMs: 1e6, healedAgoMs: limits.servicePathPauseMs - 1 }, [], 'service-path-closed'],
  ['was healed in vain', { state: 'closed' as const, closedMs: 1e6, healedAgoMs: limits.servicePathPauseMs }, ['healServicePath'], 'service-path-closed'],
])('the way through Services %s', (_, servicePath, steps, wait) => {
  const world = site(1, 0);
  settle(world, old);
  Object.assign(world.machines[0]!.local, { servicePath });
  const plan = planDistribution(factsFor(world, world.machines[0]!), old, layerDigest(old), []);
  expect(plan.steps.map((step) => step.step)).toEqual(steps);
  expect(plan.wait?.code).toBe(wait);
});

test('a worker that was away until its certificate was over is invited again', () => {
  const world = site(1, 1);
  settle(world, old);
  Object.assign(world.machines[1]!.local, { certificates: 'expired' });
  world.nodes.get('w1')!.isReady = false;
  world.machines[1]!.runs = undefined;
  settle(world, old);
  expect(world.log.filter((line) => line === 'w1: joinKubernetes')).toHaveLength(2);
});

test.each(Array.from({ length: 60 }, (_, index) => index))('power cuts at any step of install and upgrade: seed %i', (seed) => {
  const random = seededRandom(seed);
  const world = site([1, 3, 5][seed % 3] ?? 1, seed % 4);
  const cuts = 25;
  let done = 0;
  for (const layer of layers) {
    for (let turn = 0; turn < 400; turn += 1) {
      const item = world.machines[Math.floor(random.fraction() * world.machines.length)]!;
      const isCut = done < cuts && random.fraction() < 0.2;
      // A machine that is off comes back before another one of a small cluster goes: nobody promises to survive the loss of the majority for ever.
      if (!item.isOn) item.isOn = true;
      round(world, item, layer, layers, isCut ? Math.floor(random.fraction() * 6) : undefined);
      if (!isCut) continue;
      done += 1;
      powerCycle(item, layers);
      item.isOn = random.fraction() < 0.5;
    }
    for (const item of world.machines) item.isOn = true;
    settle(world, layer);
  }
  expect(isUp(world)).toBe(true);
  expect(new Set(runs(world).map((line) => line.split(' ')[1]))).toEqual(new Set(['v1.37.2']));
  expect([...world.nodes.values()].every((node) => node.turn === undefined && !node.isCordoned && node.applied === layerDigest(next))).toBe(true);
});
