import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import { parseSize } from '../size.ts';
import { cloneSpecOf, markKey, resizeSpecOf } from './clone-spec.ts';
import { ensureFolder, findFolder } from './folder.ts';
import { propertyText, ways, type Found } from './inventory.ts';
import { vsphereLimits } from './limits.ts';
import { choose, type Scope, type Site } from './site.ts';
import { childrenOf, textOf, type Node, type Ref } from './soap.ts';
import { startTask, type Tasks } from './tasks.ts';

const machineProperties = [
  'name',
  'config.extraConfig',
  'config.hardware.numCPU',
  'config.hardware.memoryMB',
  'runtime.powerState',
  'runtime.connectionState',
  'guest.net',
];

export interface Machine {
  ref: Ref;
  name: string;
  marks: ReadonlyMap<string, string>;
  /** `unknown`: it is being cloned, or its host cannot be asked. */
  ownership: 'ours' | 'foreign' | 'unknown';
  power: string;
  connection: string;
  size: { cpus: number; memoryMiB: number };
  addresses: readonly string[];
}

/**
 * What VMware's tools in the guest report. Interfaces that are no card of the machine (those of containers) have no device, -1; the address of the API server
 * moves between control planes and is nobody's own.
 */
export const addressesOf = (net: Node | undefined, vip: string): string[] => {
  const cards = childrenOf(net, 'GuestNicInfo').filter((card) => textOf(card, 'deviceConfigId') !== '-1');
  const all = cards.flatMap((card) => childrenOf(card, 'ipAddress').map((item) => item.text));
  return [...new Set(all)].filter((address) => address !== vip && !/^(fe80:|127\.|169\.254\.|::1$)/i.test(address));
};

const machineOf = (scope: Scope, found: Found): Machine => {
  const config = found.properties.get('config.extraConfig');
  const marks = new Map(childrenOf(config, 'OptionValue').map((item): [string, string] => [textOf(item, 'key') ?? '', textOf(item, 'value') ?? '']));
  const mark = marks.get(markKey('cluster'));
  return {
    ref: found.ref,
    name: propertyText(found, 'name') ?? '',
    marks,
    ownership: mark === scope.id ? 'ours' : config === undefined ? 'unknown' : 'foreign',
    power: propertyText(found, 'runtime.powerState') ?? 'poweredOff',
    connection: propertyText(found, 'runtime.connectionState') ?? 'connected',
    size: { cpus: Number(propertyText(found, 'config.hardware.numCPU') ?? 0), memoryMiB: Number(propertyText(found, 'config.hardware.memoryMB') ?? 0) },
    addresses: addressesOf(found.properties.get('guest.net'), scope.placement.vip),
  };
};

/** Everything in the cluster's folder that is a machine. */
const machinesIn = async (site: Site, scope: Scope, folder: Ref): Promise<Result<Machine[]>> => {
  const found = await site.inventory.collect(folder, ways.children, { VirtualMachine: machineProperties });
  return found.ok ? ok(found.value.map((item) => machineOf(scope, item))) : found;
};

/**
 * A machine that is just being cloned may be seen before its marks are. What is off and has none is somebody else's only when no clone is under way, also not
 * one that ended between the two looks.
 */
const settled = async (site: Site, read: () => Promise<Result<Machine[]>>): Promise<Result<Machine[]>> => {
  const first = await read();
  const isDoubtful = (machine: Machine): boolean => machine.ownership === 'foreign' && machine.power === 'poweredOff';
  if (!first.ok || !first.value.some(isDoubtful)) return first;
  const cloning = await site.inventory.isCloning();
  if (!cloning.ok) return cloning;
  if (!cloning.value) return read();
  return ok(first.value.map((machine) => (isDoubtful(machine) ? { ...machine, ownership: 'unknown' } : machine)));
};

/** For whoever deletes: what is there, and certain to be ours or not. */
export const machinesSettled = (site: Site, scope: Scope, folder: Ref): Promise<Result<Machine[]>> => settled(site, () => machinesIn(site, scope, folder));

/** The one of this name: vCenter lets no two things of a folder have one. Not by the list, since that brings the user data of all of them. */
const machineNamed = async (site: Site, scope: Scope, folder: Ref, name: string): Promise<Result<Machine | undefined>> => {
  const found = await settled(site, async () => {
    const child = await site.inventory.child(folder, name);
    if (!child.ok) return child;
    if (child.value === undefined) return ok([]);
    if (child.value.type !== 'VirtualMachine') return fail('blocked', 'not-ours', `machine ${name}`, `there is a ${child.value.type} of this name in the folder of cluster ${scope.name}. Move it somewhere else`); // prettier-ignore
    const read = await site.inventory.one(child.value, machineProperties);
    return read.ok ? ok([machineOf(scope, read.value)]) : read;
  });
  return found.ok ? ok(found.value[0]) : found;
};

const stateOf = (machine: Machine): MachineFacts['state'] => {
  if (machine.ownership === 'unknown') return machine.connection === 'connected' ? 'starting' : 'failed';
  if (/^(orphaned|invalid|inaccessible)$/.test(machine.connection)) return 'failed';
  return machine.power === 'poweredOn' ? 'running' : 'stopped';
};

const factsOf = (machine: Machine): MachineFacts => ({
  name: machine.marks.get(markKey('name')) ?? machine.name,
  pool: machine.marks.get(markKey('pool')) ?? '',
  generation: machine.marks.get(markKey('generation')) ?? '',
  instance: machine.ref.id,
  state: stateOf(machine),
  addresses: machine.addresses,
  ...(machine.connection === 'connected' ? {} : { message: `vCenter says that it is ${machine.connection}` }),
});

