import type { Pool } from '@groundplane/protocol/environment/pool';
import type { MachineHealth } from './machine-health.ts';

/** A machine as the planner sees it. `going`: it was told to leave, or is being deleted. */
export interface PlannedMachine {
  name: string;
  pool: string;
  generation: string;
  zone: string | undefined;
  /** Index of its static place. */
  place: number | undefined;
  going: boolean;
  /** Nothing holds it any more: drained, or it never joined, or its time to leave is over. Only of those that go. */
  canDelete: boolean;
  health: MachineHealth;
  message: string;
  /** It was well before the hub was away, and has time to come back. */
  isUnheard?: boolean | undefined;
  /** Its environment lists no machine of the cluster, and agents speak. */
  isUnlisted?: boolean | undefined;
  /** Of one that is not heard of: it has had its time also since the last moment when so many were silent that something else was wrong. */
  isDue?: boolean | undefined;
  madeAtMs: number | undefined;
}

export interface PoolInput {
  pool: Pool;
  /** Digest of what its machines are made from now. */
  generation: string;
  /** Generation whose machines somebody approved, where the pool asks for approval. */
  approved: string | undefined;
  machines: readonly PlannedMachine[];
}

export type PoolStep =
  | { kind: 'make'; pool: string; zone: string | undefined; place: number | undefined; reason: string }
  | { kind: 'leave'; pool: string; machine: string; reason: string }
  | { kind: 'delete'; pool: string; machine: string };

export interface PoolPlan {
  steps: PoolStep[];
  /** Why something that is wanted does not happen now. */
  waits: string[];
  counts: { wanted: number; total: number; ready: number; outdated: number };
  /** Machines would be replaced, and somebody has to say so. */
  needsApproval: boolean;
  /** So many are not heard of that it is not theirs. */
  isCrowdSilent: boolean;
}

const isBroken = (machine: PlannedMachine): boolean => machine.health === 'unhealthy' || machine.health === 'failed' || machine.health === 'lost';

/** It works, as far as anybody can tell. */
const isOfUse = ({ health, isUnheard, isUnlisted }: PlannedMachine): boolean => health === 'healthy' || isUnheard === true || isUnlisted === true;

const countBy = <T>(items: readonly T[], key: (item: T) => string | undefined): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const item of items) {
    const name = key(item);
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
};

/** Zones in turn, the emptiest first; places, the lowest free one. */
const nextSpot = (
  pool: Pool,
  there: readonly { zone: string | undefined; place: number | undefined }[],
): { zone: string | undefined; place: number | undefined } | undefined => {
  const counts = countBy(there, (item) => item.zone);
  const zone = pool.zones.toSorted((a, b) => (counts.get(a) ?? 0) - (counts.get(b) ?? 0))[0];
  if (pool.static.length === 0) return { zone, place: undefined };
  const taken = new Set(there.map((item) => item.place));
  const place = pool.static.findIndex((_, index) => !taken.has(index));
  return place < 0 ? undefined : { zone, place };
};

/** Where a machine goes that could not be made yet, when its pool has other zones than when it was noted. `others`: zones of the pool's other machines. */
export const zoneNow = (pool: Pick<Pool, 'zones'>, noted: string | undefined, others: readonly (string | undefined)[]): string | undefined => {
  if (noted === undefined ? pool.zones.length === 0 : pool.zones.includes(noted)) return noted;
  const counts = countBy(others, (zone) => zone);
  return pool.zones.toSorted((a, b) => (counts.get(a) ?? 0) - (counts.get(b) ?? 0))[0];
};

/** Whom to take away when there are too many: what is of no use first, then the old ones, then from the fullest zone, then the youngest. */
const byWorth = (machines: readonly PlannedMachine[], generation: string): PlannedMachine[] => {
  const zones = countBy(machines, (machine) => machine.zone);
  const rank = (machine: PlannedMachine): number[] => [
    isBroken(machine) ? 0 : 1,
    machine.health === 'healthy' ? 1 : 0,
    machine.generation === generation ? 1 : 0,
    -(zones.get(machine.zone ?? '') ?? 0),
    -(machine.madeAtMs ?? Number.MAX_SAFE_INTEGER),
  ];
  return machines.toSorted((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    const at = left.findIndex((value, index) => value !== right[index]);
    return at < 0 ? a.name.localeCompare(b.name) : (left[at] ?? 0) - (right[at] ?? 0);
  });
};

