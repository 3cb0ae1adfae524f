import fc from 'fast-check';
import { digestBytes } from '@groundplane/protocol/digest';
import type { Bundle, BundleLayer } from '@groundplane/protocol/bundle';
import { refKey } from '@groundplane/protocol/kubernetes';
import { compareLayers } from '@groundplane/protocol/layer';
import type { HostFacts, Plan } from '@groundplane/protocol/plan/facts';
import { planHost } from '@groundplane/protocol/plan/host';
import { isVersionAllowed } from '@groundplane/protocol/plan/kubernetes';
import { stepLayer, stepText } from '@groundplane/protocol/plan/steps';
import { describe, expect, test } from 'vitest';
import { bundleOf, emptyWorld, factsOf, hook, layer, object, osLayer, perform, performAll, unreachable, type ModelWorld } from './model.ts';

const names = ['a', 'b', 'c', 'd'];
const objectText = fc
  .tuple(
    fc.constantFrom(
      'ConfigMap x/one',
      'ConfigMap x/two',
      'Deployment y/app',
      'Service y/app',
      'CustomResourceDefinition things',
      'PersistentVolumeClaim y/disk',
    ),
    fc.constantFrom('v1', 'v2'),
  )
  .map(([name, version]) => `${name} = ${version}`);
const objects = fc.uniqueArray(fc.tuple(objectText, fc.constantFrom('apply', 'createOnly'), fc.boolean()), {
  maxLength: 4,
  selector: ([text]) => text.split(' = ')[0],
});
const hookOf = fc.tuple(
  fc.constantFrom('Job x/before', 'Job x/after', 'Job y/last'),
  fc.subarray(['pre-install', 'post-install', 'pre-upgrade', 'post-upgrade', 'pre-rollback', 'pre-delete', 'post-delete'] as const, { minLength: 1 }),
  fc.boolean(),
);

const packLayer = fc
  .record({
    name: fc.constantFrom(...names),
    kind: fc.constantFrom('network', 'storage', 'addon'),
    priority: fc.integer({ min: -1, max: 1 }),
    namespace: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
    objects,
    hooks: fc.uniqueArray(hookOf, { maxLength: 2, selector: ([text]) => text }),
    replaces: fc.option(fc.constantFrom(...names), { nil: undefined }),
  })
  .map(({ namespace, replaces, ...item }) =>
    layer(item.name, {
      kind: item.kind,
      priority: item.priority,
      adopt: true,
      ...(namespace === undefined ? {} : { namespace }),
      ...(replaces === undefined || replaces === item.name ? {} : { replaces }),
      objects: item.objects.map(([text, crd, keep]) => object(text, { ...(text.startsWith('Custom') ? { crd } : {}), ...(keep ? { keep } : {}) })),
      hooks: item.hooks.map(([text, events, cleans]) => hook(`${text}-${item.name}`, events, { deletePolicies: cleans ? ['hook-succeeded'] : [] })),
    }),
  );
const os = fc
  .record({
    name: fc.constantFrom('os1', 'os2'),
    files: fc.subarray(['/etc/a = 1', '/etc/b = 1', '/etc/b = 2', '/etc/c = 1']),
    sysctls: fc.dictionary(fc.constantFrom('vm.swappiness', 'net.ipv4.ip_forward'), fc.constantFrom('1', '7')),
    active: fc.boolean(),
    packages: fc.uniqueArray(fc.record({ name: fc.constantFrom('curl', 'chrony'), version: fc.constantFrom(undefined, '8.5-1', '9.0-1') }), {
      selector: (item) => item.name,
    }),
    modules: fc.subarray(['overlay', 'br_netfilter']),
    users: fc.subarray(['ops', 'root']),
  })
  .map((item) =>
    osLayer(item.name, {
      files: [...new Map(item.files.map((text) => [text.split(' = ')[0], text])).values()],
      sysctls: { ...item.sysctls },
      units: [{ name: 'app.service', file: { digest: digestBytes('unit'), size: 4 }, enabled: true, active: item.active, dropIns: [] }],
      packages: item.packages.map(({ name, version }) => ({ name, ...(version === undefined ? {} : { version }) })),
      modules: item.modules,
      users: item.users.map((name) => ({ name, groups: name === 'root' ? [] : ['sudo'], shell: '/bin/bash' })),
    }),
  );

