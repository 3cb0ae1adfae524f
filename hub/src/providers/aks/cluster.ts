import type { ManagedCluster, ManagedClusterAgentPoolProfile } from '@azure/arm-containerservice';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type ClusterScope, type ManagedClusterFacts, type ManagedPoolWant, type Progress } from '../../port/provider.ts';
import { ensureGroup, removeOwnGroup, workState } from '../azure/ensure.ts';
import { azureWaits } from '../azure/limits.ts';
import { baseName, groupOf, idOf, isOurs, isOwnGroup, notOurs, tagsOf } from '../azure/names.ts';
import type { Cloud } from '../azure/network.ts';
import { find, submit } from '../azure/session.ts';
import { poolBody, poolName } from './pool-body.ts';

export type AksScope = ClusterScope<'aks'>;

export const elementOf = (scope: AksScope): string => `AKS cluster ${baseName(scope)}`;

/** `1.34` is met by every patch of it. */
export const isVersion = (running: string | undefined, wanted: string): boolean => running === wanted || running?.startsWith(`${wanted}.`) === true;

/** The cluster, when it is there and ours. */
export const findCluster = async (cloud: Cloud, scope: AksScope): Promise<Result<ManagedCluster | undefined>> => {
  const found = await find(elementOf(scope), () => cloud.containers.managedClusters.get(groupOf(scope), baseName(scope)));
  if (!found.ok || found.value === undefined) return found;
  return isOurs(scope, found.value) ? found : notOurs(elementOf(scope), scope);
};

const stateOf = (cluster: ManagedCluster): ManagedClusterFacts['state'] => {
  const state = workState(cluster);
  if (state === 'done') return 'ready';
  if (state === 'failed' || state === 'going') return state;
  return cluster.provisioningState === 'Creating' ? 'making' : 'changing';
};

export const factsOf = (cluster: ManagedCluster | undefined): ManagedClusterFacts => {
  if (cluster === undefined) return { state: 'absent' };
  const host = cluster.privateFqdn ?? cluster.fqdn;
  return {
    state: stateOf(cluster),
    version: cluster.currentKubernetesVersion ?? cluster.kubernetesVersion,
    ...(host === undefined || host === '' ? {} : { server: `https://${host}:443` }),
    ...(stateOf(cluster) === 'failed' ? { message: cluster.status?.provisioningError?.message ?? 'AKS could not finish its last operation' } : {}),
  };
};

export const observe = async (cloud: Cloud, scope: AksScope): Promise<Result<ManagedClusterFacts>> => {
  const found = await findCluster(cloud, scope);
  return found.ok ? ok(factsOf(found.value)) : found;
};

export const subnetOf = (cloud: Cloud, scope: AksScope): string | undefined => {
  const given = scope.placement.network;
  return given === undefined
    ? undefined
    : `${idOf(cloud.subscription, given.resourceGroup, `Microsoft.Network/virtualNetworks/${given.name}`)}/subnets/${given.subnet}`;
};

/** From everywhere is what AKS does without a list, and a list that says so is refused. */
const sourcesOf = (scope: AksScope): string[] => {
  const { access, apiSources } = scope.placement;
  return access === 'private' || apiSources.includes('0.0.0.0/0') ? [] : [...apiSources].toSorted();
};

const bodyOf = (cloud: Cloud, scope: AksScope, version: string, first: ManagedPoolWant): ManagedCluster => {
  const { location, tier, networkPlugin, dnsServiceIp, serviceCidr, podCidr, access } = scope.placement;
  const isOverlay = networkPlugin === 'azure' && (podCidr !== undefined || scope.placement.network === undefined);
  const profile = poolBody(first, { version, subnet: subnetOf(cloud, scope), mode: 'System', scope });
  return {
    location,
    tags: tagsOf(scope),
    sku: { name: 'Base', tier },
    identity: { type: 'SystemAssigned' },
    dnsPrefix: baseName(scope),
    kubernetesVersion: version,
    enableRbac: true,
    // Versions are changed by whoever changes the profile, not by Azure.
    autoUpgradeProfile: { upgradeChannel: 'none' },
    agentPoolProfiles: [{ name: poolName(first.name), type: 'VirtualMachineScaleSets', ...profile }],
    networkProfile: {
      networkPlugin,
      loadBalancerSku: 'standard',
      ...(isOverlay ? { networkPluginMode: 'overlay' } : {}),
      ...(serviceCidr === undefined ? {} : { serviceCidr }),
      ...(dnsServiceIp === undefined ? {} : { dnsServiceIP: dnsServiceIp }),
      ...(podCidr === undefined ? {} : { podCidr }),
    },
    apiServerAccessProfile:
      access === 'private'
        ? { enablePrivateCluster: true }
        : { enablePrivateCluster: false, ...(sourcesOf(scope).length === 0 ? {} : { authorizedIPRanges: sourcesOf(scope) }) },
  };
};