interface Turn {
  input: PoolInput;
  plan: PoolPlan;
  active: PlannedMachine[];
  /** Those that take a place: also what is on its way out. */
  there: { zone: string | undefined; place: number | undefined }[];
}

const make = ({ input, plan, there }: Turn, count: number, reason: string): number => {
  for (let made = 0; made < count; made += 1) {
    const spot = nextSpot(input.pool, there);
    if (spot === undefined) return made;
    there.push(spot);
    plan.steps.push({ kind: 'make', pool: input.pool.name, ...spot, reason });
  }
  return count;
};

const leave = ({ input, plan, active }: Turn, machine: PlannedMachine, reason: string): void => {
  plan.steps.push({ kind: 'leave', pool: input.pool.name, machine: machine.name, reason });
  active.splice(active.indexOf(machine), 1);
};

/** What is broken makes room, unless so much is broken that something else must be wrong. */
const remediate = (turn: Turn): void => {
  const { input, plan, active } = turn;
  const { health, role, name } = input.pool;
  const broken = active.filter(isBroken);
  if (broken.length === 0) return;
  // What the environment says is gone or will never run helps nobody, however much of it there is.
  const hopeless = broken.filter((machine) => machine.health !== 'unhealthy');
  const silent = broken.filter((machine) => machine.health === 'unhealthy');
  if (!health.remediate) return void plan.waits.push(`pool ${name}: ${broken.length} broken, and remediation is switched off`);
  const due = silent.filter((machine) => machine.isDue !== false);
  const isTooMany = silent.length * 100 > health.maxUnhealthyPercent * Math.max(active.length, 1);
  plan.isCrowdSilent = isTooMany && silent.length > 0;
  if (!isTooMany && due.length < silent.length)
    plan.waits.push(`pool ${name}: ${silent.length} not heard of, and more were until a while ago; they have time to come back before they are replaced`);
  if (plan.isCrowdSilent)
    plan.waits.push(
      `pool ${name}: ${silent.length} of ${active.length} not heard of, more than ${health.maxUnhealthyPercent} %; nothing is replaced until somebody looks`,
    );
  const chosen = [...hopeless, ...(isTooMany ? [] : due)];
  if (role === 'worker') {
    for (const machine of chosen) leave(turn, machine, `${machine.health}: ${machine.message}`);
    return;
  }
  // A datastore that would lose its majority is not touched: one at a time, and only while the others are well.
  const healthy = active.filter((machine) => machine.health === 'healthy').length;
  const [first] = chosen;
  const isGoing = input.machines.some((machine) => machine.going);
  if (first === undefined || isGoing) return;
  if (active.length > 1 && healthy * 2 <= active.length)
    return void plan.waits.push(`pool ${name}: only ${healthy} of ${active.length} control planes are well; replacing one would cost the majority`);
  leave(turn, first, `${first.health}: ${first.message}`);
};