/** The hub lets an object stand in one layer only. */
const withoutTwice = (layers: readonly BundleLayer[]): BundleLayer[] => {
  const seen = new Set<string>();
  return layers.map((item) => ({ ...item, objects: item.objects.filter((part) => !seen.has(refKey(part.ref)) && seen.add(refKey(part.ref))) }));
};
const bundle = fc
  .tuple(fc.option(os, { nil: undefined }), fc.uniqueArray(packLayer, { maxLength: 4, selector: (item) => item.name }))
  .map(([first, packs]) => bundleOf(...withoutTwice([...(first === undefined ? [] : [first]), ...packs].toSorted(compareLayers))));

type Act =
  | { act: 'want'; bundle: Bundle | undefined; rollback: boolean; applier: boolean }
  | { act: 'apply' | 'cut'; steps: number }
  | { act: 'drift'; pick: number; how: 'edit' | 'delete' | 'unlabel' };
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('want' as const),
      bundle: fc.option(bundle, { nil: undefined, freq: 6 }),
      rollback: fc.boolean(),
      applier: fc.constant(true),
    }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constantFrom('apply' as const, 'cut' as const), steps: fc.nat(8) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('drift' as const),
      pick: fc.nat(50),
      how: fc.constantFrom('edit' as const, 'delete' as const, 'unlabel' as const),
    }),
  },
);

const drift = (world: ModelWorld, pick: number, how: 'edit' | 'delete' | 'unlabel'): void => {
  const keys = [...world.live.keys()];
  const key = keys[pick % Math.max(1, keys.length)];
  const live = key === undefined ? undefined : world.live.get(key);
  if (key === undefined || live === undefined) return;
  if (how === 'delete') world.live.delete(key);
  else world.live.set(key, how === 'edit' ? { ...live, digest: digestBytes('hand') } : { ...live, ours: false });
  const files = [...world.files.keys()];
  const file = files[pick % Math.max(1, files.length)];
  if (file !== undefined && how === 'delete') world.files.delete(file);
};

/** Plays acts and checks after each plan. Returns where it ended. */
const play = (
  acts: readonly Act[],
  check: (facts: HostFacts, plan: Plan, bundle: Bundle | undefined) => void,
): { world: ModelWorld; bundle: Bundle | undefined; generation: number; rollback: boolean } => {
  const world = emptyWorld();
  let generation = 1;
  let wanted: Bundle | undefined = bundleOf();
  let rollback = false;
  for (const item of acts) {
    if (item.act === 'want') {
      generation += 1;
      ({ bundle: wanted, rollback } = item);
    } else if (item.act === 'drift') drift(world, item.pick, item.how);
    else {
      const facts = factsOf(world, wanted, { generation, rollback });
      const plan = planHost(facts);
      check(facts, plan, wanted);
      if (item.act === 'apply') performAll(world, plan, wanted);
      else for (const step of plan.steps.slice(0, item.steps)) perform(world, step, wanted);
    }
  }
  return { world, bundle: wanted, generation, rollback };
};

const acts = fc.array(act, { minLength: 1, maxLength: 12 });
/** Removing a layer may leave something for the next round: the leftovers of its very last hooks. */
const roundsMax = 3;

const settle = (end: ReturnType<typeof play>): { rounds: number; plan: Plan } => {
  for (let round = 0; ; round += 1) {
    const plan = planHost(factsOf(end.world, end.bundle, { generation: end.generation, rollback: end.rollback }));
    if (plan.steps.length === 0 || round === roundsMax) return { rounds: round, plan };
    performAll(end.world, plan, end.bundle);
  }
};

const wantedKeys = (wanted: Bundle | undefined): Set<string> =>
  new Set(
    (wanted?.layers ?? []).flatMap((item) => [
      ...item.objects.map((part) => refKey(part.ref)),
      ...(item.namespace === undefined ? [] : [refKey({ apiVersion: 'v1', kind: 'Namespace', name: item.namespace })]),
    ]),
  );

