import {
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
} from '@aws-sdk/client-ec2';
import { DescribeListenersCommand, DescribeLoadBalancersCommand, DescribeTargetGroupsCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { ListInstanceProfilesCommand, ListRolesCommand } from '@aws-sdk/client-iam';
import type { Cloud } from '@groundplane/hub/providers/aws/session';

type Line = readonly [kind: string, id: string | undefined];

/** Past the provider: everything that is there and does not belong to moto's own default VPC. */
export const inventoryOf = async ({ ec2, elb, iam }: Cloud): Promise<string[]> => {
  const [instances, vpcs, subnets, gateways, nats, addresses, tables, groups, volumes, interfaces, balancers, targets, roles, profiles] = await Promise.all([
    ec2.send(new DescribeInstancesCommand({})),
    ec2.send(new DescribeVpcsCommand({})),
    ec2.send(new DescribeSubnetsCommand({})),
    ec2.send(new DescribeInternetGatewaysCommand({})),
    ec2.send(new DescribeNatGatewaysCommand({})),
    ec2.send(new DescribeAddressesCommand({})),
    ec2.send(new DescribeRouteTablesCommand({})),
    ec2.send(new DescribeSecurityGroupsCommand({})),
    ec2.send(new DescribeVolumesCommand({})),
    ec2.send(new DescribeNetworkInterfacesCommand({})),
    elb.send(new DescribeLoadBalancersCommand({})),
    elb.send(new DescribeTargetGroupsCommand({})),
    iam.send(new ListRolesCommand({})),
    iam.send(new ListInstanceProfilesCommand({})),
  ]);
  const listeners = await Promise.all(
    (balancers.LoadBalancers ?? []).map(async ({ LoadBalancerArn }) => (await elb.send(new DescribeListenersCommand({ LoadBalancerArn }))).Listeners ?? []),
  );
  const lines: Line[] = [
    ...(instances.Reservations ?? []).flatMap((item) => item.Instances ?? []).filter((item) => item.State?.Name !== 'terminated').map((item): Line => ['instance', item.InstanceId]), // prettier-ignore
    ...(vpcs.Vpcs ?? []).filter((item) => item.IsDefault !== true).map((item): Line => ['vpc', item.VpcId]),
    ...(subnets.Subnets ?? []).filter((item) => item.DefaultForAz !== true).map((item): Line => ['subnet', item.SubnetId]),
    ...(gateways.InternetGateways ?? []).map((item): Line => ['internet-gateway', item.InternetGatewayId]),
    ...(nats.NatGateways ?? []).filter((item) => item.State !== 'deleted').map((item): Line => ['nat-gateway', item.NatGatewayId]),
    ...(addresses.Addresses ?? []).map((item): Line => ['address', item.AllocationId]),
    ...(tables.RouteTables ?? []).filter((item) => item.Associations?.some((one) => one.Main === true) !== true).map((item): Line => ['route-table', item.RouteTableId]), // prettier-ignore
    ...(tables.RouteTables ?? []).flatMap((item) => item.Associations ?? []).filter((item) => item.Main !== true).map((item): Line => ['association', item.RouteTableAssociationId]), // prettier-ignore
    ...(groups.SecurityGroups ?? []).filter((item) => item.GroupName !== 'default').map((item): Line => ['security-group', item.GroupId]),
    ...(volumes.Volumes ?? []).map((item): Line => ['volume', item.VolumeId]),
    // moto leaves the interface of a NAT gateway behind, without a tag and without a description.
    ...(interfaces.NetworkInterfaces ?? [])
      .filter((item) => item.Attachment?.InstanceId !== undefined || (item.TagSet ?? []).length > 0)
      .map((item): Line => ['network-interface', item.NetworkInterfaceId]),
    ...(balancers.LoadBalancers ?? []).map((item): Line => ['load-balancer', item.LoadBalancerName]),
    ...listeners.flat().map((item): Line => ['listener', item.ListenerArn]),
    ...(targets.TargetGroups ?? []).map((item): Line => ['target-group', item.TargetGroupName]),
    ...(roles.Roles ?? []).map((item): Line => ['role', item.RoleName]),
    ...(profiles.InstanceProfiles ?? []).map((item): Line => ['instance-profile', item.InstanceProfileName]),
  ];
  return lines.map(([kind, id]) => `${kind} ${id ?? ''}`);
};
