import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSettled, managedWant, planManagedPool, planManagedPools, type ManagedPoolInput } from '@groundplane/hub/plan/managed-pools';
import type { ManagedPoolFacts } from '@groundplane/hub/port/provider';
import { poolSchema, type Pool } from '@groundplane/protocol/environment/pool';

const poolOf = (fields: Partial<Pool> = {}): Pool => poolSchema.parse({ name: 'workers', size: 's', count: 3, ...fields });
const facts = (fields: Partial<ManagedPoolFacts> = {}): ManagedPoolFacts => ({
  name: 'workers',
  pool: 'workers',
  state: 'ready',
  count: 3,
  differs: [],
  ...fields,
});
const input = (pool: Pool, there: ManagedPoolFacts[], fields: Partial<ManagedPoolInput> = {}): ManagedPoolInput => ({
  pool,
  there,
  scale: undefined,
  generation: 'new',
  approved: undefined,
  taken: new Set(there.map((item) => item.name)),
  ...fields,
});
/** `+ workers-2 3`: it is ensured with three nodes. `- workers`: it goes. */
const steps = (pool: Pool, there: ManagedPoolFacts[], fields: Partial<ManagedPoolInput> = {}): string[] =>
  planManagedPool(input(pool, there, fields)).steps.map((step) => (step.kind === 'ensure' ? `+ ${step.name} ${step.count}` : `- ${step.name}`));
const old = facts({ differs: ['size'] });
const fresh = facts({ name: 'workers-2' });

