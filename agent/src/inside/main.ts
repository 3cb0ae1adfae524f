import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { InsideOrder, InsideView } from '@groundplane/protocol/inside/agent';
import { packageText } from '@groundplane/protocol/inside/manifest';
import { insideNames } from '@groundplane/protocol/inside/names';
import type { HostEvent, HostInfo } from '@groundplane/protocol/observed';
import { createAgent, type Agent } from '../agent.ts';
import { kubernetesCluster } from '../cluster/client.ts';
import { loadInventory } from '../cluster/inventory.ts';
import { createLease, type Lease } from '../cluster/lease.ts';
import { httpContent } from '../link/content-http.ts';
import { linkFor } from '../link/link-for.ts';
import { sleep } from '../port/clock.ts';
import type { Cluster } from '../port/cluster.ts';
import type { AgentStore } from '../port/store.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { createState, writes } from '../store/state.ts';
import { systemClock as clock } from '../system/clock.ts';
import { writeDurably } from '../system/durable.ts';
import { systemInfo } from '../system/info.ts';
import { noBlobs, noMachine } from '../system/no-machine.ts';
import { systemRandom as random } from '../system/random.ts';
import { isHealthy } from '../system/slots.ts';
import { endWithLease, isLastMemory } from './held.ts';
import { changePackage, clusterKey, insideLease, insideMode, insideView, leaveCluster, reduceRights } from './own.ts';
import { openProbe } from './probe.ts';
import { insideConnection, insideSettings, type InsideSettings } from './settings.ts';

/**
 * The agent as a pod: the same engine as on a host, with the API server of the cluster that it is in, and without a machine. Only the pod that holds the Lease
 * acts, or even speaks to the hub: the key of both would be the same.
 */
const version = process.env['GROUNDPLANE_AGENT_VERSION'] ?? '0.1.0';
const waitMs = 2_000;
const lookMs = 1_000;

const say = (text: string): void => void process.stderr.write(`groundplane: ${text}\n`);
const told = (failure: Failure): string => `${failure.element}: ${failure.message}`;

interface Home {
  settings: InsideSettings;
  store: AgentStore;
  cluster: Cluster;
  lease: Lease;
  startedMs: number;
}

/** What its pod did not become healthy with. */
const newsOf = ({ wanted, running }: InsideSettings): Omit<HostEvent, 'atMs'>[] =>
  running === '' || wanted.includes(running)
    ? []
    : [
        {
          type: 'warning',
          reason: 'AgentRolledBack',
          message: `the agent ${(JSON.parse(wanted) as { version?: string }).version ?? ''} did not become healthy in three starts, so the pod went back to the one before. Its log: kubectl logs -n ${insideNames.namespace} deployment/${insideNames.agent} --previous`,
        },
      ];

const infoOf = async (home: Home): Promise<HostInfo> => {
  const base = await systemInfo(version);
  const seen = await insideView(home.cluster, home.settings);
  if (!seen.ok) say(told(seen.failure));
  const view: { inside?: InsideView } = seen.ok ? { inside: seen.value } : {};
  return { ...base, hostname: home.settings.pod.slice(0, 253), privileged: false, ...view };
};

const openAgent = async (home: Home): Promise<Result<Agent>> => {
  const { settings, store } = home;
  const { ticket } = settings;
  const key = await clusterKey(home.cluster);
  if (!key.ok) return key;
  const links = ticket.hubs.map((url) => linkFor(url, ticket.caPem));
  const host = noMachine(await systemInfo(version));
  return ok(
    createAgent({
      store,
      host: { ...host, info: () => infoOf(home) },
      openCluster: async () => {
        // Opened anew each time, so that a new authority of the cluster counts.
        const connection = await insideConnection(process.env);
        return connection.ok ? ok(kubernetesCluster({ connection: connection.value, clock, random })) : connection;
      },
      links,
      content: (token) => httpContent(ticket.content, { token, caPem: ticket.caPem }),
      blobs: () => noBlobs,
      architecture: undefined,
      key: key.value,
      ticket,
      clock,
      random,
      bootId: randomUUID(),
      name: settings.pod.slice(0, 63),
      inventory: insideNames.namespace,
      news: newsOf(settings),
    }),
  );
};

/** What the signed desired state says beyond layers. Answers `leave` when this pod is done. */
const obey = async (home: Home, agent: Agent, order: InsideOrder | undefined): Promise<'leave' | undefined> => {
  const { cluster, settings, store } = home;
  const { state } = agent.engine;
  if (order?.agent !== undefined) {
    const wanted = packageText(order.agent);
    const before = settings.running !== '' && settings.wanted.includes(settings.running) ? settings.wanted : settings.before;
    const changed = wanted === settings.wanted ? ok(false) : await changePackage(cluster, wanted, before);
    if (!changed.ok) say(told(changed.failure));
    else if (changed.value) say(`agent ${order.agent.version} comes with the next pod`);
  }
  const isHeld =
    agent.engine.status().phase === 'converged' && state.slot('candidate') === undefined && state.objects().length === 0 && state.layers().length === 0;
  if (!isHeld || order === undefined || order.mode === 'full') return undefined;
  if (order.mode === 'read-only') {
    const reduced = await reduceRights(cluster);
    if (!reduced.ok) say(told(reduced.failure));
    return undefined;
  }
  // The hub has to hear first that nothing is left.
  if (store.keys('outbox').length > 0 && agent.session.state().state === 'online') return undefined;
  const gone = await leaveCluster(cluster);
  if (gone.ok) return 'leave';
  say(told(gone.failure));
  return undefined;
};

