import { createHash } from 'node:crypto';
import { canonicalJson } from '@groundplane/protocol/canonical';
import type { Pool } from '@groundplane/protocol/environment/pool';
import type { Failure, Result } from '@groundplane/protocol/failure';
import { isClear } from '../plan/members.ts';
import { lateListMs, machineHealth } from '../plan/machine-health.ts';
import { planPool, planRemovedPool, zoneNow, type PlannedMachine, type PoolPlan, type PoolStep } from '../plan/pools.ts';
import type { MachineFacts, MachineProvider, MachineWant } from '../port/provider.ts';
import type { Row } from '../port/store.ts';
import { pinImages } from './images.ts';
import { forgetMachine, generationOf, noteMachine, saveMachine, wantOf } from './machine-rows.ts';
import { afterFailure, again, dropStep, note, noteFailure } from './steps.ts';
import { noteUpstreamSupport } from './support.ts';
import { event, saveInfrastructure, type Turn } from './turn.ts';

/** Machines that are asked for at once; a cluster of a thousand does not use up its account's whole budget. */
const atOnceMax = 8;
/** A host that does not leave in this time is let go as it is. */
const leaveMs = 15 * 60_000;

export interface MachineTurn extends Turn {
  provider: MachineProvider;
  rows: Row<'machine'>[];
  /** When the network and the address were looked at last, by the hub's monotonic clock; drift of them is looked for now and then. */
  looked: { networkMs: number };
  /** How long this hub has been there to be spoken to. */
  listeningMs: number;
  /** What the environment lists is not believed. */
  isListBlind?: boolean;
  /** By pool: why it is not known what its machines are made from. */
  unresolved?: ReadonlyMap<string, Failure>;
}

const inParts = async <T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> => {
  for (let start = 0; start < items.length; start += atOnceMax) await Promise.all(items.slice(start, start + atOnceMax).map(act));
};

/** Network first. Answers when to come again, or undefined to go on. */
const network = async (turn: MachineTurn): Promise<number | undefined> => {
  const { provider, scope, infra, nowMs, deps } = turn;
  const digest = createHash('sha256')
    .update(canonicalJson({ placement: scope.placement as never, zones: scope.zones }))
    .digest('hex');
  const isKnown = infra.networkOf === digest && deps.clock.monotonicMs() - turn.looked.networkMs < again.driftMs;
  if (isKnown) return undefined;
  const made = await provider.ensureNetwork(scope);
  if (!made.ok) {
    noteFailure(infra, 'network', made.failure, nowMs);
    return afterFailure(made.failure);
  }
  if (made.value.state === 'pending') {
    note(infra, 'network', 'doing', made.value.what, nowMs);
    return made.value.afterMs ?? again.soonMs;
  }
  note(infra, 'network', 'done', 'stands', nowMs);
  infra.networkOf = digest;
  turn.looked.networkMs = deps.clock.monotonicMs();
  infra.servers = [];
  return undefined;
};

/**
 * Machines that stood are all gone from the list at once, and agents on them speak: the account lost a right, or is another one. To believe it would be to make
 * all of it a second time. One that was deleted alone is missed at once.
 */
const isListBlind = ({ rows, deps, nowMs }: MachineTurn, facts: readonly MachineFacts[]): boolean => {
  const listed = new Set(facts.map((machine) => machine.name));
  const stood = rows.filter((row) => row.value.phase === 'made' && nowMs - (row.value.madeAtMs ?? nowMs) >= lateListMs);
  return stood.every((row) => !listed.has(row.name)) && stood.some((row) => deps.fleet.hostOfMachine(row.id)?.online === true);
};

const endpoint = async (turn: MachineTurn, facts: readonly MachineFacts[]): Promise<number | undefined> => {
  const { provider, scope, infra, nowMs, rows } = turn;
  const wanted = new Set(rows.filter((row) => row.value.role === 'control-plane' && row.value.phase === 'made').map((row) => row.name));
  const servers = facts.filter((machine) => wanted.has(machine.name) && (machine.state === 'starting' || machine.state === 'running'));
  const names = servers.map((machine) => machine.instance).toSorted();
  // An account that sees nothing any more is no reason to take the API server from its address.
  if (infra.endpoint !== undefined && isListBlind(turn, facts)) return undefined;
  const isSame =
    infra.endpoint !== undefined &&
    JSON.stringify(names) === JSON.stringify(infra.servers) &&
    infra.networkOf !== undefined &&
    infra.steps.some((step) => step.name === 'endpoint' && step.state === 'done');
  if (isSame) return undefined;
  const made = await provider.ensureEndpoint(scope, servers);
  if (!made.ok) {
    noteFailure(infra, 'endpoint', made.failure, nowMs);
    return afterFailure(made.failure);
  }
  if (made.value.state === 'pending') {
    note(infra, 'endpoint', 'doing', made.value.what, nowMs);
    return made.value.afterMs ?? again.soonMs;
  }
  infra.endpoint = made.value.value;
  infra.servers = names;
  note(infra, 'endpoint', 'done', `${made.value.value.host}:${made.value.value.port}`, nowMs);
  return undefined;
};

