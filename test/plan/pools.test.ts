import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { poolSchema, type Pool } from '@groundplane/protocol/environment/pool';
import { machineHealth } from '@groundplane/hub/plan/machine-health';
import { planPool, planRemovedPool, type PlannedMachine, type PoolInput } from '@groundplane/hub/plan/pools';

const poolOf = (fields: Partial<Pool> & { count: number }): Pool => poolSchema.parse({ name: 'p', size: 's', ...fields });

let serial = 0;
const machine = (fields: Partial<PlannedMachine> = {}): PlannedMachine => ({
  name: `m${(serial += 1)}`,
  pool: 'p',
  generation: 'new',
  zone: undefined,
  place: undefined,
  going: false,
  canDelete: false,
  health: 'healthy',
  message: '',
  madeAtMs: serial,
  ...fields,
});
const input = (pool: Pool, machines: PlannedMachine[], fields: Partial<PoolInput> = {}): PoolInput => ({
  pool,
  generation: 'new',
  approved: undefined,
  machines,
  ...fields,
});
const kinds = (plan: { steps: { kind: string }[] }): string[] => plan.steps.map((step) => step.kind);

/** Plays a pool until nothing happens any more: what is made becomes healthy in the next round, what leaves is gone in the one after. */
const play = (pool: Pool, start: PlannedMachine[], approved?: string) => {
  let machines = start;
  let most = 0;
  let fewest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 500; round += 1) {
    const plan = planPool(input(pool, machines, { approved }));
    if (plan.steps.length === 0 && machines.every((item) => !item.going && item.health !== 'starting')) return { machines, most, fewest, rounds: round, plan };
    const gone = new Set(plan.steps.flatMap((step) => (step.kind === 'delete' ? [step.machine] : [])));
    const leaving = new Set(plan.steps.flatMap((step) => (step.kind === 'leave' ? [step.machine] : [])));
    machines = machines
      .filter((item) => !gone.has(item.name))
      .map((item) =>
        leaving.has(item.name)
          ? { ...item, going: true }
          : item.going
            ? { ...item, canDelete: true }
            : item.health === 'starting'
              ? { ...item, health: 'healthy' as const }
              : item,
      );
    for (const step of plan.steps) if (step.kind === 'make') machines.push(machine({ zone: step.zone, place: step.place, health: 'starting' }));
    most = Math.max(most, machines.filter((item) => !item.going).length);
    fewest = Math.min(fewest, machines.filter((item) => !item.going && item.health === 'healthy').length);
  }
  throw new Error('never settles');
};