/** Brings the old ones over to the new generation, within what the pool may have more or fewer. */
const roll = (turn: Turn): void => {
  const { input, plan, active } = turn;
  const { pool, generation } = input;
  const outdated = active.filter((machine) => machine.generation !== generation);
  if (outdated.length === 0) return;
  if (pool.update.approval === 'manual' && input.approved !== generation) {
    plan.needsApproval = true;
    plan.waits.push(`pool ${pool.name}: ${outdated.length} machines would be replaced, and nobody has approved it (gp pool repave)`);
    return;
  }
  const isServers = pool.role === 'control-plane';
  const isAtOnce = (wanted: number): number => (isServers ? Math.min(1, wanted) : wanted);
  const surge = isAtOnce(pool.update.maxSurge);
  const fresh = active.length - outdated.length;
  const room = Math.max(0, pool.count + surge - active.length - input.machines.filter((machine) => machine.going).length);
  const missing = Math.max(0, Math.min(room, pool.count - fresh));
  const isSettled = active.every((machine) => machine.health === 'healthy');
  const made = isServers && !isSettled ? 0 : make(turn, missing, 'replaces one of an older generation');
  const healthy = active.filter((machine) => machine.health === 'healthy').length;
  // Those that do not work can go at once; a healthy one only while enough others stay.
  const useless = outdated.filter((machine) => !isOfUse(machine));
  let spare = healthy - (pool.count - isAtOnce(pool.update.maxUnavailable));
  // One that is on its way stays for now where its going would leave nothing to work with.
  const candidates = [
    ...(fresh > 0 || pool.update.maxUnavailable > 0 ? useless : []),
    ...byWorth(
      outdated.filter((machine) => machine.health === 'healthy'),
      generation,
    ),
  ];
  let left = isServers ? (input.machines.some((machine) => machine.going) ? 0 : 1) : candidates.length;
  for (const machine of candidates) {
    if (left <= 0) break;
    if (machine.health === 'healthy' && (spare -= 1) < 0) break;
    if (isServers && !isSettled) break;
    left -= 1;
    leave(turn, machine, 'is of an older generation');
  }
  if (plan.steps.length === 0 && made === 0 && !input.machines.some((machine) => machine.going) && isSettled && missing > 0)
    plan.waits.push(`pool ${pool.name}: has no free static place for a new machine and maxUnavailable is 0. Give it one place more, or allow one to be away`);
};

const shrink = (turn: Turn): void => {
  const { input, active } = turn;
  const { pool, generation } = input;
  const isServers = pool.role === 'control-plane';
  // Surge is not too much while machines are being replaced.
  const surge = active.some((machine) => machine.generation !== generation) ? (isServers ? Math.min(1, pool.update.maxSurge) : pool.update.maxSurge) : 0;
  let extra = active.length - pool.count - surge;
  if (isServers) extra = input.machines.some((machine) => machine.going) ? 0 : Math.min(extra, 1);
  for (const machine of byWorth(active, generation)) {
    if ((extra -= 1) < 0) break;
    leave(turn, machine, `the pool has ${pool.count} machines`);
  }
};

/**
 * What is next for a pool. Pure and total; the same input gives the same steps, and a pool that is as it should be gives none. Control planes change one by one
 * and only while the datastore keeps its majority.
 */
export const planPool = (input: PoolInput): PoolPlan => {
  const { pool, machines, generation } = input;
  const active = machines.filter((machine) => !machine.going);
  const plan: PoolPlan = {
    steps: [],
    waits: [],
    counts: {
      wanted: pool.count,
      total: active.length,
      ready: active.filter(isOfUse).length,
      outdated: active.filter((machine) => machine.generation !== generation).length,
    },
    needsApproval: false,
    isCrowdSilent: false,
  };
  if (pool.paused) return { ...plan, waits: [`pool ${pool.name} is paused`] };
  for (const machine of machines) if (machine.going && machine.canDelete) plan.steps.push({ kind: 'delete', pool: pool.name, machine: machine.name });
  const turn: Turn = { input, plan, active, there: machines.map(({ zone, place }) => ({ zone, place })) };
  remediate(turn);
  const unlisted = active.filter((machine) => machine.isUnlisted === true).length;
  if (unlisted > 0)
    plan.waits.push(
      `pool ${pool.name}: the environment lists no machine of this cluster, and agents of it speak. The ${unlisted} of this pool are not made a second time. Does the account see all of it? gp cloud account check`,
    );
  const wanted = pool.count - active.length;
  if (wanted > 0 && make(turn, wanted, `the pool has ${pool.count} machines`) < wanted && !machines.some((machine) => machine.going))
    plan.waits.push(`pool ${pool.name}: all static places are taken`);
  if (wanted <= 0) {
    roll(turn);
    shrink(turn);
  }
  return plan;
};

/** Machines of a pool that is not wanted any more: all of them leave. */
export const planRemovedPool = (name: string, machines: readonly PlannedMachine[]): PoolStep[] =>
  machines.flatMap((machine): PoolStep[] => {
    if (!machine.going) return [{ kind: 'leave', pool: name, machine: machine.name, reason: `pool ${name} is not wanted any more` }];
    return machine.canDelete ? [{ kind: 'delete', pool: name, machine: machine.name }] : [];
  });
