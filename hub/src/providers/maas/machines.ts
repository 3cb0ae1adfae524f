import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type FoundThing, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import { parseSize } from '../size.ts';
import { maasLimits } from './limits.ts';
import { dataKey, factsOf, fits, isOurs, isUnnamed, machineSchema, marksOf, nameOf, status, type Machine, type Need, type Scope } from './machine.ts';
import type { Fields, Session } from './session.ts';

const machinesSchema = z.array(machineSchema).max(maasLimits.machines);
const path = (machine: Pick<Machine, 'system_id'>): string => `machines/${encodeURIComponent(machine.system_id)}/`;

export const whoAmI = async (session: Session): Promise<Result<string>> => {
  const found = await session.read({ method: 'GET', path: 'users/', op: 'whoami' }, z.object({ username: z.string() }));
  return found.ok ? ok(found.value.username) : found;
};

/** What MAAS keeps for this cluster. `agent_name` comes with the allocation itself, so that no cut leaves a machine that nobody finds. */
export const ownMachines = async (session: Session, user: string, scope: Pick<Scope, 'id'>): Promise<Result<Machine[]>> => {
  const found = await session.read({ method: 'GET', path: 'machines/', query: [['agent_name', scope.id]] }, machinesSchema);
  return found.ok ? ok(found.value.filter((machine) => isOurs(scope, user, machine)).toSorted((a, b) => a.system_id.localeCompare(b.system_id))) : found;
};

export const listMachines = async (session: Session, user: string, scope: Scope): Promise<Result<MachineFacts[]>> => {
  const found = await ownMachines(session, user, scope);
  if (!found.ok) return found;
  const named = found.value.filter((machine) => !isUnnamed(machine)).map(factsOf);
  // The address of the API server moves between control planes; MAAS may have seen it on one.
  return ok(named.map((facts) => ({ ...facts, addresses: facts.addresses.filter((address) => address !== scope.placement.vip) })));
};

/** Back to the free ones, with its disks as they are: erasing them takes hours and is the operator's choice. */
const release = async (session: Session, machine: Machine): Promise<Result<void>> => {
  const form: Fields = [['erase', 'false'], ['comment', 'released by Groundplane']]; // prettier-ignore
  const done = await session.call({ method: 'POST', path: path(machine), op: 'release', form });
  return done.ok ? ok(undefined) : done;
};

const needOf = (scope: Scope, want: MachineWant): Result<Need> => {
  const element = `machine ${want.name}`;
  const size = parseSize(want.size, element);
  if (!size.ok) return size;
  if (want.place?.address !== undefined)
    return fail('blocked', 'choice-unfit', element, 'MAAS gives its machines their addresses. Take "address" off the place, or reserve it in MAAS for the machine named as "host"'); // prettier-ignore
  const { resourcePool, machineTags } = scope.placement;
  return ok({ ...size.value, zone: want.zone, pool: resourcePool, systemId: want.place?.host, tags: machineTags, diskGiB: want.diskGiB });
};

/** MAAS counts disks in units of 10^9 bytes. */
const diskGigabytes = (gibibytes: number): number => Math.ceil((gibibytes * 2 ** 30) / 1e9);

const allocate = async (session: Session, scope: Scope, need: Need): Promise<Result<Machine>> => {
  const optional = (key: string, value: string | undefined): [string, string][] => (value === undefined ? [] : [[key, value]]);
  const form: Fields = [
    ['agent_name', scope.id],
    ['comment', `for cluster ${scope.name} of Groundplane`],
    ['cpu_count', String(need.cpus)],
    ['mem', String(need.memoryMiB)],
    ...optional('zone', need.zone),
    ...optional('pool', need.pool),
    ...optional('system_id', need.systemId),
    ...optional('storage', need.diskGiB === undefined ? undefined : `root:${diskGigabytes(need.diskGiB)}`),
    ...need.tags.map((tag): [string, string] => ['tags', tag]),
  ];
  return session.read({ method: 'POST', path: 'machines/', op: 'allocate', form }, machineSchema);
};

/** A machine of this name: the one that has it, one whose allocation was cut off before it got a name, or one of the free ones. */
const take = async (session: Session, scope: Scope, want: MachineWant, own: readonly Machine[]): Promise<Result<Machine>> => {
  const named = own.filter((machine) => nameOf(machine) === want.name);
  const there = named.find((machine) => factsOf(machine).state !== 'going');
  if (there !== undefined) return ok(there);
  if (named.length > 0) return fail('retry', 'cloud-conflict', `machine ${want.name}`, 'one of this name is being released');
  const need = needOf(scope, want);
  if (!need.ok) return need;
  const unnamed = own.filter((machine) => isUnnamed(machine) && factsOf(machine).state === 'starting');
  const fitting = unnamed.find((machine) => fits(machine, need.value));
  for (const machine of unnamed.filter((item) => item !== fitting)) {
    const gone = await release(session, machine);
    if (!gone.ok) return gone;
  }
  const taken = fitting === undefined ? await allocate(session, scope, need.value) : ok(fitting);
  if (!taken.ok) return taken;
  const marks = marksOf(scope, want);
  // Newer ones call it set_workload_annotations and keep this name for it.
  const marked = await session.call({ method: 'POST', path: path(taken.value), op: 'set_owner_data', form: marks });
  return marked.ok ? ok({ ...taken.value, owner_data: { ...taken.value.owner_data, ...Object.fromEntries(marks) } }) : marked;
};

