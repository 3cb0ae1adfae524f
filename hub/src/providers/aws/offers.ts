import { DescribeInstanceTypesCommand, DescribeRegionsCommand, DescribeVpcsCommand } from '@aws-sdk/client-ec2';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { Offers } from '../../port/provider.ts';
import { ubuntuSeries } from './image.ts';
import { tagOf } from './names.ts';
import { pages, publicSubnets, readSubnets, readTables, readZones } from './network-read.ts';
import type { Cloud } from './session.ts';

const titleOf = (...parts: (string | undefined)[]): string => parts.filter((part) => part !== undefined && part !== '').join(', ');

const sizesOf = async (cloud: Cloud): Promise<Result<Offers['sizes']>> => {
  const Filters = [{ Name: 'current-generation', Values: ['true'] }];
  const found = await pages(
    cloud,
    `instance types of ${cloud.region}`,
    'ec2:DescribeInstanceTypes',
    (NextToken) => cloud.ec2.send(new DescribeInstanceTypesCommand({ Filters, NextToken, MaxResults: 100 })),
    (page) => page.InstanceTypes,
  );
  if (!found.ok) return found;
  const sizes = found.value.map((type) => {
    const architectures = (type.ProcessorInfo?.SupportedArchitectures ?? []).filter((name) => name === 'arm64' || name === 'x86_64');
    const gpus = (type.GpuInfo?.Gpus ?? []).map((gpu) => `${gpu.Count ?? 1} ${gpu.Manufacturer ?? ''} ${gpu.Name ?? ''}`);
    const note = titleOf(...architectures, ...gpus, type.BareMetal === true ? 'bare metal' : undefined);
    return { name: type.InstanceType ?? '', cpus: type.VCpuInfo?.DefaultVCpus ?? 0, memoryMiB: type.MemoryInfo?.SizeInMiB ?? 0, note };
  });
  return ok(sizes.toSorted((a, b) => a.cpus - b.cpus || a.memoryMiB - b.memoryMiB || a.name.localeCompare(b.name)));
};

const networksOf = async (cloud: Cloud): Promise<Result<Offers['networks']>> => {
  const vpcs = await pages(cloud, 'VPCs', 'ec2:DescribeVpcs', (NextToken) => cloud.ec2.send(new DescribeVpcsCommand({ NextToken })), (page) => page.Vpcs); // prettier-ignore
  if (!vpcs.ok) return vpcs;
  const subnets = await readSubnets(cloud, []);
  if (!subnets.ok) return subnets;
  const tables = await readTables(cloud, []);
  if (!tables.ok) return tables;
  return ok(
    vpcs.value.map((vpc) => {
      const own = subnets.value.filter((subnet) => subnet.VpcId === vpc.VpcId);
      const open = publicSubnets(tables.value.filter((table) => table.VpcId === vpc.VpcId), own.map((subnet) => subnet.SubnetId ?? '')); // prettier-ignore
      return {
        name: vpc.VpcId ?? '',
        title: titleOf(tagOf(vpc, 'Name'), vpc.CidrBlock, vpc.IsDefault === true ? 'default' : undefined),
        subnets: own.map((subnet) => ({
          name: subnet.SubnetId ?? '',
          title: titleOf(tagOf(subnet, 'Name'), subnet.CidrBlock, open.has(subnet.SubnetId ?? '') ? 'public' : 'private'),
          ...(subnet.AvailabilityZone === undefined ? {} : { zone: subnet.AvailabilityZone }),
        })),
      };
    }),
  );
};

/** What people choose from. EC2 tells no prices; those come from the catalogue of prices. */
export const readOffers = async (cloud: Cloud): Promise<Result<Offers>> => {
  const regions = await cloud.call('regions', 'ec2:DescribeRegions', () => cloud.ec2.send(new DescribeRegionsCommand({})));
  if (!regions.ok) return regions;
  const zones = await readZones(cloud);
  if (!zones.ok) return zones;
  const sizes = await sizesOf(cloud);
  if (!sizes.ok) return sizes;
  const networks = await networksOf(cloud);
  if (!networks.ok) return networks;
  return ok({
    regions: (regions.value.Regions ?? []).map((region) => ({ name: region.RegionName ?? '' })).toSorted((a, b) => a.name.localeCompare(b.name)),
    zones: zones.value,
    sizes: sizes.value,
    images: ubuntuSeries.map((version) => ({ name: `ubuntu-${version}`, title: `Ubuntu ${version} LTS by Canonical, newest` })),
    networks: networks.value,
  });
};
