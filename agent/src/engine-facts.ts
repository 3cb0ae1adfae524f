import type { AgentArch } from '@groundplane/protocol/agent-package';
import type { BundleLayer, Version } from '@groundplane/protocol/bundle';
import { ok, type Result } from '@groundplane/protocol/failure';
import { isForHost, targetLayers, type HostFacts, type ObservedKubernetes, type ObservedObject, type TargetLayer } from '@groundplane/protocol/plan/facts';
import { loadInventory, saveInventory } from './cluster/inventory.ts';
import { createDuty } from './cluster/duty.ts';
import { createLease } from './cluster/lease.ts';
import { observeNodes } from './distribution/nodes.ts';
import { memoryOf, observeDistribution, type KubernetesDeps } from './observe/distribution.ts';
import { observeOs } from './observe/os.ts';
import { createObjectView, type ObjectView } from './observe/packs.ts';
import { observeMachine, type OsParts } from './observe/machine.ts';
import type { Blobs } from './port/blobs.ts';
import type { Clock } from './port/clock.ts';
import type { Cluster } from './port/cluster.ts';
import type { Host } from './port/host.ts';
import type { AgentSlots } from './port/slots.ts';
import { writes, type DesiredRecord, type State } from './store/state.ts';

/** How to reach the Kubernetes of a bundle. */
export type OpenCluster = (spec: { kubeconfigPath: string | undefined }) => Promise<Result<Cluster>>;

/** A server that does not answer may have moved, or have another certificate: how to reach it is read again, at most this often. */
const reopenMs = 60_000;

interface Opened {
  key: string;
  /** Monotonic. */
  atMs: number;
  /** Without a fence. */
  raw: Cluster;
  cluster: Cluster;
  view: ObjectView;
}

const memo = new WeakMap<readonly BundleLayer[], TargetLayer[]>();
/** Digests of a bundle's layers, once per bundle and not once per round. */
const layersOf = (record: DesiredRecord): TargetLayer[] => {
  const { bundle } = record;
  if (bundle === undefined) return [];
  const known = memo.get(bundle.layers);
  if (known !== undefined) return known;
  const layers = targetLayers(bundle);
  memo.set(bundle.layers, layers);
  return layers;
};

