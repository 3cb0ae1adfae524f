import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterScope, ExactImage, ImageChoice, MachineWant } from '../../port/provider.ts';
import { siteImage } from '../image-choice.ts';
import { isUuid, quoted, type Api, type Session } from './session.ts';

export type Scope = ClusterScope<'nutanix'>;

export const namedSchema = z.object({ extId: z.string(), name: z.string().default('') });
export const subnetSchema = namedSchema.extend({ clusterReference: z.string().nullish(), clusterReferenceList: z.array(z.string()).nullish() });

/** What people named, by its name or its id. Failures: `choice-missing`, `choice-ambiguous` (blocked). */
const named = async <S extends typeof namedSchema>(session: Session, api: Api, what: string, name: string, schema: S): Promise<Result<z.infer<S>[]>> => {
  const found = await session.list(api, schema, isUuid(name) ? `extId eq ${quoted(name)}` : `name eq ${quoted(name)}`);
  if (!found.ok) return found;
  // A filter that is not understood somewhere would show everything.
  const fitting = found.value.filter((item) => item.name === name || item.extId === name);
  if (fitting.length > 0) return ok(fitting);
  return fail('blocked', 'choice-missing', `Nutanix ${what} ${name}`, 'there is none that this account sees: gp cloud offers');
};
const only = <T>(items: readonly T[], what: string, name: string): Result<T> => {
  const [first, second] = items;
  if (first !== undefined && second === undefined) return ok(first);
  return fail('blocked', 'choice-ambiguous', `Nutanix ${what} ${name}`, `${items.length} have this name; give the id of one`);
};

export interface Choice {
  cluster: string;
  subnet: string;
  image: string;
}

export const chooseCluster = async (session: Session, name: string): Promise<Result<string>> => {
  const found = await named(session, 'clusters', 'cluster', name, namedSchema);
  if (!found.ok) return found;
  const one = only(found.value, 'cluster', name);
  return one.ok ? ok(one.value.extId) : one;
};

/** Subnets of several clusters may share a name. */
export const chooseSubnet = async (session: Session, name: string, cluster: string): Promise<Result<string>> => {
  const found = await named(session, 'subnets', 'subnet', name, subnetSchema as typeof namedSchema);
  if (!found.ok) return found;
  const subnets = found.value as z.infer<typeof subnetSchema>[];
  const near = subnets.filter((subnet) => subnet.clusterReference === cluster || subnet.clusterReferenceList?.includes(cluster) === true);
  const one = only(near.length > 0 ? near : subnets, 'subnet', name);
  return one.ok ? ok(one.value.extId) : one;
};

/** Everything that a machine is made from, looked up by the names that people gave. */
export const choose = async (session: Session, placement: Scope['placement'], want: MachineWant): Promise<Result<Choice>> => {
  const element = `machine ${want.name}`;
  const wanted = want.image ?? placement.image;
  if (wanted === undefined) return fail('blocked', 'choice-missing', element, 'neither its pool nor the placement names an image: gp cloud offers');
  if (want.place?.host !== undefined)
    return fail('blocked', 'choice-unfit', element, 'Nutanix chooses the hosts of its machines. Take "host" off the place; affinity policies of Prism Central can bind machines of a category to hosts'); // prettier-ignore
  if (placement.project !== undefined && !isUuid(placement.project))
    return fail('blocked', 'choice-unfit', element, 'version 4.0 of the API finds projects by their id only; give the id as "project"');
  const cluster = await chooseCluster(session, want.zone ?? placement.cluster);
  if (!cluster.ok) return cluster;
  const subnet = await chooseSubnet(session, placement.subnet, cluster.value);
  if (!subnet.ok) return subnet;
  const images = await named(session, 'images', 'image', wanted, namedSchema);
  if (!images.ok) return images;
  const image = only(images.value, 'image', wanted);
  return image.ok ? ok({ cluster: cluster.value, subnet: subnet.value, image: image.value.extId }) : image;
};

const imageSchema = namedSchema.extend({ createTime: z.string().nullish() });

export const resolveImage = async (session: Session, choice: ImageChoice): Promise<Result<ExactImage>> => {
  const images = await session.list('images', imageSchema);
  if (!images.ok) return images;
  return siteImage(images.value.map(({ extId, name, createTime }) => ({ exact: extId, name, ...(typeof createTime === 'string' ? { madeAt: createTime } : {}) })), choice, 'Prism Central'); // prettier-ignore
};