export const listMachines = async (site: Site, scope: Scope): Promise<Result<MachineFacts[]>> => {
  const folder = await findFolder(site, scope);
  if (!folder.ok) return folder;
  if (folder.value === undefined) return ok([]);
  const found = await machinesIn(site, scope, folder.value);
  // What is still being cloned does not say yet what it will be; whoever made it asks again by its name.
  return found.ok ? ok(found.value.filter((machine) => machine.ownership === 'ours').map(factsOf)) : found;
};

const notOurs = (scope: Scope, name: string) =>
  fail('blocked', 'not-ours', `machine ${name}`, `there is a machine of this name in the folder of cluster ${scope.name}, and it has no mark of ours. Move it somewhere else`); // prettier-ignore
const beingMade = (name: string, what: string) => fail('retry', 'machine-being-made', `machine ${name}`, what);

const startClone = async (site: Site, scope: Scope, want: MachineWant, folder: Ref, tasks: Tasks): Promise<Result<MachineFacts>> => {
  const key = `${scope.id} ${want.name}`;
  const known = tasks.of(key);
  if (known !== undefined) {
    const state = await tasks.look(known, `clone of machine ${want.name}`);
    if (!state.ok || state.value === 'done') tasks.forget(key);
    if (!state.ok) return state;
    if (state.value === 'running') return beingMade(want.name, 'is being cloned');
  }
  const size = parseSize(want.size, `machine ${want.name}`);
  if (!size.ok) return size;
  const choice = await choose(site, scope.placement, want);
  if (!choice.ok) return choice;
  const spec = cloneSpecOf(scope, want, size.value, choice.value);
  if (!spec.ok) return spec;
  const task = await startTask(site.session, 'CloneVM_Task', choice.value.source.ref, { folder: { ref: folder }, name: want.name, spec: spec.value });
  if (!task.ok) return task;
  tasks.note(key, task.value);
  const state = await tasks.look(task.value, `clone of machine ${want.name}`);
  if (state.ok) return beingMade(want.name, 'is being cloned');
  tasks.forget(key);
  return state;
};

/** Clone, size, power: as far as it goes at once. Until it runs the answer is `machine-being-made` (retry), or why it does not go on. */
export const ensureMachine = async (site: Site, scope: Scope, want: MachineWant, tasks: Tasks): Promise<Result<MachineFacts>> => {
  if (Buffer.byteLength(want.userData) > vsphereLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', `machine ${want.name}`, `its user data has more than ${vsphereLimits.userDataBytes} bytes`);
  const folder = await ensureFolder(site, scope);
  if (!folder.ok) return folder;
  const found = await machineNamed(site, scope, folder.value, want.name);
  if (!found.ok) return found;
  const there = found.value;
  if (there === undefined) return startClone(site, scope, want, folder.value, tasks);
  if (there.ownership === 'foreign') return notOurs(scope, want.name);
  if (there.ownership === 'unknown')
    return beingMade(want.name, there.connection === 'connected' ? 'is being cloned' : `vCenter says that it is ${there.connection}`);
  if (there.power === 'poweredOn') return ok(factsOf(there));
  const size = parseSize(want.size, `machine ${want.name}`);
  if (!size.ok) return size;
  const resize = resizeSpecOf(size.value, there.size);
  const [method, fields, what] = resize === undefined ? (['PowerOnVM_Task', {}, 'is being started'] as const) : (['ReconfigVM_Task', { spec: resize }, 'gets its size'] as const); // prettier-ignore
  const task = await startTask(site.session, method, there.ref, fields);
  if (!task.ok) return task;
  const state = await tasks.look(task.value, `${method} of machine ${want.name}`);
  if (!state.ok) return state;
  if (method !== 'PowerOnVM_Task' || state.value !== 'done') return beingMade(want.name, what);
  return ok({ ...factsOf(there), state: 'running' });
};

/** Off, then away with its disks; a round for each. What does not say yet whose it is waits: it may be somebody else's. */
export const removeMachine = async (site: Site, machine: Machine, tasks: Tasks): Promise<Result<string>> => {
  if (machine.ownership !== 'ours')
    return machine.connection === 'connected'
      ? ok(`machine ${machine.name} is still being cloned`)
      : fail('retry', 'cloud-conflict', `machine ${machine.name}`, `vCenter says that it is ${machine.connection}, and cannot say whose it is`);
  const isOn = machine.power !== 'poweredOff';
  const method = isOn ? 'PowerOffVM_Task' : 'Destroy_Task';
  const task = await startTask(site.session, method, machine.ref, {});
  if (!task.ok) return task;
  const state = await tasks.look(task.value, `${method} of machine ${machine.name}`);
  return state.ok ? ok(`machine ${machine.name} is being ${isOn ? 'powered off' : 'deleted'}`) : state;
};

export const deleteMachine = async (site: Site, scope: Scope, name: string, tasks: Tasks): Promise<Result<Progress<void>>> => {
  tasks.forget(`${scope.id} ${name}`);
  const folder = await findFolder(site, scope);
  if (!folder.ok) return folder;
  if (folder.value === undefined) return ready(undefined);
  const found = await machineNamed(site, scope, folder.value, name);
  if (!found.ok) return found;
  const machine = found.value;
  if (machine === undefined) return ready(undefined);
  if (machine.ownership === 'foreign') return notOurs(scope, name);
  const removed = await removeMachine(site, machine, tasks);
  return removed.ok ? pending(removed.value, 2_000) : removed;
};
