import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type ClusterCredentials, type ManagedClusterFacts, type ManagedPoolWant, type Progress } from '../../port/provider.ts';
import { googleWaits } from '../google/limits.ts';
import { clusterLabel, labelsOf, notOurs } from '../google/names.ts';
import type { Session } from '../google/session.ts';
import { clusterName, clusterPath, elementOf, isVersion, isZone, parentOf, type GkeScope } from './names.ts';
import { poolBody, poolSchema } from './pool-body.ts';

const clusterSchema = z.looseObject({
  name: z.string(),
  status: z.string().default('PROVISIONING'),
  statusMessage: z.string().optional(),
  conditions: z.array(z.looseObject({ message: z.string().optional() })).optional(),
  endpoint: z.string().optional(),
  currentMasterVersion: z.string().optional(),
  resourceLabels: z.record(z.string(), z.string()).default({}),
  locations: z.array(z.string()).default([]),
  /** Everything that a list of them would say. */
  nodePools: z.array(poolSchema).default([]),
  masterAuth: z.looseObject({ clusterCaCertificate: z.string().optional() }).optional(),
  masterAuthorizedNetworksConfig: z
    .looseObject({ enabled: z.boolean().optional(), cidrBlocks: z.array(z.looseObject({ cidrBlock: z.string() })).optional() })
    .optional(),
});
export type Cluster = z.infer<typeof clusterSchema>;

const operationOf = (scope: GkeScope): string => `cluster ${clusterName(scope)}`;

/** The cluster, when it is there and ours. */
export const findCluster = async (session: Session, scope: GkeScope): Promise<Result<Cluster | undefined>> => {
  const found = await session.find('container', clusterPath(scope), clusterSchema);
  if (!found.ok || found.value === undefined) return found;
  return found.value.resourceLabels[clusterLabel] === scope.id ? found : notOurs(elementOf(scope), scope);
};

const states: Readonly<Record<string, ManagedClusterFacts['state']>> = {
  PROVISIONING: 'making',
  RUNNING: 'ready',
  RECONCILING: 'changing',
  STOPPING: 'going',
  ERROR: 'failed',
  // It works, and somebody has to look at it.
  DEGRADED: 'ready',
};

const wordsOf = (cluster: Cluster): string | undefined => {
  const conditions = (cluster.conditions ?? []).flatMap((item) => item.message ?? []).join('; ');
  return cluster.statusMessage ?? (conditions === '' ? undefined : conditions);
};

export const factsOf = (cluster: Cluster | undefined): ManagedClusterFacts => {
  if (cluster === undefined) return { state: 'absent' };
  const words = wordsOf(cluster);
  return {
    state: states[cluster.status] ?? 'changing',
    version: cluster.currentMasterVersion,
    ...(cluster.endpoint === undefined || cluster.endpoint === '' ? {} : { server: `https://${cluster.endpoint}` }),
    ...(words === undefined ? {} : { message: words }),
  };
};

export const observe = async (session: Session, scope: GkeScope): Promise<Result<ManagedClusterFacts>> => {
  const found = await findCluster(session, scope);
  return found.ok ? ok(factsOf(found.value)) : found;
};

const sourcesOf = (scope: GkeScope): string[] => (scope.placement.apiSources.includes('0.0.0.0/0') ? [] : [...scope.placement.apiSources].toSorted());
const authorized = (scope: GkeScope): Record<string, unknown> => {
  const sources = sourcesOf(scope);
  return { enabled: sources.length > 0, ...(sources.length > 0 ? { cidrBlocks: sources.map((cidrBlock) => ({ cidrBlock })) } : {}) };
};

const bodyOf = (scope: GkeScope, version: string, first: ManagedPoolWant): Record<string, unknown> => {
  const { network, subnetwork, access, privateNodes, masterCidr, releaseChannel } = scope.placement;
  const isPrivate = access === 'private';
  const privacy = {
    enablePrivateNodes: privateNodes || isPrivate,
    enablePrivateEndpoint: isPrivate,
    ...(masterCidr === undefined ? {} : { masterIpv4CidrBlock: masterCidr }),
  };
  return {
    name: clusterName(scope),
    initialClusterVersion: version,
    resourceLabels: labelsOf(scope),
    ...(network === undefined ? {} : { network }),
    ...(subnetwork === undefined ? {} : { subnetwork }),
    ipAllocationPolicy: { useIpAliases: true },
    // A channel upgrades by itself, and a cluster that is in none follows its profile.
    releaseChannel: { channel: releaseChannel },
    masterAuthorizedNetworksConfig: authorized(scope),
    ...(privateNodes || isPrivate ? { privateClusterConfig: privacy } : {}),
    nodePools: [poolBody(scope, { ...first, version }, zonesFor(scope, first))],
  };
};

