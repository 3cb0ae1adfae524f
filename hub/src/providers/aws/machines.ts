import {
  DeleteTagsCommand,
  DescribeInstancesCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
  type Instance,
  type ResourceType,
  type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, tagKeys, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import { contains } from './cidr.ts';
import type { Image, Images } from './image.ts';
import { awsLimits } from './limits.ts';
import { nodeRoleName, tagOf, tagsOf, tokenOf, type AwsScope, type Named } from './names.ts';
import { findGroups } from './network.ts';
import type { Subnet } from './network-facts.ts';
import { kubernetesKey } from './network-execute.ts';
import { keepFitting, ownFilter, pages } from './network-read.ts';
import { findPlace, type Place } from './place.ts';
import type { Cloud } from './session.ts';

const goneMs = 5_000;

/** Why it never ran, of one that ended by itself: an encrypted disk without its key, a full account. It is told for an hour. */
const deathOf = (instance: Instance): string | undefined => {
  const { Code = '', Message = '' } = instance.StateReason ?? {};
  const isOwnEnd = Code === '' || /UserInitiated|InstanceInitiated|SpotInstance/.test(Code);
  return instance.State?.Name === 'terminated' && !isOwnEnd ? `${Code}: ${Message}` : undefined;
};

export const stateOf = (instance: Instance): MachineFacts['state'] | 'gone' => {
  switch (instance.State?.Name) {
    case 'pending':
      return 'starting';
    case 'running':
      return 'running';
    case 'stopping':
    case 'stopped':
      return 'stopped';
    case 'shutting-down':
      return 'going';
    default:
      return deathOf(instance) === undefined ? 'gone' : 'failed';
  }
};

const nameOf = (instance: Instance): string => tagOf(instance, tagKeys.name) ?? '';

const factsOf = (instance: Instance): MachineFacts => {
  const state = stateOf(instance);
  const addresses = [instance.PrivateIpAddress, instance.PublicIpAddress].filter((address) => address !== undefined && address !== '');
  return {
    name: nameOf(instance),
    pool: tagOf(instance, tagKeys.pool) ?? '',
    generation: tagOf(instance, tagKeys.generation) ?? '',
    instance: instance.InstanceId ?? '',
    state: state === 'gone' ? 'going' : state,
    zone: instance.Placement?.AvailabilityZone,
    addresses: addresses as string[],
    message: deathOf(instance),
  };
};

/** Everything with the cluster's tag, what is gone included; oldest first. */
export const readInstances = async (cloud: Cloud, scope: Pick<Named, 'id'>, name?: string): Promise<Result<Instance[]>> => {
  const Filters = [ownFilter(scope), ...(name === undefined ? [] : [{ Name: `tag:${tagKeys.name}`, Values: [name] }])];
  const listed = await pages(
    cloud,
    'instances',
    'ec2:DescribeInstances',
    (NextToken) => cloud.ec2.send(new DescribeInstancesCommand({ Filters, NextToken })),
    (page) => page.Reservations?.flatMap((item) => item.Instances ?? []),
  );
  const found = keepFitting(Filters, listed);
  if (!found.ok) return found;
  const age = (instance: Instance): number => instance.LaunchTime?.getTime() ?? 0;
  return ok(found.value.toSorted((a, b) => age(a) - age(b) || (a.InstanceId ?? '').localeCompare(b.InstanceId ?? '')));
};

export const listMachines = async (cloud: Cloud, scope: Pick<Named, 'id'>): Promise<Result<MachineFacts[]>> => {
  const found = await readInstances(cloud, scope);
  return found.ok ? ok(found.value.filter((item) => stateOf(item) !== 'gone').map(factsOf)) : found;
};

/** The subnet of the address that was given by hand, or of the zone; without either, machines are spread by their names. */
export const subnetFor = (place: Place, want: Pick<MachineWant, 'name' | 'zone' | 'place'>): Result<Subnet> => {
  const address = want.place?.address?.split('/')[0];
  const inZone = place.nodes.filter((subnet) => want.zone === undefined || subnet.zone === want.zone);
  const fitting = address === undefined ? inZone : inZone.filter((subnet) => contains(subnet.cidr, address));
  const sum = [...want.name].reduce((total, letter) => total + (letter.codePointAt(0) ?? 0), 0);
  const chosen = fitting.toSorted((a, b) => a.id.localeCompare(b.id))[sum % Math.max(1, fitting.length)];
  if (chosen !== undefined) return ok(chosen);
  const what = address === undefined ? `zone ${want.zone ?? ''}` : `address ${address}${want.zone === undefined ? '' : ` in zone ${want.zone}`}`;
  return fail('blocked', 'choice-missing', `machine ${want.name}`, `there is no subnet for ${what}; there are ${place.nodes.map((item) => `${item.id} (${item.zone}, ${item.cidr})`).join(', ')}`); // prettier-ignore
};

interface Parts {
  image: Image;
  subnet: Subnet;
  group: string;
  isOpen: boolean;
  /** Of machines of this name that are gone. */
  gone: readonly string[];
}

export const instanceInput = (scope: AwsScope, want: MachineWant, { image, subnet, group, isOpen, gone }: Parts): RunInstancesCommandInput => {
  const own = { [tagKeys.pool]: want.pool, [tagKeys.generation]: want.generation, [kubernetesKey(scope)]: 'owned' };
  const types: ResourceType[] = ['instance', 'volume', 'network-interface', ...(want.spot ? (['spot-instances-request'] as const) : [])];
  const address = want.place?.address?.split('/')[0];
  return {
    ImageId: image.id,
    InstanceType: want.size as never,
    MinCount: 1,
    MaxCount: 1,
    // The same wish is the same machine in every life; one that was made anew after its end is another.
    ClientToken: tokenOf(scope.id, want.name, want.generation, want.userData, ...gone),
    UserData: Buffer.from(want.userData).toString('base64'),
    IamInstanceProfile: { Name: nodeRoleName(scope) },
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        SubnetId: subnet.id,
        Groups: [group],
        AssociatePublicIpAddress: isOpen,
        DeleteOnTermination: true,
        ...(address === undefined ? {} : { PrivateIpAddress: address }),
      },
    ],
    BlockDeviceMappings: [
      {
        DeviceName: image.rootDevice,
        Ebs: { VolumeSize: want.diskGiB ?? awsLimits.rootDiskGiB, VolumeType: 'gp3', Encrypted: true, DeleteOnTermination: true },
      },
    ],
    // One hop: pods with a network of their own do not get at the machine's role.
    MetadataOptions: { HttpTokens: 'required', HttpEndpoint: 'enabled', HttpPutResponseHopLimit: 1 },
    ...(want.spot
      ? { InstanceMarketOptions: { MarketType: 'spot', SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate' } } }
      : {}),
    TagSpecifications: types.map((ResourceType) => ({ ResourceType, Tags: tagsOf(scope, want.name, own) })),
  };
};

const terminate = async (cloud: Cloud, name: string, ids: readonly string[]): Promise<Result<void>> => {
  if (ids.length === 0) return ok(undefined);
  const gone = await cloud.call(`machine ${name}`, 'ec2:TerminateInstances', () => cloud.ec2.send(new TerminateInstancesCommand({ InstanceIds: [...ids] })));
  return gone.ok || gone.failure.message.includes('InvalidInstanceID.NotFound') ? ok(undefined) : gone;
};

const prepare = async (cloud: Cloud, images: Images, scope: AwsScope, want: MachineWant): Promise<Result<Omit<Parts, 'gone'>>> => {
  const element = `machine ${want.name}`;
  if (Buffer.byteLength(want.userData) > awsLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', element, `its user data has more than ${awsLimits.userDataBytes} bytes`);
  const place = await findPlace(cloud, scope);
  if (!place.ok) return place;
  const subnet = subnetFor(place.value, want);
  if (!subnet.ok) return subnet;
  const groups = await findGroups(cloud, scope);
  if (!groups.ok) return groups;
  if (groups.value === undefined) return fail('retry', 'network-missing', element, 'the security groups are not there (any more); they are made first');
  const image = await images(cloud, want.size, want.image);
  if (!image.ok) return image;
  return ok({ image: image.value, subnet: subnet.value, group: groups.value.nodes, isOpen: place.value.isOpen });
};

export const ensureMachine = async (cloud: Cloud, images: Images, scope: AwsScope, want: MachineWant): Promise<Result<MachineFacts>> => {
  const before = await readInstances(cloud, scope, want.name);
  if (!before.ok) return before;
  const [there, ...doubles] = before.value.filter((item) => !['gone', 'going', 'failed'].includes(stateOf(item)));
  const cleared = await terminate(cloud, want.name, doubles.map((item) => item.InstanceId ?? '')); // prettier-ignore
  if (!cleared.ok) return cleared;
  if (there !== undefined) return ok(factsOf(there));
  const parts = await prepare(cloud, images, scope, want);
  if (!parts.ok) return parts;
  const gone = before.value.map((item) => item.InstanceId ?? '');
  const input = instanceInput(scope, want, { ...parts.value, gone });
  const made = await cloud.call(`machine ${want.name}`, 'ec2:RunInstances', () => cloud.ec2.send(new RunInstancesCommand(input)));
  if (!made.ok) return made;
  const [instance] = made.value.Instances ?? [];
  if (instance?.InstanceId === undefined) return fail('retry', 'cloud-failed', `machine ${want.name}`, 'AWS made it and told nothing of it');
  cloud.session.noteFresh(`${scope.id} machine ${want.name}`);
  return ok(factsOf({ ...instance, Tags: input.TagSpecifications?.[0]?.Tags }));
};

/** Instances that died by themselves stay listed for an hour; without our tag they are nothing of ours any more. */
const disown = (cloud: Cloud, name: string, ids: readonly string[]): Promise<Result<unknown>> =>
  cloud.call(`machine ${name}`, 'ec2:DeleteTags', () => cloud.ec2.send(new DeleteTagsCommand({ Resources: [...ids], Tags: [{ Key: tagKeys.cluster }] })));

export const deleteMachine = async (cloud: Cloud, scope: Named, name: string): Promise<Result<Progress<void>>> => {
  const key = `${scope.id} machine ${name}`;
  let found = await readInstances(cloud, scope, name);
  // A list that is behind knows nothing of a machine that was made just now; what is gone is listed for an hour.
  if (found.ok && found.value.length === 0) found = await readInstances(cloud, scope, name);
  if (!found.ok) return found;
  if (found.value.length === 0) return cloud.session.isFresh(key) ? pending(`machine ${name} is not listed yet`, goneMs) : ready(undefined);
  cloud.session.settle(key);
  const died = found.value.filter((item) => stateOf(item) === 'failed');
  const left = died.length === 0 ? ok(undefined) : await disown(cloud, name, died.map((item) => item.InstanceId ?? '')); // prettier-ignore
  if (!left.ok) return left;
  const live = found.value.filter((item) => !['gone', 'failed'].includes(stateOf(item)));
  const ended = await terminate(cloud, name, live.filter((item) => stateOf(item) !== 'going').map((item) => item.InstanceId ?? '')); // prettier-ignore
  if (!ended.ok) return ended;
  return live.length === 0 ? ready(undefined) : pending(`machine ${name} is being deleted`, goneMs);
};
