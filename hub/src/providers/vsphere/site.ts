import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterScope, ExactImage, ImageChoice, MachineWant } from '../../port/provider.ts';
import { siteImage } from '../image-choice.ts';
import { inventoryName, inventoryOf, pickNamed, plainName, propertyText, ways, type Found, type Inventory } from './inventory.ts';
import type { Session } from './session.ts';
import { childrenOf, refOf, textOf, type Ref } from './soap.ts';

export type Scope = ClusterScope<'vsphere'>;
type Placement = Scope['placement'];

/** One vCenter, and the datacenter that a placement names. */
export interface Site {
  session: Session;
  inventory: Inventory;
  datacenter: Ref;
  /** Its path, without a slash at either end. */
  path: string;
}

const trimmed = (path: string): string => path.replaceAll(/^\/+|\/+$/g, '');

export const siteOf = async (session: Session, placement: Pick<Placement, 'datacenter'>): Promise<Result<Site>> => {
  const inventory = inventoryOf(session);
  const path = trimmed(placement.datacenter);
  const found = await inventory.at(path);
  if (!found.ok) return found;
  if (found.value?.type === 'Datacenter') return ok({ session, inventory, datacenter: found.value, path });
  const login = await session.open();
  if (!login.ok) return login;
  const all = await inventory.collect(login.value.content.root, ways.datacenters, { Datacenter: ['name'] });
  if (!all.ok) return all;
  const picked = pickNamed(all.value, path, 'datacenter');
  if (!picked.ok) return picked;
  return fail('blocked', 'choice-missing', `vSphere datacenter ${path}`, 'it lies in a folder; give its path, like folder/datacenter');
};

const branches = { machine: 'vm', folder: 'vm', pool: 'host', host: 'host', datastore: 'datastore', network: 'network' } as const;
type Branch = keyof typeof branches;

/** By path: from the datacenter's branch, from the datacenter, or from the root. */
export const findPath = async (site: Site, branch: Branch, name: string): Promise<Result<Ref | undefined>> => {
  const path = trimmed(name);
  const candidates = path.includes('/')
    ? [`${site.path}/${branches[branch]}/${path}`, `${site.path}/${path}`, path]
    : [`${site.path}/${branches[branch]}/${inventoryName(path)}`];
  for (const candidate of candidates) {
    const found = await site.inventory.at(candidate);
    if (!found.ok || found.value !== undefined) return found;
  }
  return ok(undefined);
};

const kinds: Record<Branch, { way: Parameters<Inventory['collect']>[1]; types: readonly string[] }> = {
  machine: { way: ways.machines, types: ['VirtualMachine'] },
  folder: { way: ways.machines, types: ['Folder'] },
  pool: { way: ways.computes, types: ['ComputeResource', 'ResourcePool'] },
  host: { way: ways.computes, types: ['HostSystem'] },
  datastore: { way: ways.datastores, types: ['Datastore'] },
  network: { way: ways.networks, types: ['Network'] },
};

export const listKind = (site: Site, branch: Branch, more: readonly string[] = []): Promise<Result<Found[]>> => {
  const { way, types } = kinds[branch];
  return site.inventory.collect(site.datacenter, way, Object.fromEntries(types.map((type) => [type, ['name', ...more]])));
};

/** What people named, by its path or by a name that only it has in the datacenter. */
export const find = async (site: Site, branch: Branch, name: string): Promise<Result<Ref>> => {
  const direct = await findPath(site, branch, name);
  if (!direct.ok) return direct;
  if (direct.value !== undefined) return ok(direct.value);
  const all = await listKind(site, branch);
  if (!all.ok) return all;
  const picked = pickNamed(all.value, trimmed(name), branch);
  return picked.ok ? ok(picked.value.ref) : picked;
};

const isCompute = (ref: Ref): boolean => ref.type.endsWith('ComputeResource');

