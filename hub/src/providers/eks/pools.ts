import {
  CreateNodegroupCommand,
  DeleteNodegroupCommand,
  UpdateNodegroupConfigCommand,
  UpdateNodegroupVersionCommand,
  type AMITypes,
  type Nodegroup,
} from '@aws-sdk/client-eks';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, tagKeys, type ManagedPoolFacts, type ManagedPoolWant, type Progress } from '../../port/provider.ts';
import { architectureOf } from '../aws/image.ts';
import { baseName, nodeRoleName } from '../aws/names.ts';
import { findPlace, type Place } from '../aws/place.ts';
import { partitionOf } from '../aws/role.ts';
import { eksLimits } from './limits.ts';
import { amiTypeOf, configChange, differsOf, poolState, scalingOf, taintsOf, unavailableOf, versionChange, minorVersion } from './pool-plan.ts';
import { issuesOf, ownPools, readCluster, readPool, tagRecord, type EksCloud, type EksScope } from './read.ts';

/** A zone without a subnet is met by none; why, is told when the successor is asked for. */
const wantedSubnets = (place: Place | undefined, want: ManagedPoolWant): string[] | undefined => {
  if (place === undefined) return undefined;
  const found = subnetsOf(place, want);
  return found.ok ? found.value : [];
};

/** What was made from exactly this needs no look at subnets: at every look of every cluster that would be one call more. */
const needsPlace = (group: Nodegroup, want: ManagedPoolWant | undefined): boolean =>
  want !== undefined && want.zones.length > 0 && (want.generation === undefined || group.tags?.[tagKeys.generation] !== want.generation);

/** Without a look at the control plane: a node group that is behind the wanted version is not as wanted, whether it may follow or not. */
const isAsWanted = (group: Nodegroup, want: ManagedPoolWant): boolean =>
  (group.status === 'ACTIVE' || group.status === 'DEGRADED') &&
  configChange(group, want) === undefined &&
  want.version !== undefined &&
  versionChange(group, want.version, want.version) === undefined;

export const listPools = async (cloud: EksCloud, scope: EksScope, wants: readonly ManagedPoolWant[]): Promise<Result<ManagedPoolFacts[]>> => {
  const found = await ownPools(cloud, scope);
  if (!found.ok) return found;
  const poolOf = (group: Nodegroup): string => group.tags?.[tagKeys.pool] ?? group.nodegroupName ?? '';
  const wantOf = (group: Nodegroup): ManagedPoolWant | undefined => wants.find((item) => item.pool === poolOf(group));
  const place = found.value.some((group) => needsPlace(group, wantOf(group))) ? await findPlace(cloud, scope) : ok(undefined);
  if (!place.ok) return place;
  return ok(
    found.value.map((group): ManagedPoolFacts => {
      const name = group.nodegroupName ?? '';
      const pool = poolOf(group);
      const want = wantOf(group);
      return {
        name,
        pool,
        generation: group.tags?.[tagKeys.generation],
        state: poolState(group),
        count: group.scalingConfig?.desiredSize ?? 0,
        nodes: `eks.amazonaws.com/nodegroup=${name}`,
        version: group.version,
        message: issuesOf(group),
        settled: want !== undefined && isAsWanted(group, want),
        differs: want === undefined ? [] : differsOf(group, want, wantedSubnets(place.value, want)),
      };
    }),
  );
};

const subnetsOf = (place: Place, want: ManagedPoolWant): Result<string[]> => {
  const unknown = want.zones.find((zone) => !place.nodes.some((subnet) => subnet.zone === zone));
  if (unknown !== undefined) return fail('blocked', 'choice-missing', `pool ${want.name}`, `there is no subnet in zone ${unknown}`);
  return ok(place.nodes.filter((subnet) => want.zones.length === 0 || want.zones.includes(subnet.zone)).map((subnet) => subnet.id).toSorted()); // prettier-ignore
};

/** Names of node groups are unique in their cluster: asked for twice, the second is refused, and no token is needed. */
const create = async (
  cloud: EksCloud,
  scope: EksScope,
  want: ManagedPoolWant,
  subnets: string[],
  role: string,
  version: string | undefined,
): Promise<Result<Progress<void>>> => {
  const element = `pool ${want.name}`;
  const architecture = await architectureOf(cloud, want.size);
  if (!architecture.ok) return architecture;
  const name = baseName(scope);
  const made = await cloud.call(element, 'eks:CreateNodegroup', () =>
    cloud.eks.send(
      new CreateNodegroupCommand({
        clusterName: name,
        nodegroupName: want.name,
        nodeRole: role,
        subnets,
        instanceTypes: [want.size],
        amiType: amiTypeOf(want, architecture.value === 'arm64') as AMITypes,
        capacityType: want.spot ? 'SPOT' : 'ON_DEMAND',
        ...(want.diskGiB === undefined ? {} : { diskSize: want.diskGiB }),
        scalingConfig: scalingOf(want, undefined),
        updateConfig: { maxUnavailable: unavailableOf(want) },
        labels: { ...want.labels },
        taints: taintsOf(want),
        ...(version === undefined ? {} : { version: minorVersion(version) }),
        tags: tagRecord(scope, want.name, { [tagKeys.pool]: want.pool, ...(want.generation === undefined ? {} : { [tagKeys.generation]: want.generation }) }),
      }),
    ),
  );
  if (!made.ok && !made.failure.message.includes('ResourceInUse')) return made;
  return pending(`pool ${want.name} is being made`, eksLimits.poolMs);
};