describe('pools', () => {
  test('as it should be, nothing happens', () => {
    expect(planPool(input(poolOf({ count: 3 }), [machine(), machine(), machine()]))).toMatchObject({ steps: [], waits: [], needsApproval: false });
    expect(planPool(input(poolOf({ count: 0 }), []))).toMatchObject({ steps: [] });
  });

  test('grows over its zones, shrinks from the fullest', () => {
    const pool = poolOf({ count: 4, zones: ['a', 'b', 'c'] });
    const plan = planPool(input(pool, [machine({ zone: 'a' })]));
    expect(plan.steps.map((step) => (step.kind === 'make' ? step.zone : step.kind))).toEqual(['b', 'c', 'a']);
    const smaller = planPool(
      input(poolOf({ count: 2, zones: ['a', 'b'] }), [
        machine({ zone: 'a', name: 'a1' }),
        machine({ zone: 'a', name: 'a2' }),
        machine({ zone: 'b', name: 'b1' }),
      ]),
    );
    expect(smaller.steps).toMatchObject([{ kind: 'leave', machine: 'a2' }]);
  });

  test('paused means untouched', () => {
    expect(planPool(input(poolOf({ count: 5, paused: true }), [machine({ health: 'lost' })])).steps).toEqual([]);
  });

  test('what was deleted behind our back, or failed, is made anew at once', () => {
    for (const health of ['lost', 'failed'] as const) {
      const plan = planPool(input(poolOf({ count: 2 }), [machine(), machine({ health, message: 'why' })]));
      expect(kinds(plan)).toEqual(['leave', 'make']);
      expect(plan.steps[0]).toMatchObject({ reason: `${health}: why` });
    }
  });

  test('when most of a pool is silent, nothing is replaced', () => {
    const silent = () => machine({ health: 'unhealthy' });
    expect(planPool(input(poolOf({ count: 4 }), [machine(), machine(), silent(), silent()]))).toMatchObject({
      steps: [],
      waits: [expect.stringContaining('40 %')],
    });
    expect(kinds(planPool(input(poolOf({ count: 4 }), [machine(), machine(), machine(), silent()])))).toEqual(['leave', 'make']);
    const off = poolOf({ count: 2, health: { remediate: false } as Pool['health'] });
    expect(planPool(input(off, [machine(), silent()]))).toMatchObject({ steps: [], waits: [expect.stringContaining('switched off')] });
  });

  test('a control plane is replaced only while the others keep the majority', () => {
    const servers = (count: number) => poolOf({ count, role: 'control-plane', health: { maxUnhealthyPercent: 100 } as Pool['health'] });
    const bad = () => machine({ health: 'unhealthy' });
    expect(kinds(planPool(input(servers(3), [machine(), machine(), bad()])))).toEqual(['leave', 'make']);
    expect(planPool(input(servers(3), [machine(), bad(), bad()]))).toMatchObject({ steps: [], waits: [expect.stringContaining('majority')] });
    expect(kinds(planPool(input(servers(5), [machine(), machine(), machine(), bad(), bad()]))).filter((kind) => kind === 'leave')).toHaveLength(1);
  });

  test('replaces in waves that keep to surge and to what may be away', () => {
    for (const [maxSurge, maxUnavailable, count] of [
      [1, 0, 5],
      [3, 0, 5],
      [0, 1, 5],
      [0, 2, 7],
      [2, 2, 4],
    ] as const) {
      const pool = poolOf({ count, update: { maxSurge, maxUnavailable } as Pool['update'] });
      const done = play(
        pool,
        Array.from({ length: count }, () => machine({ generation: 'old' })),
      );
      expect(done.machines.every((item) => item.generation === 'new')).toBe(true);
      expect(done.machines).toHaveLength(count);
      expect(done.most).toBeLessThanOrEqual(count + maxSurge);
      expect(done.fewest).toBeGreaterThanOrEqual(count - maxUnavailable);
    }
  });

  test('control planes are replaced one by one', () => {
    const pool = poolOf({ count: 3, role: 'control-plane', update: { maxSurge: 3, maxUnavailable: 0 } as Pool['update'] });
    const done = play(pool, [machine({ generation: 'old' }), machine({ generation: 'old' }), machine({ generation: 'old' })]);
    expect(done.machines.map((item) => item.generation)).toEqual(['new', 'new', 'new']);
    expect(done.most).toBe(4);
    expect(done.fewest).toBeGreaterThanOrEqual(3);
  });

  test('waits for approval where it is asked for', () => {
    const pool = poolOf({ count: 2, update: { approval: 'manual' } as Pool['update'] });
    const old = [machine({ generation: 'old' }), machine({ generation: 'old' })];
    expect(planPool(input(pool, old))).toMatchObject({ steps: [], needsApproval: true, counts: { outdated: 2 } });
    expect(planPool(input(pool, old, { approved: 'other' })).needsApproval).toBe(true);
    expect(play(pool, old, 'new').machines.every((item) => item.generation === 'new')).toBe(true);
    // Growing needs nobody's word.
    expect(kinds(planPool(input({ ...pool, count: 3 }, old)))).toEqual(['make']);
  });

  test('static places: each once, and without a free one something has to go first', () => {
    const places = Array.from({ length: 2 }, (_, index) => ({ address: `10.0.0.${index + 1}/24` }));
    const tight = poolOf({ count: 2, static: places as Pool['static'] });
    const old = [machine({ generation: 'old', place: 0 }), machine({ generation: 'old', place: 1 })];
    expect(planPool(input(tight, old))).toMatchObject({ steps: [], waits: [expect.stringContaining('no free static place')] });
    const loose = poolOf({ count: 2, static: places as Pool['static'], update: { maxSurge: 0, maxUnavailable: 1 } as Pool['update'] });
    expect(
      play(loose, old)
        .machines.map((item) => item.place)
        .toSorted(),
    ).toEqual([0, 1]);
  });

  test('a pool that is not wanted leaves, then goes', () => {
    expect(
      planRemovedPool('p', [machine({ name: 'x' }), machine({ name: 'y', going: true }), machine({ name: 'z', going: true, canDelete: true })]),
    ).toMatchObject([
      { kind: 'leave', machine: 'x' },
      { kind: 'delete', machine: 'z' },
    ]);
  });

  test('settles from any state, and never has more than it may', () => {
    const healths = ['starting', 'healthy', 'unhealthy', 'failed', 'lost', 'unknown'] as const;
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 2 }),
        fc.array(fc.record({ old: fc.boolean(), going: fc.boolean(), health: fc.constantFrom(...healths) }), { maxLength: 8 }),
        fc.boolean(),
        (count, maxSurge, maxUnavailable, states, isServers) => {
          fc.pre(maxSurge + maxUnavailable > 0);
          const pool = poolOf({
            count: isServers ? count | 1 : count,
            role: isServers ? 'control-plane' : 'worker',
            update: { maxSurge, maxUnavailable } as Pool['update'],
            health: { maxUnhealthyPercent: 100 } as Pool['health'],
          });
          const start = states.map((item) =>
            machine({ generation: item.old ? 'old' : 'new', going: item.going, health: item.health === 'unknown' ? 'starting' : item.health }),
          );
          const done = play(pool, start);
          expect(done.most).toBeLessThanOrEqual(Math.max(pool.count + maxSurge, start.filter((item) => !item.going).length));
          // What cannot be replaced without losing a majority waits for a person, and says so.
          if (done.plan.waits.length === 0)
            expect(done.machines.map((item) => [item.generation, item.health])).toEqual(done.machines.map(() => ['new', 'healthy']));
          if (done.plan.waits.length === 0) expect(done.machines).toHaveLength(pool.count);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('health of a machine', () => {
  const pool = poolOf({ count: 1 });
  const facts = { name: 'm', pool: 'p', generation: 'g', instance: 'i', state: 'running' as const, addresses: [] };
  const host = { online: true, lastSeenMs: 1_000_000, hasJoined: true };
  const at = (nowMs: number, fields: Partial<Parameters<typeof machineHealth>[1]> = {}) =>
    machineHealth(pool, { madeAtMs: 0, facts, host, nowMs, listeningMs: 10_000_000, isListBlind: false, ...fields }).health;

  test('follows environment, agent and time', () => {
    expect(at(1_000, { madeAtMs: undefined })).toBe('unknown');
    expect(at(1_000, { facts: undefined })).toBe('unknown');
    expect(at(121_000, { facts: undefined })).toBe('lost');
    expect(at(1_000, { facts: { ...facts, state: 'failed' } })).toBe('failed');
    expect(at(1_000, { facts: { ...facts, state: 'going' } })).toBe('lost');
    expect(at(1_000, { host: undefined })).toBe('starting');
    expect(at(1_801_000, { host: undefined })).toBe('unhealthy');
    expect(at(1_801_000, { host: { ...host, hasJoined: false } })).toBe('unhealthy');
    expect(at(1_000_000)).toBe('healthy');
    expect(at(1_600_000, { host: { ...host, online: false } })).toBe('healthy');
    expect(at(1_600_001, { host: { ...host, online: false } })).toBe('unhealthy');
    expect(at(600_001, { host: { ...host, online: false, lastSeenMs: undefined } })).toBe('unhealthy');
  });

  test('silence counts from when there was a hub to speak to', () => {
    const silent = { host: { ...host, online: false } };
    // Seen two days ago, since the hub noted it then last; or never.
    for (const seen of [silent, { host: { ...silent.host, lastSeenMs: undefined } }]) {
      expect(at(200_000_000, { ...seen, listeningMs: 600_000 })).toBe('unknown');
      expect(at(200_000_000, { ...seen, listeningMs: 600_001 })).toBe('unhealthy');
    }
    expect(at(1_600_001, { ...silent, listeningMs: 600_002 })).toBe('unhealthy');
    expect(at(200_000_000, { host: undefined, listeningMs: 1_800_000 })).toBe('starting');
    expect(at(200_000_000, { host: undefined, listeningMs: 1_800_001 })).toBe('unhealthy');
    // What the environment says needs no agent, unless nothing that it says can be true.
    expect(at(200_000_000, { ...silent, facts: undefined, listeningMs: 0 })).toBe('lost');
    expect(at(200_000_000, { facts: undefined, isListBlind: true })).toBe('unknown');
  });
});