/** A profile as it goes back: setting the version of its image, even to the same one, starts a roll-back. */
const kept = ({ nodeImageVersion: _image, ...profile }: ManagedClusterAgentPoolProfile): ManagedClusterAgentPoolProfile => profile;
export const change = (cluster: ManagedCluster, changes: Partial<ManagedCluster>): ManagedCluster => ({
  ...cluster,
  ...(cluster.agentPoolProfiles === undefined ? {} : { agentPoolProfiles: cluster.agentPoolProfiles.map(kept) }),
  ...changes,
});

export const putCluster = async (cloud: Cloud, scope: AksScope, body: ManagedCluster): Promise<Result<void>> =>
  submit(elementOf(scope), () => cloud.containers.managedClusters.createOrUpdate(groupOf(scope), baseName(scope), body));

/** What of the placement may change later, and differs. */
const driftOf = (cluster: ManagedCluster, scope: AksScope): Partial<ManagedCluster> | undefined => {
  const sources = (cluster.apiServerAccessProfile?.authorizedIPRanges ?? []).toSorted();
  const hasSources = sources.join() === sourcesOf(scope).join();
  if (cluster.sku?.tier === scope.placement.tier && hasSources) return undefined;
  return {
    sku: { name: 'Base', tier: scope.placement.tier },
    apiServerAccessProfile: { ...cluster.apiServerAccessProfile, authorizedIPRanges: sourcesOf(scope) },
  };
};

const keepCluster = async (cloud: Cloud, scope: AksScope, cluster: ManagedCluster): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const state = workState(cluster);
  const name = baseName(scope);
  if (state === 'working' || state === 'going') return pending(`cluster ${name} is ${cluster.provisioningState ?? 'at work'}`, azureWaits.cluster);
  if (state === 'failed') {
    // The same again is AKS' own way to mend a cluster.
    const sent = await putCluster(cloud, scope, change(cluster, {}));
    return sent.ok ? fail('retry', 'cloud-failed', elementOf(scope), `${factsOf(cluster).message ?? 'it failed'}; AKS was asked to try again`) : sent;
  }
  const drift = driftOf(cluster, scope);
  if (drift === undefined) return ready(factsOf(cluster));
  const sent = await putCluster(cloud, scope, change(cluster, drift));
  return sent.ok ? pending(`cluster ${name} gets another tier or other sources`, azureWaits.cluster) : sent;
};

export const ensureCluster = async (
  cloud: Cloud,
  scope: AksScope,
  version: string,
  first: ManagedPoolWant | undefined,
): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const group = await ensureGroup(cloud, scope);
  if (!group.ok) return group;
  if (group.value.state === 'pending') return { ok: true, value: group.value };
  const found = await findCluster(cloud, scope);
  if (!found.ok) return found;
  if (found.value !== undefined) return keepCluster(cloud, scope, found.value);
  if (first === undefined) return fail('blocked', 'choice-missing', elementOf(scope), 'AKS makes no cluster without a pool. Add one to the cluster');
  if (first.spot) return fail('blocked', 'choice-differs', elementOf(scope), `its first pool "${first.name}" runs AKS' own parts and cannot be spot. Put another pool first`); // prettier-ignore
  const sent = await putCluster(cloud, scope, bodyOf(cloud, scope, version, first));
  return sent.ok ? pending(`cluster ${baseName(scope)} is being made`, azureWaits.cluster) : sent;
};

/** The control plane's version only: pools keep the one that their profiles name. */
export const upgrade = async (cloud: Cloud, scope: AksScope, version: string): Promise<Result<Progress<void>>> => {
  const found = await findCluster(cloud, scope);
  if (!found.ok) return found;
  const cluster = found.value;
  if (cluster === undefined) return fail('retry', 'cluster-missing', elementOf(scope), 'it is not there (any more); it is made first');
  const words = `control plane is going to ${version}`;
  if (['working', 'going'].includes(workState(cluster)))
    return pending(`cluster ${baseName(scope)} is ${cluster.provisioningState ?? 'at work'}`, azureWaits.cluster);
  if (isVersion(cluster.currentKubernetesVersion, version)) return ready(undefined);
  const sent = await putCluster(cloud, scope, change(cluster, { kubernetesVersion: version }));
  return sent.ok ? pending(words, azureWaits.cluster) : sent;
};

export const ensureNothingLeft = async (cloud: Cloud, scope: AksScope): Promise<Result<Progress<void>>> => {
  if (isOwnGroup(scope)) return removeOwnGroup(cloud, scope);
  const found = await findCluster(cloud, scope);
  if (!found.ok) return found;
  if (found.value === undefined) return ready(undefined);
  if (workState(found.value) !== 'going') {
    const sent = await submit(elementOf(scope), () => cloud.containers.managedClusters.delete(groupOf(scope), baseName(scope)));
    if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
  }
  return pending(`cluster ${baseName(scope)} is being deleted`, azureWaits.cluster);
};
