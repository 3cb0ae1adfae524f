import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type ExactImage, type ImageChoice, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import { apiPortName, ensureOwn, groupName, listOwn, pick, serverKey, serverTag, type Cloud, type Scope } from './cluster-things.ts';
import type { Server } from './compute.ts';
import { findPlug, type Plug } from './ensure-network.ts';
import { siteImage } from '../image-choice.ts';
import { openStackLimits } from './limits.ts';
import { oldestFirst } from './network.ts';

const stateOf = (server: Server): MachineFacts['state'] => {
  if (server['OS-EXT-STS:task_state'] === 'deleting' || server.status === 'DELETED' || server.status === 'SOFT_DELETED') return 'going';
  if (server.status === 'ERROR') return 'failed';
  if (server.status === 'BUILD' || server.status === 'REBUILD') return 'starting';
  return ['SHUTOFF', 'PAUSED', 'SUSPENDED', 'SHELVED', 'SHELVED_OFFLOADED'].includes(server.status) ? 'stopped' : 'running';
};

const factsOf = (server: Server): MachineFacts => ({
  name: server.metadata[serverKey('name')] ?? server.name,
  pool: server.metadata[serverKey('pool')] ?? '',
  generation: server.metadata[serverKey('generation')] ?? '',
  instance: server.id,
  state: stateOf(server),
  zone: server['OS-EXT-AZ:availability_zone'] || undefined,
  addresses: Object.values(server.addresses).flatMap((items) => items.map((item) => item.addr)),
  message: server.fault?.message,
});

/** Servers with our tag, oldest first. */
const ownServers = async (cloud: Cloud, scope: Pick<Scope, 'id'>): Promise<Result<Server[]>> => {
  const found = await cloud.compute.servers({ tags: serverTag(scope) });
  if (!found.ok) return found;
  const ours = found.value.filter((server) => server.tags.includes(serverTag(scope)));
  return ok(oldestFirst(ours.map((server) => ({ ...server, created_at: server.created }))));
};

export const listMachines = async (cloud: Cloud, scope: Scope): Promise<Result<MachineFacts[]>> => {
  const found = await ownServers(cloud, scope);
  return found.ok ? ok(found.value.map(factsOf)) : found;
};

/** Spreads control planes over hypervisors as far as the cloud can. */
const ensureServerGroup = async (cloud: Cloud, scope: Scope): Promise<Result<string>> => {
  const found = await cloud.compute.groups();
  if (!found.ok) return found;
  const [first, ...doubles] = found.value.filter((group) => group.name === groupName(scope)).toSorted((a, b) => a.id.localeCompare(b.id));
  for (const double of doubles) {
    const gone = await cloud.compute.deleteGroup(double.id);
    if (!gone.ok) return gone;
  }
  if (first !== undefined) return ok(first.id);
  const made = await cloud.compute.createGroup(groupName(scope));
  return made.ok ? ok(made.value.id) : made;
};

const ensurePort = async (cloud: Cloud, scope: Scope, want: MachineWant, plug: Plug): Promise<Result<string>> => {
  const fixed = { subnet_id: plug.subnetId, ...(want.place?.address === undefined ? {} : { ip_address: want.place.address.split('/')[0] }) };
  let pairs: { ip_address: string }[] = [];
  if (want.role === 'control-plane' && scope.placement.endpoint === 'vip') {
    const shared = await listOwn(cloud, scope, 'port', { name: apiPortName(scope) });
    if (!shared.ok) return shared;
    pairs = (shared.value[0]?.fixed_ips ?? []).map(({ ip_address }) => ({ ip_address }));
    if (pairs.length === 0) return fail('retry', 'endpoint-missing', `API address of cluster ${scope.name}`, 'it is not there (any more); it is made first');
  }
  const body = { network_id: plug.networkId, fixed_ips: [fixed], security_groups: [plug.groupId], allowed_address_pairs: pairs };
  const port = await ensureOwn(cloud, scope, 'port', want.name, body);
  if (!port.ok) return port;
  // A server of this name is on its way out and still holds it.
  return port.value.device_id === '' ? ok(port.value.id) : fail('retry', 'cloud-conflict', `port of machine ${want.name}`, 'another server still holds it');
};

