import type { Pool } from '@groundplane/protocol/environment/pool';
import type { Failure, Result } from '@groundplane/protocol/failure';
import { isSettled, managedWant, planManagedPools, type ManagedPools, type ManagedPoolStep } from '../plan/managed-pools.ts';
import type { ManagedClusterProvider, ManagedPoolFacts, ManagedPoolWant, Progress } from '../port/provider.ts';
import { generationOf } from './machine-rows.ts';
import { askedOnce, cordonFirst, letIn, type Cordon } from './pool-leave.ts';
import type { PoolState } from './state.ts';
import { afterFailure, again, note, noteFailure } from './steps.ts';
import { event, type Turn } from './turn.ts';

export interface PoolsTurn extends Turn {
  provider: ManagedClusterProvider;
  /** Tells nodes of a pool that goes to take no new pods. */
  cordon?: Cordon;
}

/** Of the account or the way to it, not of one pool: nothing else can be done either. */
const ofAll = new Set(['throttled', 'credentials-refused', 'cloud-unreachable', 'cluster-missing']);

/** What a pool of the document should be in its environment. */
export const poolWant = (turn: Pick<PoolsTurn, 'infra' | 'spec' | 'scope'>, pool: Pool, version: string | undefined): ManagedPoolWant => ({
  ...managedWant(pool, turn.infra.scale[pool.name], version),
  generation: generationOf(turn, pool),
});

const partOf = ({ name, count, state, differs, version, message }: ManagedPoolFacts): NonNullable<PoolState['parts']>[number] => ({
  name,
  count,
  state,
  differs: [...differs],
  ...(version === undefined ? {} : { version }),
  ...(message === undefined ? {} : { message }),
});

const stateOf = ({ pool, generation, plan, there }: ManagedPools): PoolState => {
  const [first] = there.toSorted((a, b) => a.differs.length - b.differs.length);
  const isPlain = there.length < 2 && (first === undefined || first.name === pool.name);
  return {
    ...plan.counts,
    generation,
    needsApproval: plan.needsApproval,
    waits: [...plan.waits],
    ...(first?.version === undefined ? {} : { version: first.version }),
    ...(first?.message === undefined ? {} : { message: first.message }),
    ...(isPlain ? {} : { parts: there.map(partOf).toSorted((a, b) => (a.name < b.name ? -1 : 1)) }),
  };
};

const tell = async (turn: PoolsTurn, type: 'normal' | 'warning', reason: string, message: string): Promise<void> =>
  void (await turn.deps.store.commit([event(turn, type, reason, message)]));

type Wait = { what: string; afterMs: number };
/** `pending`: the environment is at work, which does one thing at a time. `held`: it was not asked yet, and only this pool waits. */
type Done = { kind: 'ready' } | ({ kind: 'pending' } & Wait) | ({ kind: 'held' } & Wait) | { kind: 'failed'; failure: Failure };

const doneOf = (result: Result<Progress<void>>): Done => {
  if (!result.ok) return { kind: 'failed', failure: result.failure };
  return result.value.state === 'ready' ? { kind: 'ready' } : { kind: 'pending', what: result.value.what, afterMs: result.value.afterMs ?? again.retryMs };
};

/** `seen`: as it was listed in this look. */
const removePool = async (turn: PoolsTurn, name: string, seen: ManagedPoolFacts | undefined): Promise<Done> => {
  const waiting = await cordonFirst(turn, seen);
  return waiting === undefined ? doneOf(await turn.provider.deletePool(turn.scope, name)) : { kind: 'held', ...waiting };
};

const take = async (turn: PoolsTurn, { pool, there }: ManagedPools, step: ManagedPoolStep, version: string | undefined): Promise<Done> => {
  const seen = there.find((item) => item.name === step.name);
  if (step.kind === 'ensure' && seen === undefined && step.replaces.length > 0) {
    const differs = [...new Set(there.flatMap((item) => item.differs))].join(', ');
    await tell(
      turn,
      'normal',
      'PoolReplaced',
      `pool ${pool.name}: ${differs} cannot be changed in place; ${step.name} is made, then ${step.replaces.join(', ')} goes`,
    );
  }
  if (step.kind === 'remove') {
    if (seen !== undefined && seen.state !== 'going' && turn.infra.cordoned?.[step.name] === undefined)
      await tell(turn, 'normal', 'PoolRemoved', `pool ${pool.name}: ${step.name} goes: ${step.reason}`);
    return await removePool(turn, step.name, seen);
  }
  const want = poolWant(turn, pool, version);
  if (isSettled(step, want, there)) return { kind: 'ready' };
  return doneOf(await turn.provider.ensurePool(turn.scope, { ...want, name: step.name, count: step.count }));
};

/** Pauses between attempts at a successor that the environment cannot make; each costs it, and maybe money. Doubled each time. */
const successorPauseMs = 10 * 60_000;
const successorPauseMaxMs = 6 * 3_600_000;

/** A successor that could never be made stands in the way of the next attempt; the one that it was to replace carries on. */
const clearFailed = async (turn: PoolsTurn, planned: ManagedPools, step: ManagedPoolStep, failure: Failure): Promise<void> => {
  const isSuccessor = step.kind === 'ensure' && step.replaces.some((name) => planned.there.some((item) => item.name === name && item.state === 'ready'));
  if (failure.code !== 'pool-failed' || !isSuccessor) return;
  const { infra, nowMs } = turn;
  const { generation } = planned;
  const known = infra.failedSuccessors?.[planned.pool.name];
  const before = known?.generation === generation ? known : undefined;
  const pauseMs = before === undefined ? 0 : Math.min(successorPauseMaxMs, successorPauseMs * 2 ** (before.times - 1));
  // A clock that went back waits for nothing.
  if (before !== undefined && nowMs >= before.atMs && nowMs < before.atMs + pauseMs) return;
  infra.failedSuccessors = { ...infra.failedSuccessors, [planned.pool.name]: { generation, times: (before?.times ?? 0) + 1, atMs: nowMs } };
  await tell(turn, 'warning', 'PoolFailed', `pool ${planned.pool.name}: ${step.name} could not be made and is taken away again: ${failure.message}`);
  await turn.provider.deletePool(turn.scope, step.name);
};

