import type { BundleLayer, Desired } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import type { HostIdentity, JoinSecrets } from '@groundplane/protocol/distribution/kubeadm-config';
import { kubeVipImage } from '@groundplane/protocol/distribution/kube-vip';
import type { Architecture } from '@groundplane/protocol/distribution/spec';
import type { ClusterState, LocalState, Neighbour, ServicePath } from '@groundplane/protocol/distribution/state';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { DistributionFacts } from '@groundplane/protocol/plan/distribution';
import { readHostNames } from '../distribution/host-names.ts';
import type { ProgramDigests } from '../distribution/programs.ts';
import { isServicePathOpen } from '../distribution/service-path.ts';
import { sealKeyFrom, type SealKey } from '../distribution/seal.ts';
import type { Distribution, DistributionSetup, KeptFile, MachineState } from '../port/distribution.ts';
import type { Tools } from '../port/tools.ts';
import { writes, type DesiredRecord, type State } from '../store/state.ts';

/** What the agent remembers of the Kubernetes that it made or joined. It goes with the layer. */
export interface KubernetesMemory {
  state: 'begun' | 'joined';
  layer: string;
  setup: DistributionSetup;
  arrived?: Digest;
  applied?: Digest;
  failedAttempts: number;
}

/** What the hub passes on about the other hosts, kept for months without a hub. */
export interface SiteMemory {
  cluster: string;
  neighbours: Neighbour[];
  /** Sealed for this host. */
  invitation?: string;
}

/** An invitation that this host gave; sent until the hub has it. */
export interface GivenInvitation {
  cluster: string;
  host: string;
  sealed: string;
  sealKey: string;
  atMs: number;
}

/** How a host brings Kubernetes up itself; absent where it only uses one. */
export interface KubernetesDeps {
  distribution: (name: string) => Distribution | undefined;
  tools: Tools;
  architecture: Architecture;
  address: () => Promise<string | undefined>;
  programs: ProgramDigests;
}

/** The key that others seal secrets for this host with; made when it is first asked for. */
export const sealKeyOf = (state: State): SealKey => {
  const secret = state.kv<string>('sealKey');
  const key = sealKeyFrom(secret);
  if (secret === undefined) state.commit([writes.kv('sealKey', key.secret)]);
  return key;
};

export const memoryOf = (state: State): KubernetesMemory | undefined => state.kv<KubernetesMemory>('kubernetes');
const keptOf = (state: State): Record<string, KeptFile> => state.kv<Record<string, KeptFile>>('kubernetes.kept') ?? {};

/** A token lives two hours; an invitation is renewed in good time before. */
const invitationMs = 90 * 60_000;
const renewBelow = 1 / 3;

/** What is particular about this host, as the distribution is told. */
export const setupOf = (layer: BundleLayer, cluster: NonNullable<Desired['cluster']>, self: string, address: string): DistributionSetup | undefined => {
  const { site } = cluster;
  const spec = layer.kubernetes?.managed;
  const member = site?.members.find((item) => item.host === self);
  if (site === undefined || spec === undefined || member === undefined) return undefined;
  const identity: HostIdentity = {
    name: member.name,
    address,
    endpoint: site.endpoint.host,
    endpointPort: site.endpoint.port,
    ...(site.endpoint.kind === 'vip' ? { vipImage: kubeVipImage((layer.oci ?? []).map((item) => item.ref)) } : {}),
    alsoKnownAs: ['127.0.0.1', address, member.name],
    labels: site.labels,
    taints: site.taints,
    taintControlPlane: site.members.some((item) => item.role === 'worker'),
  };
  return { spec, cluster: cluster.name, role: member.role, identity };
};

/** The opened invitation, as long as it is for the key that we have now. */
export const invitationOf = (state: State, key: SealKey, cluster: string, self: string): JoinSecrets | undefined => {
  const sealed = state.kv<SiteMemory>('site')?.invitation;
  const text = sealed === undefined ? undefined : key.open(sealed, `join ${cluster} ${self}`);
  return text === undefined ? undefined : (JSON.parse(text) as JoinSecrets);
};

/** Since when the way through Services is closed, and when something was done about it; by the wall clock, so that it outlives the agent. */
export interface ServicePathMemory {
  sinceMs: number;
  healedMs?: number;
}

/** Only while the API server itself answers: otherwise it says nothing about kube-proxy. A clock that went back begins anew. */
const servicePathOf = (state: State, isOpen: boolean | undefined, wallMs: number): ServicePath | undefined => {
  const known = state.kv<ServicePathMemory>('kubernetes.servicePath');
  const forget = (): void => void (known !== undefined && state.commit([{ table: 'kv', key: 'kubernetes.servicePath', value: null }]));
  if (isOpen !== false) {
    forget();
    return isOpen === true ? { state: 'open' } : undefined;
  }
  const isUsable = known !== undefined && known.sinceMs <= wallMs && (known.healedMs ?? 0) <= wallMs;
  const memory: ServicePathMemory = isUsable ? known : { sinceMs: wallMs };
  if (!isUsable) state.commit([writes.kv('kubernetes.servicePath', memory)]);
  return { state: 'closed', closedMs: wallMs - memory.sinceMs, healedAgoMs: memory.healedMs === undefined ? undefined : wallMs - memory.healedMs };
};

