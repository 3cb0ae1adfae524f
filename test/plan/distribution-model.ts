import type { BundleLayer } from '@groundplane/protocol/bundle';
import { layerDigest } from '@groundplane/protocol/bundle';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import { managedKubernetesSchema, minorOf } from '@groundplane/protocol/distribution/spec';
import { traitsToSet, type NodeTraits } from '@groundplane/protocol/distribution/node-traits';
import type { ClusterState, LocalState, Member, NodeState } from '@groundplane/protocol/distribution/state';
import { isWaitingToJoin, planDistribution, type DistributionFacts, type DistributionPlan } from '@groundplane/protocol/plan/distribution';
import type { Step } from '@groundplane/protocol/plan/steps';

/** One machine of a site, as small as it can be. */
export interface Machine {
  member: Member;
  isOn: boolean;
  local: LocalState;
  programs: Map<string, Digest | 'absent'>;
  /** What runs in memory; lost with the power. */
  runs: { kubelet: string; server: string | undefined } | undefined;
  invitation: boolean;
  hasSealKey: boolean;
}

/** A site: machines, and the cluster that they make, which lives as long as most of its servers run. */
export interface SiteWorld {
  machines: Machine[];
  members: Member[];
  founder: string | undefined;
  nodes: Map<string, NodeState>;
  traits: Map<string, NodeTraits> | undefined;
  configured: string | undefined;
  version: string;
  /** Names of the servers in the datastore. */
  datastore: Set<string>;
  keeper: string | undefined;
  invited: Map<string, boolean>;
  /** What was decided, in order. */
  log: string[];
}

const none = (): LocalState => ({
  member: 'none',
  isForeign: false,
  role: undefined,
  applied: undefined,
  arrived: undefined,
  controlPlaneVersion: undefined,
  kubeletVersion: undefined,
  isStale: false,
  services: 'stopped',
  broken: [],
  certificates: 'good',
  isSnapshotDue: false,
  servicePath: undefined,
  failedAttempts: 0,
  names: {},
});

export const machine = (name: string, role: Member['role']): Machine => ({
  member: { host: `host-${name}`, name, role },
  isOn: true,
  local: none(),
  programs: new Map(),
  runs: undefined,
  invitation: false,
  hasSealKey: true,
});

export const site = (servers: number, workers: number): SiteWorld => {
  const machines = [
    ...Array.from({ length: servers }, (_, index) => machine(`cp${index + 1}`, 'control-plane')),
    ...Array.from({ length: workers }, (_, index) => machine(`w${index + 1}`, 'worker')),
  ];
  return {
    machines,
    members: machines.map((item) => item.member),
    founder: 'cp1',
    nodes: new Map(),
    traits: undefined,
    configured: undefined,
    version: '',
    datastore: new Set(),
    keeper: undefined,
    invited: new Map(),
    log: [],
  };
};

const program = (path: string, version: string) => ({ path, digest: digestOf([path, version]), size: 1, mode: '0755', architecture: 'x64' as const });

export const kubernetesLayer = (version: string, more: { workersAtOnce?: number; kubelet?: string } = {}): BundleLayer => ({
  name: 'kubernetes',
  kind: 'kubernetes',
  priority: 0,
  profile: { name: 'edge', version: '1.0.0' },
  pack: { name: 'kubeadm', version, source: 'kubernetes', digest: digestOf(version) },
  adopt: false,
  readinessTimeoutMs: 60_000,
  kubernetes: {
    distribution: 'kubeadm',
    version,
    managed: managedKubernetesSchema.parse({
      distribution: 'kubeadm',
      version,
      upgrade: { workersAtOnce: more.workersAtOnce ?? 1 },
      config: more.kubelet === undefined ? {} : { kubelet: more.kubelet },
    }),
  },
  programs: [program('/usr/bin/kubeadm', version), program('/usr/bin/kubelet', version)],
  objects: [],
  hooks: [],
});

/** Most of the servers run: the API answers. */
export const isUp = (world: SiteWorld): boolean => {
  const running = world.machines.filter((item) => world.datastore.has(item.member.name) && item.isOn && item.runs?.server !== undefined);
  return world.datastore.size > 0 && running.length * 2 > world.datastore.size;
};

const clusterOf = (world: SiteWorld, item: Machine): ClusterState | undefined => {
  if (!isUp(world) || item.local.member !== 'joined') return undefined;
  for (const node of world.nodes.values()) {
    const owner = world.machines.find((other) => other.member.name === node.name);
    node.isReady = owner?.isOn === true && owner.runs !== undefined && owner.local.member === 'joined';
    if (owner?.runs !== undefined && owner.isOn) node.kubeletVersion = owner.runs.kubelet;
  }
  const nodes = [...world.nodes.values()].map((node) => ({ ...node }));
  return {
    version: world.version,
    configured: world.configured,
    apiService: undefined,
    nodes: item.member.role === 'worker' ? nodes.filter((node) => node.name === item.member.name) : nodes,
  };
};

