import type { GivenTraits } from '@groundplane/protocol/distribution/node-traits';
import type { ClusterState, NodeState } from '@groundplane/protocol/distribution/state';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { sleep, type Clock } from '../port/clock.ts';
import type { Cluster } from '../port/cluster.ts';
import { isNodeReady } from '../cluster/look.ts';
import { givenTraits, traitsNow } from './node-traits.ts';

/** Which layer a node was brought to; written by its own agent. */
const appliedMark = 'groundplane.dev/applied';
/** Which layer it may change to; written by the keeper. */
const turnMark = 'groundplane.dev/turn';
/** Which layer the cluster's shared configuration was brought to. */
const configuredMark = 'groundplane.dev/configured';
const nodeManager = 'groundplane-node';
const turnManager = 'groundplane-turn';
const controlPlaneLabel = 'node-role.kubernetes.io/control-plane';
const aliveMs = 180_000;
const pollMs = 1_000;

interface NodeStatus {
  nodeInfo?: { kubeletVersion?: string };
}

/** `given`: which traits of the node are ours, as far as whoever looks knows. */
export const nodeState = (node: KubeObject, given?: GivenTraits): NodeState => {
  const status = (node['status'] ?? {}) as NodeStatus;
  const spec = (node['spec'] ?? {}) as { unschedulable?: boolean };
  const { annotations = {}, labels = {} } = node.metadata;
  return {
    name: node.metadata.name ?? '',
    role: Object.hasOwn(labels, controlPlaneLabel) ? 'control-plane' : 'worker',
    isReady: isNodeReady(node),
    isCordoned: spec.unschedulable === true,
    kubeletVersion: status.nodeInfo?.kubeletVersion ?? '',
    applied: annotations[appliedMark],
    turn: annotations[turnMark],
    isOurs: Object.hasOwn(annotations, appliedMark),
    traits: traitsNow(node, given),
  };
};

const nodeRef = (name: string) => ({ apiVersion: 'v1', kind: 'Node', name });
const configRef = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'kube-system', name: 'kubeadm-config' };

/** Where pods find the API server. A node may read it too. */
const apiServiceOf = async (cluster: Cluster): Promise<ClusterState['apiService']> => {
  const service = await cluster.get({ apiVersion: 'v1', kind: 'Service', namespace: 'default', name: 'kubernetes' });
  const spec = service.ok ? (service.value['spec'] as { clusterIP?: string; ports?: { port: number }[] } | undefined) : undefined;
  return spec?.clusterIP === undefined ? undefined : { address: spec.clusterIP, port: spec.ports?.[0]?.port ?? 443 };
};

export interface NodesWanted {
  /** A worker asks for its own node, which is all that it may see. */
  only: string | undefined;
  /** Whoever sets labels and taints has to know which are ours; nobody else asks. */
  withGiven: boolean;
}

/** What the API server says of nodes. */
export const observeNodes = async (cluster: Cluster, { only, withGiven }: NodesWanted): Promise<Result<ClusterState>> => {
  // k3s and rke2 have no such object; there every host carries its configuration itself.
  const config = await cluster.get(configRef);
  if (!config.ok && config.failure.code !== 'not-found' && config.failure.code !== 'denied') return config;
  const configured = config.ok ? config.value.metadata.annotations?.[configuredMark] : undefined;
  const text = config.ok ? ((config.value['data'] as Record<string, string> | undefined)?.['ClusterConfiguration'] ?? '') : '';
  const version = /^kubernetesVersion:\s*(\S+)/m.exec(text)?.[1] ?? '';
  const apiService = await apiServiceOf(cluster);
  if (only !== undefined) {
    const own = await cluster.get(nodeRef(only));
    if (!own.ok && own.failure.code !== 'not-found') return own;
    return ok({ version, configured, apiService, nodes: own.ok ? [nodeState(own.value)] : [] });
  }
  const list = await cluster.list({ apiVersion: 'v1', kind: 'Node' });
  if (!list.ok) return list;
  const given = withGiven ? await givenTraits(cluster) : ok(new Map<string, GivenTraits>());
  if (!given.ok) return given;
  const nodes = list.value.items.map((node) => nodeState(node, given.value.get(node.metadata.name ?? '')));
  return ok({ version, configured, apiService, nodes });
};

const applied = async (cluster: Cluster, object: KubeObject, fieldManager: string): Promise<Result<void>> => {
  const done = await cluster.apply(object, { fieldManager, force: true });
  return done.ok ? ok(undefined) : done;
};

/** Notes that the shared configuration is the one of this layer. */
export const markConfigured = async (cluster: Cluster, digest: string): Promise<Result<void>> => {
  const { name, ...where } = configRef;
  return applied(
    cluster,
    { apiVersion: where.apiVersion, kind: where.kind, metadata: { name, namespace: where.namespace, annotations: { [configuredMark]: digest } } },
    nodeManager,
  );
};

const turn = (node: string, digest: string | undefined, isCordoned: boolean): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: node, ...(digest === undefined ? {} : { annotations: { [turnMark]: digest } }) },
  ...(isCordoned ? { spec: { unschedulable: true } } : {}),
});

/** No new pods on it. What a person cordoned stays cordoned afterwards: that field is theirs too. */
export const cordonNode = (cluster: Cluster, node: string): Promise<Result<void>> => applied(cluster, turn(node, undefined, true), turnManager);

/** Lets a node change. */
export const giveNodeTurn = (cluster: Cluster, node: string, digest: string, isCordoned: boolean): Promise<Result<void>> =>
  applied(cluster, turn(node, digest, isCordoned), turnManager);

export const endNodeTurn = (cluster: Cluster, node: string): Promise<Result<void>> => applied(cluster, turn(node, undefined, false), turnManager);

/**
 * Waits until the node lives with what it runs now, and notes the layer on it. Conditions are not believed, since they are old after a restart: the lease of the
 * node has to be renewed since its agent was started, by the clock of this same machine, or while we look. Failure `node-not-alive` (retry).
 */
export const markNode = async (
  cluster: Cluster,
  want: { node: string; version: string; digest: string; startedAtMs: number | undefined },
  clock: Clock,
  signal: AbortSignal,
): Promise<Result<void>> => {
  const untilMs = clock.monotonicMs() + aliveMs;
  const leaseRef = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace: 'kube-node-lease', name: want.node };
  let first: unknown;
  let why = 'the API server does not answer';
  while (clock.monotonicMs() < untilMs && !signal.aborted) {
    const node = await cluster.get(nodeRef(want.node));
    const lease = await cluster.get(leaseRef);
    if (node.ok && lease.ok) {
      const renewed = (lease.value['spec'] as { renewTime?: string } | undefined)?.renewTime;
      first ??= renewed;
      const { kubeletVersion } = nodeState(node.value);
      const isRight = kubeletVersion === want.version;
      const isSinceStart = want.startedAtMs !== undefined && Date.parse(renewed ?? '') > want.startedAtMs;
      if (isRight && renewed !== undefined && (isSinceStart || renewed !== first))
        return applied(cluster, { apiVersion: 'v1', kind: 'Node', metadata: { name: want.node, annotations: { [appliedMark]: want.digest } } }, nodeManager);
      why = isRight ? 'its lease is not renewed' : `it still says ${kubeletVersion}, and ${want.version} was started`;
    } else {
      why = node.ok ? (lease.ok ? why : lease.failure.message) : node.failure.message;
    }
    await sleep(clock, pollMs, signal);
  }
  return signal.aborted ? fail('retry', 'superseded', `node ${want.node}`, 'something newer came') : fail('retry', 'node-not-alive', `node ${want.node}`, why);
};