/** One that could not be made has to go before it can be tried again. */
const clearFailed = async (cloud: EksCloud, scope: EksScope, group: Nodegroup): Promise<Result<Progress<void>>> => {
  const why = issuesOf(group) ?? 'EKS gives no reason';
  const gone = await remove(cloud, scope, group.nodegroupName ?? '');
  if (!gone.ok) return gone;
  const isQuota = /LimitExceeded|quota/i.test(why);
  const message = `EKS could not make it (${why}). It is deleted and tried again`;
  return isQuota
    ? fail('blocked', 'quota-reached', `pool ${group.nodegroupName ?? ''}`, message)
    : fail('retry', 'cloud-failed', `pool ${group.nodegroupName ?? ''}`, message);
};

const remove = (cloud: EksCloud, scope: EksScope, nodegroupName: string): Promise<Result<unknown>> =>
  cloud.call(`pool ${nodegroupName}`, 'eks:DeleteNodegroup', () => cloud.eks.send(new DeleteNodegroupCommand({ clusterName: baseName(scope), nodegroupName })));

/** One change at a time: what can be set, then the version. */
const change = async (
  cloud: EksCloud,
  scope: EksScope,
  group: Nodegroup,
  want: ManagedPoolWant,
  controlPlane: string | undefined,
): Promise<Result<Progress<void>>> => {
  const element = `pool ${want.name}`;
  const at = { clusterName: baseName(scope), nodegroupName: want.name };
  const config = configChange(group, want);
  if (config !== undefined) {
    const set = await cloud.call(element, 'eks:UpdateNodegroupConfig', () => cloud.eks.send(new UpdateNodegroupConfigCommand({ ...at, ...config })));
    return set.ok ? pending(`pool ${want.name} is being changed: ${Object.keys(config).join(', ')}`, eksLimits.poolMs) : set;
  }
  const version = versionChange(group, want.version, controlPlane);
  if (version === undefined) return ready(undefined);
  const asked = await cloud.call(element, 'eks:UpdateNodegroupVersion', () => cloud.eks.send(new UpdateNodegroupVersionCommand({ ...at, version })));
  return asked.ok ? pending(`pool ${want.name} is being upgraded to ${version}`, eksLimits.poolMs) : asked;
};

export const ensurePool = async (cloud: EksCloud, scope: EksScope, want: ManagedPoolWant): Promise<Result<Progress<void>>> => {
  const element = `pool ${want.name}`;
  const cluster = await readCluster(cloud, scope);
  if (!cluster.ok) return cluster;
  if (cluster.value === undefined) return fail('retry', 'cluster-missing', element, 'its cluster is not there (any more); it is made first');
  if (cluster.value.status !== 'ACTIVE') return pending(`the control plane is ${(cluster.value.status ?? 'changing').toLowerCase()}`, eksLimits.clusterMs);
  const group = await readPool(cloud, scope, want.name);
  if (!group.ok) return group;
  const status = group.value?.status;
  if (group.value !== undefined && status === 'CREATE_FAILED') return clearFailed(cloud, scope, group.value);
  if (group.value !== undefined && status === 'DELETE_FAILED')
    return fail('retry', 'cloud-failed', element, `EKS could not delete it (${issuesOf(group.value) ?? 'no reason given'})`);
  if (group.value !== undefined && status !== 'ACTIVE' && status !== 'DEGRADED')
    return pending(`pool ${want.name} is ${(status ?? 'changing').toLowerCase()}`, eksLimits.poolMs);
  if (group.value === undefined) {
    const place = await findPlace(cloud, scope);
    if (!place.ok) return place;
    const subnets = subnetsOf(place.value, want);
    if (!subnets.ok) return subnets;
    const account = /:(\d{12}):/.exec(cluster.value.arn ?? '')?.[1] ?? '';
    const role = `arn:${partitionOf(cloud.region)}:iam::${account}:role/groundplane/${nodeRoleName(scope)}`;
    return create(cloud, scope, want, subnets.value, role, want.version);
  }
  return change(cloud, scope, group.value, want, cluster.value.version);
};

export const deletePool = async (cloud: EksCloud, scope: EksScope, name: string): Promise<Result<Progress<void>>> => {
  const group = await readPool(cloud, scope, name);
  if (!group.ok) return group;
  if (group.value === undefined) return ready(undefined);
  if (group.value.status !== 'DELETING') {
    const gone = await remove(cloud, scope, name);
    if (!gone.ok && gone.failure.code !== 'cloud-conflict') return gone;
  }
  return pending(`pool ${name} is being deleted`, eksLimits.poolMs);
};
