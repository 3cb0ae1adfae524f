import {
  DeleteInternetGatewayCommand,
  DeleteNatGatewayCommand,
  DeleteNetworkInterfaceCommand,
  DeleteRouteTableCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVolumeCommand,
  DeleteVpcCommand,
  DescribeNetworkInterfacesCommand,
  DescribeVolumesCommand,
  DetachInternetGatewayCommand,
  DisassociateRouteTableCommand,
  ReleaseAddressCommand,
  RevokeSecurityGroupIngressCommand,
  TerminateInstancesCommand,
  DeleteTagsCommand,
} from '@aws-sdk/client-ec2';
import { DeleteLoadBalancerCommand, DeleteTargetGroupCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, tagKeys, type Progress } from '../../port/provider.ts';
import { findBalancer, findTargets } from './endpoint.ts';
import { readInstances, stateOf } from './machines.ts';
import { balancerName, baseName, nodeRoleName, type Named } from './names.ts';
import type { NetworkFacts } from './network-facts.ts';
import { keepFitting, ownFilter, pages, permissionsOf, readNetwork } from './network-read.ts';
import { dropProfile, dropRole, isAbsent } from './role.ts';
import type { Cloud } from './session.ts';

const soonMs = 5_000;

/** One round of taking away. `left`: what was there and is not known to be gone. */
export interface Round {
  left: string[];
}

/** What is in use still, or gone already, is no failure of a round. */
export const drop = async (cloud: Cloud, round: Round, thing: string, action: string, act: () => Promise<unknown>): Promise<Result<void>> => {
  round.left.push(thing);
  const gone = await cloud.call(thing, action, act);
  if (gone.ok || isAbsent(gone.failure) || gone.failure.code === 'cloud-conflict') return ok(undefined);
  return gone;
};

/** Runs until the first failure. */
export const inOrder = async (acts: readonly (() => Promise<Result<void>>)[]): Promise<Result<void>> => {
  for (const act of acts) {
    const done = await act();
    if (!done.ok) return done;
  }
  return ok(undefined);
};

const dropInstances = async (cloud: Cloud, scope: Named, round: Round): Promise<Result<void>> => {
  const found = await readInstances(cloud, scope);
  if (!found.ok) return found;
  const idsOf = (isWanted: (state: string) => boolean): string[] => found.value.filter((item) => isWanted(stateOf(item))).map((item) => item.InstanceId ?? '');
  const live = idsOf((state) => !['gone', 'going', 'failed'].includes(state));
  round.left.push(...idsOf((state) => state === 'going').map((id) => `instance ${id}`));
  const died = idsOf((state) => state === 'failed');
  return inOrder([
    ...(live.length === 0
      ? []
      : [
          () =>
            drop(cloud, round, `instance ${live.join(', ')}`, 'ec2:TerminateInstances', () =>
              cloud.ec2.send(new TerminateInstancesCommand({ InstanceIds: live })),
            ),
        ]),
    ...(died.length === 0
      ? []
      : [
          () =>
            drop(cloud, round, `instance ${died.join(', ')}`, 'ec2:DeleteTags', () =>
              cloud.ec2.send(new DeleteTagsCommand({ Resources: died, Tags: [{ Key: tagKeys.cluster }] })),
            ),
        ]),
  ]);
};

const dropBalancer = async (cloud: Cloud, scope: Named, round: Round): Promise<Result<void>> => {
  const balancer = await findBalancer(cloud, scope);
  if (!balancer.ok && balancer.failure.code !== 'not-ours') return balancer;
  if (balancer.ok && balancer.value?.LoadBalancerArn !== undefined) {
    const { LoadBalancerArn } = balancer.value;
    const gone = await drop(cloud, round, `load balancer ${balancerName(scope)}`, 'elasticloadbalancing:DeleteLoadBalancer', () =>
      cloud.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn })),
    );
    if (!gone.ok) return gone;
  }
  const targets = await findTargets(cloud, scope);
  if (!targets.ok) return targets.failure.code === 'not-ours' ? ok(undefined) : targets;
  if (targets.value === undefined) return ok(undefined);
  const TargetGroupArn = targets.value;
  return drop(cloud, round, `target group ${balancerName(scope)}`, 'elasticloadbalancing:DeleteTargetGroup', () =>
    cloud.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn })),
  );
};

