import type { Pool } from '@groundplane/protocol/environment/pool';
import type { ManagedPoolFacts, ManagedPoolWant } from '../port/provider.ts';

/** Whether an environment scales this pool by itself, so that its number of nodes is not ours. */
export const isAutoscaled = (pool: { min?: number | undefined; max?: number | undefined }): boolean =>
  pool.min !== undefined && pool.max !== undefined && pool.min < pool.max;

const within = (pool: Pool, count: number): number =>
  pool.min === undefined || pool.max === undefined ? pool.count : Math.min(pool.max, Math.max(pool.min, count));

/** What a pool of a managed cluster should be. Its nodes follow the control plane, never before it. */
export const managedWant = (pool: Pool, scale: number | undefined, version: string | undefined): ManagedPoolWant => ({
  name: pool.name,
  pool: pool.name,
  size: pool.size,
  count: within(pool, scale ?? pool.count),
  min: pool.min,
  max: pool.max,
  zones: pool.zones,
  diskGiB: pool.diskGiB,
  image: pool.image,
  spot: pool.spot,
  labels: pool.labels,
  taints: pool.taints,
  update: pool.update,
  ...(version === undefined ? {} : { version }),
});

export interface ManagedPoolInput {
  pool: Pool;
  /** What somebody set within its bounds. */
  scale: number | undefined;
  /** Digest of what its nodes are made from now. */
  generation: string;
  /** Generation that somebody approved, where the pool asks for approval. */
  approved: string | undefined;
  /** Pools of the environment that belong to it. */
  there: readonly ManagedPoolFacts[];
  /** Names that are nobody's to take: of every pool that is there, and of the document's other pools. */
  taken: ReadonlySet<string>;
}

/** In order; what comes after a step that takes time waits for it. */
export type ManagedPoolStep =
  /** Makes it, or changes it in place. `replaces`: it is the successor of these. */
  { kind: 'ensure'; name: string; count: number; replaces: readonly string[] } | { kind: 'remove'; name: string; reason: string };

export interface ManagedPoolPlan {
  steps: ManagedPoolStep[];
  /** Why something that is wanted does not happen now. */
  waits: string[];
  needsApproval: boolean;
  /** In nodes. */
  counts: { wanted: number; total: number; ready: number; outdated: number };
}

/**
 * Whether a step asks for nothing new of a pool that was listed in the same look, so that it need not be read once more. `want`: what the list was compared with; a
 * count that differs from it is a step of its own, except where an autoscaler has it.
 */
export const isSettled = (step: ManagedPoolStep, want: Pick<ManagedPoolWant, 'count' | 'min' | 'max'>, there: readonly ManagedPoolFacts[]): boolean =>
  step.kind === 'ensure' && (step.count === want.count || isAutoscaled(want)) && there.some((item) => item.name === step.name && item.settled === true);

const sum = (pools: readonly ManagedPoolFacts[]): number => pools.reduce((total, pool) => total + pool.count, 0);
const fits = (pool: ManagedPoolFacts): boolean => pool.state !== 'going' && pool.differs.length === 0;

/** `workers`, `workers-2`, …: the first that is free. Found anew from what is there, so that a name that was asked for once is asked for again. */
const freeName = (pool: string, taken: ReadonlySet<string>): string => {
  if (!taken.has(pool)) return pool;
  let number = 2;
  while (taken.has(`${pool}-${number}`)) number += 1;
  return `${pool}-${number}`;
};

/** Of several that fit, the one that is nearest to carrying the load. */
const bestOf = (pools: readonly ManagedPoolFacts[], name: string): ManagedPoolFacts | undefined => {
  const rank = (pool: ManagedPoolFacts): number[] => [pool.state === 'failed' ? 1 : 0, pool.state === 'ready' ? 0 : 1, -pool.count, pool.name === name ? 0 : 1];
  return pools.toSorted((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    const at = left.findIndex((value, index) => value !== right[index]);
    return at < 0 ? a.name.localeCompare(b.name) : (left[at] ?? 0) - (right[at] ?? 0);
  })[0];
};

/** As many nodes as the pool has now, where an autoscaler decides. */
const countFor = ({ pool, scale, there }: ManagedPoolInput): number => {
  const wanted = within(pool, scale ?? pool.count);
  const now = there.filter((item) => item.state !== 'going' && item.state !== 'failed').map((item) => item.count);
  return isAutoscaled(pool) && now.length > 0 ? within(pool, Math.max(...now)) : wanted;
};

const isCarrying = (pool: Pool, current: ManagedPoolFacts, count: number): boolean =>
  current.state === 'ready' && (isAutoscaled(pool) || current.count >= count - pool.update.maxUnavailable);

const differences = (pools: readonly ManagedPoolFacts[]): string => [...new Set(pools.flatMap((pool) => pool.differs))].toSorted().join(', ');

