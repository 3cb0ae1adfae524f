import {
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
} from '@aws-sdk/client-ec2';
import { DescribeLoadBalancersCommand, DescribeTagsCommand, DescribeTargetGroupsCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { ListRolesCommand, ListRoleTagsCommand } from '@aws-sdk/client-iam';
import { ok, type Result } from '@groundplane/protocol/failure';
import { tagKeys, type FoundThing } from '../../port/provider.ts';
import { stateOf } from './machines.ts';
import { rolePath, tagOf } from './names.ts';
import { pages } from './network-read.ts';
import type { Cloud } from './session.ts';
import { inOrder } from './teardown.ts';

/** ELB tells the tags of so many at once. */
const tagsAtOnce = 20;

type Tagged = Parameters<typeof tagOf>[0];
const foundOf = (thing: string, tagged: Tagged): FoundThing[] => {
  const cluster = tagOf(tagged, tagKeys.cluster);
  return cluster === undefined ? [] : [{ thing, cluster, name: tagOf(tagged, tagKeys.name) }];
};

/** By lists of the things themselves: lists of tags go on telling of what is gone. Instances and NAT gateways are told for an hour, with their state. */
const inEc2 = async (cloud: Cloud): Promise<Result<FoundThing[]>> => {
  const { ec2 } = cloud;
  const Filters = [{ Name: 'tag-key', Values: [tagKeys.cluster] }];
  const things: FoundThing[] = [];
  const look = async <P extends { NextToken?: string | undefined }, T extends Tagged>(
    action: string,
    ask: (NextToken: string | undefined) => Promise<P>,
    itemsOf: (page: P) => readonly T[] | undefined,
    thingOf: (item: T) => string | undefined,
  ): Promise<Result<void>> => {
    const found = await pages(cloud, 'account', action, ask, itemsOf);
    if (!found.ok) return found;
    for (const item of found.value) {
      const thing = thingOf(item);
      if (thing !== undefined) things.push(...foundOf(thing, item));
    }
    return ok(undefined);
  };
  const done = await inOrder([
    () => look('ec2:DescribeInstances', (NextToken) => ec2.send(new DescribeInstancesCommand({ Filters, NextToken })), (page) => page.Reservations?.flatMap((item) => item.Instances ?? []), (item) => (stateOf(item) === 'gone' ? undefined : `instance ${item.InstanceId}`)), // prettier-ignore
    () => look('ec2:DescribeVpcs', (NextToken) => ec2.send(new DescribeVpcsCommand({ Filters, NextToken })), (page) => page.Vpcs, (item) => `VPC ${item.VpcId}`), // prettier-ignore
    () => look('ec2:DescribeSubnets', (NextToken) => ec2.send(new DescribeSubnetsCommand({ Filters, NextToken })), (page) => page.Subnets, (item) => `subnet ${item.SubnetId}`), // prettier-ignore
    () => look('ec2:DescribeInternetGateways', (NextToken) => ec2.send(new DescribeInternetGatewaysCommand({ Filters, NextToken })), (page) => page.InternetGateways, (item) => `internet gateway ${item.InternetGatewayId}`), // prettier-ignore
    () => look('ec2:DescribeRouteTables', (NextToken) => ec2.send(new DescribeRouteTablesCommand({ Filters, NextToken })), (page) => page.RouteTables, (item) => `route table ${item.RouteTableId}`), // prettier-ignore
    () => look('ec2:DescribeSecurityGroups', (NextToken) => ec2.send(new DescribeSecurityGroupsCommand({ Filters, NextToken })), (page) => page.SecurityGroups, (item) => `security group ${item.GroupId}`), // prettier-ignore
    () => look('ec2:DescribeNatGateways', (NextToken) => ec2.send(new DescribeNatGatewaysCommand({ Filter: Filters, NextToken })), (page) => page.NatGateways, (item) => (item.State === 'deleted' ? undefined : `NAT gateway ${item.NatGatewayId}`)), // prettier-ignore
    () => look('ec2:DescribeVolumes', (NextToken) => ec2.send(new DescribeVolumesCommand({ Filters, NextToken })), (page) => page.Volumes, (item) => `volume ${item.VolumeId}`), // prettier-ignore
    () => look('ec2:DescribeAddresses', async () => ({ Addresses: (await ec2.send(new DescribeAddressesCommand({ Filters }))).Addresses, NextToken: undefined }), (page) => page.Addresses, (item) => `address ${item.PublicIp}`), // prettier-ignore
  ]);
  return done.ok ? ok(things) : done;
};

const inElb = async (cloud: Cloud): Promise<Result<FoundThing[]>> => {
  const { elb } = cloud;
  const balancers = await pages(
    cloud,
    'load balancers',
    'elasticloadbalancing:DescribeLoadBalancers',
    async (Marker) => {
      const page = await elb.send(new DescribeLoadBalancersCommand({ Marker }));
      return { arns: page.LoadBalancers?.map((item) => item.LoadBalancerArn ?? ''), NextToken: page.NextMarker };
    },
    (page) => page.arns,
  );
  if (!balancers.ok) return balancers;
  const groups = await pages(
    cloud,
    'target groups',
    'elasticloadbalancing:DescribeTargetGroups',
    async (Marker) => {
      const page = await elb.send(new DescribeTargetGroupsCommand({ Marker }));
      return { arns: page.TargetGroups?.map((item) => item.TargetGroupArn ?? ''), NextToken: page.NextMarker };
    },
    (page) => page.arns,
  );
  if (!groups.ok) return groups;
  const arns = [...balancers.value, ...groups.value];
  const things: FoundThing[] = [];
  for (let start = 0; start < arns.length; start += tagsAtOnce) {
    const ResourceArns = arns.slice(start, start + tagsAtOnce);
    const tags = await cloud.call('load balancers', 'elasticloadbalancing:DescribeTags', () => elb.send(new DescribeTagsCommand({ ResourceArns })));
    if (!tags.ok) return tags;
    for (const item of tags.value.TagDescriptions ?? []) things.push(...foundOf((item.ResourceArn ?? '').split(':').at(-1) ?? '', item));
  }
  return ok(things);
};

const inIam = async (cloud: Cloud): Promise<Result<FoundThing[]>> => {
  const roles = await pages(
    cloud,
    'roles',
    'iam:ListRoles',
    async (Marker) => {
      const page = await cloud.iam.send(new ListRolesCommand({ PathPrefix: rolePath, Marker }));
      return { Roles: page.Roles, NextToken: page.Marker };
    },
    (page) => page.Roles,
  );
  if (!roles.ok) return roles;
  const things: FoundThing[] = [];
  for (const { RoleName = '' } of roles.value) {
    const tags = await cloud.call(`role ${RoleName}`, 'iam:ListRoleTags', () => cloud.iam.send(new ListRoleTagsCommand({ RoleName })));
    if (tags.ok) things.push(...foundOf(`role ${RoleName}`, tags.value));
    else if (!tags.failure.message.includes('NoSuchEntity')) return tags;
  }
  return ok(things);
};

/** What carries our tag in a region, and our roles, which have none. */
export const findTagged = async (cloud: Cloud): Promise<Result<FoundThing[]>> => {
  const things: FoundThing[] = [];
  for (const find of [inEc2, inElb, inIam]) {
    const found = await find(cloud);
    if (!found.ok) return found;
    things.push(...found.value);
  }
  return ok(things);
};