/** Machines with our tag that nobody noted: this hub was restored from a backup. They are taken in by their tags. */
const adopt = async (turn: MachineTurn, facts: readonly MachineFacts[]): Promise<void> => {
  const known = new Set(turn.rows.map((row) => row.name));
  for (const machine of facts.filter((item) => !known.has(item.name) && item.state !== 'going')) {
    const pool = turn.spec.pools.find((item) => item.name === machine.pool);
    const id = `mch_${createHash('sha256')
      .update(`${turn.row.id} ${machine.name}`)
      .digest('hex')
      .replaceAll(/[ilou]/g, '0')
      .slice(0, 20)}`;
    const { tenant, project } = turn.row;
    const host = turn.deps.fleet.hostByName(tenant, project, machine.name);
    const hostRow = host === undefined ? undefined : await turn.deps.store.get('host', tenant, host.id);
    await turn.deps.store.commit([
      {
        op: 'put',
        kind: 'machine',
        tenant,
        id,
        project,
        name: machine.name,
        expect: 'absent',
        value: {
          cluster: turn.row.id,
          pool: machine.pool,
          role: pool?.role ?? 'worker',
          size: pool?.size ?? '',
          generation: machine.generation,
          ...(machine.zone === undefined ? {} : { zone: machine.zone }),
          phase: 'made',
          sinceMs: turn.nowMs,
          madeAtMs: turn.nowMs,
          reason: 'was found by its tags',
          ticket: '',
          instance: machine.instance,
        },
      },
      ...(hostRow === undefined
        ? []
        : [
            {
              op: 'put' as const,
              kind: 'host' as const,
              tenant,
              id: hostRow.id,
              project,
              name: hostRow.name,
              lookup: hostRow.value.key,
              value: { ...hostRow.value, machine: id },
              expect: hostRow.version,
            },
          ]),
      event(turn, 'warning', 'MachineAdopted', `machine ${machine.name} carries the tag of ${turn.row.name} and was unknown here; it is taken in`),
    ]);
    const row = await turn.deps.store.get('machine', tenant, id);
    if (row !== undefined) turn.rows.push(row);
  }
};

/** Asks for what was noted and not made yet; also for what was asked for in a life before this one. */
/** What could not be made yet goes where its pool is now. It is written down with whatever comes of it. */
const rezone = (turn: MachineTurn): void => {
  for (const [index, row] of turn.rows.entries()) {
    const pool = turn.spec.pools.find((item) => item.name === row.value.pool);
    if (row.value.phase !== 'wanted' || pool === undefined) continue;
    const others = turn.rows.flatMap((other) => (other !== row && other.value.pool === pool.name ? [other.value.zone] : []));
    turn.rows[index] = { ...row, value: { ...row.value, zone: zoneNow(pool, row.value.zone, others) } };
  }
};

const makeWanted = async (turn: MachineTurn): Promise<Failure | undefined> => {
  let first: Failure | undefined;
  rezone(turn);
  await inParts(
    turn.rows.filter((row) => row.value.phase === 'wanted'),
    async (row) => {
      const pool = turn.spec.pools.find((item) => item.name === row.value.pool);
      if (pool === undefined) return void (await saveMachine(turn, row, { phase: 'leaving', sinceMs: turn.nowMs, reason: 'its pool is not wanted any more' }));
      const unresolved = turn.unresolved?.get(pool.name);
      const want: Result<MachineWant> = unresolved === undefined ? await wantOf(turn, pool, row) : { ok: false, failure: unresolved };
      const made = want.ok ? await turn.provider.ensureMachine(turn.scope, want.value) : want;
      if (!made.ok) {
        first ??= made.failure;
        await saveMachine(turn, row, { message: `${made.failure.element}: ${made.failure.message}`.slice(0, 1_000) });
        return;
      }
      const { instance, state, addresses, zone, generation } = made.value;
      await saveMachine(turn, row, {
        phase: 'made',
        sinceMs: turn.nowMs,
        madeAtMs: turn.nowMs,
        instance,
        state,
        size: pool.size,
        // Its own: one that a call of before made, whose answer was lost, is of then.
        generation,
        addresses: [...addresses],
        ...(zone === undefined ? {} : { zone }),
        ...(turn.infra.images?.[pool.name] === undefined ? {} : { image: turn.infra.images[pool.name]?.exact }),
        message: undefined,
      });
    },
  );
  return first;
};

