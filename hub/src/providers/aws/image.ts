import { DescribeImagesCommand, DescribeInstanceTypesCommand } from '@aws-sdk/client-ec2';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ExactImage, ImageChoice } from '../../port/provider.ts';
import { referenceFor } from '../image-choice.ts';
import { awsLimits } from './limits.ts';
import type { Cloud } from './session.ts';

export interface Image {
  id: string;
  /** `/dev/sda1`: under which name its root disk is attached. */
  rootDevice: string;
}

/** Canonical's public parameters ("Find Ubuntu images on AWS"); the kind of disk in their path changed with 23.10. */
const series: Readonly<Record<string, string>> = { '22.04': 'ebs-gp2', '24.04': 'ebs-gp3', '26.04': 'ebs-gp3' };
const seriesDefault = '24.04';
export const ubuntuSeries = Object.keys(series).toReversed();

export const parameterOf = (image: string | undefined, architecture: 'x86_64' | 'arm64'): string | undefined => {
  const wanted = image ?? `ubuntu-${seriesDefault}`;
  if (wanted.startsWith('resolve:ssm:')) return wanted.slice('resolve:ssm:'.length);
  if (wanted.startsWith('/')) return wanted;
  const version = /^ubuntu-(\d\d\.\d\d)$/.exec(wanted)?.[1] ?? '';
  const disk = series[version];
  const letters = architecture === 'arm64' ? 'arm64' : 'amd64';
  return disk === undefined ? undefined : `/aws/service/canonical/ubuntu/server/${version}/stable/current/${letters}/hvm/${disk}/ami-id`;
};

export const architectureOf = async (cloud: Cloud, size: string): Promise<Result<'x86_64' | 'arm64'>> => {
  const element = `instance type ${size}`;
  const found = await cloud.call(element, 'ec2:DescribeInstanceTypes', () =>
    cloud.ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: [size as never] })),
  );
  const unknown = () => fail('blocked', 'choice-missing', element, `${cloud.region} has no such instance type: gp cloud offers`);
  if (!found.ok) return /InvalidInstanceType|InvalidParameterValue/.test(found.failure.message) ? unknown() : found;
  const [first] = found.value.InstanceTypes ?? [];
  if (first === undefined) return unknown();
  return ok(first.ProcessorInfo?.SupportedArchitectures?.includes('arm64') === true ? 'arm64' : 'x86_64');
};

/** `136693071363:debian-13-amd64-*`: the newest image of this owner whose name fits. */
const ownedPattern = /^(\d{12}|amazon|aws-marketplace|self):(.+)$/;

const newestOf = async (cloud: Cloud, owner: string, name: string, architecture: 'x86_64' | 'arm64'): Promise<Result<string>> => {
  const element = `image ${owner}:${name}`;
  const Filters = [{ Name: 'name', Values: [name] }, { Name: 'architecture', Values: [architecture] }, { Name: 'state', Values: ['available'] }]; // prettier-ignore
  const found = await cloud.call(element, 'ec2:DescribeImages', () => cloud.ec2.send(new DescribeImagesCommand({ Owners: [owner], Filters })));
  if (!found.ok) return found;
  const newest = (found.value.Images ?? []).toSorted((a, b) => (a.CreationDate ?? '').localeCompare(b.CreationDate ?? '')).at(-1)?.ImageId;
  return newest === undefined ? fail('blocked', 'choice-missing', element, `${cloud.region} has none of this name for ${architecture}`) : ok(newest);
};

const idOf = async (cloud: Cloud, image: string | undefined, architecture: 'x86_64' | 'arm64'): Promise<Result<string>> => {
  if (image?.startsWith('ami-') === true) return ok(image);
  const owned = ownedPattern.exec(image ?? '');
  if (owned !== null) return newestOf(cloud, owned[1] ?? '', owned[2] ?? '', architecture);
  const Name = parameterOf(image, architecture);
  const element = `image ${image ?? 'by default'}`;
  if (Name === undefined)
    return fail(
      'blocked',
      'choice-missing',
      element,
      `is no AMI (ami-…), no owner and name (136693071363:debian-13-amd64-*), no parameter of Systems Manager (/aws/service/…) and none of ubuntu-${ubuntuSeries.join(', ubuntu-')}`,
    );
  const found = await cloud.call(element, 'ssm:GetParameter', () => cloud.ssm.send(new GetParameterCommand({ Name })));
  if (!found.ok)
    return /ParameterNotFound/.test(found.failure.message)
      ? fail('blocked', 'choice-missing', element, `there is no parameter ${Name} in ${cloud.region}`)
      : found;
  const id = found.value.Parameter?.Value ?? '';
  return id.startsWith('ami-') ? ok(id) : fail('blocked', 'choice-missing', element, `parameter ${Name} holds ${id.slice(0, 100)}, which is no AMI`);
};

const resolve = async (cloud: Cloud, size: string, image: string | undefined): Promise<Result<Image>> => {
  const architecture = await architectureOf(cloud, size);
  if (!architecture.ok) return architecture;
  const id = await idOf(cloud, image, architecture.value);
  if (!id.ok) return id;
  const element = `image ${id.value}`;
  const found = await cloud.call(element, 'ec2:DescribeImages', () => cloud.ec2.send(new DescribeImagesCommand({ ImageIds: [id.value] })));
  const [first] = found.ok ? (found.value.Images ?? []) : [];
  if (!found.ok && !/InvalidAMIID/.test(found.failure.message)) return found;
  if (first === undefined) return fail('blocked', 'choice-missing', element, `is not there in ${cloud.region}, or not shared with this account`);
  if (first.Architecture !== undefined && first.Architecture !== architecture.value)
    return fail('blocked', 'choice-missing', element, `is for ${first.Architecture}, and ${size} needs one for ${architecture.value}`);
  return ok({ id: id.value, rootDevice: first.RootDeviceName ?? '/dev/sda1' });
};

/** Images of sizes, kept for some minutes: a pool of hundreds asks once. */
export const createImages = () => {
  const kept = new Map<string, { image: Image; untilMs: number }>();
  return async (cloud: Cloud, size: string, image: string | undefined): Promise<Result<Image>> => {
    const { clock } = cloud.session.deps;
    const key = `${cloud.region} ${size} ${image ?? ''}`;
    const known = kept.get(key);
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return ok(known.image);
    const found = await resolve(cloud, size, image);
    if (!found.ok) return found;
    if (kept.size >= awsLimits.imagesKeptMax) kept.clear();
    kept.set(key, { image: found.value, untilMs: clock.monotonicMs() + awsLimits.imageKeptMs });
    return found;
  };
};
export type Images = ReturnType<typeof createImages>;

/** An AMI stays what it is; a parameter and a name mean the newest. */
export const resolveImage = async (cloud: Cloud, images: Images, size: string, choice: ImageChoice): Promise<Result<ExactImage>> => {
  const architecture = await architectureOf(cloud, size);
  if (!architecture.ok) return architecture;
  const reference = referenceFor(choice, architecture.value === 'arm64' ? 'arm64' : 'amd64', size);
  if (!reference.ok) return reference;
  const image = await images(cloud, size, reference.value);
  return image.ok ? ok({ exact: image.value.id }) : image;
};
