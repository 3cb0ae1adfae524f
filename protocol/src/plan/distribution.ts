import type { BundleLayer } from '../bundle.ts';
import type { Digest } from '../digest.ts';
import type { NodeTraits } from '../distribution/node-traits.ts';
import type { ClusterState, LocalState, Member, Neighbour } from '../distribution/state.ts';
import { minorOf, versionTag, type Architecture, type ManagedKubernetes } from '../distribution/spec.ts';
import type { Failure } from '../failure.ts';
import { limits } from '../limits.ts';
import { planKeeper } from './keeper.ts';
import type { Step } from './steps.ts';

/** Everything the planner knows about a distribution on this host. */
export interface DistributionFacts {
  self: Member & { address: string | undefined };
  architecture: Architecture;
  members: readonly Member[];
  /** Labels and taints by name of the node; undefined: nobody says. */
  traits: ReadonlyMap<string, NodeTraits> | undefined;
  neighbours: readonly Neighbour[];
  /** Hosts whose invitation is still good. */
  invited: ReadonlySet<string>;
  /** This host makes the cluster. Only one host is ever told so. */
  isFounder: boolean;
  /** This host looks after the whole cluster; it holds the Lease. */
  isKeeper: boolean;
  hasInvitation: boolean;
  /** Nobody else of the cluster stays when this host leaves. */
  isLast: boolean;
  endpoint: { kind: 'managed' | 'vip' | 'external'; host: string; port: number };
  programs: ReadonlyMap<string, Digest | 'absent'>;
  local: LocalState;
  /** Undefined: the API server does not answer. */
  cluster: ClusterState | undefined;
}

export interface DistributionPlan {
  steps: Step[];
  /** Why it cannot go on for now; what is here already stays as it is. */
  wait: Failure | undefined;
}

const failure = (layer: BundleLayer, code: string, message: string, kind: Failure['kind'] = 'retry'): Failure => ({
  kind,
  code,
  element: `layer ${layer.name}`,
  message,
});

/** Failures that say only that somebody else is to act first. */
export const waitingCodes: readonly string[] = ['join-waiting', 'turn-waiting', 'quorum-waiting', 'cluster-waiting', 'layer-below', 'service-path-closed'];
/** Those among them that hold up only their own layer: a layer above may bring the very thing that is missing. */
export const openAboveCodes: readonly string[] = ['service-path-closed'];

/** Whether a control plane has to invite this host: it is no member, or was away until its certificate was over. */
export const isWaitingToJoin = (facts: DistributionFacts): boolean =>
  !facts.hasInvitation &&
  !facts.isFounder &&
  !facts.local.isForeign &&
  (facts.local.member === 'joined' ? facts.local.role === 'worker' && facts.local.certificates === 'expired' : facts.members.length > 0);

/** The one program that is changed before a cluster is upgraded; all others are changed after. */
const isEarlyProgram = (path: string): boolean => path.endsWith('/kubeadm');

const planPrograms = (facts: DistributionFacts, layer: BundleLayer, which: 'all' | 'early' | 'late', isUpgrade: boolean): Step[] =>
  (layer.programs ?? [])
    .filter((program) => program.architecture === facts.architecture)
    .filter((program) => which === 'all' || isEarlyProgram(program.path) === (which === 'early'))
    .flatMap((program): Step[] => {
      const seen = facts.programs.get(program.path);
      if (seen === program.digest) return [];
      const reason =
        seen === undefined || seen === 'absent' ? (facts.local.member === 'joined' && !isUpgrade ? 'missing' : 'new') : isUpgrade ? 'changed' : 'drifted';
      return [{ step: 'placeProgram', layer: layer.name, path: program.path, digest: program.digest, mode: program.mode, reason }];
    });

/** Every member by name, and the API server: by itself on a control plane, at one of them elsewhere, or where the operator says. */
export const wantedNames = (facts: DistributionFacts): Record<string, string> => {
  const names: Record<string, string> = {};
  const addressOf = (member: Member): string | undefined =>
    member.host === facts.self.host ? facts.self.address : facts.neighbours.find((item) => item.host === member.host)?.address;
  for (const member of facts.members) {
    const address = addressOf(member);
    if (address !== undefined) names[member.name] = address;
  }
  if (facts.endpoint.kind !== 'managed') return names;
  const isServer = facts.self.role === 'control-plane' && (facts.local.member === 'joined' || facts.isFounder);
  const servers = facts.members.filter((member) => member.role === 'control-plane' && member.host !== facts.self.host);
  const isUp = (name: string): boolean => facts.cluster?.nodes.find((node) => node.name === name)?.isReady !== false;
  const chosen = servers.find((member) => addressOf(member) !== undefined && isUp(member.name));
  const api = isServer ? facts.self.address : chosen === undefined ? undefined : addressOf(chosen);
  // Whoever knows no better keeps the address it has.
  const known = api ?? facts.local.names[facts.endpoint.host];
  if (known !== undefined) names[facts.endpoint.host] = known;
  return names;
};

