import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import { thingSchema } from './ensure.ts';
import { googleLimits, googleWaits } from './limits.ts';
import { clusterLabel, clusterOf, labelName, labelsOf, lastOf, machineName, notOurs, projectPath, regionPath, type Scope } from './names.ts';
import { machineTag, networkOf, subnetOf } from './network.ts';
import type { Session } from './session.ts';

const defaultImage = 'projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64';

const instanceSchema = thingSchema.extend({
  id: z.union([z.string(), z.number()]).transform(String),
  zone: z.string().optional(),
  status: z.string().default('PROVISIONING'),
  statusMessage: z.string().optional(),
  networkInterfaces: z.array(z.looseObject({ networkIP: z.string().optional() })).default([]),
});
export type Instance = z.infer<typeof instanceSchema>;

const states: Readonly<Record<string, MachineFacts['state']>> = {
  PROVISIONING: 'starting',
  STAGING: 'starting',
  RUNNING: 'running',
  REPAIRING: 'running',
  // On its way out, or being stopped; the next look tells.
  STOPPING: 'going',
  SUSPENDING: 'stopped',
  SUSPENDED: 'stopped',
  STOPPED: 'stopped',
  TERMINATED: 'stopped',
};

export const factsOf = (instance: Instance): MachineFacts => ({
  name: instance.labels?.[labelName('name')] ?? instance.name,
  pool: instance.labels?.[labelName('pool')] ?? '',
  generation: instance.labels?.[labelName('generation')] ?? '',
  instance: instance.id,
  state: states[instance.status] ?? 'running',
  zone: lastOf(instance.zone),
  addresses: instance.networkInterfaces.flatMap((item) => item.networkIP ?? []),
  ...(instance.statusMessage === undefined ? {} : { message: instance.statusMessage }),
});

const aggregatedSchema = z.looseObject({ items: z.record(z.string(), z.looseObject({ instances: z.array(instanceSchema).optional() })).optional() });

/** Ours in all zones, by their label. */
export const ownInstances = async (session: Session, scope: Scope): Promise<Result<Instance[]>> => {
  const query = { filter: `labels.${clusterLabel}=${scope.id}`, returnPartialSuccess: 'false' };
  const pages = await session.listPages(`${projectPath(scope)}/aggregated/instances`, query, aggregatedSchema);
  if (!pages.ok) return pages;
  const found = pages.value.flatMap((page) => Object.values(page.items ?? {}).flatMap((zone) => zone.instances ?? []));
  return ok(found.filter((instance) => clusterOf(instance) === scope.id));
};

export const listMachines = async (session: Session, scope: Scope): Promise<Result<MachineFacts[]>> => {
  const found = await ownInstances(session, scope);
  return found.ok ? ok(found.value.map(factsOf)) : found;
};

const regionSchema = z.looseObject({ zones: z.array(z.string()).default([]) });
export const zonesOf = async (session: Session, scope: Scope): Promise<Result<string[]>> => {
  const region = await session.find('compute', regionPath(scope), regionSchema);
  if (!region.ok) return region;
  const zones = (region.value?.zones ?? []).flatMap((link) => lastOf(link) ?? []).toSorted();
  if (zones.length > 0) return ok(zones);
  return fail(
    'blocked',
    'choice-missing',
    `Google region ${scope.placement.region}`,
    'there is none of this name. Which there are: gcp regions, or gp cloud offers',
  );
};

/** The same zone for the same machine in every life: who looks there finds it. */
const zoneFor = async (session: Session, scope: Scope, want: MachineWant): Promise<Result<string>> => {
  if (want.zone !== undefined) return ok(want.zone);
  const zones = scope.zones.length > 0 ? ok([...scope.zones]) : await zonesOf(session, scope);
  if (!zones.ok) return zones;
  const digest = createHash('sha256').update(want.name).digest().readUInt32BE(0);
  return ok(zones.value[digest % zones.value.length] ?? '');
};

const sshKeysOf = (scope: Scope): { key: string; value: string }[] =>
  scope.placement.sshKeys.length === 0 ? [] : [{ key: 'ssh-keys', value: scope.placement.sshKeys.map((key) => `groundplane:${key}`).join('\n') }];

const spot = { provisioningModel: 'SPOT', instanceTerminationAction: 'DELETE', automaticRestart: false, onHostMaintenance: 'TERMINATE' };