/** Disks and interfaces with our tag that nothing holds any more. */
const dropLoose = async (cloud: Cloud, scope: Named, round: Round): Promise<Result<void>> => {
  const Filters = [ownFilter(scope), { Name: 'status', Values: ['available'] }];
  const volumes = keepFitting(Filters, await pages(cloud, 'volumes', 'ec2:DescribeVolumes', (NextToken) => cloud.ec2.send(new DescribeVolumesCommand({ Filters, NextToken })), (page) => page.Volumes)); // prettier-ignore
  if (!volumes.ok) return volumes;
  const interfaces = keepFitting(Filters, await pages(cloud, 'network interfaces', 'ec2:DescribeNetworkInterfaces', (NextToken) => cloud.ec2.send(new DescribeNetworkInterfacesCommand({ Filters, NextToken })), (page) => page.NetworkInterfaces)); // prettier-ignore
  if (!interfaces.ok) return interfaces;
  // The VPC CNI of EKS leaves its own behind when nodes go quickly; they carry the name of their cluster.
  const byPods = [{ Name: 'tag:cluster.k8s.amazonaws.com/name', Values: [baseName(scope)] }, { Name: 'status', Values: ['available'] }]; // prettier-ignore
  const ofPods = keepFitting(byPods, await pages(cloud, 'network interfaces', 'ec2:DescribeNetworkInterfaces', (NextToken) => cloud.ec2.send(new DescribeNetworkInterfacesCommand({ Filters: byPods, NextToken })), (page) => page.NetworkInterfaces)); // prettier-ignore
  if (!ofPods.ok) return ofPods;
  return inOrder([
    ...volumes.value.map(
      ({ VolumeId }) =>
        () =>
          drop(cloud, round, `volume ${VolumeId}`, 'ec2:DeleteVolume', () => cloud.ec2.send(new DeleteVolumeCommand({ VolumeId }))),
    ),
    ...[...interfaces.value, ...ofPods.value].map(
      ({ NetworkInterfaceId }) =>
        () =>
          drop(cloud, round, `network interface ${NetworkInterfaceId}`, 'ec2:DeleteNetworkInterface', () =>
            cloud.ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId })),
          ),
    ),
  ]);
};

const natsAndAddresses = (cloud: Cloud, facts: Omit<NetworkFacts, 'zones'>, round: Round): Promise<Result<void>> => {
  const live = facts.nats.filter((nat) => nat.state !== 'deleted');
  round.left.push(...live.filter((nat) => nat.state === 'deleting').map((nat) => `NAT gateway ${nat.id}`));
  return inOrder([
    ...live
      .filter((nat) => nat.state !== 'deleting')
      .map(
        (nat) => () =>
          drop(cloud, round, `NAT gateway ${nat.id}`, 'ec2:DeleteNatGateway', () => cloud.ec2.send(new DeleteNatGatewayCommand({ NatGatewayId: nat.id }))),
      ),
    ...(live.length > 0 ? [] : facts.addresses).map(
      (address) => () =>
        drop(cloud, round, `address ${address.publicIp}`, 'ec2:ReleaseAddress', () => cloud.ec2.send(new ReleaseAddressCommand({ AllocationId: address.id }))),
    ),
  ]);
};

/** Groups name each other in their rules; the rules go first. */
const dropGroups = (cloud: Cloud, groups: NetworkFacts['groups'], round: Round): Promise<Result<void>> => {
  const referring = groups
    .map((group) => ({ id: group.id, rules: group.rules.filter((rule) => rule.includes(' sg-')) }))
    .filter((group) => group.rules.length > 0);
  return inOrder([
    ...referring.map(
      (group) => () =>
        drop(cloud, round, `rules of security group ${group.id}`, 'ec2:RevokeSecurityGroupIngress', () =>
          cloud.ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: group.id, IpPermissions: permissionsOf(group.rules) })),
        ),
    ),
    ...groups.map(
      (group) => () =>
        drop(cloud, round, `security group ${group.id}`, 'ec2:DeleteSecurityGroup', () =>
          cloud.ec2.send(new DeleteSecurityGroupCommand({ GroupId: group.id })),
        ),
    ),
  ]);
};

