import type { ClusterView } from '@groundplane/protocol/api/views';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { printable } from '../output/printable.ts';
import { apiTrouble, exits, trouble, type Outcome } from '../trouble.ts';

type Goal = 'ready' | 'failed' | 'deleted';

const pollMinMs = 300;
const pollMaxMs = 3_000;
/** Failed questions in a row before giving up; a hub that restarts is back by then. */
const failuresMax = 20;
/** How long a failure that was there from the beginning has to last: after `gp retry` it is still shown until the host reports again. */
const oldFailureMs = 3_000;

type Layer = ClusterView['layers'][number];

/** The layer to look at: one with trouble before one that only waits for its turn. */
const openLayer = (layers: readonly Layer[]): Layer | undefined => {
  const open = layers.filter((layer) => !layer.isCurrent);
  return open.find((layer) => layer.observed !== undefined && layer.observed.state !== 'ready') ?? open[0];
};

const layerText = ({ name, observed }: Layer): string => {
  if (observed === undefined) return `layer ${name} not begun`;
  // Ready and not current: the host still runs the version before.
  const state = observed.state === 'ready' ? 'to be changed' : observed.state;
  return `layer ${name} ${state}${observed.message === undefined ? '' : `: ${observed.message}`}`;
};

const progressText = (cluster: ClusterView): string => {
  const open = openLayer(cluster.layers);
  const layer = open === undefined ? '' : `; ${layerText(open)}`;
  return printable(
    `cluster ${cluster.name}${cluster.simulated ? ' (simulated)' : ''}: ${cluster.state}, ` +
      `${cluster.layersReady}/${cluster.layersTotal} layers ready${cluster.state === 'ready' ? '' : layer}`,
  );
};

/**
 * Whether the hub has already turned the cluster's spec into what its hosts shall run. A state counts only then: right after a change the state still speaks of
 * the version before, and that one may well be ready or failed.
 */
const isAssigned = async (connection: Connection, where: { project: string; name: string }, cluster: ClusterView): Promise<boolean> => {
  const plan = await connection.client.call('planCluster', { params: where, body: { spec: cluster.spec } });
  // Without an answer the state has to be believed.
  return !plan.ok || !plan.value.changes;
};

type Verdict = 'reached' | 'missed' | 'open';

const judge = async (connection: Connection, where: { project: string; name: string }, cluster: ClusterView, goal: Goal): Promise<Verdict> => {
  if (cluster.state === 'unresolved') return goal === 'failed' ? 'reached' : goal === 'ready' ? 'missed' : 'open';
  const isReady = cluster.state === 'ready' && cluster.layers.every((layer) => layer.isCurrent);
  if (!isReady && cluster.state !== 'failed') return 'open';
  if (goal === 'deleted' || (isReady && goal === 'failed')) return 'open';
  if (!(await isAssigned(connection, where, cluster))) return 'open';
  return (goal === 'ready') === isReady ? 'reached' : 'missed';
};

const missed = (cluster: ClusterView): Outcome => ({
  ...trouble(
    `cluster ${cluster.name}`,
    `${cluster.state}: ${cluster.failure === undefined ? cluster.message : `${cluster.failure.element}: ${cluster.failure.message}`}`,
    `gp describe cluster ${cluster.name}   or   gp logs cluster ${cluster.name}`,
  ),
  details: cluster.layers.filter((layer) => layer.observed?.state !== 'ready').map(layerText),
});

/** Asks until the cluster is where it should be, tells what changes on stderr, and ends at the deadline (milliseconds since 1970). */
export const waitUntil = async (
  context: Context,
  connection: Connection,
  where: { project: string; name: string },
  goal: Goal,
  deadlineMs: number,
): Promise<Outcome> => {
  const { clock } = context.io;
  let told = '';
  let failures = 0;
  let pauseMs = pollMinMs;
  const startedMs = clock.nowMs();
  let isMoving = false;
  for (;;) {
    const answer = await connection.client.call('getCluster', { params: where });
    if (!answer.ok && answer.failure.status === 404 && goal === 'deleted') return exits.ok;
    if (!answer.ok) {
      failures += 1;
      if (answer.failure.kind !== 'retry' || failures > failuresMax)
        return apiTrouble(answer.failure, answer.failure.status === 404 ? 'gp get clusters' : undefined);
    } else {
      failures = 0;
      const verdict = await judge(connection, where, answer.value, goal);
      const text = verdict === 'open' && answer.value.state === 'ready' ? '' : progressText(answer.value);
      if (text !== told && text !== '') {
        await notice(context, text);
        told = text;
        pauseMs = pollMinMs;
      }
      if (verdict === 'reached') return exits.ok;
      isMoving ||= answer.value.state !== 'failed';
      if (verdict === 'missed' && (isMoving || clock.nowMs() - startedMs >= oldFailureMs)) return missed(answer.value);
    }
    if (clock.nowMs() + pauseMs > deadlineMs)
      return trouble(
        `cluster ${where.name}`,
        `is not ${goal} in the time given; last: ${answer.ok ? progressText(answer.value) : answer.failure.message}`,
        `gp describe cluster ${where.name}   (or wait longer with --timeout 15m)`,
      );
    await clock.sleep(pauseMs);
    pauseMs = Math.min(pollMaxMs, pauseMs * 1.3);
  }
};

/** `gp wait cluster NAME --for ready`. */
export const wait = async (context: Context, name: string, goal: Goal): Promise<Outcome> => {
  const connection = await connect(context, { isWaiting: true });
  if (!connection.ok) return connection.trouble;
  return waitUntil(
    context,
    connection.value,
    { project: connection.value.project, name },
    goal,
    context.io.clock.nowMs() + (context.globals.timeoutMs ?? 300_000),
  );
};
