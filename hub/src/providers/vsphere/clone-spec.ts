import { tagKeys, type MachineWant } from '../../port/provider.ts';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Size } from '../size.ts';
import type { Choice, Plug, Scope, Source } from './site.ts';
import { refTo, type SoapFields } from './soap.ts';

/** Keys of a machine's extraConfig that say whose it is; a guest may read them, and vSphere keeps them with the machine. */
export const markKey = (key: keyof typeof tagKeys): string => `guestinfo.${tagKeys[key].replace('/', '.')}`;

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const option = (key: string, value: string): SoapFields => ({ $type: 'OptionValue', key, value: { $type: 'xsd:string', $text: value } });

/**
 * What cloud-init's VMware datasource reads beside the user data. JSON is YAML. `redact`: cloud-init wipes the user data once it has read it,
 * since everybody who may see the machine in vCenter could read the code in it.
 */
export const metadataOf = (want: MachineWant): Record<string, unknown> => {
  const place = want.place;
  const dns = place?.dns ?? [];
  const network =
    place?.address === undefined
      ? {}
      : {
          network: {
            version: 2,
            ethernets: {
              first: {
                match: { name: 'e*' },
                dhcp4: false,
                addresses: [place.address],
                ...(place.gateway === undefined ? {} : { routes: [{ to: 'default', via: place.gateway }] }),
                ...(dns.length === 0 ? {} : { nameservers: { addresses: dns } }),
              },
            },
          },
        };
  return { 'instance-id': want.name, 'local-hostname': want.name, redact: ['userdata'], ...network };
};

const extraConfig = (scope: Pick<Scope, 'id'>, want: MachineWant): SoapFields[] => [
  option(markKey('cluster'), scope.id),
  option(markKey('name'), want.name),
  option(markKey('pool'), want.pool),
  option(markKey('generation'), want.generation),
  option('guestinfo.userdata', base64(want.userData)),
  option('guestinfo.userdata.encoding', 'base64'),
  option('guestinfo.metadata', base64(JSON.stringify(metadataOf(want)))),
  option('guestinfo.metadata.encoding', 'base64'),
  // Kubernetes' vSphere storage finds disks by this.
  option('disk.enableUUID', 'TRUE'),
];

const plugBacking = (plug: Plug): SoapFields => {
  if (plug.kind === 'network') return { $type: 'VirtualEthernetCardNetworkBackingInfo', deviceName: plug.name, network: { ref: plug.network } };
  if (plug.kind === 'opaque') return { $type: 'VirtualEthernetCardOpaqueNetworkBackingInfo', opaqueNetworkId: plug.id, opaqueNetworkType: plug.type };
  return { $type: 'VirtualEthernetCardDistributedVirtualPortBackingInfo', port: { switchUuid: plug.switchUuid, portgroupKey: plug.key } };
};

const cardChange = (source: Source, plug: Plug | undefined): SoapFields[] => {
  if (plug === undefined) return [];
  const { card } = source;
  const connectable = { startConnected: true, allowGuestControl: true, connected: true };
  const backing = plugBacking(plug);
  if (card === undefined) return [{ operation: 'add', device: { $type: 'VirtualVmxnet3', key: -1, backing, connectable, addressType: 'generated' } }];
  const { key, type, controllerKey, unitNumber } = card;
  return [{ operation: 'edit', device: { $type: type, key, backing, connectable, controllerKey, unitNumber } }];
};

/** A disk can grow, never shrink; a linked clone's neither. */
const diskChange = (source: Source, want: MachineWant, isLinked: boolean): Result<SoapFields[]> => {
  if (want.diskGiB === undefined) return ok([]);
  const wantedKiB = want.diskGiB * 1_024 * 1_024;
  const { disk } = source;
  const element = `machine ${want.name}`;
  if (disk === undefined) return fail('blocked', 'choice-unfit', element, 'its template has no disk');
  if (wantedKiB === disk.capacityKiB) return ok([]);
  if (wantedKiB < disk.capacityKiB)
    return fail('blocked', 'choice-unfit', element, `its template's disk has ${Math.ceil(disk.capacityKiB / 1_048_576)} GiB already, and disks cannot shrink; set "diskGiB" of its pool to that or more`); // prettier-ignore
  if (isLinked) return fail('blocked', 'choice-unfit', element, 'the disk of a linked clone has the size of its template; leave "diskGiB" away, or set "linkedClones" to false'); // prettier-ignore
  const { key, fileName, diskMode, backing, controllerKey, unitNumber } = disk;
  return ok([
    {
      operation: 'edit',
      device: { $type: 'VirtualDisk', key, backing: { $type: backing, fileName, diskMode }, controllerKey, unitNumber, capacityInKB: wantedKiB },
    },
  ]);
};

/** Everything comes with the clone, so that there is no machine without its marks at any moment. Fields in the order of vSphere's own schema. */
export const cloneSpecOf = (scope: Scope, want: MachineWant, size: Size, choice: Choice): Result<SoapFields> => {
  const { source, pool, datastore, host, plug } = choice;
  const isLinked = scope.placement.linkedClones;
  if (isLinked && source.snapshot === undefined)
    return fail('blocked', 'choice-unfit', `machine ${want.name}`, 'its template has no snapshot, which linked clones need; take one, or set "linkedClones" to false'); // prettier-ignore
  const disk = diskChange(source, want, isLinked);
  if (!disk.ok) return disk;
  const reference = (ref: Choice['pool'] | undefined) => (ref === undefined ? undefined : refTo(ref.type, ref.id));
  return ok({
    location: {
      datastore: reference(datastore),
      diskMoveType: isLinked ? 'createNewChildDiskBacking' : undefined,
      pool: reference(pool),
      host: reference(host),
    },
    template: false,
    config: {
      annotation: `Machine of the Kubernetes cluster ${scope.name}, made by Groundplane (${scope.id})`,
      numCPUs: size.cpus,
      memoryMB: size.memoryMiB,
      deviceChange: [...disk.value, ...cardChange(source, plug)],
      extraConfig: extraConfig(scope, want),
    },
    powerOn: false,
    snapshot: isLinked ? reference(source.snapshot) : undefined,
  });
};

/** Where a vCenter did not take CPUs or memory with the clone: what is still to be set before the first start. */
export const resizeSpecOf = (size: Size, seen: { cpus: number; memoryMiB: number }): SoapFields | undefined =>
  seen.cpus === size.cpus && seen.memoryMiB === size.memoryMiB ? undefined : { numCPUs: size.cpus, memoryMB: size.memoryMiB };
