import { DescribeClusterCommand, DescribeNodegroupCommand, EKSClient, ListNodegroupsCommand, type Cluster, type Nodegroup } from '@aws-sdk/client-eks';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterScope, ManagedClusterFacts } from '../../port/provider.ts';
import { tagKeys } from '../../port/provider.ts';
import { baseName, tagsOf, type Named } from '../aws/names.ts';
import { pages } from '../aws/network-read.ts';
import { isAbsent } from '../aws/role.ts';
import { clientConfig, cloudOf, type Cloud, type Session } from '../aws/session.ts';

export interface EksCloud extends Cloud {
  eks: EKSClient;
  /** When a cluster was seen as it is wanted, and as what; by its id, monotonic. */
  looked: Map<string, { of: string; atMs: number }>;
}
export type EksScope = ClusterScope<'eks'>;

export const createClients = (session: Session) => {
  const clients = new Map<string, EKSClient>();
  const looked = new Map<string, { of: string; atMs: number }>();
  return (region: string): EksCloud => {
    const eks = clients.get(region) ?? new EKSClient(clientConfig(session.deps, region, session.keys));
    clients.set(region, eks);
    return { ...cloudOf(session, region), eks, looked };
  };
};

/** EKS has its tags as a record. */
export const tagRecord = (scope: Parameters<typeof tagsOf>[0], name: string, more?: Record<string, string>): Record<string, string> =>
  Object.fromEntries(tagsOf(scope, name, more).map((tag) => [tag.Key, tag.Value]));

const isOurs = (tags: Record<string, string> | undefined, scope: Pick<Named, 'id'>): boolean => tags?.[tagKeys.cluster] === scope.id;

const notOurs = (element: string) =>
  fail('blocked', 'not-ours', element, 'is there without the tag of this cluster; somebody else made it. Delete it, or choose another name');

/** Undefined: there is none. */
export const readCluster = async (cloud: EksCloud, scope: Named): Promise<Result<Cluster | undefined>> => {
  const name = baseName(scope);
  const element = `EKS cluster ${name}`;
  const found = await cloud.call(element, 'eks:DescribeCluster', () => cloud.eks.send(new DescribeClusterCommand({ name })));
  if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
  return isOurs(found.value.cluster?.tags, scope) ? ok(found.value.cluster) : notOurs(element);
};

export const readPool = async (cloud: EksCloud, scope: Named, nodegroupName: string): Promise<Result<Nodegroup | undefined>> => {
  const element = `node group ${nodegroupName}`;
  const input = { clusterName: baseName(scope), nodegroupName };
  const found = await cloud.call(element, 'eks:DescribeNodegroup', () => cloud.eks.send(new DescribeNodegroupCommand(input)));
  if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
  return isOurs(found.value.nodegroup?.tags, scope) ? ok(found.value.nodegroup) : notOurs(element);
};

/** Names of all node groups, somebody else's too. No cluster has none. */
export const poolNames = async (cloud: EksCloud, scope: Named): Promise<Result<string[]>> => {
  const clusterName = baseName(scope);
  const found = await pages(
    cloud,
    `EKS cluster ${clusterName}`,
    'eks:ListNodegroups',
    async (nextToken) => {
      const page = await cloud.eks.send(new ListNodegroupsCommand({ clusterName, nextToken }));
      return { names: page.nodegroups, NextToken: page.nextToken };
    },
    (page) => page.names,
  );
  return found.ok || !isAbsent(found.failure) ? found : ok([]);
};

/** Those with our tag. */
export const ownPools = async (cloud: EksCloud, scope: Named): Promise<Result<Nodegroup[]>> => {
  const names = await poolNames(cloud, scope);
  if (!names.ok) return names;
  const pools: Nodegroup[] = [];
  for (const name of names.value) {
    const pool = await readPool(cloud, scope, name);
    if (!pool.ok && pool.failure.code !== 'not-ours') return pool;
    if (pool.ok && pool.value !== undefined) pools.push(pool.value);
  }
  return ok(pools);
};

/** `Ec2SubnetInvalidConfiguration: …`: why it is not well, in EKS' words. */
export const issuesOf = (thing: {
  health?: { issues?: { code?: string | undefined; message?: string | undefined }[] | undefined } | undefined;
}): string | undefined => {
  const issues = (thing.health?.issues ?? []).map((issue) => `${issue.code ?? ''}: ${issue.message ?? ''}`);
  return issues.length === 0 ? undefined : issues.join('; ').slice(0, 1_000);
};

const states: Readonly<Record<string, ManagedClusterFacts['state']>> = {
  CREATING: 'making',
  PENDING: 'making',
  ACTIVE: 'ready',
  UPDATING: 'changing',
  FAILED: 'failed',
  DELETING: 'going',
};

export const clusterFacts = (cluster: Cluster | undefined): ManagedClusterFacts =>
  cluster === undefined
    ? { state: 'absent' }
    : { state: states[cluster.status ?? ''] ?? 'changing', version: cluster.version, message: issuesOf(cluster), server: cluster.endpoint };
