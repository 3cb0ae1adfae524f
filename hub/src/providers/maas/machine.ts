import { z } from 'zod';
import { tagKeys, type ClusterScope, type MachineFacts } from '../../port/provider.ts';

export type Scope = ClusterScope<'maas'>;

const named = z.object({ name: z.string() });
/** What is used of a machine; the rest of the 60 KiB is let go. */
export const machineSchema = z.object({
  system_id: z.string().min(1),
  hostname: z.string().default(''),
  status: z.int(),
  status_name: z.string().default(''),
  status_message: z.string().nullish(),
  power_state: z.string().default('unknown'),
  owner: z.string().nullish(),
  owner_data: z.record(z.string(), z.string()).default({}),
  /** Not told by every release. */
  agent_name: z.string().nullish(),
  ip_addresses: z.array(z.string()).default([]),
  zone: named.nullish(),
  pool: named.nullish(),
  domain: named.nullish(),
  tag_names: z.array(z.string()).default([]),
  cpu_count: z.number().default(0),
  /** MiB. */
  memory: z.number().default(0),
});
export type Machine = z.infer<typeof machineSchema>;

/** MAAS' own numbers (NODE_STATUS). */
export const status = {
  ready: 4,
  deployed: 6,
  broken: 8,
  deploying: 9,
  allocated: 10,
  failedDeployment: 11,
  releasing: 12,
  failedReleasing: 13,
  diskErasing: 14,
  failedDiskErasing: 15,
} as const;

export const dataKey = (key: keyof typeof tagKeys): string => tagKeys[key].replace('/', '-');
export const marksOf = (scope: Pick<Scope, 'id'>, want: { name: string; pool: string; generation: string }): [string, string][] => [
  [dataKey('cluster'), scope.id],
  [dataKey('name'), want.name],
  [dataKey('pool'), want.pool],
  [dataKey('generation'), want.generation],
];

const isMarked = (machine: Machine): boolean => Object.keys(machine.owner_data).some((key) => key.startsWith('groundplane-'));

/**
 * Ours, of what MAAS lists for our agent name. The owner's data says so; a machine that was allocated and not marked yet (a cut between the two) has only the
 * agent name, and counts when it is allocated to us and says nothing else.
 */
export const isOurs = (scope: Pick<Scope, 'id'>, user: string, machine: Machine): boolean => {
  if (machine.owner_data[dataKey('cluster')] === scope.id) return true;
  if (isMarked(machine) || machine.owner !== user) return false;
  return machine.agent_name === scope.id || (machine.agent_name === undefined && machine.status === status.allocated);
};
/** Allocated for this cluster, and not said yet as what. */
export const isUnnamed = (machine: Machine): boolean => machine.owner_data[dataKey('name')] === undefined;
export const nameOf = (machine: Machine): string | undefined => machine.owner_data[dataKey('name')];

const goingStates: readonly number[] = [status.releasing, status.failedReleasing, status.diskErasing, status.failedDiskErasing];
const startingStates: readonly number[] = [status.allocated, status.deploying];

const stateOf = (machine: Machine): MachineFacts['state'] => {
  if (goingStates.includes(machine.status)) return 'going';
  if (startingStates.includes(machine.status)) return 'starting';
  if (machine.status !== status.deployed) return 'failed';
  return machine.power_state === 'off' ? 'stopped' : 'running';
};

export const factsOf = (machine: Machine): MachineFacts => {
  const state = stateOf(machine);
  const words = machine.status_message ?? '';
  return {
    name: nameOf(machine) ?? machine.hostname,
    pool: machine.owner_data[dataKey('pool')] ?? '',
    generation: machine.owner_data[dataKey('generation')] ?? '',
    instance: machine.system_id,
    state,
    zone: machine.zone?.name,
    addresses: machine.ip_addresses,
    ...(state === 'running' ? {} : { message: `${machine.status_name}${words === '' ? '' : `: ${words}`}` }),
  };
};

/** Whether a machine that is allocated already would have been taken for this want. */
export const fits = (machine: Machine, need: Need): boolean =>
  machine.cpu_count >= need.cpus &&
  machine.memory >= need.memoryMiB &&
  (need.zone === undefined || machine.zone?.name === need.zone) &&
  (need.pool === undefined || machine.pool?.name === need.pool) &&
  (need.systemId === undefined || machine.system_id === need.systemId) &&
  need.tags.every((tag) => machine.tag_names.includes(tag));

export interface Need {
  cpus: number;
  memoryMiB: number;
  zone: string | undefined;
  pool: string | undefined;
  systemId: string | undefined;
  tags: readonly string[];
  diskGiB: number | undefined;
}
