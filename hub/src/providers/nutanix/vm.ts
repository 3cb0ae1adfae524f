import { z } from 'zod';
import { tagKeys, type MachineFacts, type MachineWant } from '../../port/provider.ts';
import type { Size } from '../size.ts';
import type { Choice, Scope } from './choices.ts';

const address = z.object({ value: z.string() });
const network = z.object({
  ipv4Config: z.object({ ipAddress: address.nullish() }).nullish(),
  ipv4Info: z.object({ learnedIpAddresses: z.array(address).nullish() }).nullish(),
});
/** What is used of a machine. Releases from 4.2 on tell a card's network under a second name as well. */
export const vmSchema = z.object({
  extId: z.string().min(1),
  name: z.string().default(''),
  description: z.string().nullish(),
  powerState: z.string().default('UNDETERMINED'),
  createTime: z.string().nullish(),
  nics: z.array(z.object({ networkInfo: network.nullish(), nicNetworkInfo: network.nullish() })).nullish(),
});
export type Vm = z.infer<typeof vmSchema>;

/** Of the cluster's id, from its end, where ids differ most. With a name of 63 letters it stays below the 80 that a name may have. */
const prefixLetters = 12;
/** Names need not be unique here and lists are filtered by them, hence the cluster's mark at the beginning; the guest has its own name from cloud-init. */
export const namePrefix = (scope: Pick<Scope, 'id'>): string => `${scope.id.slice(-prefixLetters)}-`;
export const vmName = (scope: Pick<Scope, 'id'>, name: string): string => `${namePrefix(scope)}${name}`;

/** The marks come with the machine in its description: a category is another thing with its own id, and cannot carry a generation. */
export const descriptionOf = (scope: Scope, want: MachineWant): string =>
  [
    `Machine of the Kubernetes cluster ${scope.name}, made by Groundplane.`,
    `${tagKeys.cluster}=${scope.id}`,
    `${tagKeys.name}=${want.name}`,
    `${tagKeys.pool}=${want.pool}`,
    `${tagKeys.generation}=${want.generation}`,
  ].join('\n');
export const marksOf = (vm: Vm): ReadonlyMap<string, string> =>
  new Map([...(vm.description ?? '').matchAll(/(groundplane\/[a-z]+)=(\S+)/g)].map((match): [string, string] => [match[1] ?? '', match[2] ?? '']));

/** Ours by its mark, and under the name that we gave it: a copy that somebody made of it has the same description. */
export const isOurs = (scope: Pick<Scope, 'id'>, vm: Vm): boolean => {
  const marks = marksOf(vm);
  return marks.get(tagKeys.cluster) === scope.id && vm.name === vmName(scope, marks.get(tagKeys.name) ?? '');
};

const states: Readonly<Record<string, MachineFacts['state']>> = { ON: 'running', OFF: 'stopped', PAUSED: 'stopped' };

/** `vip`: the address of the API server moves between control planes and is learned from each; it is nobody's own. */
export const factsOf = (vm: Vm, vip: string): MachineFacts => {
  const marks = marksOf(vm);
  const addresses = (vm.nics ?? []).flatMap((nic) => {
    const info = nic.networkInfo ?? nic.nicNetworkInfo;
    const given = info?.ipv4Config?.ipAddress?.value;
    return [...(given === undefined ? [] : [given]), ...(info?.ipv4Info?.learnedIpAddresses ?? []).map((item) => item.value)];
  });
  return {
    name: marks.get(tagKeys.name) ?? vm.name,
    pool: marks.get(tagKeys.pool) ?? '',
    generation: marks.get(tagKeys.generation) ?? '',
    instance: vm.extId,
    state: states[vm.powerState] ?? 'starting',
    addresses: [...new Set(addresses)].filter((item) => item !== vip && !item.startsWith('169.254.')),
  };
};

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const typed = (type: string, fields: Record<string, unknown>): Record<string, unknown> => ({ $objectType: `vmm.v4.ahv.config.${type}`, ...fields });

/** The body of a create call, in the shapes of vmm v4.0. */
export const createBodyOf = (scope: Scope, want: MachineWant, size: Size, choice: Choice, category: string): Record<string, unknown> => {
  const source = typed('DataSource', { reference: typed('ImageReference', { imageExtId: choice.image }) });
  const disk = typed('VmDisk', { ...(want.diskGiB === undefined ? {} : { diskSizeBytes: want.diskGiB * 2 ** 30 }), dataSource: source });
  const fixed = want.place?.address?.split('/')[0];
  const ipv4Config = { shouldAssignIp: true, ...(fixed === undefined ? {} : { ipAddress: { value: fixed } }) };
  return typed('Vm', {
    name: vmName(scope, want.name),
    description: descriptionOf(scope, want),
    numSockets: size.cpus,
    numCoresPerSocket: 1,
    memorySizeBytes: size.memoryMiB * 2 ** 20,
    cluster: { extId: choice.cluster },
    categories: [{ extId: category }],
    ...(scope.placement.project === undefined ? {} : { project: { extId: scope.placement.project } }),
    disks: [typed('Disk', { diskAddress: { busType: 'SCSI', index: 0 }, backingInfo: disk })],
    nics: [typed('Nic', { networkInfo: { nicType: 'NORMAL_NIC', subnet: { extId: choice.subnet }, ...(fixed === undefined ? {} : { ipv4Config }) } })],
    guestCustomization: {
      config: typed('CloudInit', {
        datasourceType: 'CONFIG_DRIVE_V2',
        metadata: base64(JSON.stringify({ uuid: want.name, hostname: want.name })),
        cloudInitScript: typed('Userdata', { value: base64(want.userData) }),
      }),
    },
  });
};