/** After many were silent at once each has its whole time again: they come back one after the other, and the last ones are not the broken ones. */
const isDue = ({ infra, nowMs }: MachineTurn, pool: Pool | undefined): boolean => {
  const crowdMs = pool === undefined ? undefined : infra.crowdSilentMs?.[pool.name];
  return pool === undefined || crowdMs === undefined || nowMs - crowdMs > pool.health.unhealthyAfterSeconds * 1_000;
};

const noteCrowd = ({ infra, nowMs }: MachineTurn, pool: Pool, isCrowdSilent: boolean): void => {
  const known = infra.crowdSilentMs?.[pool.name];
  // A clock that went back begins anew.
  if (isCrowdSilent || (known !== undefined && known > nowMs)) infra.crowdSilentMs = { ...infra.crowdSilentMs, [pool.name]: nowMs };
  else if (known !== undefined && nowMs - known > pool.health.unhealthyAfterSeconds * 1_000) delete infra.crowdSilentMs?.[pool.name];
};

const plannedOf = (turn: MachineTurn, row: Row<'machine'>, facts: MachineFacts | undefined, pool: Pool | undefined): PlannedMachine => {
  const { value } = row;
  const entry = turn.deps.fleet.hostOfMachine(row.id);
  const hasJoined = entry !== undefined && (entry.node === undefined ? entry.phase === 'converged' || entry.phase === 'degraded' : entry.node === 'joined');
  const host = entry === undefined ? undefined : { online: entry.online, lastSeenMs: entry.lastSeenMs, hasJoined };
  const judged =
    pool === undefined
      ? { health: 'unknown' as const, message: '' }
      : machineHealth(pool, {
          madeAtMs: value.madeAtMs,
          facts,
          host,
          nowMs: turn.nowMs,
          listeningMs: turn.listeningMs,
          isListBlind: turn.isListBlind === true,
        });
  const going = value.phase === 'leaving' || value.phase === 'deleting';
  const isHopeless = facts === undefined || facts.state === 'failed' || facts.state === 'going';
  const isOver = turn.nowMs - value.sinceMs > leaveMs;
  return {
    name: row.name,
    pool: value.pool,
    generation: value.generation,
    zone: value.zone,
    place: value.place,
    going,
    // What is not seen cannot be deleted, and would only be forgotten.
    canDelete: turn.isListBlind !== true && (value.phase === 'deleting' || (going && (entry === undefined || isClear(entry) || isHopeless || isOver))),
    madeAtMs: value.madeAtMs,
    isDue: isDue(turn, pool),
    ...judged,
  };
};

/** Where the size was set by somebody who scales, within the bounds, that counts. */
const scaled = (pool: Pool, scale: number | undefined): Pool =>
  scale === undefined || pool.min === undefined || pool.max === undefined ? pool : { ...pool, count: Math.min(pool.max, Math.max(pool.min, scale)) };

const planAll = (turn: MachineTurn, facts: ReadonlyMap<string, MachineFacts>): { steps: PoolStep[]; plans: Map<string, PoolPlan> } => {
  const plans = new Map<string, PoolPlan>();
  const steps: PoolStep[] = [];
  for (const given of turn.spec.pools) {
    const pool = scaled(given, turn.infra.scale[given.name]);
    const machines = turn.rows.filter((row) => row.value.pool === pool.name).map((row) => plannedOf(turn, row, facts.get(row.name), pool));
    const generation = generationOf(turn, pool);
    const plan = planPool({ pool, generation, approved: turn.infra.approved[pool.name], machines });
    noteCrowd(turn, pool, plan.isCrowdSilent);
    plans.set(pool.name, plan);
    steps.push(...plan.steps);
    turn.infra.pools[pool.name] = { ...plan.counts, generation, needsApproval: plan.needsApproval, waits: plan.waits };
  }
  const wanted = new Set(turn.spec.pools.map((pool) => pool.name));
  const others = new Set(turn.rows.map((row) => row.value.pool).filter((name) => !wanted.has(name)));
  for (const name of others) {
    const machines = turn.rows.filter((row) => row.value.pool === name).map((row) => plannedOf(turn, row, facts.get(row.name), undefined));
    steps.push(...planRemovedPool(name, machines));
  }
  for (const name of Object.keys(turn.infra.pools)) if (!wanted.has(name)) delete turn.infra.pools[name];
  return { steps, plans };
};

const rowNamed = (turn: MachineTurn, name: string): Row<'machine'> | undefined => turn.rows.find((row) => row.name === name);

