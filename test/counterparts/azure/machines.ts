import { Refused, type Resource, type Store } from './store.ts';

/** What the network and the machines of this model do when something is put or deleted. */

const parts: Readonly<Record<string, readonly string[]>> = {
  'Microsoft.Network/virtualNetworks': ['subnets'],
  'Microsoft.Network/loadBalancers': ['frontendIPConfigurations', 'backendAddressPools', 'probes', 'loadBalancingRules'],
  'Microsoft.Network/networkInterfaces': ['ipConfigurations'],
  'Microsoft.Network/networkSecurityGroups': ['securityRules'],
};

export interface Part {
  id: string;
  name: string;
  properties: Record<string, unknown>;
}
export const partsOf = (resource: Resource, kind: string): Part[] => (resource.properties[kind] as Part[] | undefined) ?? [];

const calls: Readonly<Record<string, number>> = {
  'Microsoft.Compute/virtualMachines': 4,
  'Microsoft.Compute/virtualMachineScaleSets': 0,
  'Microsoft.Network/networkInterfaces': 0,
};
export const callsFor = (type: string): number => calls[type] ?? 2;

const idsIn = (resource: Resource): string[] =>
  [...JSON.stringify(resource.properties).matchAll(/"id":"(\/subscriptions\/[^"]+)"/g)]
    .map((match) => match[1] ?? '')
    .filter((id) => !id.toLowerCase().startsWith(resource.id.toLowerCase()));

/** Resources of others, and parts of them, that a resource names. */
const refuseMissing = (store: Store, resource: Resource): void => {
  for (const id of idsIn(resource)) {
    const whole = id.split('/').slice(0, 9).join('/');
    const other = store.get(whole);
    const [kind, name] = id.split('/').slice(9);
    const isThere = other !== undefined && (kind === undefined || partsOf(other, kind).some((part) => part.name === name));
    if (!isThere) throw new Refused(400, 'InvalidResourceReference', `Resource ${id} referenced by resource ${resource.id} was not found.`);
    if (store.isBusy(whole) && /networkInterfaces|natGateways|publicIPAddresses/i.test(whole))
      throw new Refused(409, 'ReferencedResourceNotProvisioned', `Cannot proceed with operation because resource ${whole} used by resource ${resource.id} is not in Succeeded state.`); // prettier-ignore
  }
};

/** A machine joins a scale set that is Flexible, in one of its zones or in none (reference of Virtual Machines - Create Or Update; the words are ours). */
const refuseWrongSet = (store: Store, machine: Resource): void => {
  const id = (machine.properties['virtualMachineScaleSet'] as { id: string } | undefined)?.id;
  const set = id === undefined ? undefined : store.get(id);
  if (set === undefined) return;
  const zonesOf = (thing: Resource): string[] => (thing['zones'] as string[] | undefined) ?? [];
  if (set.properties['orchestrationMode'] !== 'Flexible') throw new Refused(400, 'InvalidParameter', `Virtual machine scale set ${set.id} is not of orchestration mode Flexible.`); // prettier-ignore
  if (zonesOf(machine).some((zone) => !zonesOf(set).includes(zone)) || (zonesOf(set).length > 0 && zonesOf(machine).length === 0))
    throw new Refused(400, 'BadRequest', `The zones of virtual machine ${machine.id} are not those of virtual machine scale set ${set.id}.`);
};

let nextAddress = 3;
const address = (net: string): string => {
  nextAddress += 1;
  return `${net}.${Math.floor(nextAddress / 250) % 250}.${(nextAddress % 250) + 1}`;
};

const cardsOf = (machine: Resource): { id: string; properties?: { deleteOption?: string } }[] =>
  (machine.properties['networkProfile'] as { networkInterfaces?: [] } | undefined)?.networkInterfaces ?? [];