/** One pool, step by step until something of it takes time. Answers what it waits for. */
const takeAll = async (turn: PoolsTurn, planned: ManagedPools, version: string | undefined): Promise<Exclude<Done, { kind: 'ready' }> | undefined> => {
  for (const step of planned.plan.steps) {
    const done = await take(turn, planned, step, version);
    if (done.kind === 'ready') continue;
    if (done.kind === 'failed' && !ofAll.has(done.failure.code)) await clearFailed(turn, planned, step, done.failure);
    return done;
  }
  return undefined;
};

const plansOf = (turn: PoolsTurn, listed: readonly ManagedPoolFacts[]) => {
  const { spec, infra } = turn;
  const { pools, remove } = planManagedPools({
    pools: spec.pools,
    listed,
    scale: infra.scale,
    approved: infra.approved,
    generationOf: (pool) => generationOf(turn, pool),
  });
  infra.pools = Object.fromEntries(pools.map((item) => [item.pool.name, stateOf(item)]));
  return {
    pools,
    remove,
    going: new Set([...remove, ...pools.flatMap(({ plan }) => plan.steps.flatMap((step) => (step.kind === 'remove' ? [step.name] : [])))]),
  };
};

/**
 * Brings the pools of a managed cluster one step on. One that fails, or whose nodes are being cordoned, holds up no other; one that the environment is at work on
 * does, since environments change one thing at a time. Answers when to look again; undefined: all is as wanted, or waits for somebody.
 */
export const managedPools = async (given: PoolsTurn, version: string | undefined): Promise<number | undefined> => {
  const turn = { ...given, cordon: askedOnce(given.cordon) };
  const { provider, scope, spec, infra } = turn;
  const listed = await provider.listPools(
    scope,
    spec.pools.map((pool) => poolWant(turn, pool, version)),
  );
  if (!listed.ok) return failed(turn, listed.failure);
  const { pools, remove, going } = plansOf(turn, listed.value);
  const staying = await letIn(turn, listed.value, going);
  const held: Wait[] = [];
  let first: Failure | undefined;
  for (const planned of pools) {
    if (!planned.plan.steps.some((step) => step.kind === 'ensure' && step.replaces.length > 0)) delete infra.failedSuccessors?.[planned.pool.name];
    const done = await takeAll(turn, planned, version);
    if (done === undefined) continue;
    if (done.kind === 'pending') return doing(turn, [done, ...held]);
    if (done.kind === 'held') held.push(done);
    else if (ofAll.has(done.failure.code)) return failed(turn, done.failure);
    else {
      first ??= done.failure;
      infra.pools[planned.pool.name]?.waits.push(wordsOf(done.failure));
    }
  }
  for (const name of remove) {
    const gone = await removePool(
      turn,
      name,
      listed.value.find((item) => item.name === name),
    );
    if (gone.kind === 'ready') continue;
    if (gone.kind === 'pending') return doing(turn, [gone, ...held]);
    if (gone.kind === 'held') held.push(gone);
    else if (ofAll.has(gone.failure.code)) return failed(turn, gone.failure);
    else {
      first ??= gone.failure;
      staying.push(wordsOf(gone.failure));
    }
  }
  return atTheEnd(turn, pools, { first, staying, held });
};

const wordsOf = ({ element, message }: Failure): string => `${element}: ${message}`.slice(0, 1_000);

interface Left {
  first: Failure | undefined;
  staying: readonly string[];
  held: readonly Wait[];
}

/** Every pool had its turn. */
const atTheEnd = (turn: PoolsTurn, pools: readonly ManagedPools[], { first, staying, held }: Left): number | undefined => {
  const { infra, spec, nowMs } = turn;
  const waits = [...Object.values(infra.pools).flatMap((pool) => pool.waits), ...staying];
  if (first === undefined && held.length > 0) return doing(turn, [...held, ...waits.map((what) => ({ what, afterMs: again.blockedMs }))]);
  // What was made ready just now has its old one to lose in the next look.
  const isMoving = pools.some(({ plan }) => plan.steps.some((step) => step.kind === 'remove' || step.replaces.length > 0));
  const state = first !== undefined ? (first.kind === 'retry' ? 'waiting' : 'failed') : waits.length > 0 ? 'waiting' : isMoving ? 'doing' : 'done';
  const words = [...waits, ...held.map(({ what }) => what)];
  note(
    infra,
    'pools',
    state,
    words.length > 0 ? words.join('; ').slice(0, 2_000) : isMoving ? 'a pool is being replaced' : `${spec.pools.length} as wanted`,
    nowMs,
  );
  if (first !== undefined) return Math.min(afterFailure(first), ...held.map(({ afterMs }) => afterMs));
  if (staying.length > 0) return again.blockedMs;
  return isMoving ? again.soonMs : undefined;
};

const failed = (turn: PoolsTurn, failure: Failure): number => {
  noteFailure(turn.infra, 'pools', failure, turn.nowMs);
  return afterFailure(failure);
};

const doing = (turn: PoolsTurn, waits: readonly Wait[]): number => {
  note(
    turn.infra,
    'pools',
    'doing',
    waits
      .map(({ what }) => what)
      .join('; ')
      .slice(0, 2_000),
    turn.nowMs,
  );
  return Math.min(...waits.map(({ afterMs }) => afterMs));
};