/** Nothing that is there fits. What is there is kept as it should be, as far as that is possible, until a successor may be made. */
const successor = (input: ManagedPoolInput, plan: ManagedPoolPlan, count: number): void => {
  const { pool, generation, approved, there, taken } = input;
  const staying = there.filter((item) => item.state !== 'going');
  const name = freeName(pool.name, taken);
  const keep = (why: string): void => {
    plan.waits.push(`pool ${pool.name}: ${differences(staying)} cannot be changed in place. ${why}`);
    for (const item of staying) if (item.state !== 'failed') plan.steps.push({ kind: 'ensure', name: item.name, count, replaces: [] });
  };
  if (sum(staying) > 0 && pool.update.approval === 'manual' && approved !== generation) {
    plan.needsApproval = true;
    return keep(`Its ${sum(staying)} nodes would be replaced, and nobody has approved it (gp pool repave)`);
  }
  if (sum(staying) > 0 && pool.update.maxSurge === 0)
    return keep(
      'A pool that replaces it stands beside it for a while, and maxSurge is 0. Set it to 1 or more, or add a pool of another name and take this one out',
    );
  plan.steps.push({ kind: 'ensure', name, count, replaces: staying.map((item) => item.name) });
};

/**
 * What is next for a pool of a managed cluster. What can be changed in place is changed; for what cannot, a successor is made with all its nodes, and when it is
 * ready the old one goes. Pure and total, and decided from what is there: when the document changes back in between, the old one fits again, and the successor is
 * the one that goes.
 */
export const planManagedPool = (input: ManagedPoolInput): ManagedPoolPlan => {
  const { pool, there } = input;
  const staying = there.filter((item) => item.state !== 'going');
  const count = countFor(input);
  const plan: ManagedPoolPlan = {
    steps: [],
    waits: [],
    needsApproval: false,
    counts: {
      wanted: isAutoscaled(pool) ? count : within(pool, input.scale ?? pool.count),
      total: sum(staying),
      ready: sum(staying.filter((item) => item.state === 'ready')),
      outdated: sum(staying.filter((item) => !fits(item))),
    },
  };
  if (pool.paused) return { ...plan, waits: [`pool ${pool.name} is paused`] };
  const current = bestOf(there.filter(fits), pool.name);
  const others = there.filter((item) => item !== current);
  if (current === undefined) successor(input, plan, count);
  else plan.steps.push({ kind: 'ensure', name: current.name, count, replaces: others.filter((item) => item.state !== 'going').map((item) => item.name) });
  for (const item of others) {
    const isDone = current !== undefined && isCarrying(pool, current, count);
    // What is going already is only asked whether it is gone; what is of no use goes when something else is there.
    const isUseless = item.state === 'failed' && !fits(item) && staying.some((other) => other.state === 'ready');
    if (item.state !== 'going' && !isDone && !isUseless) continue;
    const why = item.differs.length === 0 ? `there are two for pool ${pool.name}` : `its ${item.differs.join(', ')} differed`;
    plan.steps.push({ kind: 'remove', name: item.name, reason: current === undefined ? why : `${current.name} has taken over; ${why}` });
  }
  return plan;
};

export interface ManagedPools {
  pool: Pool;
  /** Of what its nodes are made from now. */
  generation: string;
  plan: ManagedPoolPlan;
  there: ManagedPoolFacts[];
}

export interface ManagedPoolsInput {
  pools: readonly Pool[];
  listed: readonly ManagedPoolFacts[];
  scale: Readonly<Record<string, number>>;
  approved: Readonly<Record<string, string>>;
  generationOf: (pool: Pool) => string;
}

/** One pool changes at a time, so that workloads have somewhere to go; new ones come before old ones are changed, and what is not wanted any more goes last. */
export const planManagedPools = ({ pools, listed, scale, approved, generationOf }: ManagedPoolsInput): { pools: ManagedPools[]; remove: string[] } => {
  const names = new Set(pools.map((pool) => pool.name));
  const planned = pools.map((pool): ManagedPools => {
    const generation = generationOf(pool);
    // Otherwise an environment that writes a value in its own way would get one successor after the other.
    const there = listed.filter((item) => item.pool === pool.name).map((item) => (item.generation === generation ? { ...item, differs: [] } : item));
    const taken = new Set([...listed.map((item) => item.name), ...[...names].filter((name) => name !== pool.name)]);
    const input = { pool, scale: scale[pool.name], generation, approved: approved[pool.name], there, taken };
    return { pool, generation, there, plan: planManagedPool(input) };
  });
  const isNew = (item: ManagedPools): boolean => item.there.length === 0;
  return {
    pools: [...planned.filter(isNew), ...planned.filter((item) => !isNew(item))],
    remove: listed.filter((item) => !names.has(item.pool)).map((item) => item.name),
  };
};
