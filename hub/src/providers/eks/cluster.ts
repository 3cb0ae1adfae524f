import { CreateClusterCommand, UpdateClusterConfigCommand, UpdateClusterVersionCommand, type Cluster, type LogType } from '@aws-sdk/client-eks';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type ClusterCredentials, type ManagedClusterFacts, type Progress } from '../../port/provider.ts';
import { baseName, clusterRoleName, nodeRoleName, tokenOf } from '../aws/names.ts';
import { ensureOwnNetwork } from '../aws/network.ts';
import { findPlace, isGiven, type Place } from '../aws/place.ts';
import { ensureRole } from '../aws/role.ts';
import { syncAccess } from './access.ts';
import { syncAddons } from './addons.ts';
import { eksLimits } from './limits.ts';
import { minorVersion } from './pool-plan.ts';
import { clusterFacts, issuesOf, readCluster, tagRecord, type EksCloud, type EksScope } from './read.ts';
import { clusterToken } from './token.ts';

const clusterPolicies = ['AmazonEKSClusterPolicy'];
/** Nodes join, read images, give addresses to pods, and can be looked after through Systems Manager. */
const nodePolicies = ['AmazonEKSWorkerNodePolicy', 'AmazonEC2ContainerRegistryReadOnly', 'AmazonEKS_CNI_Policy', 'AmazonSSMManagedInstanceCore'];
const logTypes = ['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'] as const satisfies readonly LogType[];

/** From inside the VPC the API server can always be reached. */
const endpointOf = (scope: EksScope) => {
  const isPublic = scope.placement.access === 'public';
  return { endpointPublicAccess: isPublic, endpointPrivateAccess: true, ...(isPublic ? { publicAccessCidrs: [...scope.placement.apiSources] } : {}) };
};

const loggingOf = (scope: EksScope) => {
  const isOn = (type: LogType): boolean => (scope.placement.logging as readonly LogType[]).includes(type);
  const setup = [
    { types: logTypes.filter(isOn), enabled: true },
    { types: logTypes.filter((type) => !isOn(type)), enabled: false },
  ];
  return { clusterLogging: setup.filter((item) => item.types.length > 0) };
};

const sorted = (items: readonly string[] | undefined): string => JSON.stringify([...(items ?? [])].toSorted());

/** The first of two things that can be changed in a cluster, which EKS wants one by one. Undefined: as wanted. */
export const configDrift = (cluster: Cluster, scope: EksScope): 'endpoint' | 'logging' | undefined => {
  const has = cluster.resourcesVpcConfig;
  const wanted = endpointOf(scope);
  const isEndpoint =
    has?.endpointPublicAccess === wanted.endpointPublicAccess &&
    has.endpointPrivateAccess === wanted.endpointPrivateAccess &&
    (!wanted.endpointPublicAccess || sorted(has.publicAccessCidrs) === sorted(wanted.publicAccessCidrs));
  if (!isEndpoint) return 'endpoint';
  const on = (cluster.logging?.clusterLogging ?? []).filter((item) => item.enabled === true).flatMap((item) => item.types ?? []);
  return sorted(on) === sorted(scope.placement.logging) ? undefined : 'logging';
};

const create = async (cloud: EksCloud, scope: EksScope, place: Place, roleArn: string, version: string): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const name = baseName(scope);
  const made = await cloud.call(`EKS cluster ${name}`, 'eks:CreateCluster', () =>
    cloud.eks.send(
      new CreateClusterCommand({
        name,
        version: minorVersion(version),
        roleArn,
        resourcesVpcConfig: { subnetIds: place.subnets.map((subnet) => subnet.id).toSorted(), ...endpointOf(scope) },
        // Whoever makes it is its administrator: that is us.
        accessConfig: { authenticationMode: 'API', bootstrapClusterCreatorAdminPermissions: true },
        logging: loggingOf(scope),
        tags: tagRecord(scope, name),
      }),
    ),
  );
  // Its name is unique: somebody was quicker, or our own answer was lost.
  if (!made.ok && !made.failure.message.includes('ResourceInUse')) return made;
  return pending('the control plane is being made', eksLimits.clusterMs);
};

const prepare = async (cloud: EksCloud, scope: EksScope): Promise<Result<Progress<{ place: Place; role: string }>>> => {
  if (!isGiven(scope)) {
    const network = await ensureOwnNetwork(cloud, scope, 2);
    if (!network.ok) return network;
    if (network.value.state === 'pending') return { ok: true, value: network.value };
  }
  const place = await findPlace(cloud, scope);
  if (!place.ok) return place;
  if (new Set(place.value.subnets.map((subnet) => subnet.zone)).size < 2)
    return fail('blocked', 'choice-missing', `network of cluster ${scope.name}`, 'EKS wants subnets in two zones at least; name more of them');
  const role = await ensureRole(cloud, scope, { name: clusterRoleName(scope), service: 'eks.amazonaws.com', policies: clusterPolicies });
  if (!role.ok) return role;
  const nodes = await ensureRole(cloud, scope, { name: nodeRoleName(scope), service: 'ec2.amazonaws.com', policies: nodePolicies });
  return nodes.ok ? ready({ place: place.value, role: role.value }) : nodes;
};

const wishOf = (scope: EksScope): string => tokenOf(canonicalJson({ placement: scope.placement, zones: scope.zones }));