/** The Lease, as far as it matters here: a server that runs; it moves when that one is gone. */
const keeperOf = (world: SiteWorld): string | undefined => {
  const servers = world.machines.filter(
    (item) => item.isOn && item.local.member === 'joined' && item.member.role === 'control-plane' && item.runs !== undefined,
  );
  if (!servers.some((item) => item.member.name === world.keeper)) world.keeper = isUp(world) ? servers[0]?.member.name : world.keeper;
  return world.keeper;
};

export const factsFor = (world: SiteWorld, item: Machine): DistributionFacts => {
  const waiting = (other: Machine): boolean => isWaitingToJoin(bareFacts(world, other));
  return {
    ...bareFacts(world, item),
    neighbours: world.machines.map((other) => ({
      host: other.member.host,
      name: other.member.name,
      address: `10.0.0.${world.machines.indexOf(other) + 1}`,
      ...(other.hasSealKey ? { sealKey: 'key' } : {}),
      isWaiting: other.isOn && waiting(other),
    })),
    isKeeper: keeperOf(world) === item.member.name,
    cluster: clusterOf(world, item),
  };
};

const bareFacts = (world: SiteWorld, item: Machine): DistributionFacts => ({
  self: { ...item.member, address: `10.0.0.${world.machines.indexOf(item) + 1}` },
  architecture: 'x64',
  members: world.members,
  traits: world.traits,
  neighbours: [],
  invited: new Set([...world.invited].filter(([, isGood]) => isGood).map(([host]) => host)),
  isFounder: world.founder === item.member.name,
  isKeeper: false,
  hasInvitation: item.invitation,
  isLast: false,
  endpoint: { kind: 'managed', host: 'api.site.groundplane.internal', port: 6443 },
  programs: item.programs,
  local: item.local,
  cluster: undefined,
});

const versionOf = (world: SiteWorld, digest: string, layers: readonly BundleLayer[]): string => {
  const found = layers.find((layer) => layerDigest(layer) === digest);
  return `v${found?.kubernetes?.version ?? world.version}`;
};

const failIf = (is: boolean, message: string): void => {
  if (is) throw new Error(message);
};

/** Does one step to the world, in other words than the executors. It fails where a real machine would, or where it must never come to. */
export const doStep = (world: SiteWorld, item: Machine, step: Step, layers: readonly BundleLayer[]): 'done' | 'failed' => {
  const { local, member } = item;
  world.log.push(`${member.name}: ${step.step}`);
  switch (step.step) {
    case 'placeProgram':
      item.programs.set(step.path, step.digest);
      return 'done';
    case 'setHostNames':
      local.names = step.names;
      return 'done';
    case 'initKubernetes': {
      failIf(world.datastore.size > 0 && !world.datastore.has(member.name), `${member.name} makes a second cluster`);
      const version = versionOf(world, step.digest, layers);
      Object.assign(local, { member: 'joined', role: 'control-plane', arrived: step.digest, controlPlaneVersion: version, services: 'running' });
      item.runs = { kubelet: version, server: version };
      world.datastore.add(member.name);
      world.version = version;
      world.configured = step.digest;
      world.nodes.set(member.name, newNode(member, version));
      return 'done';
    }
    case 'joinKubernetes': {
      if (!isUp(world)) return 'failed';
      item.invitation = false;
      world.invited.delete(member.host);
      const version = versionOf(world, step.digest, layers);
      Object.assign(local, { member: 'joined', role: step.role, arrived: step.digest, applied: undefined, certificates: 'good', services: 'running' });
      item.runs = { kubelet: version, server: step.role === 'control-plane' ? version : undefined };
      if (step.role === 'control-plane') {
        world.datastore.add(member.name);
        local.controlPlaneVersion = version;
      }
      world.nodes.set(member.name, newNode(member, version));
      return 'done';
    }
    case 'startKubernetes':
      local.services = 'running';
      local.isStale = false;
      if (item.runs !== undefined && local.member === 'joined') item.runs.kubelet = kubeletOnDisk(item, layers) ?? item.runs.kubelet;
      return 'done';
    case 'upgradeKubernetes': {
      if (!isUp(world)) return 'failed';
      const others = world.machines.filter((other) => other !== item && world.datastore.has(other.member.name));
      const ready = others.filter((other) => other.isOn && other.runs?.server !== undefined).length;
      failIf(member.role === 'control-plane' && others.length > 0 && ready < others.length, `${member.name} changes while another control plane is away`);
      failIf(world.nodes.get(member.name)?.turn !== step.digest, `${member.name} changes without a turn`);
      const [from, to] = [minorOf(local.controlPlaneVersion ?? item.runs?.kubelet ?? ''), minorOf(step.version)];
      failIf(from !== undefined && to !== undefined && (to - from > 1 || to < from), `${member.name} goes from ${from} to ${to}`);
      if (step.first) Object.assign(world, { configured: step.digest, version: step.version });
      if (member.role === 'control-plane') {
        local.controlPlaneVersion = step.version;
        if (item.runs !== undefined) item.runs.server = step.version;
      } else failIf((minorOf(world.version) ?? 0) < (to ?? 0), `worker ${member.name} is newer than the API server`);
      return 'done';
    }
    case 'markApplied': {
      const node = world.nodes.get(member.name);
      if (!isUp(world) || node === undefined || item.runs === undefined) return 'failed';
      local.applied = step.digest;
      Object.assign(node, { applied: step.digest, isOurs: true });
      return 'done';
    }
    case 'repairKubernetes':
      local.broken = [];
      return 'done';
    case 'healServicePath':
      local.servicePath = { state: 'open' };
      return 'done';
    case 'renewCertificates':
      local.certificates = 'good';
      return 'done';
    case 'saveDatastore':
      if (!isUp(world)) return 'failed';
      local.isSnapshotDue = false;
      return 'done';
    default:
      return doKeeperStep(world, item, step);
  }
};