const dropVpc = (cloud: Cloud, facts: Omit<NetworkFacts, 'zones'>, round: Round): Promise<Result<void>> =>
  inOrder([
    ...facts.tables.flatMap(({ associations }) =>
      associations.map(
        ({ id }) =>
          () =>
            drop(cloud, round, `route table association ${id}`, 'ec2:DisassociateRouteTable', () =>
              cloud.ec2.send(new DisassociateRouteTableCommand({ AssociationId: id })),
            ),
      ),
    ),
    ...facts.subnets.map(
      ({ id }) =>
        () =>
          drop(cloud, round, `subnet ${id}`, 'ec2:DeleteSubnet', () => cloud.ec2.send(new DeleteSubnetCommand({ SubnetId: id }))),
    ),
    ...facts.tables.map(
      ({ id }) =>
        () =>
          drop(cloud, round, `route table ${id}`, 'ec2:DeleteRouteTable', () => cloud.ec2.send(new DeleteRouteTableCommand({ RouteTableId: id }))),
    ),
    ...facts.gateways.flatMap(({ id, vpc }) => [
      ...(vpc === undefined
        ? []
        : [
            () =>
              drop(cloud, round, `internet gateway ${id}`, 'ec2:DetachInternetGateway', () =>
                cloud.ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId: id, VpcId: vpc })),
              ),
          ]),
      () =>
        drop(cloud, round, `internet gateway ${id}`, 'ec2:DeleteInternetGateway', () =>
          cloud.ec2.send(new DeleteInternetGatewayCommand({ InternetGatewayId: id })),
        ),
    ]),
    ...facts.vpcs.map(
      ({ id }) =>
        () =>
          drop(cloud, round, `VPC ${id}`, 'ec2:DeleteVpc', () => cloud.ec2.send(new DeleteVpcCommand({ VpcId: id }))),
    ),
  ]);

/** The network with our tag; nothing of a given one carries it. */
export const dropNetwork = async (cloud: Cloud, scope: Named, round: Round): Promise<Result<void>> => {
  const loose = await dropLoose(cloud, scope, round);
  if (!loose.ok) return loose;
  const facts = await readNetwork(cloud, scope);
  if (!facts.ok) return facts;
  const done = await inOrder([() => natsAndAddresses(cloud, facts.value, round), () => dropGroups(cloud, facts.value.groups, round)]);
  if (!done.ok) return done;
  // A gateway with addresses behind it cannot be detached, a subnet with a NAT gateway in it not be deleted.
  return facts.value.nats.some((nat) => nat.state !== 'deleted') ? ok(undefined) : dropVpc(cloud, facts.value, round);
};

export const roundEnd = (round: Round): Result<Progress<void>> => {
  const things = [...new Set(round.left)];
  return things.length === 0
    ? ready(undefined)
    : pending(`being deleted: ${things.slice(0, 6).join(', ')}${things.length > 6 ? ` and ${things.length - 6} more` : ''}`, soonMs);
};

/** One round. Ready only after a round that found nothing. */
export const ensureNothingLeft = async (cloud: Cloud, scope: Named): Promise<Result<Progress<void>>> => {
  const round: Round = { left: [] };
  const machines = await dropInstances(cloud, scope, round);
  if (!machines.ok) return machines;
  const balancer = await dropBalancer(cloud, scope, round);
  if (!balancer.ok) return balancer;
  // Machines hold interfaces, addresses and the role until they are gone.
  if (round.left.some((thing) => thing.startsWith('instance '))) return roundEnd(round);
  const rest = await inOrder([
    () => dropNetwork(cloud, scope, round),
    () => dropProfile(cloud, scope, nodeRoleName(scope)),
    () => dropRole(cloud, scope, nodeRoleName(scope)),
  ]);
  return rest.ok ? roundEnd(round) : rest;
};
