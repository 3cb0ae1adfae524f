import { isClear } from '../plan/members.ts';
import { seenWords } from '../plan/seen-words.ts';
import type { Row } from '../port/store.ts';
import { ensureResident, residentPool } from '../resident/ensure.ts';
import type { Residents } from '../resident/residents.ts';
import { importedAccess, lookAt } from '../resident/imported.ts';
import { findAccount } from './accounts.ts';
import { forgetMachine, saveMachine } from './machine-rows.ts';
import { afterFailure, again, dropStep, note, noteFailure } from './steps.ts';
import type { Turn } from './turn.ts';

const accessOf = async ({ deps, row, spec }: Turn): Promise<ReturnType<typeof importedAccess>> =>
  importedAccess(deps.accounts, await findAccount(deps.store, { tenant: row.tenant, project: row.project }, spec.account), spec.account, deps.egress);

/** The agent of an imported cluster. The kubeconfig is read at each connect, so that a new one counts. */
export const keepExisting = async (turn: Turn, residents: Residents | undefined): Promise<void> => {
  if (residents !== undefined) await ensureResident(turn, residents, () => accessOf(turn));
};

/** From full to read-only: our layers leave, then the agent. True when it is gone. */
const letGo = async (turn: Turn, residents: Residents, resident: Row<'machine'>): Promise<boolean> => {
  if (resident.value.phase === 'made') {
    await saveMachine(turn, resident, { phase: 'leaving', sinceMs: turn.nowMs, reason: 'the cluster is only looked at from now on' });
    return false;
  }
  const host = turn.deps.fleet.hostOfMachine(resident.id);
  if (host !== undefined && !isClear(host)) return false;
  await residents.remove(turn.row.id);
  await forgetMachine(turn, resident);
  return true;
};

/** An imported cluster: looked at, and in mode `full` given to an agent that lives here. Answers when to look again. */
export const existingTurn = async (turn: Turn, residents: Residents | undefined, rows: readonly Row<'machine'>[]): Promise<number> => {
  const { deps, scope, infra, nowMs } = turn;
  const connection = await accessOf(turn);
  if (!connection.ok) {
    noteFailure(infra, 'account', connection.failure, nowMs);
    return afterFailure(connection.failure);
  }
  dropStep(infra, 'account');
  const seen = await lookAt(connection.value, deps);
  if (!seen.ok) {
    noteFailure(infra, 'control-plane', seen.failure, nowMs);
    return again.retryMs;
  }
  infra.version = seen.value.version;
  infra.server = connection.value.server;
  note(infra, 'control-plane', 'done', seenWords(seen.value), nowMs);
  const resident = rows.find((item) => item.value.pool === residentPool);
  const isFull = (scope.placement as { mode?: string }).mode !== 'read-only';
  if (isFull && (resident === undefined || resident.value.phase === 'made')) await keepExisting(turn, residents);
  else if (resident !== undefined && residents !== undefined) {
    await keepExisting(turn, residents);
    return (await letGo(turn, residents, resident)) ? again.quietMs : again.soonMs;
  }
  return again.quietMs;
};