const moveToDomain = async (session: Session, machine: Machine, domain: string | undefined): Promise<Result<void>> => {
  if (domain === undefined || machine.domain?.name === domain) return ok(undefined);
  const moved = await session.call({ method: 'PUT', path: path(machine), form: [['domain', domain]] });
  return moved.ok ? ok(undefined) : moved;
};

const deploy = async (session: Session, scope: Scope, want: MachineWant, machine: Machine): Promise<Result<Machine>> => {
  const moved = await moveToDomain(session, machine, scope.placement.domain);
  if (!moved.ok) return moved;
  const form: Fields = [
    ['user_data', Buffer.from(want.userData).toString('base64')],
    ['distro_series', want.image ?? scope.placement.image],
    ['comment', `machine ${want.name} of cluster ${scope.name}`],
  ];
  return session.read({ method: 'POST', path: path(machine), op: 'deploy', form }, machineSchema);
};

/** Allocate, mark, deploy. What cannot be deployed goes back to the free ones; a cut in between leaves an allocation that the next round goes on with. */
export const ensureMachine = async (session: Session, user: string, scope: Scope, want: MachineWant): Promise<Result<MachineFacts>> => {
  if (Buffer.byteLength(want.userData) > maasLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', `machine ${want.name}`, `its user data has more than ${maasLimits.userDataBytes} bytes`);
  const own = await ownMachines(session, user, scope);
  if (!own.ok) return own;
  const machine = await take(session, scope, want, own.value);
  if (!machine.ok) return machine;
  if (machine.value.status !== status.allocated) return ok(factsOf(machine.value));
  const deployed = await deploy(session, scope, want, machine.value);
  if (deployed.ok) return ok(factsOf(deployed.value));
  if (deployed.failure.kind !== 'retry') {
    const gone = await release(session, machine.value);
    if (!gone.ok) return gone;
  }
  return deployed;
};

export const deleteMachine = async (session: Session, user: string, scope: Scope, name: string): Promise<Result<Progress<void>>> => {
  const own = await ownMachines(session, user, scope);
  if (!own.ok) return own;
  const named = own.value.filter((machine) => nameOf(machine) === name);
  if (named.length === 0) return ready(undefined);
  for (const machine of named.filter((item) => item.status !== status.releasing && item.status !== status.diskErasing)) {
    const gone = await release(session, machine);
    if (!gone.ok) return gone;
  }
  return pending(`machine ${name} is being released`, 5_000);
};

export const ensureNothingLeft = async (session: Session, user: string, scope: Scope): Promise<Result<Progress<void>>> => {
  const own = await ownMachines(session, user, scope);
  if (!own.ok) return own;
  if (own.value.length === 0) return ready(undefined);
  for (const machine of own.value.filter((item) => item.status !== status.releasing && item.status !== status.diskErasing)) {
    const gone = await release(session, machine);
    if (!gone.ok && gone.failure.code !== 'cloud-conflict') return gone;
  }
  return pending(`${own.value.length} machines are being released`, 5_000);
};

/** What machines with an owner can be; a whole list of a large MAAS would be too much for one answer. */
const ownedStates = ['allocated', 'deploying', 'deployed', 'failed_deployment', 'broken', 'failed_releasing', 'failed_disk_erasing'] as const;

/** Of whichever cluster, by the owner's data: MAAS does not tell agent names, so an allocation that was cut off is only found by its own cluster. */
export const findTagged = async (session: Session, pool: string | undefined): Promise<Result<FoundThing[]>> => {
  const things: FoundThing[] = [];
  for (const state of ownedStates) {
    const query: Fields = [['status', state], ...(pool === undefined ? [] : [['pool', pool] as const])];
    const found = await session.read({ method: 'GET', path: 'machines/', query }, machinesSchema);
    if (!found.ok) return found;
    for (const machine of found.value) {
      const cluster = machine.owner_data[dataKey('cluster')];
      if (cluster !== undefined) things.push({ thing: `machine ${machine.system_id} (${machine.hostname})`, cluster, name: nameOf(machine) });
    }
  }
  return ok(things);
};