const localState = (
  memory: KubernetesMemory | undefined,
  machine: MachineState,
  servicePath: ServicePath | undefined,
  /** Something holds already: the first snapshot does not stand in the way of the first workload. */
  isSettled: boolean,
  everyHours: number,
  names: Record<string, string>,
): LocalState => ({
  member: memory?.state === 'joined' ? 'joined' : machine.hasTraces || memory !== undefined ? 'partial' : 'none',
  isForeign: memory === undefined && machine.hasTraces,
  role: memory?.state === 'joined' ? memory.setup.role : undefined,
  applied: memory?.applied,
  arrived: memory?.arrived,
  controlPlaneVersion: machine.controlPlaneVersion,
  kubeletVersion: machine.kubeletVersion,
  isStale: machine.isStale,
  services: machine.services,
  broken: machine.broken,
  certificates: machine.certificates === undefined || machine.certificates.left >= renewBelow ? 'good' : machine.certificates.left > 0 ? 'due' : 'expired',
  isSnapshotDue: isSettled && machine.snapshotAgeMs !== undefined && machine.snapshotAgeMs > everyHours * 3_600_000,
  servicePath,
  failedAttempts: memory?.failedAttempts ?? 0,
  names,
});

/** Renewals by others become what is kept. */
const keepRenewals = async (state: State, tools: Tools, renewed: readonly string[]): Promise<void> => {
  if (renewed.length === 0) return;
  const kept = { ...keptOf(state) };
  for (const path of renewed) {
    const content = await tools.read(path);
    const before = kept[path];
    if (content !== undefined && before !== undefined) kept[path] = { ...before, content };
  }
  state.commit([writes.kv('kubernetes.kept', kept)]);
};

/** Everything about the distribution that the planner wants to know; undefined where this host has none of its own. */
export const observeDistribution = async (
  deps: KubernetesDeps & { state: State; wallMs: number },
  record: DesiredRecord,
  cluster: { state: ClusterState | undefined; isKeeper: boolean; withGiven: boolean },
): Promise<Result<DistributionFacts | undefined>> => {
  const { state, tools } = deps;
  const memory = memoryOf(state);
  const layer = record.bundle?.layers.find((item) => item.kubernetes?.managed !== undefined);
  const wanted = record.desired.cluster;
  const spec = layer?.kubernetes?.managed ?? memory?.setup.spec;
  if (spec === undefined) return ok(undefined);
  const distribution = deps.distribution(spec.distribution);
  if (distribution === undefined) return fail('blocked', 'distribution-unknown', 'Kubernetes', `this agent cannot bring up ${spec.distribution}. Update it`);
  const self = wanted?.site?.members.find((item) => item.host === record.desired.host);
  const address = wanted?.site?.address ?? (await deps.address());
  const role = self?.role ?? memory?.setup.role ?? 'worker';
  const machine = await distribution.look({ spec, role }, keptOf(state));
  if (!machine.ok) return machine;
  // Beside the rest: where kube-proxy is only about to come, nothing answers for the whole time.
  const path = memory?.state === 'joined' && machine.value.hasProxy ? isServicePathOpen(tools, cluster.state) : undefined;
  await keepRenewals(state, tools, machine.value.renewed);
  const programs = new Map<string, Digest | 'absent'>();
  for (const program of layer?.programs ?? []) {
    if (program.architecture === deps.architecture) programs.set(program.path, await deps.programs.digestOf(program.path));
  }
  const site = state.kv<SiteMemory>('site');
  const given = Object.values(state.kv<Record<string, GivenInvitation>>('invitations') ?? {});
  const neighbours = site?.cluster === wanted?.id ? (site?.neighbours ?? []) : [];
  const isValid = (item: GivenInvitation): boolean => Math.abs(deps.wallMs - item.atMs) < invitationMs;
  return ok({
    self: { host: record.desired.host, name: self?.name ?? memory?.setup.identity.name ?? '', role, address },
    architecture: deps.architecture,
    members: wanted?.site?.members ?? [],
    traits:
      wanted?.site?.traits === undefined || !cluster.withGiven
        ? undefined
        : new Map(wanted.site.traits.flatMap((item) => item.nodes.map((name) => [name, item] as const))),
    neighbours,
    invited: new Set(
      given.filter((item) => isValid(item) && neighbours.some((other) => other.host === item.host && other.sealKey === item.sealKey)).map((item) => item.host),
    ),
    isFounder: wanted?.site?.founder === true,
    isKeeper: cluster.isKeeper,
    hasInvitation: wanted !== undefined && invitationOf(state, sealKeyOf(state), wanted.id, record.desired.host) !== undefined,
    isLast: record.desired.detached !== true,
    endpoint: wanted?.site?.endpoint ?? { kind: 'external', host: '', port: 6443 },
    programs,
    local: localState(
      memory,
      machine.value,
      servicePathOf(state, await path, deps.wallMs),
      state.slot('good') !== undefined,
      spec.snapshots.everyHours,
      await readHostNames(tools),
    ),
    cluster: cluster.state,
  });
};
