import {
  DescribeAddressesCommand,
  DescribeAvailabilityZonesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  type Filter,
  type IpPermission,
  type RouteTable,
  type SecurityGroup,
  type Subnet as SdkSubnet,
} from '@aws-sdk/client-ec2';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { tagKeys } from '../../port/provider.ts';
import { awsLimits } from './limits.ts';
import { tagOf, type Named } from './names.ts';
import type { Face, NetworkFacts, Rule, Subnet } from './network-facts.ts';
import type { Cloud } from './session.ts';

export const ownFilter = (scope: Pick<Named, 'id'>): Filter => ({ Name: `tag:${tagKeys.cluster}`, Values: [scope.id] });
/** What is listed is deleted: a service of AWS' kind that does not know a filter must not give somebody else's things for it. */
export const keepFitting = <T extends Tagged>(Filters: readonly Filter[], found: Result<T[]>): Result<T[]> => {
  const fits = (item: T): boolean =>
    Filters.every(({ Name = '', Values = [] }) => {
      if (!Name.startsWith('tag:')) return true;
      return Values.includes(tagOf({ Tags: item.Tags ?? item.TagSet }, Name.slice('tag:'.length)) ?? '');
    });
  return found.ok ? ok(found.value.filter(fits)) : found;
};
type Tags = Parameters<typeof tagOf>[0]['Tags'];
interface Tagged {
  Tags?: Tags;
  TagSet?: Tags;
}
export const faceKey = 'groundplane/face';
const everywhere = '0.0.0.0/0';

/** All pages of a list. */
export const pages = async <P extends { NextToken?: string | undefined }, T>(
  cloud: Cloud,
  element: string,
  action: string,
  ask: (token: string | undefined) => Promise<P>,
  itemsOf: (page: P) => readonly T[] | undefined,
): Promise<Result<T[]>> => {
  const items: T[] = [];
  let token: string | undefined;
  for (let page = 0; page < awsLimits.pagesMax; page += 1) {
    const current = token;
    const answer = await cloud.call(element, action, () => ask(current));
    if (!answer.ok) return answer;
    items.push(...(itemsOf(answer.value) ?? []));
    token = answer.value.NextToken;
    if (token === undefined || token === '') return ok(items);
  }
  return fail('fatal', 'answer-too-large', element, `has more than ${awsLimits.pagesMax} pages`);
};

export const rulesOf = (permissions: readonly IpPermission[] | undefined): Rule[] =>
  (permissions ?? []).flatMap(({ IpProtocol, FromPort, ToPort, IpRanges, UserIdGroupPairs, Ipv6Ranges }) => {
    const ports = FromPort === ToPort ? String(FromPort) : `${FromPort}-${ToPort}`;
    const what = IpProtocol === '-1' ? 'all' : `${IpProtocol} ${ports}`;
    const sources = [
      ...(IpRanges ?? []).map((range) => range.CidrIp),
      ...(Ipv6Ranges ?? []).map((range) => range.CidrIpv6),
      ...(UserIdGroupPairs ?? []).map((pair) => pair.GroupId),
    ];
    return sources.map((source) => `${what} ${source ?? ''}`);
  });

export const permissionsOf = (rules: readonly Rule[]): IpPermission[] =>
  rules.map((rule) => {
    const words = rule.split(' ');
    const source = words.at(-1) ?? '';
    const [from, to = from] = (words[1] ?? '').split('-').map(Number);
    const at = source.startsWith('sg-')
      ? { UserIdGroupPairs: [{ GroupId: source }] }
      : source.includes(':')
        ? { Ipv6Ranges: [{ CidrIpv6: source }] }
        : { IpRanges: [{ CidrIp: source }] };
    return words[0] === 'all' ? { IpProtocol: '-1', ...at } : { IpProtocol: words[0], FromPort: from, ToPort: to, ...at };
  });

export const subnetOf = (item: SdkSubnet, face: Face): Subnet => ({
  id: item.SubnetId ?? '',
  vpc: item.VpcId ?? '',
  zone: item.AvailabilityZone ?? '',
  cidr: item.CidrBlock ?? '',
  face,
});

/** Which of a VPC's subnets have a way to an internet gateway: by their own route table, or else by the main one. */
export const publicSubnets = (tables: readonly RouteTable[], subnets: readonly string[]): Set<string> => {
  const isOpen = (table: RouteTable | undefined): boolean => table?.Routes?.some((route) => route.GatewayId?.startsWith('igw-') === true) === true;
  const main = tables.find((table) => table.Associations?.some((item) => item.Main === true) === true);
  return new Set(subnets.filter((id) => isOpen(tables.find((table) => table.Associations?.some((item) => item.SubnetId === id) === true) ?? main)));
};

export const readZones = async (cloud: Cloud): Promise<Result<string[]>> => {
  const found = await cloud.call(`zones of ${cloud.region}`, 'ec2:DescribeAvailabilityZones', () =>
    cloud.ec2.send(new DescribeAvailabilityZonesCommand({ Filters: [{ Name: 'state', Values: ['available'] }] })),
  );
  if (!found.ok) return found;
  const usable = (found.value.AvailabilityZones ?? []).filter((zone) => (zone.ZoneType ?? 'availability-zone') === 'availability-zone');
  return ok(usable.map((zone) => zone.ZoneName ?? '').toSorted());
};