describe('pools of managed clusters', () => {
  test('one that fits is kept as it is; a missing one is made', () => {
    expect(steps(poolOf(), [facts()])).toEqual(['+ workers 3']);
    expect(steps(poolOf(), [])).toEqual(['+ workers 3']);
    expect(planManagedPool(input(poolOf(), [facts()]))).toMatchObject({
      waits: [],
      needsApproval: false,
      counts: { wanted: 3, total: 3, ready: 3, outdated: 0 },
    });
  });

  test('what cannot be changed gets a successor with all its nodes; the old one goes when that is ready', () => {
    expect(steps(poolOf(), [old])).toEqual(['+ workers-2 3']);
    for (const state of ['making', 'changing', 'failed'] as const) expect(steps(poolOf(), [old, { ...fresh, state }]), state).toEqual(['+ workers-2 3']);
    expect(steps(poolOf(), [old, fresh])).toEqual(['+ workers-2 3', '- workers']);
    expect(steps(poolOf(), [{ ...old, state: 'going' }, fresh])).toEqual(['+ workers-2 3', '- workers']);
    expect(planManagedPool(input(poolOf(), [old, fresh])).counts).toEqual({ wanted: 3, total: 6, ready: 6, outdated: 3 });
  });

  test('a successor that has too few nodes does not take over yet, but for what may be away', () => {
    const small = { ...fresh, count: 2 };
    expect(steps(poolOf(), [old, small])).toEqual(['+ workers-2 3']);
    expect(steps(poolOf({ update: { maxSurge: 1, maxUnavailable: 1, approval: 'auto' } }), [old, small])).toEqual(['+ workers-2 3', '- workers']);
  });

  test('what was listed as settled need not be asked for, unless another count is wanted of it', () => {
    const step = { kind: 'ensure', name: 'workers', count: 3, replaces: [] } as const;
    const settled = facts({ settled: true });
    expect(isSettled(step, { count: 3 }, [settled])).toBe(true);
    expect(isSettled(step, { count: 2 }, [settled])).toBe(false);
    expect(isSettled({ ...step, count: 7 }, { count: 3, min: 1, max: 9 }, [settled]), 'an autoscaler has it').toBe(true);
    expect(isSettled({ ...step, name: 'workers-2' }, { count: 3 }, [settled])).toBe(false);
    expect(isSettled(step, { count: 3 }, [facts(), facts({ settled: false })])).toBe(false);
    expect(isSettled({ kind: 'remove', name: 'workers', reason: '' }, { count: 3 }, [settled])).toBe(false);
  });

  test('changed back in between, the successor is the one that goes', () => {
    const back = facts();
    const other = { ...fresh, differs: ['size'] };
    expect(steps(poolOf(), [back, { ...other, state: 'making' }])).toEqual(['+ workers 3', '- workers-2']);
    // The old one was on its way out already: it cannot be had back.
    expect(steps(poolOf(), [{ ...back, state: 'going' }, other])).toEqual(['+ workers-3 3', '- workers']);
  });

  test('names are the first free ones, and the same at every look', () => {
    expect(steps(poolOf(), [old], { taken: new Set(['workers', 'workers-2']) })).toEqual(['+ workers-3 3']);
    expect(steps(poolOf(), [{ ...old, name: 'workers-2' }], { taken: new Set(['workers-2']) })).toEqual(['+ workers 3']);
    const two = planManagedPools({
      pools: [poolOf(), poolOf({ name: 'workers-2' })],
      listed: [old, facts({ name: 'workers-2', pool: 'workers-2' })],
      scale: {},
      approved: {},
      generationOf: () => 'new',
    });
    expect(two.pools.find((item) => item.pool.name === 'workers')?.plan.steps).toMatchObject([{ name: 'workers-3', replaces: ['workers'] }]);
  });

  test('waits for approval, and keeps the old one as far as it can meanwhile', () => {
    const pool = poolOf({ count: 4, update: { maxSurge: 1, maxUnavailable: 0, approval: 'manual' } });
    expect(planManagedPool(input(pool, [old]))).toMatchObject({
      needsApproval: true,
      waits: [expect.stringMatching(/size cannot be changed in place.*gp pool repave/)],
      steps: [{ kind: 'ensure', name: 'workers', count: 4 }],
    });
    expect(planManagedPool(input(pool, [old], { approved: 'other' })).needsApproval).toBe(true);
    expect(steps(pool, [old], { approved: 'new' })).toEqual(['+ workers-2 4']);
    // What is under way ends, and a pool without nodes harms nobody.
    expect(steps(pool, [old, { ...fresh, count: 4 }])).toEqual(['+ workers-2 4', '- workers']);
    expect(steps(pool, [{ ...old, count: 0 }])).toEqual(['+ workers-2 4']);
  });

  test('without surge nothing can stand beside it', () => {
    const pool = poolOf({ update: { maxSurge: 0, maxUnavailable: 1, approval: 'auto' } });
    expect(planManagedPool(input(pool, [old]))).toMatchObject({ waits: [expect.stringMatching(/maxSurge is 0/)], needsApproval: false });
    expect(steps(pool, [old])).toEqual(['+ workers 3']);
  });

  test('paused means untouched', () => {
    expect(planManagedPool(input(poolOf({ paused: true }), [old, fresh]))).toMatchObject({ steps: [], waits: ['pool workers is paused'] });
  });

  test('an autoscaled one is followed by one of as many nodes as it has now', () => {
    const pool = poolOf({ min: 1, max: 10 });
    expect(steps(pool, [{ ...old, count: 7 }])).toEqual(['+ workers-2 7']);
    expect(steps(pool, [{ ...old, count: 40 }])).toEqual(['+ workers-2 10']);
    // Its autoscaler may have taken away what nothing ran on.
    expect(
      steps(pool, [
        { ...old, count: 7 },
        { ...fresh, count: 1 },
      ]),
    ).toEqual(['+ workers-2 7', '- workers']);
    expect(steps(pool, [], { scale: 5 })).toEqual(['+ workers 5']);
  });

  test('a failed successor of an older wish goes; one of this wish is tried again', () => {
    expect(steps(poolOf(), [old, { ...fresh, state: 'failed', differs: ['size'] }])).toEqual(['+ workers-3 3', '- workers-2']);
    expect(steps(poolOf(), [old, { ...fresh, state: 'failed' }])).toEqual(['+ workers-2 3']);
  });

  test('of two that fit one stays', () => {
    expect(steps(poolOf(), [facts(), fresh])).toEqual(['+ workers 3', '- workers-2']);
    expect(steps(poolOf(), [facts({ state: 'changing' }), fresh])).toEqual(['+ workers-2 3', '- workers']);
  });

  test('new pools come first, what is not wanted any more goes last', () => {
    const planned = planManagedPools({
      pools: [poolOf(), poolOf({ name: 'second' })],
      listed: [facts(), facts({ name: 'gone-2', pool: 'gone' })],
      scale: {},
      approved: {},
      generationOf: () => 'new',
    });
    expect(planned.pools.map((item) => item.pool.name)).toEqual(['second', 'workers']);
    expect(planned.remove).toEqual(['gone-2']);
  });

  test('one that was made for this very wish fits, however the environment writes it', () => {
    const planned = (generation: string) =>
      planManagedPools({
        pools: [poolOf()],
        listed: [facts({ name: 'workers-2', generation, differs: ['image'] })],
        scale: {},
        approved: {},
        generationOf: () => 'new',
      }).pools[0];
    expect(planned('new')).toMatchObject({ there: [{ differs: [] }], plan: { steps: [{ name: 'workers-2', replaces: [] }], counts: { outdated: 0 } } });
    expect(planned('old')?.plan.steps).toMatchObject([{ name: 'workers', replaces: ['workers-2'] }]);
  });

  test('the size that somebody set counts within its bounds only', () => {
    expect(managedWant(poolOf({ min: 1, max: 5 }), 9, undefined)).toMatchObject({ name: 'workers', pool: 'workers', count: 5 });
    expect(managedWant(poolOf(), 9, '1.34')).toMatchObject({ count: 3, version: '1.34' });
  });
});