const bootMachine = (store: Store, machine: Resource): void => {
  for (const { id } of cardsOf(machine)) {
    const card = store.get(id);
    const held = (card?.properties['virtualMachine'] as { id: string } | undefined)?.id;
    if (held !== undefined && held.toLowerCase() !== machine.id.toLowerCase())
      throw new Refused(400, 'NicInUse', `Network Interface ${id} is used by existing resource ${held}.`);
    if (card !== undefined) card.properties['virtualMachine'] = { id: machine.id };
  }
  machine.properties['vmId'] ??= crypto.randomUUID();
  const disk = (machine.properties['storageProfile'] as { osDisk?: { name?: string } } | undefined)?.osDisk;
  const name = disk?.name ?? `${machine.name}_OsDisk_1`;
  const id = machine.id.replace(/virtualMachines\/[^/]+$/i, `disks/${name}`);
  const tags = machine.tags === undefined ? {} : { tags: machine.tags };
  store.put({ id, name, type: 'Microsoft.Compute/disks', location: machine.location ?? '', ...tags, properties: { provisioningState: 'Succeeded', creationData: { createOption: 'FromImage' } } }); // prettier-ignore
};

/** The address a subnet gives. */
const plugIn = (resource: Resource, kind: string): void => {
  for (const part of partsOf(resource, kind)) if (part.properties['subnet'] !== undefined) part.properties['privateIPAddress'] ??= address('10.0');
};

export const putResource = (store: Store, resource: Resource, before: Resource | undefined): void => {
  if (store.isBusy(resource.id) && before !== undefined && resource.type.startsWith('Microsoft.Network'))
    throw new Refused(429, 'RetryableError', `A retryable error occurred: another operation is in progress on ${resource.id}.`);
  for (const kind of parts[resource.type] ?? [])
    for (const part of partsOf(resource, kind)) {
      part.id = `${resource.id}/${kind}/${part.name}`;
      part.properties = { ...part.properties, provisioningState: 'Succeeded' };
    }
  refuseMissing(store, resource);
  if (resource.type === 'Microsoft.Network/publicIPAddresses')
    resource.properties['ipAddress'] = before?.properties['ipAddress'] ?? address('203.0').replace('203.0', '203.0');
  plugIn(resource, 'ipConfigurations');
  plugIn(resource, 'frontendIPConfigurations');
  if (resource.type === 'Microsoft.Compute/virtualMachines') {
    if (before !== undefined) resource.properties['vmId'] = before.properties['vmId'];
    refuseWrongSet(store, resource);
    bootMachine(store, resource);
  }
  store.put(resource);
  store.work(resource, before === undefined ? 'Creating' : 'Updating', callsFor(resource.type));
};

const inUseCodes: readonly [RegExp, string][] = [
  [/networkInterfaces/i, 'NicInUse'],
  [/virtualNetworks/i, 'InUseSubnetCannotBeDeleted'],
  [/networkSecurityGroups/i, 'InUseNetworkSecurityGroupCannotBeDeleted'],
  [/publicIPAddresses/i, 'PublicIPAddressCannotBeDeleted'],
  [/natGateways/i, 'InUseNatGatewayCannotBeDeleted'],
];

const dropMachine = (store: Store, machine: Resource): void => {
  store.drop(machine.id);
  for (const { id, properties } of cardsOf(machine)) {
    const card = store.get(id);
    if (card !== undefined) delete card.properties['virtualMachine'];
    if (properties?.deleteOption === 'Delete') store.drop(id);
  }
  const disk = (machine.properties['storageProfile'] as { osDisk?: { name?: string; deleteOption?: string } } | undefined)?.osDisk;
  if (disk?.deleteOption === 'Delete' && disk.name !== undefined) store.drop(machine.id.replace(/virtualMachines\/[^/]+$/i, `disks/${disk.name}`));
};

export const deleteResource = (store: Store, resource: Resource): void => {
  const user = store.userOf(resource.id);
  if (user !== undefined && resource.type !== 'Microsoft.Compute/virtualMachines') {
    const code = inUseCodes.find(([pattern]) => pattern.test(resource.type))?.[1] ?? 'InUseResourceCannotBeDeleted';
    throw new Refused(400, code, `Resource ${resource.id} is in use by ${user.id} and cannot be deleted.`);
  }
  store.work(resource, 'Deleting', callsFor(resource.type), () =>
    resource.type === 'Microsoft.Compute/virtualMachines' ? dropMachine(store, resource) : store.drop(resource.id),
  );
};
