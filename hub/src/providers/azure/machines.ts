import type { VirtualMachine } from '@azure/arm-compute';
import type { NetworkInterface } from '@azure/arm-network';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import type { Random } from '../../port/random.ts';
import { workState } from './ensure.ts';
import { azureLimits, azureWaits } from './limits.ts';
import { cardBody, imageOf, machineBody } from './machine-body.ts';
import { groupOf, idOf, isOurs, machineName, notOurs, tagName, type VmScope } from './names.ts';
import type { Cloud } from './network.ts';
import { ensureSet, isInSet, removeEmptySets } from './scale-sets.ts';
import { collect, find, submit } from './session.ts';

/** Whether it runs is not in a list (it would cost one call for each machine): one that was stopped by hand shows when its agent falls silent. */
const stateOf = (machine: VirtualMachine): MachineFacts['state'] => {
  const state = workState(machine);
  if (state === 'going' || state === 'failed') return state;
  return state === 'working' && machine.provisioningState === 'Creating' ? 'starting' : 'running';
};

const factsOf = (machine: VirtualMachine, addresses: readonly string[]): MachineFacts => ({
  name: machine.tags?.[tagName('name')] ?? machine.name ?? '',
  pool: machine.tags?.[tagName('pool')] ?? '',
  generation: machine.tags?.[tagName('generation')] ?? '',
  instance: machine.vmId ?? machine.id ?? '',
  state: stateOf(machine),
  zone: machine.zones?.[0],
  addresses,
  ...(stateOf(machine) === 'failed' ? { message: 'Azure could not make it; the activity log of its resource group says why' } : {}),
});

const addressesOf = (card: NetworkInterface): string[] =>
  (card.ipConfigurations ?? []).flatMap((item) => (item.privateIPAddress === undefined ? [] : [item.privateIPAddress]));

export const listMachines = async (cloud: Cloud, scope: VmScope): Promise<Result<MachineFacts[]>> => {
  const group = groupOf(scope);
  const found = await collect(`Azure machines of ${group}`, () => cloud.compute.virtualMachines.list(group));
  if (!found.ok) return found;
  const ours = found.value.filter((machine) => isOurs(scope, machine));
  if (ours.length === 0) return ok([]);
  const cards = await collect(`Azure network interfaces of ${group}`, () => cloud.network.networkInterfaces.list(group));
  if (!cards.ok) return cards;
  const byName = new Map(cards.value.filter((card) => isOurs(scope, card)).map((card) => [card.name?.toLowerCase(), addressesOf(card)]));
  return ok(ours.map((machine) => factsOf(machine, byName.get(machine.name?.toLowerCase()) ?? [])));
};

/** A machine needs its card, and a card costs nothing: it is made first, found again by its name, and goes with its machine. */
const ensureCard = async (cloud: Cloud, scope: VmScope, want: MachineWant): Promise<Result<string>> => {
  const group = groupOf(scope);
  const name = machineName(scope, want.name);
  const element = `Azure network interface ${name}`;
  const cards = cloud.network.networkInterfaces;
  const id = idOf(cloud.subscription, group, `Microsoft.Network/networkInterfaces/${name}`);
  const found = await find(element, () => cards.get(group, name));
  if (!found.ok) return found;
  let card = found.value;
  if (card !== undefined && !isOurs(scope, card)) return notOurs(element, scope);
  if (card === undefined || workState(card) === 'failed') {
    const sent = await submit(element, () => cards.createOrUpdate(group, name, cardBody(cloud, scope, want)));
    if (!sent.ok) return sent;
    const made = await find(element, () => cards.get(group, name));
    if (!made.ok) return made;
    card = made.value;
  }
  return card !== undefined && workState(card) === 'done' ? ok(id) : fail('retry', 'cloud-conflict', element, 'it is not ready yet; the next round goes on');
};

export const ensureMachine = async (cloud: Cloud, scope: VmScope, want: MachineWant, random: Random): Promise<Result<MachineFacts>> => {
  const group = groupOf(scope);
  const name = machineName(scope, want.name);
  const element = `Azure machine ${want.name}`;
  if (Buffer.byteLength(want.userData) > azureLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', element, `its user data has more than ${azureLimits.userDataBytes} bytes`);
  const image = imageOf(want.image);
  if (!image.ok) return image;
  const machines = cloud.compute.virtualMachines;
  const found = await find(element, () => machines.get(group, name));
  if (!found.ok) return found;
  if (found.value !== undefined) {
    if (!isOurs(scope, found.value)) return notOurs(element, scope);
    if (stateOf(found.value) === 'going') return fail('retry', 'cloud-conflict', element, 'one of this name is still being deleted');
    return ok(factsOf(found.value, []));
  }
  const set = isInSet(scope, want) ? await ensureSet(cloud, scope, want) : ok(undefined);
  if (!set.ok) return set;
  const card = await ensureCard(cloud, scope, want);
  if (!card.ok) return card;
  const parts = { image: image.value, card: card.value, set: set.value };
  const sent = await submit(element, () => machines.createOrUpdate(group, name, machineBody(scope, want, parts, random)));
  if (!sent.ok) return sent;
  const { pool, generation, zone } = want;
  return ok({
    name: want.name,
    pool,
    generation,
    instance: idOf(cloud.subscription, group, `Microsoft.Compute/virtualMachines/${name}`),
    state: 'starting',
    zone,
    addresses: [],
  });
};

interface Part {
  what: string;
  get: () => Promise<{ tags?: Record<string, string>; provisioningState?: string; virtualMachine?: unknown }>;
  remove: () => { submitted(): Promise<void> };
}

/** The machine takes its card and its disk along; what a cut or a failed making left of them is looked for all the same. */
const partsOf = (cloud: Cloud, group: string, name: string): Part[] => {
  const { virtualMachines, disks } = cloud.compute;
  const { networkInterfaces } = cloud.network;
  const removeMachine = () => virtualMachines.delete(group, name, { forceDeletion: true });
  return [
    { what: `machine ${name}`, get: () => virtualMachines.get(group, name), remove: removeMachine },
    { what: `network interface ${name}`, get: () => networkInterfaces.get(group, name), remove: () => networkInterfaces.delete(group, name) },
    { what: `disk ${name}-os`, get: () => disks.get(group, `${name}-os`), remove: () => disks.delete(group, `${name}-os`) },
  ];
};

export const deleteMachine = async (cloud: Cloud, scope: VmScope, name: string): Promise<Result<Progress<void>>> => {
  const parts = partsOf(cloud, groupOf(scope), machineName(scope, name));
  for (const part of parts) {
    const element = `Azure ${part.what}`;
    const found = await find(element, part.get);
    if (!found.ok) return found;
    if (found.value === undefined) continue;
    if (!isOurs(scope, found.value)) return notOurs(element, scope);
    // A card that is plugged into a machine which could not be read just now: the machine is there, and goes first.
    const remove = found.value.virtualMachine === undefined ? part.remove : (parts[0]?.remove ?? part.remove);
    if (workState(found.value) !== 'going') {
      const sent = await submit(element, remove);
      if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
    }
    return pending(`machine ${name} is being deleted`, azureWaits.machine);
  }
  const sets = await removeEmptySets(cloud, scope);
  return sets.ok ? ready(undefined) : sets;
};