interface There {
  size: string;
  count: number;
  state: ManagedPoolFacts['state'];
  /** Looks until it is ready, or gone. */
  left: number;
}
interface Moment {
  size: string;
  approve: boolean;
  paused: boolean;
  /** The environment refuses to make anything now. */
  quota: boolean;
  /** So many steps are done before the power goes. */
  steps: number;
  slowness: number;
}

/** One pool of an environment, through moments that nobody foresaw and then in peace. */
const live = (pool: Pool, moments: readonly Moment[]) => {
  const cloud = new Map<string, There>([['workers', { size: 's', count: pool.count, state: 'ready', left: 0 }]]);
  let approved: string | undefined;
  let fewest = pool.count;
  const last = moments.at(-1)?.size ?? 's';
  const peace: Moment = { size: last, approve: true, paused: false, quota: false, steps: 9, slowness: 2 };
  for (let round = 0; round < moments.length + 60; round += 1) {
    const now = moments[round] ?? peace;
    for (const [name, item] of cloud) {
      item.left = Math.max(0, item.left - 1);
      if (item.left > 0) continue;
      if (item.state === 'going') cloud.delete(name);
      else if (item.state !== 'failed') item.state = 'ready';
    }
    if (now.approve) approved = now.size;
    const there = [...cloud].map(([name, { size, count, state }]) => facts({ name, count, state, differs: size === now.size ? [] : ['size'] }));
    const plan = planManagedPool(input({ ...pool, size: now.size, paused: now.paused }, there, { generation: now.size, approved }));
    for (const step of plan.steps.slice(0, now.steps)) {
      const item = cloud.get(step.name);
      if (step.kind === 'remove') {
        if (item !== undefined && item.state !== 'going') Object.assign(item, { state: 'going', left: now.slowness });
        if (item !== undefined) break;
      } else if (item === undefined) {
        if (!now.quota) cloud.set(step.name, { size: now.size, count: step.count, state: 'making', left: now.slowness });
        break;
      } else if (item.state === 'failed') cloud.delete(step.name);
      else if (item.state !== 'ready') break;
    }
    // What is being made may turn out to be impossible.
    if (now.quota) for (const item of cloud.values()) if (item.state === 'making') item.state = 'failed';
    fewest = Math.min(
      fewest,
      [...cloud.values()].filter((item) => item.state === 'ready').reduce((total, item) => total + item.count, 0),
    );
  }
  return { pools: [...cloud], fewest, last };
};

test('settles after any course of events, and never has fewer nodes than it may', () => {
  const moment = fc.record({
    size: fc.constantFrom('s', 'm', 'l'),
    approve: fc.boolean(),
    paused: fc.boolean(),
    quota: fc.boolean(),
    steps: fc.integer({ min: 0, max: 3 }),
    slowness: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(
      fc.array(moment, { maxLength: 25 }),
      fc.integer({ min: 0, max: 4 }),
      fc.constantFrom('auto' as const, 'manual' as const),
      (moments, count, approval) => {
        const pool = poolOf({ count, update: { maxSurge: 1, maxUnavailable: 0, approval } });
        const { pools, fewest, last } = live(pool, moments);
        expect(fewest).toBeGreaterThanOrEqual(count);
        expect(pools).toHaveLength(1);
        expect(pools[0]?.[1]).toMatchObject({ size: last, state: 'ready', count });
      },
    ),
    { numRuns: 2_000 },
  );
});
