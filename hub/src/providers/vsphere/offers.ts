import { ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts, Offers } from '../../port/provider.ts';
import { usualSizes } from '../size.ts';
import { inventoryOf, plainName, propertyText, ways, type Found } from './inventory.ts';
import type { Session } from './session.ts';
import { listKind, siteOf, type Scope, type Site } from './site.ts';
import { childrenOf, textOf } from './soap.ts';

type Placement = Scope['placement'];

/** What a role needs, on the datacenter with everything below (README.md). */
export const privileges = [
  'System.View',
  'Datastore.AllocateSpace',
  'Folder.Create',
  'Folder.Delete',
  'Network.Assign',
  'Resource.AssignVMToPool',
  'VirtualMachine.Config.AdvancedConfig',
  'VirtualMachine.Config.AddExistingDisk',
  'VirtualMachine.Config.AddNewDisk',
  'VirtualMachine.Config.AddRemoveDevice',
  'VirtualMachine.Config.Annotation',
  'VirtualMachine.Config.CPUCount',
  'VirtualMachine.Config.DiskExtend',
  'VirtualMachine.Config.EditDevice',
  'VirtualMachine.Config.Memory',
  'VirtualMachine.Config.Settings',
  'VirtualMachine.Interact.PowerOff',
  'VirtualMachine.Interact.PowerOn',
  'VirtualMachine.Inventory.CreateFromExisting',
  'VirtualMachine.Inventory.Delete',
  'VirtualMachine.Provisioning.Clone',
  'VirtualMachine.Provisioning.DeployTemplate',
] as const;

const named = (found: readonly Found[]): { name: string }[] =>
  [...new Set(found.map((item) => plainName(propertyText(item, 'name') ?? '')))].toSorted().map((name) => ({ name }));

const datacenters = async (session: Session): Promise<Result<{ name: string }[]>> => {
  const login = await session.open();
  if (!login.ok) return login;
  const found = await inventoryOf(session).collect(login.value.content.root, ways.datacenters, { Datacenter: ['name'] });
  return found.ok ? ok(named(found.value)) : found;
};

const offersOf = async (site: Site, all: { name: string }[]): Promise<Result<Offers>> => {
  const machines = await listKind(site, 'machine', ['config.template']);
  if (!machines.ok) return machines;
  const computes = await listKind(site, 'pool');
  if (!computes.ok) return computes;
  const datastores = await listKind(site, 'datastore');
  if (!datastores.ok) return datastores;
  const networks = await listKind(site, 'network');
  if (!networks.ok) return networks;
  const folders = await listKind(site, 'folder');
  if (!folders.ok) return folders;
  const isPool = (item: Found): boolean => item.ref.type === 'ResourcePool';
  return ok({
    regions: [],
    zones: named(computes.value.filter((item) => !isPool(item))).map((item) => item.name),
    sizes: usualSizes,
    images: named(machines.value.filter((item) => propertyText(item, 'config.template') === 'true')),
    networks: named(networks.value),
    other: {
      datacenters: all,
      resourcePools: named(computes.value.filter(isPool)),
      datastores: named(datastores.value),
      folders: named(folders.value).filter((item) => !item.name.startsWith('groundplane-')),
    },
  });
};

/** What there is to choose from; of a datacenter, once one was chosen or there is only one. */
export const readOffers = async (session: Session, placement: Partial<Placement>): Promise<Result<Offers>> => {
  const all = await datacenters(session);
  if (!all.ok) return all;
  const chosen = placement.datacenter ?? (all.value.length === 1 ? all.value[0]?.name : undefined);
  if (chosen === undefined) return ok({ regions: [], zones: [], sizes: usualSizes, images: [], networks: [], other: { datacenters: all.value } });
  const site = await siteOf(session, { datacenter: chosen });
  return site.ok ? offersOf(site.value, all.value) : site;
};

export const checkAccount = async (session: Session, placement: Placement | undefined): Promise<Result<AccountFacts>> => {
  const login = await session.open();
  if (!login.ok) return login;
  const { content, user } = login.value;
  const { instance, name } = content.about;
  const who = { identity: `${user} at ${name}`, ...(instance === undefined ? {} : { owner: `vCenter ${instance}` }) };
  const site = placement === undefined ? undefined : await siteOf(session, placement);
  if (site?.ok === false) return site;
  if (site === undefined || content.authorization === undefined) return ok({ ...who, missing: [], unchecked: ['privileges, until a datacenter is named'] });
  const asked = { entities: { ref: site.value.datacenter }, userName: user, privId: privileges };
  const answer = await session.call('HasUserPrivilegeOnEntities', content.authorization, asked);
  if (!answer.ok) return ok({ ...who, missing: [], unchecked: [`privileges: ${answer.failure.message}`] });
  const missing = childrenOf(answer.value[0], 'privAvailability').filter((item) => textOf(item, 'isGranted') !== 'true');
  return ok({
    ...who,
    missing: missing.map((item) => `${textOf(item, 'privId') ?? ''} on ${site.value.path}`),
    unchecked: ['privileges on single folders, pools, datastores and networks'],
  });
};