/** Where a pool's nodes may be. Empty: it is not known yet; GKE chooses the zones of a region when it makes the cluster. */
export const zonesFor = (scope: GkeScope, want: ManagedPoolWant | undefined, cluster?: Cluster): string[] => {
  if (want !== undefined && want.zones.length > 0) return [...want.zones].toSorted();
  if (cluster !== undefined && cluster.locations.length > 0) return cluster.locations.toSorted();
  return isZone(scope.placement.location) ? [scope.placement.location] : [];
};

const keepCluster = async (session: Session, scope: GkeScope, cluster: Cluster): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const facts = factsOf(cluster);
  if (facts.state === 'failed')
    return fail('blocked', 'cluster-failed', elementOf(scope), `${facts.message ?? 'GKE could not make it'}. Delete the cluster here, and make it anew`);
  if (facts.state !== 'ready') return pending(`cluster ${clusterName(scope)} is ${cluster.status}`, googleWaits.cluster);
  const has = (cluster.masterAuthorizedNetworksConfig?.cidrBlocks ?? []).map((item) => item.cidrBlock).toSorted();
  if (has.join() === sourcesOf(scope).join()) return ready(facts);
  const body = { update: { desiredMasterAuthorizedNetworksConfig: authorized(scope) } };
  const sent = await session.start({ service: 'container', method: 'PUT', path: clusterPath(scope), body }, operationOf(scope));
  return sentOrWaiting(sent, `cluster ${clusterName(scope)} gets other sources`);
};

/** One operation at a time in a whole cluster: whoever comes in between waits. */
export const sentOrWaiting = <T>(sent: Result<void>, what: string): Result<Progress<T>> => {
  if (sent.ok || sent.failure.code === 'cloud-conflict') return pending(what, googleWaits.cluster);
  return sent;
};

export const ensureCluster = async (
  session: Session,
  scope: GkeScope,
  version: string,
  first: ManagedPoolWant | undefined,
): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const found = await findCluster(session, scope);
  if (!found.ok) return found;
  const before = await session.outcome('container', operationOf(scope));
  if (!before.ok) return before;
  if (found.value !== undefined) return keepCluster(session, scope, found.value);
  if (before.value === 'running') return pending(`cluster ${clusterName(scope)} is being made`, googleWaits.cluster);
  if (first === undefined) return fail('blocked', 'choice-missing', elementOf(scope), 'GKE makes no cluster without a pool. Add one to the cluster');
  const body = { cluster: bodyOf(scope, version, first) };
  const sent = await session.start({ service: 'container', method: 'POST', path: `${parentOf(scope)}/clusters`, body }, operationOf(scope));
  return sentOrWaiting(sent, `cluster ${clusterName(scope)} is being made`);
};

/** The control plane's version only. */
export const upgrade = async (session: Session, scope: GkeScope, version: string): Promise<Result<Progress<void>>> => {
  const found = await findCluster(session, scope);
  if (!found.ok) return found;
  if (found.value === undefined) return fail('retry', 'cluster-missing', elementOf(scope), 'it is not there (any more); it is made first');
  if (isVersion(found.value.currentMasterVersion, version)) return ready(undefined);
  const before = await session.outcome('container', operationOf(scope));
  if (!before.ok) return before;
  const what = `control plane is going to ${version}`;
  if (factsOf(found.value).state !== 'ready' || before.value === 'running') return pending(what, googleWaits.cluster);
  const body = { update: { desiredMasterVersion: version } };
  const sent = await session.start({ service: 'container', method: 'PUT', path: clusterPath(scope), body }, operationOf(scope));
  return sentOrWaiting(sent, what);
};

/** A token of this account; GKE takes it as it is, and gives it the rights of its roles. */
export const credentials = async (session: Session, scope: GkeScope, refused?: string): Promise<Result<ClusterCredentials>> => {
  if (refused !== undefined) session.forget(refused);
  const found = await findCluster(session, scope);
  if (!found.ok) return found;
  const { server } = factsOf(found.value);
  if (found.value === undefined || server === undefined) return fail('retry', 'cluster-missing', elementOf(scope), 'it has no address (yet)');
  const token = await session.token();
  if (!token.ok) return token;
  const ca = found.value.masterAuth?.clusterCaCertificate;
  return ok({
    server,
    ca: ca === undefined ? undefined : Buffer.from(ca, 'base64').toString('utf8'),
    token: token.value.token,
    expiresAtMs: token.value.expiresAtMs,
  });
};

export const ensureNothingLeft = async (session: Session, scope: GkeScope): Promise<Result<Progress<void>>> => {
  const found = await findCluster(session, scope);
  if (!found.ok) return found;
  if (found.value === undefined) return ready(undefined);
  if (found.value.status !== 'STOPPING') {
    const sent = await session.start({ service: 'container', method: 'DELETE', path: clusterPath(scope) }, `deletion of ${operationOf(scope)}`);
    if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
  }
  return pending(`cluster ${clusterName(scope)} is being deleted`, googleWaits.cluster);
};