describe('planning', () => {
  test('is pure and total: the same facts give the same plan, and stay as they were', () => {
    fc.assert(
      fc.property(acts, (list) => {
        play(list, (facts, plan) => {
          const before = JSON.stringify(facts);
          expect(planHost(facts)).toEqual(plan);
          expect(JSON.stringify(facts)).toBe(before);
          for (const step of plan.steps) expect(stepText(step).length).toBeGreaterThan(3);
        });
      }),
      { numRuns: 150 },
    );
  });

  test('doing what it says, and planning again, ends in an empty plan: also after drift, power cuts and changes of mind', () => {
    fc.assert(
      fc.property(acts, (list) => {
        const end = play(list, () => undefined);
        const { plan } = settle(end);
        expect(plan.steps.map(stepText)).toEqual([]);
        expect(plan.blocked).toEqual([]);
        for (const item of end.bundle?.layers ?? []) {
          expect(end.world.records.get(item.name)).toMatchObject({ state: 'installed' });
          for (const part of item.objects) expect(end.world.live.has(refKey(part.ref)), `${item.name} ${part.ref.name}`).toBe(true);
          for (const part of item.objects.filter((one) => one.crd !== 'createOnly')) expect(end.world.live.get(refKey(part.ref))?.digest).toBe(part.digest);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('nothing wanted is ever deleted or let go', () => {
    fc.assert(
      fc.property(acts, (list) => {
        play(list, (_, plan, wanted) => {
          const keys = wantedKeys(wanted);
          for (const step of plan.steps)
            if (step.step === 'pruneObject' || step.step === 'releaseObject') expect(keys.has(refKey(step.ref)), stepText(step)).toBe(false);
        });
      }),
      { numRuns: 300 },
    );
  });

  test('only what we made is deleted: never what was there before, never what must be kept', () => {
    fc.assert(
      fc.property(acts, (list) => {
        play(list, (facts, plan) => {
          const owned = new Map(facts.ownedObjects.map((item) => [refKey(item.ref), item]));
          for (const step of plan.steps) {
            if (step.step !== 'pruneObject') continue;
            expect(owned.get(refKey(step.ref))).toMatchObject({ adopted: false, keep: false });
          }
        });
      }),
      { numRuns: 300 },
    );
  });

  test('no hook runs twice for one revision and event, whatever happens between', () => {
    fc.assert(
      fc.property(acts, (list) => {
        // The model throws when a hook that ran is run again.
        settle(play(list, () => undefined));
      }),
      { numRuns: 300 },
    );
  });

  test('taking everything away leaves nothing owned, and the machine as it was', () => {
    fc.assert(
      fc.property(acts, (list) => {
        const end = play(list, () => undefined);
        settle(end);
        settle({ ...end, bundle: undefined, generation: end.generation + 1, rollback: false });
        expect([...end.world.owned.keys()]).toEqual([]);
        expect([...end.world.ownedOs.keys()]).toEqual([]);
        expect([...end.world.records.keys()]).toEqual([]);
        expect(Object.fromEntries(end.world.sysctls)).toEqual({ 'vm.swappiness': '60', 'net.ipv4.ip_forward': '0' });
        expect([...end.world.files.keys()]).toEqual([]);
        expect(Object.fromEntries(end.world.units)).toEqual({ 'ssh.service': { enabled: true, active: true } });
        expect(Object.fromEntries(end.world.packages)).toEqual({ curl: { version: '8.5-1', held: false } });
        expect([...end.world.modules]).toEqual(['overlay']);
        expect(Object.fromEntries(end.world.users)).toEqual({ root: { groups: ['root'], shell: '/bin/bash' } });
      }),
      { numRuns: 300 },
    );
  });

  test('layers go in reverse of the order in which they came', () => {
    fc.assert(
      fc.property(bundle, (wanted) => {
        const plain = bundleOf(...wanted.layers.map(({ replaces: _replaces, ...item }) => item));
        const world = emptyWorld();
        const install = planHost(factsOf(world, plain, { generation: 1 }));
        performAll(world, install, plain);
        const begun = install.steps.flatMap((step) => (step.step === 'beginLayer' ? [step.layer] : []));
        const gone = planHost(factsOf(world, undefined, { generation: 2 })).steps.flatMap((step) => (step.step === 'forgetLayer' ? [step.layer] : []));
        expect(begun).toEqual(plain.layers.map((item) => item.name));
        expect(gone).toEqual(begun.toReversed());
      }),
      { numRuns: 200 },
    );
  });

  test('inside a layer objects go in reverse of the order in which they came', () => {
    fc.assert(
      fc.property(packLayer, (item) => {
        const world = emptyWorld();
        const plain = bundleOf({ ...item, hooks: [], objects: item.objects.map(({ keep: _keep, crd: _crd, ...rest }) => rest) });
        performAll(world, planHost(factsOf(world, plain, { generation: 1 })), plain);
        const order = plain.layers[0]?.objects.map((part) => refKey(part.ref)) ?? [];
        const gone = planHost(factsOf(world, undefined, { generation: 2 })).steps.flatMap((step) =>
          step.step === 'pruneObject' && step.ref.kind !== 'Namespace' ? [refKey(step.ref)] : [],
        );
        expect(gone).toEqual(order.toReversed());
      }),
      { numRuns: 100 },
    );
  });

  test('a group begins only after the one before it was waited for', () => {
    fc.assert(
      fc.property(bundle, (wanted) => {
        const plan = planHost(factsOf(emptyWorld(), wanted, { generation: 1 }));
        const waited = new Set<string>();
        for (const step of plan.steps) {
          if (step.step === 'awaitReady') for (const name of step.layers) waited.add(name);
          const current = wanted.layers.find((item) => item.name === stepLayer(step));
          if (current === undefined) continue;
          for (const other of wanted.layers) {
            const isBefore = other.kind !== 'os' && (other.kind !== current.kind || other.priority !== current.priority) && compareLayers(other, current) < 0;
            if (isBefore) expect(waited.has(other.name), `${other.name} before ${stepText(step)}`).toBe(true);
          }
        }
        expect(plan.steps.at(-1)?.step).toBe('commit');
      }),
      { numRuns: 200 },
    );
  });

  test('without an API server no step touches Kubernetes, and nothing is committed while something waits', () => {
    const touching = new Set(['applyObject', 'ensureNamespace', 'runHook', 'awaitReady', 'pruneObject', 'releaseObject']);
    fc.assert(
      fc.property(acts, fc.option(bundle, { nil: undefined }), (list, next) => {
        const end = play(list, () => undefined);
        settle(end);
        end.world.kubernetes = { state: 'unreachable', failure: unreachable };
        const plan = planHost(factsOf(end.world, next, { generation: end.generation + 1 }));
        for (const step of plan.steps) expect(touching.has(step.step), stepText(step)).toBe(false);
        const leaving = [...end.world.records.values()].filter((record) => !(next?.layers ?? []).some((item) => item.name === record.name));
        const hasWork = leaving.some(
          (record) =>
            [...end.world.owned.values()].some((item) => item.layer === record.name) ||
            record.layer.hooks.some((item) => item.events.some((event) => event.endsWith('-delete'))),
        );
        const isWaiting = hasWork || (next?.layers ?? []).some((item) => item.kind !== 'os');
        if (isWaiting) expect(plan.blocked.length).toBeGreaterThan(0);
        if (plan.blocked.length > 0) expect(plan.steps.some((step) => step.step === 'commit')).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test('a worker never touches what it does not own: no step about objects at all', () => {
    fc.assert(
      fc.property(acts, bundle, (list, next) => {
        const end = play(list, () => undefined);
        const plan = planHost(factsOf(end.world, next, { generation: end.generation + 1, applier: false }));
        for (const step of plan.steps)
          expect(['applyObject', 'pruneObject', 'releaseObject', 'runHook', 'ensureNamespace', 'awaitReady']).not.toContain(step.step);
      }),
      { numRuns: 200 },
    );
  });
});

test.each([
  ['v1.34.2', '>=1.34 <1.36', true],
  ['v1.36.0', '>=1.34 <1.36', false],
  ['v1.34.2-eks-abc', '>=1.34.2', true],
  ['v1.34.2+k3s1', '1.34.x', true],
  ['v1.33.9+rke2r1', '>=1.34', false],
  ['1.34', '~1.34', true],
  ['', '>=1', false],
  ['unknown', '>=1', false],
  ['v1.34.2', 'not a range', false],
  ['v1.34.2', '', true],
] as const)('server %j in range %j: %s', (version, range, allowed) => expect(isVersionAllowed(version, range)).toBe(allowed));
