import { isClear } from '../plan/members.ts';
import type { HostEntry } from '../fleet/index.ts';
import type { MachineProvider, ManagedClusterProvider } from '../port/provider.ts';
import type { Row } from '../port/store.ts';
import { machineGone } from './machine-rows.ts';
import { afterFailure, again, note, noteFailure } from './steps.ts';
import { event, type Turn } from './turn.ts';

/** Hosts that say nothing for so long are not waited for: their machines are deleted anyway. */
const layersMs = 30 * 60_000;

const hostsOf = (turn: Turn, rows: readonly Row<'machine'>[]): HostEntry[] => {
  const { fleet } = turn.deps;
  const named = fleet.specOf(turn.row).hosts.map((name) => fleet.hostByName(turn.row.tenant, turn.row.project, name));
  return [...new Set([...named, ...rows.map((row) => fleet.hostOfMachine(row.id))])].filter((host) => host !== undefined);
};

/** What the layers made in the cloud and are giving back: nothing of a cluster that cannot be asked from here. */
export type Leaving = () => Promise<string[]>;
const namedMax = 5;

/** Layers first, so that what they made in the cloud (load balancers, volumes) goes too. True when nothing has to be waited for. */
const areLayersGone = async (turn: Turn, rows: readonly Row<'machine'>[], leaving: Leaving): Promise<boolean> => {
  const { infra, nowMs, row } = turn;
  const waiting = hostsOf(turn, rows).filter((host) => !isClear(host));
  const before = infra.steps.find((step) => step.name === 'layers');
  const isOver = row.value.forced === true || nowMs - (before?.state === 'doing' ? before.sinceMs : nowMs) > layersMs;
  // Once they are gone nobody asks again: the API server goes with the cluster.
  const left = waiting.length > 0 || isOver || before?.state === 'done' ? [] : await leaving();
  if (isOver || waiting.length + left.length === 0) {
    const names = waiting.map((host) => host.name).join(', ');
    const isLeft = isOver && before?.state === 'doing' && row.value.forced !== true;
    const gone = isLeft ? `are not waited for any longer: ${before.message}`.slice(0, 1_000) : 'are gone';
    note(infra, 'layers', 'done', waiting.length === 0 ? gone : `were left on ${names}, which do not answer`, nowMs);
    return true;
  }
  const things = `${left.slice(0, namedMax).join(', ')}${left.length > namedMax ? `, and ${left.length - namedMax} more` : ''}`;
  note(
    infra,
    'layers',
    'doing',
    waiting.length > 0 ? `are being taken off ${waiting.length} hosts` : `give back to the cloud: ${things}`.slice(0, 1_000),
    nowMs,
  );
  return false;
};

/** Everything that the hub knows of a cluster, at once: nothing is left that could be found again only by half. */
const forget = async (turn: Turn, rows: readonly Row<'machine'>[], message: string): Promise<void> => {
  const { deps, row } = turn;
  const { tenant } = row;
  await deps.store.commit([
    ...rows.flatMap((machine) => machineGone(turn, machine)),
    { op: 'delete', kind: 'infrastructure', tenant, id: row.id },
    { op: 'delete', kind: 'cluster', tenant, id: row.id },
    event(turn, 'normal', 'ClusterDeleted', message),
  ]);
};

/** Takes a cluster away. Answers when to go on, or undefined when it is gone. */
export const teardown = async (
  turn: Turn,
  provider: MachineProvider | ManagedClusterProvider | undefined,
  rows: readonly Row<'machine'>[],
  leaving: Leaving = async () => [],
): Promise<number | undefined> => {
  const { infra, nowMs, row, scope } = turn;
  if (!(await areLayersGone(turn, rows, leaving))) return again.soonMs;
  if (provider === undefined) {
    await forget(turn, rows, `cluster ${row.name} is forgotten`);
    return undefined;
  }
  const left = await provider.ensureNothingLeft(scope as never);
  if (!left.ok) {
    noteFailure(infra, 'deletion', left.failure, nowMs);
    return afterFailure(left.failure);
  }
  if (left.value.state === 'pending') {
    note(infra, 'deletion', 'doing', left.value.what, nowMs);
    return left.value.afterMs ?? again.soonMs;
  }
  await forget(turn, rows, `cluster ${row.name} is gone, and nothing of it is left in ${infra.environment}`);
  return undefined;
};