const kubeletOnDisk = (item: Machine, layers: readonly BundleLayer[]): string | undefined => {
  const digest = item.programs.get('/usr/bin/kubelet');
  const found = layers.find((layer) => layer.programs?.some((each) => each.digest === digest) === true);
  return found === undefined ? undefined : `v${found.kubernetes?.version ?? ''}`;
};

const newNode = (member: Member, version: string): NodeState => ({
  name: member.name,
  role: member.role,
  isReady: true,
  isCordoned: false,
  kubeletVersion: version,
  applied: undefined,
  turn: undefined,
  isOurs: false,
  traits: { labels: {}, taints: [], given: undefined },
});

const doKeeperStep = (world: SiteWorld, item: Machine, step: Step): 'done' | 'failed' => {
  if (!isUp(world)) return 'failed';
  switch (step.step) {
    case 'inviteHost': {
      const other = world.machines.find((each) => each.member.host === step.host);
      if (other !== undefined) other.invitation = true;
      world.invited.set(step.host, true);
      return 'done';
    }
    case 'removeNode':
      world.nodes.delete(step.node);
      world.datastore.delete(step.node);
      return 'done';
    case 'setNodeTraits': {
      const node = world.nodes.get(step.node);
      if (node === undefined) return 'failed';
      node.traits = { ...node.traits, ...traitsToSet(node.traits, step) };
      return 'done';
    }
    case 'giveTurn': {
      const node = world.nodes.get(step.node);
      if (node === undefined) return 'failed';
      node.turn = step.digest;
      node.isCordoned = step.drain;
      const changing = [...world.nodes.values()].filter((each) => each.turn === step.digest && each.applied !== step.digest && each.role === 'control-plane');
      failIf(changing.length > 1, `two control planes change at once: ${changing.map((each) => each.name).join(', ')}`);
      const servers = [...world.nodes.values()].filter((each) => each.role === 'control-plane' && each.applied !== undefined && each.applied !== step.digest);
      failIf(node.role === 'worker' && servers.length > 0, `worker ${node.name} goes before control plane ${servers[0]?.name ?? ''}`);
      return 'done';
    }
    case 'endTurn': {
      const node = world.nodes.get(step.node);
      if (node !== undefined) Object.assign(node, { turn: undefined, isCordoned: false });
      return 'done';
    }
    default:
      throw new Error(`${item.member.name}: nobody expects ${step.step} here`);
  }
};

/** A round of one agent; `cut` after so many steps the power goes. */
export const round = (
  world: SiteWorld,
  item: Machine,
  layer: BundleLayer,
  layers: readonly BundleLayer[],
  cut = Number.POSITIVE_INFINITY,
): DistributionPlan => {
  const plan = planDistribution(factsFor(world, item), layer, layerDigest(layer), []);
  for (const [index, step] of plan.steps.entries()) {
    if (index >= cut) break;
    if (doStep(world, item, step, layers) === 'failed') break;
  }
  return plan;
};

/** The machine goes dark and comes back with what is on its disk. */
export const powerCycle = (item: Machine, layers: readonly BundleLayer[]): void => {
  const version = kubeletOnDisk(item, layers);
  if (item.local.member === 'joined') item.runs = { kubelet: version ?? item.runs?.kubelet ?? '', server: item.local.controlPlaneVersion };
};