/** A cluster that stands costs few calls: what seldom changes by itself is not looked at in every turn. */
const isSettled = (cloud: EksCloud, scope: EksScope): boolean => {
  const last = cloud.looked.get(scope.id);
  return last !== undefined && last.of === wishOf(scope) && cloud.session.deps.clock.monotonicMs() - last.atMs < eksLimits.lookMs;
};

const configure = async (cloud: EksCloud, scope: EksScope, cluster: Cluster): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const name = baseName(scope);
  const drift = configDrift(cluster, scope);
  if (drift !== undefined) {
    const input = drift === 'endpoint' ? { name, resourcesVpcConfig: endpointOf(scope) } : { name, logging: loggingOf(scope) };
    const set = await cloud.call(`EKS cluster ${name}`, 'eks:UpdateClusterConfig', () => cloud.eks.send(new UpdateClusterConfigCommand(input)));
    return set.ok ? pending(`the control plane is being changed: ${drift}`, eksLimits.clusterMs) : set;
  }
  const access = isSettled(cloud, scope) ? ok(undefined) : await syncAccess(cloud, scope);
  if (!access.ok) return access;
  if (!isSettled(cloud, scope)) cloud.looked.set(scope.id, { of: wishOf(scope), atMs: cloud.session.deps.clock.monotonicMs() });
  const addons = await syncAddons(cloud, scope);
  if (!addons.ok) return addons;
  const facts = clusterFacts(cluster);
  const notes = [facts.message, ...addons.value].filter((note) => note !== undefined);
  return ready({ ...facts, ...(notes.length === 0 ? {} : { message: notes.join('; ') }) });
};

/** Network, roles, control plane in `version`, who may use it, and add-ons. */
export const ensureCluster = async (cloud: EksCloud, scope: EksScope, version: string): Promise<Result<Progress<ManagedClusterFacts>>> => {
  const element = `EKS cluster ${baseName(scope)}`;
  const there = await readCluster(cloud, scope);
  if (!there.ok) return there;
  const status = there.value?.status;
  if (status === 'DELETING') return fail('retry', 'cloud-conflict', element, 'is being deleted; it can be made again when it is gone');
  if (status === 'FAILED')
    return fail('blocked', 'cloud-refused', element, `EKS could not make it (${(there.value && issuesOf(there.value)) ?? 'no reason given'}). Delete the cluster, and make it again when the reason is gone`); // prettier-ignore
  if (there.value !== undefined && status === 'ACTIVE' && isSettled(cloud, scope)) return configure(cloud, scope, there.value);
  const parts = await prepare(cloud, scope);
  if (!parts.ok) return parts;
  if (parts.value.state === 'pending') return { ok: true, value: parts.value };
  const { place, role } = parts.value.value;
  if (there.value === undefined) return create(cloud, scope, place, role, version);
  if (status !== 'ACTIVE') return pending(`the control plane is ${(status ?? 'changing').toLowerCase()}`, eksLimits.clusterMs);
  return configure(cloud, scope, there.value);
};

export const observe = async (cloud: EksCloud, scope: EksScope): Promise<Result<ManagedClusterFacts>> => {
  const found = await readCluster(cloud, scope);
  return found.ok ? ok(clusterFacts(found.value)) : found;
};

/** Control plane only; node groups follow by `ensurePool`. */
export const upgrade = async (cloud: EksCloud, scope: EksScope, version: string): Promise<Result<Progress<void>>> => {
  const name = baseName(scope);
  const element = `EKS cluster ${name}`;
  const found = await readCluster(cloud, scope);
  if (!found.ok) return found;
  if (found.value === undefined) return fail('retry', 'cluster-missing', element, 'it is not there (any more); it is made first');
  if (found.value.status !== 'ACTIVE') return pending(`the control plane is ${(found.value.status ?? 'changing').toLowerCase()}`, eksLimits.clusterMs);
  const target = minorVersion(version);
  if (found.value.version === target) return ready(undefined);
  const asked = await cloud.call(element, 'eks:UpdateClusterVersion', () => cloud.eks.send(new UpdateClusterVersionCommand({ name, version: target })));
  return asked.ok ? pending(`the control plane is being upgraded to ${target}`, eksLimits.clusterMs) : asked;
};

/** A token of fourteen minutes, made here without asking anybody. Keys of a role whose token was refused may have been revoked: new ones are asked for. */
export const credentials = async (cloud: EksCloud, scope: EksScope, refused?: string): Promise<Result<ClusterCredentials>> => {
  if (refused !== undefined) cloud.session.forgetKeys();
  const name = baseName(scope);
  const found = await readCluster(cloud, scope);
  if (!found.ok) return found;
  const { endpoint, certificateAuthority } = found.value ?? {};
  if (endpoint === undefined) return fail('retry', 'cluster-missing', `EKS cluster ${name}`, 'it has no API server (yet)');
  const made = await cloud.call(`token for ${name}`, 'sts:GetCallerIdentity', () =>
    clusterToken(cloud.session.keys, cloud.region, name, cloud.session.deps.clock.wallMs()),
  );
  if (!made.ok) return made;
  const ca = certificateAuthority?.data === undefined ? undefined : Buffer.from(certificateAuthority.data, 'base64').toString();
  return ok({ server: endpoint, ca, ...made.value });
};
