import { DescribeVpcsCommand } from '@aws-sdk/client-ec2';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { AwsScope } from './names.ts';
import type { Subnet } from './network-facts.ts';
import { ownFilter, publicSubnets, faceKey, readNats, readSubnets, readTables, subnetOf } from './network-read.ts';
import { tagOf } from './names.ts';
import type { Cloud } from './session.ts';

/** Where things go: the network that we made, or the one that was given. */
export interface Place {
  vpc: string;
  cidrs: string[];
  subnets: Subnet[];
  /** Where machines go: private subnets where there are any. */
  nodes: Subnet[];
  /** Machines need public addresses, since nothing else leads out of their subnets. */
  isOpen: boolean;
}

export const isGiven = (scope: Pick<AwsScope, 'placement'>): boolean => scope.placement.vpc !== undefined || scope.placement.subnets.length > 0;

const placeOf = (vpc: string, subnets: Subnet[]): Place => {
  const inside = subnets.filter((subnet) => subnet.face === 'private');
  return { vpc, cidrs: [], subnets, nodes: inside.length > 0 ? inside : subnets, isOpen: inside.length === 0 };
};

const givenSubnets = async (cloud: Cloud, scope: AwsScope): Promise<Result<Place>> => {
  const { vpc, subnets: ids } = scope.placement;
  const element = `network of cluster ${scope.name}`;
  const found = await readSubnets(cloud, vpc === undefined ? [] : [{ Name: 'vpc-id', Values: [vpc] }], ids.length === 0 ? undefined : [...ids]);
  if (!found.ok) {
    const isUnknown = found.failure.message.includes('NotFound');
    return isUnknown ? fail('blocked', 'choice-missing', element, `one of the subnets ${ids.join(', ')} is not there: gp cloud offers`) : found;
  }
  const lost = ids.find((id) => !found.value.some((item) => item.SubnetId === id));
  if (lost !== undefined)
    return fail('blocked', 'choice-missing', element, `subnet ${lost} is not there${vpc === undefined ? '' : `, or not in ${vpc}`}: gp cloud offers`);
  const vpcs = [...new Set(found.value.map((item) => item.VpcId ?? ''))];
  const [at] = vpcs;
  if (at === undefined) return fail('blocked', 'choice-missing', element, `VPC ${vpc ?? ''} is not there, or has no subnets: gp cloud offers`);
  if (vpcs.length > 1) return fail('blocked', 'choice-missing', element, `its subnets lie in ${vpcs.join(' and ')}; they have to lie in one VPC`);
  const tables = await readTables(cloud, [{ Name: 'vpc-id', Values: [at] }]);
  if (!tables.ok) return tables;
  const open = publicSubnets(tables.value, found.value.map((item) => item.SubnetId ?? '')); // prettier-ignore
  return ok(placeOf(at, found.value.map((item) => subnetOf(item, open.has(item.SubnetId ?? '') ? 'public' : 'private')))); // prettier-ignore
};

/** Of a network that stands. `network-missing` (retry): it does not (yet). */
export const findPlace = async (cloud: Cloud, scope: AwsScope): Promise<Result<Place>> => {
  if (isGiven(scope)) return givenSubnets(cloud, scope);
  const found = await readSubnets(cloud, [ownFilter(scope)]);
  if (!found.ok) return found;
  const subnets = found.value.map((item) => subnetOf(item, tagOf(item, faceKey) === 'public' ? 'public' : 'private'));
  const vpc = subnets.toSorted((a, b) => a.vpc.localeCompare(b.vpc))[0]?.vpc;
  if (vpc === undefined)
    return fail('retry', 'network-missing', `network of cluster ${scope.name}`, 'its subnets are not there (any more); they are made first');
  return ok(placeOf(vpc, subnets.filter((subnet) => subnet.vpc === vpc))); // prettier-ignore
};

/** The addresses inside a VPC, and the public ones that its machines are seen under. */
export const readAddresses = async (cloud: Cloud, vpc: string): Promise<Result<{ cidrs: string[]; egress: string[] }>> => {
  const found = await cloud.call(`VPC ${vpc}`, 'ec2:DescribeVpcs', () => cloud.ec2.send(new DescribeVpcsCommand({ VpcIds: [vpc] })));
  if (!found.ok) return found;
  const [first] = found.value.Vpcs ?? [];
  const nats = await readNats(cloud, [{ Name: 'vpc-id', Values: [vpc] }]);
  if (!nats.ok) return nats;
  const cidrs = [first?.CidrBlock, ...(first?.CidrBlockAssociationSet ?? []).map((item) => item.CidrBlock)].filter((cidr) => cidr !== undefined);
  return ok({ cidrs: [...new Set(cidrs)], egress: nats.value.filter((nat) => nat.state === 'available').flatMap((nat) => nat.publicIps) });
};
