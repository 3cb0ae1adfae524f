import type { ResourceSku } from '@azure/arm-compute';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { Offers } from '../../port/provider.ts';
import { call, collect, type Clients } from './session.ts';

/** Marketplace images with cloud-init, by their publishers' own names. */
const images: Offers['images'] = [
  { name: 'Canonical:ubuntu-24_04-lts:server:latest', title: 'Ubuntu 24.04 LTS' },
  { name: 'Canonical:ubuntu-24_04-lts:server-arm64:latest', title: 'Ubuntu 24.04 LTS, arm64' },
  { name: 'Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest', title: 'Ubuntu 22.04 LTS' },
  { name: 'Debian:debian-12:12-gen2:latest', title: 'Debian 12' },
];

const capability = (sku: ResourceSku, name: string): number => Number(sku.capabilities?.find((item) => item.name === name)?.value ?? 0);

const isFree = (sku: ResourceSku): boolean => !(sku.restrictions ?? []).some((item) => item.type === 'Location');

export const sizesOf = (skus: readonly ResourceSku[]): Offers['sizes'] =>
  skus
    .filter((sku) => sku.resourceType === 'virtualMachines' && isFree(sku) && sku.name !== undefined)
    .map((sku) => ({ name: sku.name ?? '', cpus: capability(sku, 'vCPUs'), memoryMiB: Math.round(capability(sku, 'MemoryGB') * 1_024) }))
    .toSorted((a, b) => a.cpus - b.cpus || a.memoryMiB - b.memoryMiB || (a.name < b.name ? -1 : 1));

const zonesOf = (skus: readonly ResourceSku[]): string[] =>
  [...new Set(skus.flatMap((sku) => sku.locationInfo?.flatMap((info) => info.zones ?? []) ?? []))].toSorted();

const regionsOf = async (cloud: Clients, type: string): Promise<Result<Offers['regions']>> => {
  const [namespace = '', kind] = type.split('/');
  const found = await call(`Azure resource provider ${namespace}`, () => cloud.resources.providers.get(namespace));
  if (!found.ok) return found;
  const titles = found.value.resourceTypes?.find((item) => item.resourceType?.toLowerCase() === kind?.toLowerCase())?.locations ?? [];
  return ok(titles.map((title) => ({ name: title.toLowerCase().replaceAll(/[^a-z0-9]/g, ''), title })));
};

/** Regions of all; sizes, zones and networks of one. Azure tells prices by another service, which needs no account: the price catalogue has them. */
export const readOffers = async (cloud: Clients, location: string | undefined, type = 'Microsoft.Compute/virtualMachines'): Promise<Result<Offers>> => {
  const regions = await regionsOf(cloud, type);
  if (!regions.ok) return regions;
  if (location === undefined) return ok({ regions: regions.value, zones: [], sizes: [], images, networks: [] });
  const skus = await collect('Azure sizes', () => cloud.compute.resourceSkus.list({ filter: `location eq '${location}'` }));
  if (!skus.ok) return skus;
  const networks = await collect('Azure virtual networks', () => cloud.network.virtualNetworks.listAll());
  if (!networks.ok) return networks;
  return ok({
    regions: regions.value,
    zones: zonesOf(skus.value.filter((sku) => sku.resourceType === 'virtualMachines')),
    sizes: sizesOf(skus.value),
    images,
    networks: networks.value
      .filter((network) => network.location === location && network.name !== undefined)
      .map((network) => ({
        name: network.name ?? '',
        title: network.id?.split('/')[4] ?? '',
        subnets: (network.subnets ?? []).flatMap((subnet) => (subnet.name === undefined ? [] : [{ name: subnet.name, title: subnet.addressPrefix ?? '' }])),
      })),
  });
};