export const readSubnets = async (cloud: Cloud, Filters: Filter[], SubnetIds?: string[]): Promise<Result<SdkSubnet[]>> =>
  keepFitting(Filters, await pages(cloud, 'subnets', 'ec2:DescribeSubnets', (NextToken) => cloud.ec2.send(new DescribeSubnetsCommand({ Filters, NextToken, SubnetIds })), (page) => page.Subnets)); // prettier-ignore

export const readGroups = async (cloud: Cloud, Filters: Filter[]): Promise<Result<NetworkFacts['groups']>> => {
  const found = keepFitting(
    Filters,
    await pages(
      cloud,
      'security groups',
      'ec2:DescribeSecurityGroups',
      (NextToken) => cloud.ec2.send(new DescribeSecurityGroupsCommand({ Filters, NextToken })),
      (page) => page.SecurityGroups,
    ),
  );
  if (!found.ok) return found;
  return ok(found.value.map((group: SecurityGroup) => ({ id: group.GroupId ?? '', name: group.GroupName ?? '', vpc: group.VpcId ?? '', rules: rulesOf(group.IpPermissions) }))); // prettier-ignore
};

export const readTables = async (cloud: Cloud, Filters: Filter[]): Promise<Result<RouteTable[]>> =>
  keepFitting(Filters, await pages(cloud, 'route tables', 'ec2:DescribeRouteTables', (NextToken) => cloud.ec2.send(new DescribeRouteTablesCommand({ Filters, NextToken })), (page) => page.RouteTables)); // prettier-ignore

export const readNats = async (cloud: Cloud, Filter: Filter[]): Promise<Result<NetworkFacts['nats']>> => {
  const found = keepFitting(Filter, await pages(cloud, 'NAT gateways', 'ec2:DescribeNatGateways', (NextToken) => cloud.ec2.send(new DescribeNatGatewaysCommand({ Filter, NextToken })), (page) => page.NatGateways)); // prettier-ignore
  if (!found.ok) return found;
  return ok(
    found.value.map((nat) => ({
      id: nat.NatGatewayId ?? '',
      name: tagOf(nat, tagKeys.name) ?? '',
      state: nat.State ?? 'pending',
      publicIps: (nat.NatGatewayAddresses ?? []).map((address) => address.PublicIp ?? '').filter((ip) => ip !== ''),
      message: nat.FailureMessage,
    })),
  );
};

const readWays = async (cloud: Cloud, Filters: Filter[]): Promise<Result<Pick<NetworkFacts, 'tables' | 'nats' | 'addresses'>>> => {
  const tables = await readTables(cloud, Filters);
  if (!tables.ok) return tables;
  const nats = await readNats(cloud, Filters);
  if (!nats.ok) return nats;
  const listed = await cloud.call('addresses', 'ec2:DescribeAddresses', () => cloud.ec2.send(new DescribeAddressesCommand({ Filters })));
  const addresses = keepFitting(Filters, listed.ok ? ok(listed.value.Addresses ?? []) : listed);
  if (!addresses.ok) return addresses;
  const targetOf = (table: RouteTable): string | undefined => {
    const route = table.Routes?.find((item) => item.DestinationCidrBlock === everywhere);
    return route === undefined || route.State === 'blackhole' ? undefined : (route.NatGatewayId ?? route.GatewayId ?? '?');
  };
  return ok({
    tables: tables.value.map((table) => ({
      id: table.RouteTableId ?? '',
      name: tagOf(table, tagKeys.name) ?? '',
      defaultTarget: targetOf(table),
      associations: (table.Associations ?? [])
        .filter((item) => item.SubnetId !== undefined)
        .map((item) => ({ id: item.RouteTableAssociationId ?? '', subnet: item.SubnetId ?? '' })),
    })),
    nats: nats.value,
    addresses: addresses.value.map((item) => ({
      id: item.AllocationId ?? '',
      name: tagOf(item, tagKeys.name) ?? '',
      publicIp: item.PublicIp ?? '',
    })),
  });
};

/** Everything of a cluster's network that carries its tag. */
export const readNetwork = async (cloud: Cloud, scope: Pick<Named, 'id'>): Promise<Result<Omit<NetworkFacts, 'zones'>>> => {
  const Filters = [ownFilter(scope)];
  const vpcs = keepFitting(Filters, await pages(cloud, 'VPCs', 'ec2:DescribeVpcs', (NextToken) => cloud.ec2.send(new DescribeVpcsCommand({ Filters, NextToken })), (page) => page.Vpcs)); // prettier-ignore
  if (!vpcs.ok) return vpcs;
  const gateways = keepFitting(Filters, await pages(cloud, 'internet gateways', 'ec2:DescribeInternetGateways', (NextToken) => cloud.ec2.send(new DescribeInternetGatewaysCommand({ Filters, NextToken })), (page) => page.InternetGateways)); // prettier-ignore
  if (!gateways.ok) return gateways;
  const subnets = await readSubnets(cloud, Filters);
  if (!subnets.ok) return subnets;
  const groups = await readGroups(cloud, Filters);
  if (!groups.ok) return groups;
  const ways = await readWays(cloud, Filters);
  if (!ways.ok) return ways;
  return ok({
    ...ways.value,
    vpcs: vpcs.value.map((vpc) => ({ id: vpc.VpcId ?? '', cidr: vpc.CidrBlock ?? '' })),
    gateways: gateways.value.map((item) => ({ id: item.InternetGatewayId ?? '', vpc: item.Attachments?.[0]?.VpcId })),
    subnets: subnets.value.map((item) => subnetOf(item, tagOf(item, faceKey) === 'public' ? 'public' : 'private')),
    groups: groups.value,
  });
};