/** The resource pool that machines go into: the one named, a cluster's own, or the only cluster's own. */
const choosePool = async (site: Site, name: string | undefined): Promise<Result<Ref>> => {
  const element = `vSphere datacenter ${site.path}`;
  let compute: Ref;
  if (name === undefined) {
    const all = await listKind(site, 'pool');
    if (!all.ok) return all;
    const computes = all.value.filter((item) => isCompute(item.ref));
    const [first, second] = computes;
    if (first === undefined) return fail('blocked', 'choice-missing', element, 'it has no cluster and no host');
    if (second !== undefined)
      return fail('blocked', 'choice-missing', element, `it has several clusters and hosts (${computes.map((item) => propertyText(item, 'name') ?? '').slice(0, 10).join(', ')}); name one as "resourcePool" of the placement, or as zone`); // prettier-ignore
    compute = first.ref;
  } else {
    const found = await find(site, 'pool', name);
    if (!found.ok) return found;
    if (!isCompute(found.value)) return found;
    compute = found.value;
  }
  const pool = await site.inventory.one(compute, ['resourcePool']);
  if (!pool.ok) return pool;
  const ref = refOf(pool.value.properties.get('resourcePool'), 'ResourcePool');
  return ref === undefined ? fail('blocked', 'permission-missing', `vSphere ${name ?? element}`, 'its resource pool cannot be seen (privilege System.View)') : ok(withType(ref, 'ResourcePool')); // prettier-ignore
};
const withType = (ref: Ref, type: string): Ref => ({ type: ref.type === '' ? type : ref.type, id: ref.id });

/** What a network card is plugged into, as vSphere wants it told. */
export type Plug =
  | { kind: 'network'; name: string; network: Ref }
  | { kind: 'portgroup'; key: string; switchUuid: string }
  | { kind: 'opaque'; id: string; type: string };

export const choosePlug = async (site: Site, name: string): Promise<Result<Plug>> => {
  const network = await find(site, 'network', name);
  if (!network.ok) return network;
  const ref = network.value;
  const element = `vSphere network ${name}`;
  if (ref.type === 'DistributedVirtualPortgroup') {
    const group = await site.inventory.one(ref, ['key', 'config.distributedVirtualSwitch']);
    if (!group.ok) return group;
    const parent = refOf(group.value.properties.get('config.distributedVirtualSwitch'));
    const uuid = parent === undefined ? undefined : await site.inventory.one(withType(parent, 'DistributedVirtualSwitch'), ['uuid']);
    if (uuid?.ok === false) return uuid;
    const [key, switchUuid] = [propertyText(group.value, 'key'), uuid === undefined ? undefined : propertyText(uuid.value, 'uuid')];
    if (key === undefined || switchUuid === undefined) return fail('blocked', 'permission-missing', element, 'its distributed switch cannot be seen (privilege System.View)'); // prettier-ignore
    return ok({ kind: 'portgroup', key, switchUuid });
  }
  if (ref.type === 'OpaqueNetwork') {
    const opaque = await site.inventory.one(ref, ['summary']);
    if (!opaque.ok) return opaque;
    const summary = opaque.value.properties.get('summary');
    return ok({ kind: 'opaque', id: textOf(summary, 'opaqueNetworkId') ?? '', type: textOf(summary, 'opaqueNetworkType') ?? '' });
  }
  if (ref.type !== 'Network') return fail('blocked', 'choice-missing', element, `it is a ${ref.type}, and machines are plugged into networks and port groups`);
  const simple = await site.inventory.one(ref, ['name']);
  return simple.ok ? ok({ kind: 'network', name: propertyText(simple.value, 'name') ?? name, network: ref }) : simple;
};

export interface Source {
  ref: Ref;
  /** Keys and facts of the devices that are changed in the clone. */
  disk: { key: string; controllerKey?: string; unitNumber?: string; capacityKiB: number; fileName: string; diskMode: string; backing: string } | undefined;
  card: { key: string; type: string; controllerKey?: string; unitNumber?: string } | undefined;
  snapshot: Ref | undefined;
  isTemplate: boolean;
}

const cardTypes = /^Virtual(Vmxnet\d*|E1000e?|PCNet32|SriovEthernetCard)$/;