const bodyOf = (scope: Scope, want: MachineWant, zone: string): { name: string } & Record<string, unknown> => {
  const address = want.place?.address?.split('/')[0];
  const subnetwork = subnetOf(scope);
  const plug = { network: networkOf(scope), ...(subnetwork === undefined ? {} : { subnetwork }), ...(address === undefined ? {} : { networkIP: address }) };
  const { serviceAccount } = scope.placement;
  const labels = { [labelName('name')]: want.name, [labelName('pool')]: want.pool, [labelName('generation')]: want.generation };
  const disk = {
    sourceImage: want.image ?? defaultImage,
    labels: labelsOf(scope),
    ...(want.diskGiB === undefined ? {} : { diskSizeGb: String(want.diskGiB) }),
  };
  return {
    name: machineName(scope, want.name),
    machineType: `zones/${zone}/machineTypes/${want.size}`,
    labels: labelsOf(scope, labels),
    tags: { items: [machineTag(scope)] },
    // Pods' packets keep their own addresses.
    canIpForward: true,
    disks: [{ boot: true, autoDelete: true, initializeParams: disk }],
    networkInterfaces: [plug],
    metadata: { items: [{ key: 'user-data', value: want.userData }, ...sshKeysOf(scope)] },
    ...(serviceAccount === undefined ? {} : { serviceAccounts: [{ email: serviceAccount, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }] }),
    ...(want.spot ? { scheduling: spot } : {}),
  };
};

const starting = (want: MachineWant, zone: string): MachineFacts => {
  const { name, pool, generation } = want;
  return { name, pool, generation, instance: `zones/${zone}/instances/${name}`, state: 'starting', zone, addresses: [] };
};

/** The machine of this name, when it is there and ours. */
const lookAt = async (session: Session, scope: Scope, want: MachineWant, path: string): Promise<Result<MachineFacts | undefined>> => {
  const element = `Google machine ${want.name}`;
  const found = await session.find('compute', `${path}/${machineName(scope, want.name)}`, instanceSchema);
  if (!found.ok) return found;
  if (found.value === undefined) return ok(undefined);
  if (clusterOf(found.value) !== scope.id) return notOurs(element, scope);
  const facts = factsOf(found.value);
  return facts.state === 'going' ? fail('retry', 'cloud-conflict', element, 'one of this name is still being deleted') : ok(facts);
};

export const ensureMachine = async (session: Session, scope: Scope, want: MachineWant): Promise<Result<MachineFacts>> => {
  if (Buffer.byteLength(want.userData) > googleLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', `Google machine ${want.name}`, `its user data has more than ${googleLimits.userDataBytes} bytes`);
  const zone = await zoneFor(session, scope, want);
  if (!zone.ok) return zone;
  const path = `${projectPath(scope)}/zones/${zone.value}/instances`;
  const there = await lookAt(session, scope, want, path);
  if (!there.ok) return there;
  if (there.value !== undefined) return ok(there.value);
  const what = `machine ${want.name}`;
  // No room in a zone, or a full quota, shows in the operation only.
  const before = await session.outcome('compute', what);
  if (!before.ok) return before;
  if (before.value === 'running') return ok(starting(want, zone.value));
  const sent = await session.start({ service: 'compute', method: 'POST', path, body: bodyOf(scope, want, zone.value) }, what);
  if (sent.ok) return ok(starting(want, zone.value));
  if (sent.failure.code !== 'cloud-conflict') return sent;
  // It may be there after all: a read just after a write is not always up to date.
  const again = await lookAt(session, scope, want, path);
  if (!again.ok) return again;
  return again.value === undefined ? sent : ok(again.value);
};

/** Its disk goes with it. */
export const deleteInstance = async (session: Session, scope: Scope, instance: Instance): Promise<Result<void>> => {
  const path = `${projectPath(scope)}/zones/${lastOf(instance.zone) ?? ''}/instances/${instance.name}`;
  const sent = await session.start({ service: 'compute', method: 'DELETE', path }, `deletion of machine ${instance.name}`);
  return !sent.ok && sent.failure.code !== 'cloud-conflict' ? sent : ok(undefined);
};

export const deleteMachine = async (session: Session, scope: Scope, name: string): Promise<Result<Progress<void>>> => {
  const found = await ownInstances(session, scope);
  if (!found.ok) return found;
  const there = found.value.filter((instance) => factsOf(instance).name === name);
  for (const instance of there.filter((item) => item.status !== 'STOPPING')) {
    const gone = await deleteInstance(session, scope, instance);
    if (!gone.ok) return gone;
  }
  return there.length === 0 ? ready(undefined) : pending(`machine ${name} is being deleted`, googleWaits.machine);
};