/** Gathers everything the planner wants to know, and keeps the connection to Kubernetes between rounds. */
export const createFactFinder = (deps: {
  state: State;
  host: Host;
  kubernetes: KubernetesDeps | undefined;
  clock: Clock;
  parts: OsParts;
  architecture: AgentArch | undefined;
  blobs: Pick<Blobs, 'path'>;
  openCluster: OpenCluster;
  onChange: () => void;
  /** This host may no longer apply: what it does is over. */
  onLost: () => void;
  slots?: AgentSlots | undefined;
  /** Namespace for what this agent knows, where its own memory may go at any moment. */
  inventory?: string | undefined;
}) => {
  const { state, host } = deps;
  let opened: Opened | undefined;
  const lease = createLease({
    self: () => state.kv<{ host: string }>('host')?.host ?? '',
    clock: deps.clock,
    cluster: () => (isCandidate() ? opened?.cluster : undefined),
    onChange: deps.onChange,
  });
  const duty = createDuty({
    state,
    clock: deps.clock,
    cluster: () => opened?.raw,
    onChange: (isHeld) => {
      if (!isHeld) deps.onLost();
      deps.onChange();
    },
  });
  /** A control plane of a cluster that the agents brought up themselves. */
  const isCandidate = (): boolean => {
    const memory = memoryOf(state);
    return memory?.state === 'joined' && memory.setup.role === 'control-plane';
  };

  const close = (): void => {
    opened?.view.close();
    opened?.cluster.close();
    opened = undefined;
  };

  const open = async (kubeconfigPath: string | undefined): Promise<Result<Opened>> => {
    const key = kubeconfigPath ?? '';
    if (opened?.key === key) return ok(opened);
    close();
    const cluster = await deps.openCluster({ kubeconfigPath: key === '' ? undefined : key });
    if (!cluster.ok) return cluster;
    const raw = cluster.value;
    opened = { key, atMs: deps.clock.monotonicMs(), raw, cluster: duty.fence(raw), view: createObjectView(raw, state, deps.onChange) };
    // Needed again when everything is torn down and no bundle says where Kubernetes is.
    if (state.kv<string>('kubeconfigPath') !== key) state.commit([writes.kv('kubeconfigPath', key)]);
    return ok(opened);
  };

  /** The kubeconfig of a Kubernetes that was there before us. */
  const givenPath = (record: DesiredRecord): string | undefined =>
    record.bundle?.layers.find((layer) => layer.kind === 'kubernetes')?.kubernetes?.kubeconfigPath ??
    (record.bundle === undefined ? state.kv<string>('kubeconfigPath') : undefined);

  const isOld = (connection: Opened): boolean => deps.clock.monotonicMs() - connection.atMs >= reopenMs;

  /** Whether this host applies, where hosts share that. */
  const dutyNow = async (record: DesiredRecord): ReturnType<typeof duty.look> => {
    const seen = await duty.look(record.desired, () => open(givenPath(record)));
    if (seen?.isNew === true) opened?.view.forget();
    if (seen?.duty.state === 'cannot' && opened !== undefined && isOld(opened)) close();
    return seen;
  };

  const observeKubernetes = async (
    record: DesiredRecord,
    layers: readonly BundleLayer[],
  ): Promise<{ kubernetes: ObservedKubernetes; objects: Map<string, ObservedObject> }> => {
    const none = { kubernetes: { state: 'unknown' } as const, objects: new Map<string, ObservedObject>() };
    const owned = state.objects();
    // A layer that is going may still have hooks to run, though none of its objects is left.
    if (owned.length === 0 && !layers.some((layer) => layer.kind !== 'os') && !state.layers().some((row) => row.layer.hooks.length > 0)) return none;
    const managed = managedPath();
    if (managed === 'not yet')
      return {
        ...none,
        kubernetes: {
          state: 'unreachable',
          failure: { kind: 'retry', code: 'cluster-waiting', element: 'Kubernetes', message: 'this host is not a member of its cluster yet' },
        },
      };
    const connection = await open(managed ?? givenPath(record));
    if (!connection.ok) return { ...none, kubernetes: { state: 'unreachable', failure: connection.failure } };
    const version = await connection.value.cluster.version();
    // A node's certificate is renewed under our feet: another try reads the file again.
    if (!version.ok && (managed !== undefined || isOld(connection.value))) close();
    if (!version.ok) return { ...none, kubernetes: { state: 'unreachable', failure: version.failure } };
    const objects = await connection.value.view.observe(layers.filter((layer) => layer.kind !== 'os'));
    if (!objects.ok) return { ...none, kubernetes: { state: 'unreachable', failure: objects.failure } };
    return { kubernetes: { state: 'reachable', version: version.value }, objects: objects.value };
  };

  /** The kubeconfig of a Kubernetes that we brought up; undefined where we did not. */
  const managedPath = (): string | undefined => {
    const memory = memoryOf(state);
    const target = state.slot('current')?.bundle?.layers.find((layer) => layer.kubernetes?.managed !== undefined);
    if (memory?.state !== 'joined') return target === undefined && memory === undefined ? undefined : 'not yet';
    const distribution = deps.kubernetes?.distribution(memory.setup.spec.distribution);
    return memory.setup.role === 'control-plane' ? distribution?.adminConfig : distribution?.nodeConfig;
  };

  const openNow = async (): Promise<Cluster | undefined> => {
    const path = managedPath();
    const connection = path === undefined || path === 'not yet' ? undefined : await open(path);
    return connection?.ok === true ? connection.value.cluster : undefined;
  };

  /** Whether this host looks after its cluster. Whoever takes that over learns first what the one before knew. */
  const keep = async (): Promise<boolean> => {
    if (!(await lease.check())) return false;
    const cluster = opened?.cluster;
    const isNew = lease.takenFrom() !== undefined || state.kv('inventory') === undefined;
    if (!isNew || cluster === undefined) return true;
    const loaded = await loadInventory(cluster, state);
    if (!loaded.ok) lease.takeAgain();
    return loaded.ok;
  };

  /** What was done goes into the cluster too, for the next keeper. */
  const save = async (record: DesiredRecord): Promise<Result<void>> => {
    if (opened === undefined) return ok(undefined);
    if (deps.inventory !== undefined) await saveInventory(opened.cluster, state, { namespace: deps.inventory });
    else if (isCandidate() && lease.isHeld()) await saveInventory(opened.cluster, state);
    return duty.save(record.desired);
  };

  /** As soon as a layer in the cluster is begun, and a hook has run: another one goes on from there if this host dies right after. */
  const passOn = async (record: DesiredRecord, name: string | undefined): Promise<Result<void>> => {
    const row = name === undefined ? undefined : state.layer(name);
    if (row === undefined || isForHost(row.layer, false)) return ok(undefined);
    const mayGoOn = duty.mayGoOn();
    return mayGoOn.ok ? save(record) : mayGoOn;
  };

  const distributionFacts = async (record: DesiredRecord): Promise<Result<HostFacts['distribution']>> => {
    if (deps.kubernetes === undefined) return ok(undefined);
    const memory = memoryOf(state);
    const cluster = memory?.state === 'joined' ? await openNow() : undefined;
    const only = memory?.setup.role === 'worker' ? memory.setup.identity.name : undefined;
    // Whoever becomes keeper in this very look begins with them in the next, which comes at once.
    const withGiven = only === undefined && isCandidate() && lease.isHeld() && record.desired.cluster?.site?.traits !== undefined;
    const nodes = cluster === undefined ? undefined : await observeNodes(cluster, { only, withGiven });
    if (nodes?.ok === false) close();
    return observeDistribution({ ...deps.kubernetes, state, wallMs: deps.clock.wallMs() }, record, {
      state: nodes?.ok === true ? nodes.value : undefined,
      isKeeper: isCandidate() && (await keep()),
      withGiven,
    });
  };

  const gather = async (record: DesiredRecord, committed: Version | undefined, rollback: boolean): Promise<Result<HostFacts>> => {
    const layers = layersOf(record);
    const os = await observeOs(
      host,
      layers.map((item) => item.layer),
      state.os(),
    );
    if (!os.ok) return os;
    const distribution = await distributionFacts(record);
    if (!distribution.ok) return distribution;
    const shared = await dutyNow(record);
    const isAlone = (record.desired.cluster?.applier ?? record.desired.detached !== true) && !(isCandidate() && lease.isElsewhere());
    const applier = shared?.applier ?? isAlone;
    const machine = await observeMachine(
      deps,
      layers.map((item) => item.layer),
      state.os(),
    );
    if (!machine.ok) return machine;
    const { extensions, ...whole } = machine.value;
    const seen = await observeKubernetes(
      record,
      layers.map((item) => item.layer).filter((layer) => isForHost(layer, applier)),
    );
    return ok({
      target: { version: record.version, parent: record.desired.parent, layers, applier, rollback },
      committed,
      records: state.layers(),
      ownedObjects: state.objects(),
      ownedOs: state.os(),
      os: { ...os.value, extensions, agent: deps.slots?.running() },
      ...whole,
      // Whoever holds the duty and cannot fulfil it does not plan as if it could.
      kubernetes: applier && shared?.duty.state === 'cannot' ? { state: 'unreachable', failure: shared.duty.failure } : seen.kubernetes,
      duty: shared?.duty,
      distribution: distribution.value,
      objects: seen.objects,
      hooksDone: state.hooksDone(),
    });
  };

  const runLease = async (signal: AbortSignal): Promise<void> => void (await Promise.all([lease.run(signal), duty.run(signal)]));

  return { gather, close, save, passOn, openNow, runLease, connection: (): Opened | undefined => opened, forget: (): void => opened?.view.forget() };
};