const diskOf = (scope: Scope, want: MachineWant, image: string): Record<string, unknown> => {
  if (!scope.placement.bootVolume) return { imageRef: image };
  const { volumeType } = scope.placement;
  const volume = { boot_index: 0, uuid: image, source_type: 'image', destination_type: 'volume', volume_size: want.diskGiB ?? 40, delete_on_termination: true };
  return { imageRef: '', block_device_mapping_v2: [volumeType === undefined ? volume : { ...volume, volume_type: volumeType }] };
};

interface Choice {
  flavor: string;
  image: string;
}
const choose = async (cloud: Cloud, want: MachineWant): Promise<Result<Choice>> => {
  if (want.image === undefined) return fail('blocked', 'choice-missing', `machine ${want.name}`, 'its pool names no image: gp cloud offers');
  const flavors = await cloud.compute.flavors();
  if (!flavors.ok) return flavors;
  const flavor = pick(flavors.value, want.size, 'flavour');
  if (!flavor.ok) return flavor;
  const images = await cloud.compute.images({});
  if (!images.ok) return images;
  const image = pick(images.value, want.image, 'image');
  return image.ok ? ok({ flavor: flavor.value.id, image: image.value.id }) : image;
};

export const ensureMachine = async (cloud: Cloud, scope: Scope, want: MachineWant): Promise<Result<MachineFacts>> => {
  if (Buffer.byteLength(want.userData) > openStackLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', `machine ${want.name}`, `its user data has more than ${openStackLimits.userDataBytes} bytes`);
  const before = await ownServers(cloud, scope);
  if (!before.ok) return before;
  const [there, ...doubles] = before.value.filter((server) => factsOf(server).name === want.name && stateOf(server) !== 'going');
  for (const double of doubles) {
    const gone = await cloud.compute.deleteServer(double.id);
    if (!gone.ok) return gone;
  }
  if (there !== undefined) return ok(factsOf(there));
  const choice = await choose(cloud, want);
  if (!choice.ok) return choice;
  const plug = await findPlug(cloud, scope);
  if (!plug.ok) return plug;
  const group = want.role === 'control-plane' ? await ensureServerGroup(cloud, scope) : ok(undefined);
  if (!group.ok) return group;
  const port = await ensurePort(cloud, scope, want, plug.value);
  if (!port.ok) return port;
  const body = {
    name: want.name,
    flavorRef: choice.value.flavor,
    ...diskOf(scope, want, choice.value.image),
    networks: [{ port: port.value }],
    user_data: Buffer.from(want.userData).toString('base64'),
    // Clouds without a metadata service have this drive.
    config_drive: true,
    ...(want.zone === undefined ? {} : { availability_zone: want.zone }),
    tags: [serverTag(scope)],
    metadata: { [serverKey('cluster')]: scope.id, [serverKey('name')]: want.name, [serverKey('pool')]: want.pool, [serverKey('generation')]: want.generation },
  };
  const hints = group.value === undefined ? {} : { group: group.value };
  const made = await cloud.compute.createServer(body, hints, scope.placement.bootVolume && scope.placement.volumeType !== undefined);
  if (!made.ok) return made;
  const { name, pool, generation, zone } = want;
  return ok({ name, pool, generation, instance: made.value.id, state: 'starting', zone, addresses: [] });
};

/** Servers first, then the ports they had: nova leaves a port alone that it did not make. */
export const deleteMachine = async (cloud: Cloud, scope: Scope, name: string): Promise<Result<Progress<void>>> => {
  const found = await ownServers(cloud, scope);
  if (!found.ok) return found;
  const servers = found.value.filter((server) => factsOf(server).name === name);
  for (const server of servers.filter((item) => stateOf(item) !== 'going')) {
    const gone = await cloud.compute.deleteServer(server.id);
    if (!gone.ok) return gone;
  }
  if (servers.length > 0) return pending(`machine ${name} is being deleted`, 2_000);
  const ports = await listOwn(cloud, scope, 'port', { name });
  if (!ports.ok) return ports;
  for (const port of ports.value) {
    const gone = await cloud.network.remove('port', port.id);
    if (!gone.ok) return gone;
  }
  return ready(undefined);
};

/** By name; the newest where several fit, also of one name. */
export const resolveImage = async (cloud: Cloud, choice: ImageChoice): Promise<Result<ExactImage>> => {
  const images = await cloud.compute.images({});
  if (!images.ok) return images;
  return siteImage(images.value.map(({ id, name, created_at: madeAt }) => ({ exact: id, name: name ?? id, ...(typeof madeAt === 'string' ? { madeAt } : {}) })), choice, 'OpenStack'); // prettier-ignore
};