const execute = async (turn: MachineTurn, steps: readonly PoolStep[]): Promise<{ failure: Failure | undefined; isBusy: boolean }> => {
  let failure: Failure | undefined;
  let isBusy = steps.length > 0;
  await inParts(steps, async (step) => {
    if (step.kind === 'make') {
      const pool = turn.spec.pools.find((item) => item.name === step.pool);
      const noted = pool === undefined ? undefined : await noteMachine(turn, pool, step);
      if (noted?.ok === true && noted.value !== undefined) turn.rows.push(noted.value);
      return;
    }
    const row = rowNamed(turn, step.machine);
    if (row === undefined) return;
    if (step.kind === 'leave') {
      await saveMachine(turn, row, { phase: 'leaving', sinceMs: turn.nowMs, reason: step.reason }, [
        event(turn, 'normal', 'MachineLeaves', `machine ${row.name} leaves the cluster: ${step.reason}`),
      ]);
      return;
    }
    if (row.value.phase !== 'deleting' && !(await saveMachine(turn, row, { phase: 'deleting', sinceMs: turn.nowMs }))) return;
    const gone = await turn.provider.deleteMachine(turn.scope, row.name);
    if (!gone.ok) failure ??= gone.failure;
    else if (gone.value.state === 'ready') await forgetMachine(turn, row);
  });
  const failed = turn.isListBlind === true ? undefined : await makeWanted(turn);
  isBusy ||= turn.rows.some((row) => row.value.phase !== 'made');
  return { failure: failure ?? failed, isBusy };
};

/** What was seen of each machine, kept for people. */
const noteMachines = async (turn: MachineTurn, facts: ReadonlyMap<string, MachineFacts>): Promise<void> => {
  for (const row of turn.rows) {
    const seen = facts.get(row.name);
    const pool = turn.spec.pools.find((item) => item.name === row.value.pool);
    if (row.value.phase !== 'made' || pool === undefined) continue;
    const { health, message } = plannedOf(turn, row, seen, pool);
    // Seconds that grow would be a write in each round.
    const words = message.replace(/ for \d+ s$/, '');
    await saveMachine(turn, row, {
      health,
      message: words,
      ...(seen === undefined ? {} : { state: seen.state, addresses: [...seen.addresses], instance: seen.instance }),
    });
  }
};

/** Brings network, address and machines of a cluster one step on. Answers when to look again. */
export const machineTurn = async (turn: MachineTurn): Promise<number> => {
  const { infra, nowMs, provider, scope } = turn;
  dropStep(infra, 'account');
  await noteUpstreamSupport(turn);
  // Where machines stood, they are looked for first: a network that is not seen either is not to be made a second time.
  const seen = turn.rows.some((row) => row.value.phase === 'made') ? await provider.listMachines(scope) : undefined;
  turn.isListBlind = seen?.ok === true && isListBlind(turn, seen.value);
  const early = turn.isListBlind ? undefined : await network(turn);
  if (early !== undefined) return early;
  const listed = seen ?? (await provider.listMachines(scope));
  if (!listed.ok) {
    noteFailure(infra, 'machines', listed.failure, nowMs);
    return afterFailure(listed.failure);
  }
  await adopt(turn, listed.value);
  const facts = new Map(listed.value.map((machine) => [machine.name, machine]));
  const waiting = await endpoint(turn, listed.value);
  if (waiting !== undefined && infra.endpoint === undefined) return waiting;
  // The address goes into what machines are told; it has to be known to the rest of the hub first.
  await saveInfrastructure(turn);
  await noteMachines(turn, facts);
  turn.rows = await refreshed(turn);
  turn.unresolved = await pinImages(turn);
  const { steps } = planAll(turn, facts);
  const { failure, isBusy } = await execute(turn, steps);
  const counts = Object.values(infra.pools);
  const [ready, wanted] = [counts.reduce((sum, pool) => sum + pool.ready, 0), counts.reduce((sum, pool) => sum + pool.wanted, 0)];
  const waits = counts.flatMap((pool) => pool.waits);
  if (failure !== undefined) {
    noteFailure(infra, 'machines', failure, nowMs);
    return afterFailure(failure);
  }
  const isDone = !isBusy && waits.length === 0 && counts.every((pool) => pool.ready === pool.wanted && pool.total === pool.wanted && pool.outdated === 0);
  note(infra, 'machines', isDone ? 'done' : waits.length > 0 && !isBusy ? 'waiting' : 'doing', [`${ready} of ${wanted} ready`, ...waits].join('; '), nowMs);
  return isDone ? again.quietMs : again.soonMs;
};

const refreshed = async (turn: MachineTurn): Promise<Row<'machine'>[]> => {
  const rows = await Promise.all(turn.rows.map((row) => turn.deps.store.get('machine', row.tenant, row.id)));
  return rows.filter((row) => row !== undefined);
};
