import { isMachineEnvironment, isManagedEnvironment } from '@groundplane/protocol/environment/environments';
import { isInside } from '@groundplane/protocol/environment/infrastructure';
import type { Result } from '@groundplane/protocol/failure';
import type { MachineProvider, ManagedClusterProvider } from '../port/provider.ts';
import type { Change, Row } from '../port/store.ts';
import type { Residents } from '../resident/residents.ts';
import { residentPool } from '../resident/ensure.ts';
import { existingTurn, keepExisting } from './existing-turn.ts';
import { insideTeardown, insideTurn } from './inside-turn.ts';
import { machineTurn } from './machine-turn.ts';
import { cordonManaged, keepManaged, leavingOf, managedTurn } from './managed-turn.ts';
import { pacedMs } from './pace.ts';
import { afterFailure, again, noteFailure } from './steps.ts';
import { teardown } from './teardown.ts';
import { freshInfrastructure, saveInfrastructure, scopeOf, type CloudDeps, type Turn } from './turn.ts';

/** Clusters that are worked on at the same time; each waits for its environment most of the time. */
const clustersAtOnce = 64;
/** Of one account, whose environment may be away or its budget used up: the others have room all the same. */
const ofAccountAtOnce = 24;

interface Task {
  tenant: string;
  /** Whose calls it uses; a cluster without an account has its own. */
  account: string;
  running: boolean;
  /** Something changed while it ran. */
  isDirty: boolean;
  cancel: () => void;
  looked: { networkMs: number };
}

/** Its layers are taken away by the agent that put them there, also after the hub was started anew. */
const hasResident = (rows: readonly Row<'machine'>[]): boolean => rows.some((row) => row.value.pool === residentPool);

/**
 * Works on the infrastructure of every cluster that has one, each at its own pace: a cluster whose environment is slow or away holds up no other. What it does
 * next is decided from what is there, so that it can be killed at any moment.
 */