const planNames = (facts: DistributionFacts, layer: BundleLayer): Step[] => {
  const names = wantedNames(facts);
  const has = facts.local.names;
  const same = Object.keys(names).length === Object.keys(has).length && Object.entries(names).every(([name, address]) => has[name] === address);
  return same ? [] : [{ step: 'setHostNames', layer: layer.name, names }];
};

/** The version-skew policy of Kubernetes: one minor at a time, never back over a minor. */
export const skewFailure = (layer: BundleLayer, from: string, to: string): Failure | undefined => {
  const [before, after] = [minorOf(from), minorOf(to)];
  if (before === undefined || after === undefined) return undefined;
  if (after > before + 1)
    return failure(
      layer,
      'version-skips-minor',
      `the cluster runs ${from}, and ${versionTag(to)} is ${after - before} minor versions ahead. Kubernetes goes one at a time: release the profile with 1.${before + 1} first`,
      'blocked',
    );
  if (after < before)
    return failure(
      layer,
      'version-goes-back',
      `the cluster runs ${from}, and Kubernetes cannot go back to ${versionTag(to)}. Keep 1.${before} in the profile, or restore a snapshot on the control plane (groundplane-agent kubernetes restore)`,
      'blocked',
    );
  return undefined;
};

/** Something of ours on the host changed that nobody told it to. */
const planHealing = (facts: DistributionFacts, layer: BundleLayer): Step[] => {
  const { local } = facts;
  const steps: Step[] = planPrograms(facts, layer, 'all', false);
  const isReplaced = steps.length > 0;
  if (local.broken.length > 0) steps.push({ step: 'repairKubernetes', layer: layer.name, parts: local.broken });
  if (local.certificates !== 'good' && local.role === 'control-plane') steps.push({ step: 'renewCertificates', layer: layer.name });
  if (local.services === 'stopped' || local.isStale || isReplaced)
    steps.push({ step: 'startKubernetes', layer: layer.name, restart: local.isStale || isReplaced });
  return steps;
};

/**
 * Pods find the API server by its Service; where that does not answer, Kubernetes is not ready, whatever its nodes say. kube-proxy mends most of it by itself within
 * seconds of its start. When it does not it is started anew, again and again, calmly.
 */
const planServicePath = (facts: DistributionFacts, layer: BundleLayer): DistributionPlan => {
  const path = facts.local.servicePath;
  if (path?.state !== 'closed') return { steps: [], wait: undefined };
  const isDue = path.closedMs >= limits.servicePathPatienceMs && (path.healedAgoMs === undefined || path.healedAgoMs >= limits.servicePathPauseMs);
  const closedSeconds = Math.round(path.closedMs / 1000);
  return {
    steps: isDue ? [{ step: 'healServicePath', layer: layer.name, closedSeconds }] : [],
    wait: failure(
      layer,
      'service-path-closed',
      `the API server answers, but not by the address of its Service, on this host, for ${closedSeconds} s: kube-proxy does not serve. ${path.healedAgoMs === undefined ? 'It is started anew when that stays so' : 'It was started anew; see its log (kubectl logs -n kube-system -l k8s-app=kube-proxy)'}`,
    ),
  };
};

const planChange = (facts: DistributionFacts, layer: BundleLayer, spec: ManagedKubernetes, digest: Digest, machine: readonly Step[]): DistributionPlan => {
  const { cluster, local } = facts;
  const node = cluster?.nodes.find((item) => item.name === facts.self.name);
  if (cluster === undefined || node === undefined) {
    // In the middle of a change the API server may be the very thing that is missing: what is broken is mended, the rest waits for it.
    return {
      steps: planHealing(facts, { ...layer, programs: [] }),
      wait: failure(layer, 'cluster-waiting', 'the API server does not answer; the change goes on when it does'),
    };
  }
  const skew = skewFailure(layer, local.controlPlaneVersion ?? node.kubeletVersion, spec.version);
  if (skew !== undefined) return { steps: [], wait: skew };
  if (node.turn !== digest)
    return { steps: [], wait: failure(layer, 'turn-waiting', facts.isKeeper ? 'other hosts of the cluster go first' : 'it is not the turn of this host yet') };
  return {
    steps: [
      ...(facts.self.role === 'control-plane' ? [{ step: 'saveDatastore', layer: layer.name, required: true } as const] : []),
      ...planPrograms(facts, layer, 'early', true),
      ...machine,
      {
        step: 'upgradeKubernetes',
        layer: layer.name,
        version: versionTag(spec.version),
        digest,
        first: facts.self.role === 'control-plane' && cluster.configured !== digest,
      },
      ...planPrograms(facts, layer, 'late', true),
      { step: 'startKubernetes', layer: layer.name, restart: true },
      { step: 'markApplied', layer: layer.name, digest },
    ],
    wait: undefined,
  };
};

