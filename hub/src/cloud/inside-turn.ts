import { insideNames } from '@groundplane/protocol/inside/names';
import { isClear } from '../plan/members.ts';
import { seenWords } from '../plan/seen-words.ts';
import type { Row } from '../port/store.ts';
import { residentPool } from '../resident/ensure.ts';
import { saveMachine } from './machine-rows.ts';
import { again, dropStep, note } from './steps.ts';
import { teardown } from './teardown.ts';
import { event, type Turn } from './turn.ts';
import { currentMark } from '../inside/mark.ts';

/** Whoever says nothing for so long after its layers are gone is not waited for. */
const leaveMs = 10 * 60_000;

const hostRow = async ({ deps }: Turn, agent: Row<'machine'> | undefined) => {
  const host = agent === undefined ? undefined : deps.fleet.hostOfMachine(agent.id);
  return { host, row: host === undefined ? undefined : await deps.store.get('host', host.tenant, host.id) };
};

/** An agent updates itself; the manifest that starts it, only whoever applied it can. Told as an event once, and shown as long as it is so. */
const noteManifest = async (turn: Turn, mark: string | undefined, mode: string): Promise<void> => {
  const { infra, row, deps } = turn;
  const isOther = mark !== undefined && mark !== currentMark;
  const isNew = isOther && infra.manifestNotice === undefined;
  if (isOther)
    infra.manifestNotice = `The manifest in the cluster is of another release of the hub: what starts the agent there, and its rights, are as they were then. Apply there what this prints: gp cloud import ${row.name} --mode ${mode}`;
  else delete infra.manifestNotice;
  if (isNew) await deps.store.commit([event(turn, 'normal', 'ManifestOlder', infra.manifestNotice ?? '')]);
};

/** A cluster with an agent of ours inside: it tells what it sees, and it is told what it may do. Answers when to look again. */
export const insideTurn = async (turn: Turn, rows: readonly Row<'machine'>[]): Promise<number> => {
  const { infra, nowMs, scope, row: cluster } = turn;
  const agent = rows.find((item) => item.value.pool === residentPool);
  const { host, row } = await hostRow(turn, agent);
  const wanted = (scope.placement as { mode?: string }).mode === 'read-only' ? 'read-only' : 'full';
  const phase = wanted === 'full' ? 'made' : 'leaving';
  if (agent !== undefined && agent.value.phase !== phase) await saveMachine(turn, agent, { phase, sinceMs: nowMs });
  if (agent === undefined || host === undefined) {
    note(
      infra,
      'control-plane',
      'waiting',
      `waits for the agent. Apply in the cluster what this prints: gp cloud import ${cluster.name} --mode ${wanted}`,
      nowMs,
    );
    return again.quietMs;
  }
  if (host.state !== 'approved') {
    const how =
      host.state === 'lobby'
        ? `waits in the lobby: gp approve ${host.name}`
        : `was revoked. Delete its key in the cluster (kubectl delete secret -n ${insideNames.namespace} ${insideNames.key}), and let another one in: gp cloud import ${cluster.name}`;
    note(infra, 'control-plane', 'waiting', `its agent ${host.name} ${how}`, nowMs);
    return again.quietMs;
  }
  const seen = row?.value.info?.inside;
  if (seen === undefined) {
    note(infra, 'control-plane', 'doing', `${host.name} is there and has not looked at the cluster yet`, nowMs);
    return again.soonMs;
  }
  infra.version = seen.version;
  await noteManifest(turn, seen.manifest, wanted);
  note(infra, 'control-plane', 'done', seenWords(seen), nowMs);
  if (wanted === 'full' && seen.mode === 'read-only') {
    note(
      infra,
      'account',
      'failed',
      `the agent in the cluster may only look. Apply there what this prints: gp cloud import ${cluster.name} --mode full`,
      nowMs,
    );
    return again.quietMs;
  }
  dropStep(infra, 'account');
  return again.quietMs;
};

/** Layers first, then the agent takes itself away, and only then the hub forgets. Answers when to go on, or undefined when it is gone. */
export const insideTeardown = async (turn: Turn, rows: readonly Row<'machine'>[]): Promise<number | undefined> => {
  const { infra, nowMs, row } = turn;
  const { host } = await hostRow(
    turn,
    rows.find((item) => item.value.pool === residentPool),
  );
  const told = host === undefined ? undefined : await turn.deps.store.get('desired', host.tenant, host.id);
  // What it says of earlier orders does not count. Nobody tells anything to one that is revoked or in the lobby.
  if (host?.state === 'approved' && row.value.forced !== true && told?.value.desired.inside?.mode !== 'gone') return again.soonMs;
  if (host !== undefined && row.value.forced !== true && isClear(host) && host.online) {
    const since = infra.steps.find((step) => step.name === 'deletion' && step.state === 'doing')?.sinceMs ?? nowMs;
    note(infra, 'layers', 'done', 'are gone', nowMs);
    note(infra, 'deletion', 'doing', 'the agent in the cluster takes itself away', nowMs);
    if (nowMs - since < leaveMs) return again.soonMs;
  }
  return teardown(turn, undefined, rows);
};