const chooseSource = async (site: Site, name: string): Promise<Result<Source>> => {
  const machine = await find(site, 'machine', name);
  if (!machine.ok) return machine;
  const element = `vSphere template ${name}`;
  if (machine.value.type !== 'VirtualMachine') return fail('blocked', 'choice-missing', element, `it is a ${machine.value.type}`);
  const read = await site.inventory.one(machine.value, ['config.hardware.device', 'config.template', 'snapshot.currentSnapshot']);
  if (!read.ok) return read;
  const devices = childrenOf(read.value.properties.get('config.hardware.device'), 'VirtualDevice');
  const optional = (key: 'controllerKey' | 'unitNumber', value: string | undefined) => (value === undefined ? {} : { [key]: value });
  const disk = devices.find((item) => item.attributes['xsi:type'] === 'VirtualDisk');
  const card = devices.find((item) => cardTypes.test(item.attributes['xsi:type'] ?? ''));
  const places = (node: typeof disk) => ({
    ...optional('controllerKey', textOf(node, 'controllerKey')),
    ...optional('unitNumber', textOf(node, 'unitNumber')),
  });
  const snapshot = refOf(read.value.properties.get('snapshot.currentSnapshot'));
  return ok({
    ref: machine.value,
    disk:
      disk === undefined
        ? undefined
        : {
            key: textOf(disk, 'key') ?? '',
            ...places(disk),
            capacityKiB: Number(textOf(disk, 'capacityInKB') ?? 0),
            fileName: textOf(disk, 'backing', 'fileName') ?? '',
            diskMode: textOf(disk, 'backing', 'diskMode') ?? 'persistent',
            backing: childrenOf(disk, 'backing')[0]?.attributes['xsi:type'] ?? 'VirtualDiskFlatVer2BackingInfo',
          },
    card: card === undefined ? undefined : { key: textOf(card, 'key') ?? '', type: card.attributes['xsi:type'] ?? '', ...places(card) },
    snapshot: snapshot === undefined ? undefined : { type: 'VirtualMachineSnapshot', id: snapshot.id },
    isTemplate: propertyText(read.value, 'config.template') === 'true',
  });
};

export interface Choice {
  source: Source;
  pool: Ref;
  datastore: Ref | undefined;
  host: Ref | undefined;
  plug: Plug | undefined;
}

/** Everything that a machine is made from, looked up by the names that people gave. */
export const choose = async (site: Site, placement: Placement, want: MachineWant): Promise<Result<Choice>> => {
  const template = want.image ?? placement.template;
  if (template === undefined)
    return fail('blocked', 'choice-missing', `machine ${want.name}`, 'neither its pool names an image nor the placement a template: gp cloud offers');
  const source = await chooseSource(site, template);
  if (!source.ok) return source;
  const pool = await choosePool(site, want.zone ?? placement.resourcePool);
  if (!pool.ok) return pool;
  const datastore = placement.datastore === undefined ? ok(undefined) : await find(site, 'datastore', placement.datastore);
  if (!datastore.ok) return datastore;
  const host = want.place?.host === undefined ? ok(undefined) : await find(site, 'host', want.place.host);
  if (!host.ok) return host;
  const plug = placement.network === undefined ? ok(undefined) : await choosePlug(site, placement.network);
  if (!plug.ok) return plug;
  return ok({ source: source.value, pool: pool.value, datastore: datastore.value, host: host.value, plug: plug.value });
};

/** Templates by their names. */
export const resolveImage = async (site: Site, choice: ImageChoice): Promise<Result<ExactImage>> => {
  const machines = await listKind(site, 'machine', ['config.template']);
  if (!machines.ok) return machines;
  const templates = machines.value
    .filter((item) => propertyText(item, 'config.template') === 'true')
    .map((item) => plainName(propertyText(item, 'name') ?? ''));
  return siteImage(templates.map((name) => ({ name, exact: name })), choice, `vSphere datacenter ${site.path}`); // prettier-ignore
};
