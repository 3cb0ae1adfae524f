import { ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts, Offers } from '../../port/provider.ts';
import type { Cloud } from './cluster-things.ts';

const title = (item: { id: string; name?: string | null | undefined }): { name: string; title?: string } =>
  item.name === null || item.name === undefined || item.name === '' ? { name: item.id } : { name: item.id, title: item.name };

/** What there is to choose from. Things go by their id, since names need not be unique; people see the name as its title. */
export const readOffers = async (cloud: Cloud): Promise<Result<Offers>> => {
  const flavors = await cloud.compute.flavors();
  if (!flavors.ok) return flavors;
  const images = await cloud.compute.images({});
  if (!images.ok) return images;
  const zones = await cloud.compute.zones();
  if (!zones.ok) return zones;
  const networks = await cloud.network.list('network', {});
  if (!networks.ok) return networks;
  const subnets = await cloud.network.list('subnet', {});
  if (!subnets.ok) return subnets;
  const regions = new Set(cloud.token.catalog.flatMap((entry) => entry.endpoints.flatMap((item) => item.region_id ?? item.region ?? [])));
  return ok({
    regions: [...regions].sort().map((name) => ({ name })),
    zones: zones.value.toSorted(),
    // A flavour's name is unique in its cloud and is what its people know.
    sizes: flavors.value
      .toSorted((a, b) => a.vcpus - b.vcpus || a.ram - b.ram || a.name.localeCompare(b.name))
      .map((flavor) => ({ name: flavor.name, cpus: flavor.vcpus, memoryMiB: flavor.ram, note: `${flavor.disk} GiB disk` })),
    images: images.value.map(title),
    networks: networks.value
      .filter((network) => network['router:external'] !== true)
      .map((network) => ({ ...title(network), subnets: subnets.value.filter((item) => item.network_id === network.id && item.ip_version === 4).map(title) })),
    other: { externalNetworks: networks.value.filter((network) => network['router:external'] === true).map(title) },
  });
};

/** Reads one of each service's lists. Whether it may also write is in the operator's policy files, which nobody can read from here. */
export const checkAccount = async (cloud: Cloud): Promise<Result<AccountFacts>> => {
  const missing: string[] = [];
  const probes: [string, () => Promise<Result<unknown>>][] = [
    ['network: get_network', () => cloud.network.list('network', { limit: '1' })],
    ['compute: os_compute_api:servers:detail', () => cloud.compute.servers({ limit: '1' })],
    ['image: get_images', () => cloud.compute.images({ limit: '1' })],
  ];
  for (const [permission, probe] of probes) {
    const answer = await probe();
    if (!answer.ok && answer.failure.code !== 'permission-missing') return answer;
    if (!answer.ok) missing.push(permission);
  }
  const { user, project, roles } = cloud.token;
  const names = roles.map((role) => role.name);
  if (!names.some((name) => name === 'member' || name === '_member_' || name === 'admin')) missing.push(`role member in project ${project?.name ?? ''}`);
  return ok({
    identity: `user ${user.name} in project ${project?.name ?? ''} (${names.join(', ') || 'no role'})`,
    ...(project === undefined ? {} : { owner: `project ${project.name} (${project.id})` }),
    missing,
    unchecked: ["what may be created and deleted: that is in the operator's policies"],
  });
};
