import { DeleteClusterCommand, DeleteNodegroupCommand, DescribeClusterCommand, ListClustersCommand } from '@aws-sdk/client-eks';
import { ok, type Result } from '@groundplane/protocol/failure';
import { tagKeys, type FoundThing, type Progress } from '../../port/provider.ts';
import { findTagged as findTaggedInAws } from '../aws/found.ts';
import { baseName, clusterRoleName, nodeRoleName } from '../aws/names.ts';
import { pages } from '../aws/network-read.ts';
import { dropRole, isAbsent } from '../aws/role.ts';
import { drop, dropNetwork, inOrder, roundEnd, type Round } from '../aws/teardown.ts';
import { poolNames, readCluster, type EksCloud, type EksScope } from './read.ts';

/** Node groups, then the control plane; add-ons and access entries go with it. */
const dropCluster = async (cloud: EksCloud, scope: EksScope, round: Round): Promise<Result<void>> => {
  const name = baseName(scope);
  const cluster = await readCluster(cloud, scope);
  if (!cluster.ok) return cluster.failure.code === 'not-ours' ? ok(undefined) : cluster;
  if (cluster.value === undefined) return ok(undefined);
  const pools = await poolNames(cloud, scope);
  if (!pools.ok) return pools;
  // Nobody deletes a control plane with node groups, whoever made them.
  const gone = await inOrder(
    pools.value.map(
      (nodegroupName) => () =>
        drop(cloud, round, `node group ${nodegroupName}`, 'eks:DeleteNodegroup', () =>
          cloud.eks.send(new DeleteNodegroupCommand({ clusterName: name, nodegroupName })),
        ),
    ),
  );
  if (!gone.ok) return gone;
  if (pools.value.length > 0 || cluster.value.status === 'DELETING') {
    round.left.push(`EKS cluster ${name}`);
    return ok(undefined);
  }
  return drop(cloud, round, `EKS cluster ${name}`, 'eks:DeleteCluster', () => cloud.eks.send(new DeleteClusterCommand({ name })));
};

/** One round. Ready only after a round that found nothing. */
export const ensureNothingLeft = async (cloud: EksCloud, scope: EksScope): Promise<Result<Progress<void>>> => {
  const round: Round = { left: [] };
  cloud.looked.delete(scope.id);
  const cluster = await dropCluster(cloud, scope, round);
  if (!cluster.ok) return cluster;
  // The control plane holds interfaces in the subnets and its role until it is gone.
  if (round.left.length > 0) return roundEnd(round);
  const rest = await inOrder([
    () => dropNetwork(cloud, scope, round),
    () => dropRole(cloud, scope, nodeRoleName(scope)),
    () => dropRole(cloud, scope, clusterRoleName(scope)),
  ]);
  return rest.ok ? roundEnd(round) : rest;
};

/** Clusters with our tag, and what AWS EC2 finds. */
export const findTagged = async (cloud: EksCloud): Promise<Result<FoundThing[]>> => {
  const names = await pages(
    cloud,
    'EKS clusters',
    'eks:ListClusters',
    async (nextToken) => {
      const page = await cloud.eks.send(new ListClustersCommand({ nextToken }));
      return { names: page.clusters, NextToken: page.nextToken };
    },
    (page) => page.names,
  );
  if (!names.ok) return names;
  const things: FoundThing[] = [];
  for (const name of names.value) {
    const found = await cloud.call(`EKS cluster ${name}`, 'eks:DescribeCluster', () => cloud.eks.send(new DescribeClusterCommand({ name })));
    if (!found.ok && !isAbsent(found.failure)) return found;
    const tags = found.ok ? found.value.cluster?.tags : undefined;
    const cluster = tags?.[tagKeys.cluster];
    if (cluster !== undefined) things.push({ thing: `EKS cluster ${name}`, cluster, name: tags?.[tagKeys.name] });
  }
  const rest = await findTaggedInAws(cloud);
  return rest.ok ? ok([...things, ...rest.value]) : rest;
};