export const createCloudDriver = (deps: CloudDeps, residents?: Residents) => {
  const { store, fleet, clock, log } = deps;
  const startedMs = clock.monotonicMs();
  const tasks = new Map<string, Task>();
  /** By account. */
  const ready = new Map<string, string[]>();
  const runningOf = new Map<string, number>();
  let running = 0;
  let stopped = false;
  const idle = new Set<() => void>();

  const rowsOf = async (tenant: string, cluster: string): Promise<Row<'machine'>[]> => {
    const rows = await Promise.all(fleet.machinesOf(cluster).map((id) => store.get('machine', tenant, id)));
    return rows.filter((row) => row !== undefined);
  };

  const look = async (id: string, task: Task): Promise<number | undefined> => {
    const row = await store.get('cluster', task.tenant, id);
    const spec = row?.value.spec.infrastructure;
    if (row === undefined || spec === undefined) return undefined;
    const before = await store.get('infrastructure', row.tenant, id);
    const turn: Turn = {
      deps,
      row,
      spec,
      infra: structuredClone(before?.value ?? freshInfrastructure(spec)),
      scope: scopeOf(row, spec),
      nowMs: clock.wallMs(),
    };
    turn.infra.environment = spec.environment;
    // Before anything is asked for: a cluster that has things in a cloud is always known here.
    if (before === undefined && !(await saveInfrastructure(turn))) return again.soonMs;
    const rows = await rowsOf(row.tenant, id);
    const nextMs = await act(turn, rows, task);
    if (nextMs !== undefined) await saveInfrastructure(turn);
    return nextMs;
  };

  const act = async (turn: Turn, rows: Row<'machine'>[], task: Task): Promise<number | undefined> => {
    const { spec, row } = turn;
    const at = { tenant: row.tenant, project: row.project };
    const { environment, account } = spec;
    if (isMachineEnvironment(environment)) {
      const provider = await deps.accounts.machines(at, environment, account);
      if (!provider.ok) return withoutAccount(turn, provider, rows);
      return row.value.deleting
        ? teardown(turn, provider.value, rows)
        : machineTurn({ ...turn, provider: provider.value, rows, looked: task.looked, listeningMs: clock.monotonicMs() - startedMs });
    }
    if (isManagedEnvironment(environment)) {
      const provider = await deps.accounts.managed(at, environment, account);
      if (!provider.ok) return withoutAccount(turn, provider, rows);
      const managed = { ...turn, provider: provider.value, residents, cordon: cordonManaged(turn) };
      if (!row.value.deleting) return managedTurn(managed);
      if (!hasResident(rows)) return teardown(turn, provider.value, rows);
      await keepManaged(managed);
      return teardown(turn, provider.value, rows, () => leavingOf(managed));
    }
    if (isInside(spec)) return row.value.deleting ? insideTeardown(turn, rows) : insideTurn(turn, rows);
    if (!row.value.deleting) return existingTurn(turn, residents, rows);
    if (hasResident(rows)) await keepExisting(turn, residents);
    return teardown(turn, undefined, rows);
  };

  const withoutAccount = async (turn: Turn, result: Result<MachineProvider | ManagedClusterProvider>, rows: Row<'machine'>[]): Promise<number | undefined> => {
    // By force, what cannot be reached any more is forgotten; gp cloud orphans finds it again.
    if (turn.row.value.deleting && turn.row.value.forced === true) return teardown(turn, undefined, rows);
    if (result.ok) return again.quietMs;
    noteFailure(turn.infra, 'account', result.failure, turn.nowMs);
    return afterFailure(result.failure);
  };

  const run = async (id: string, task: Task): Promise<void> => {
    const { account } = task;
    task.running = true;
    running += 1;
    runningOf.set(account, (runningOf.get(account) ?? 0) + 1);
    let nextMs: number | undefined = again.retryMs;
    try {
      nextMs = await look(id, task);
    } catch (error) {
      log(`infrastructure of ${id}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    running -= 1;
    const others = (runningOf.get(account) ?? 1) - 1;
    if (others > 0) runningOf.set(account, others);
    else runningOf.delete(account);
    task.running = false;
    if (stopped) for (const resolve of idle) resolve();
    else if (nextMs === undefined) {
      tasks.delete(id);
      await residents?.remove(id);
    } else due(id, task.isDirty ? 0 : paced(id, task, nextMs));
    pump();
  };

  const paced = (id: string, task: Task, nextMs: number): number => {
    const environment = fleet.cluster(id)?.spec.infrastructure?.environment;
    if (environment === undefined) return nextMs;
    return pacedMs(nextMs, environment, [...tasks.values()].filter((other) => other.account === task.account).length);
  };

  /** Accounts take turns; within one of them, in the order in which they came. */
  const nextReady = (): string | undefined => {
    for (const [account, queue] of ready) {
      if ((runningOf.get(account) ?? 0) >= ofAccountAtOnce) continue;
      const id = queue.shift();
      ready.delete(account);
      if (queue.length > 0) ready.set(account, queue);
      return id;
    }
    return undefined;
  };

  const pump = (): void => {
    while (!stopped && running < clustersAtOnce) {
      const id = nextReady();
      if (id === undefined) return;
      const task = tasks.get(id);
      if (task === undefined || task.running) continue;
      task.isDirty = false;
      void run(id, task);
    }
  };

  const due = (id: string, delayMs: number): void => {
    const task = tasks.get(id);
    if (task === undefined || stopped) return;
    task.cancel();
    const put = (): void => {
      const queue = ready.get(task.account) ?? [];
      if (task.running) task.isDirty = true;
      else if (!queue.includes(id)) {
        queue.push(id);
        ready.set(task.account, queue);
      }
      pump();
    };
    if (delayMs === 0) {
      task.cancel = () => undefined;
      put();
    } else task.cancel = clock.after(delayMs, put);
  };

  const kick = (id: string): void => {
    const entry = fleet.cluster(id);
    if (entry?.spec.infrastructure === undefined) return;
    const name = entry.spec.infrastructure.account;
    const account = name === undefined ? id : `${entry.tenant} ${name}`;
    const known = tasks.get(id);
    if (known !== undefined) known.account = account;
    else
      tasks.set(id, {
        tenant: entry.tenant,
        account,
        running: false,
        isDirty: false,
        cancel: () => undefined,
        looked: { networkMs: Number.NEGATIVE_INFINITY },
      });
    due(id, 0);
  };

  const onChange = (changes: readonly Change[]): void => {
    for (const change of changes) {
      if (change.op === 'event') continue;
      const { row } = change;
      if (row.kind === 'cluster' && change.op === 'put') kick(row.id);
      else if (row.kind === 'host' && row.value.machine !== undefined) kick(fleet.clusterOf(row.id)?.id ?? fleet.clusterOfMachine(row.value.machine) ?? '');
      else if (row.kind === 'account')
        for (const cluster of fleet.clusters()) if (cluster.spec.infrastructure?.account === row.name && cluster.tenant === row.tenant) kick(cluster.id);
    }
  };

  return {
    start: async (): Promise<void> => {
      store.onChange(onChange);
      for (const cluster of fleet.clusters()) kick(cluster.id);
    },
    /** Looks at a cluster now: somebody approved, scaled or asked. */
    kick,
    busy: (): number => [...ready.values()].reduce((sum, queue) => sum + queue.length, running),
    stop: async (): Promise<void> => {
      stopped = true;
      for (const task of tasks.values()) task.cancel();
      if (running === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      idle.add(() => (running === 0 ? resolve() : undefined));
      await promise;
    },
  };
};
export type CloudDriver = ReturnType<typeof createCloudDriver>;