const orderOf = (agent: Agent): InsideOrder | undefined => agent.engine.state.slot('current')?.desired.inside;

/** Whoever owns the cluster may give or take rights at any moment; the hub is told, and what was denied is tried again. Answers the mode now. */
const tellRights = async (home: Home, agent: Agent, before: string): Promise<string> => {
  const mode = await insideMode(home.cluster);
  if (!mode.ok || mode.value === before) return before;
  if (before !== '') {
    await agent.engine.tellInfo();
    agent.session.onNews(true);
    agent.engine.wake();
  }
  return mode.value;
};

/** While the Lease is held: looks after the agent's own things once a second, the rarer ones less often. */
const lookAfter = async (home: Home, agent: Agent, stop: AbortController): Promise<'leave' | undefined> => {
  const { settings } = home;
  let [hasTalked, isMarked, told, looks, mode] = [false, false, '', 0, ''];
  while (!stop.signal.aborted) {
    await sleep(clock, lookMs, stop.signal);
    if (stop.signal.aborted) break;
    hasTalked ||= agent.session.state().state === 'online';
    const uptimeMs = clock.monotonicMs() - home.startedMs;
    if (!isMarked && settings.running !== '' && isHealthy({ uptimeMs, hasTalked }))
      isMarked = writeDurably(join(settings.home, 'marks', `healthy-${settings.running.replace('sha256:', '')}`), `${version}\n`);
    const order = orderOf(agent);
    const text = JSON.stringify(order);
    looks += 1;
    if (looks % 10 === 1) mode = await tellRights(home, agent, mode);
    if (text === told && order?.mode !== 'gone' && looks % 30 !== 0) continue;
    told = text;
    if ((await obey(home, agent, order)) !== 'leave') continue;
    say('nothing of the hub is left in this cluster; this pod goes too');
    stop.abort();
    return 'leave';
  }
  return undefined;
};

/** One time of holding the Lease. What another pod knew in between is learnt first. */
const hold = async (home: Home, signal: AbortSignal, use: (agent: Agent | undefined) => void): Promise<'leave' | undefined> => {
  const { cluster, lease, store } = home;
  const state = createState(store);
  const transitions = lease.transitions();
  if (!isLastMemory(state.kv<number>('leaseTransitions'), transitions)) {
    const loaded = await loadInventory(cluster, state, { namespace: insideNames.namespace });
    if (!loaded.ok) say(told(loaded.failure));
    if (!loaded.ok) return undefined;
  }
  if (transitions !== undefined) state.commit([writes.kv('leaseTransitions', transitions)]);
  const agent = await openAgent(home);
  if (!agent.ok) say(told(agent.failure));
  if (!agent.ok) return undefined;
  use(agent.value);
  const stop = new AbortController();
  const end = (): void => stop.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) stop.abort();
  const renewing = lease.run(stop.signal);
  const looking = lookAfter(home, agent.value, stop);
  void endWithLease(lease, clock, stop).then((isOver) => (isOver ? say('the Lease could not be renewed; another pod may act now') : undefined));
  await agent.value.run(stop.signal);
  stop.abort();
  // What is on its way would take the Lease again after it was let go.
  await renewing;
  signal.removeEventListener('abort', end);
  use(undefined);
  return looking;
};

const main = async (): Promise<number> => {
  const settings = insideSettings(process.env);
  if (!settings.ok) {
    say(told(settings.failure));
    return 2;
  }
  const connection = await insideConnection(process.env);
  if (!connection.ok) {
    say(told(connection.failure));
    return 2;
  }
  const { home: folder, pod, probePort } = settings.value;
  mkdirSync(join(folder, 'marks'), { recursive: true });
  const store = openSqliteStore(join(folder, 'agent.db'));
  const cluster = kubernetesCluster({ connection: connection.value, clock, random });
  const lease = createLease({ self: () => pod, clock, cluster: () => cluster, onChange: () => undefined, ref: insideLease });
  const home: Home = { settings: settings.value, store, cluster, lease, startedMs: clock.monotonicMs() };
  let acting: Agent | undefined;
  const probe = await openProbe(probePort, () => acting === undefined || acting.session.state().state === 'online');
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  process.once('SIGINT', () => stop.abort());
  let isWaitTold = false;
  while (!stop.signal.aborted) {
    if (!(await lease.check())) {
      if (!isWaitTold && lease.isElsewhere()) say('another pod acts; this one waits for its turn');
      isWaitTold ||= lease.isElsewhere();
      await sleep(clock, waitMs, stop.signal);
      continue;
    }
    isWaitTold = false;
    const end = await hold(home, stop.signal, (agent) => (acting = agent));
    if (end === 'leave') break;
    await sleep(clock, waitMs, stop.signal);
  }
  await lease.release();
  probe.close();
  cluster.close();
  store.close();
  return 0;
};

if (import.meta.main) process.exit(await main());
