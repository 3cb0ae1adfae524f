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

/** Layers first, so that what they made in the cloud (load balancers, volumes) goes too. True when nothing has to be waited for. */
const areLayersGone = (turn: Turn, rows: readonly Row<'machine'>[]): boolean => {
  const { infra, nowMs, row } = turn;
  const waiting = hostsOf(turn, rows).filter((host) => !isClear(host));
  const since = infra.steps.find((step) => step.name === 'layers' && step.state === 'doing')?.sinceMs ?? nowMs;
  if (waiting.length === 0 || row.value.forced === true || nowMs - since > layersMs) {
    note(
      infra,
      'layers',
      'done',
      waiting.length === 0 ? 'are gone' : `were left on ${waiting.map((host) => host.name).join(', ')}, which do not answer`,
      nowMs,
    );
    return true;
  }
  note(infra, 'layers', 'doing', `are being taken off ${waiting.length} hosts`, nowMs);
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
): Promise<number | undefined> => {
  const { infra, nowMs, row, scope } = turn;
  if (!areLayersGone(turn, rows)) return again.soonMs;
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