const planArrival = (facts: DistributionFacts, layer: BundleLayer, digest: Digest, machine: readonly Step[]): DistributionPlan => {
  if (facts.local.isForeign)
    return {
      steps: [],
      wait: failure(
        layer,
        'kubernetes-foreign',
        'this host already runs Kubernetes that Groundplane did not make. Use the distribution "existing" for it, or take it off the host first (kubeadm reset)',
        'blocked',
      ),
    };
  const prepare: Step[] = [...planPrograms(facts, layer, 'all', true), ...machine, ...planNames(facts, layer)];
  const finish: Step[] = [
    { step: 'startKubernetes', layer: layer.name, restart: false },
    { step: 'markApplied', layer: layer.name, digest },
  ];
  if (facts.self.address === undefined)
    return {
      steps: prepare,
      wait: failure(
        layer,
        'address-unknown',
        'this host has no address that others could reach. Give it one, or set hostSettings.<name>.address in the cluster',
        'blocked',
      ),
    };
  if (facts.isFounder)
    return {
      steps: [...prepare, { step: 'initKubernetes', layer: layer.name, digest, afresh: facts.local.failedAttempts > 1 }, ...finish],
      wait: undefined,
    };
  if (facts.hasInvitation)
    return {
      steps: [...prepare, { step: 'joinKubernetes', layer: layer.name, digest, role: facts.self.role, afresh: facts.local.member === 'partial' }, ...finish],
      wait: undefined,
    };
  return { steps: prepare, wait: failure(layer, 'join-waiting', 'a control plane of the cluster has to invite this host; it is told through the hub') };
};

/**
 * What one host does about its Kubernetes: put the programs in place, make or join the cluster, keep what it has in shape, and change it when its turn comes.
 * `machine` are the steps for files and units that the distribution needs, planned like those of an OS layer.
 */
export const planDistribution = (facts: DistributionFacts, layer: BundleLayer, digest: Digest, machine: readonly Step[]): DistributionPlan => {
  const spec = layer.kubernetes?.managed;
  if (spec === undefined) return { steps: [...machine], wait: undefined };
  const { local } = facts;
  if (local.member !== 'joined') return planArrival(facts, layer, digest, machine);
  if (local.role !== undefined && local.role !== facts.self.role)
    return {
      steps: [],
      wait: failure(
        layer,
        'role-changed',
        `this host is a ${local.role} and cannot become a ${facts.self.role} in place. Take it out of the cluster and put it in again`,
        'blocked',
      ),
    };
  if (local.applied === undefined) {
    const arrived = local.arrived ?? digest;
    return {
      steps: [
        ...planNames(facts, layer),
        { step: 'startKubernetes', layer: layer.name, restart: false },
        { step: 'markApplied', layer: layer.name, digest: arrived },
      ],
      wait: undefined,
    };
  }
  if (local.role === 'worker' && local.certificates === 'expired')
    return facts.hasInvitation
      ? { steps: [{ step: 'joinKubernetes', layer: layer.name, digest, role: 'worker', afresh: true }], wait: undefined }
      : { steps: [], wait: failure(layer, 'join-waiting', 'it was away until its certificate was over; a control plane has to invite it again') };
  const names = planNames(facts, layer);
  const keeper = facts.isKeeper && facts.cluster !== undefined ? planKeeper(facts, layer, spec, digest) : { steps: [], wait: undefined };
  const saved: Step[] = local.isSnapshotDue && facts.self.role === 'control-plane' ? [{ step: 'saveDatastore', layer: layer.name, required: false }] : [];
  if (local.applied !== digest) {
    const change = planChange(facts, layer, spec, digest, machine);
    // The keeper knows best why nobody may change now.
    const wait = change.wait?.code === 'turn-waiting' ? (keeper.wait ?? change.wait) : change.wait;
    return { steps: [...names, ...keeper.steps, ...change.steps], wait };
  }
  const node = facts.cluster?.nodes.find((item) => item.name === facts.self.name);
  // Somebody took the mark off the node; the keeper goes by it.
  const marked: Step[] = node !== undefined && node.applied !== digest ? [{ step: 'markApplied', layer: layer.name, digest }] : [];
  const path = planServicePath(facts, layer);
  return {
    steps: [...names, ...machine, ...planHealing(facts, layer), ...marked, ...path.steps, ...saved, ...keeper.steps],
    wait: keeper.wait ?? path.wait,
  };
};

/** Takes this host out of its cluster and everything of Kubernetes off it. */
export const planLeave = (facts: DistributionFacts | undefined, layer: string, machine: readonly Step[]): Step[] => [
  { step: 'leaveKubernetes', layer, last: facts?.isLast ?? true },
  ...machine,
  { step: 'removePrograms', layer },
];
