import { createHash } from 'node:crypto';
import { shortId, tagKeys, type ClusterScope } from '../../port/provider.ts';

/** What the two environments of an account have in common in their placements. */
export interface AwsPlacement {
  region: string;
  vpc?: string | undefined;
  subnets: readonly string[];
  cidr: string;
  nat: 'one' | 'each-zone' | 'none';
  access: 'public' | 'private';
  apiSources: readonly string[];
  tags: Readonly<Record<string, string>>;
}
export type AwsScope = Pick<ClusterScope, 'id' | 'name' | 'zones'> & { placement: AwsPlacement };
export type Named = Pick<ClusterScope, 'id' | 'name'>;

export interface Tag {
  Key: string;
  Value: string;
}

/** `shop-0123456789`: unique in an account, short enough for the 64 letters of a role with what is put behind it. */
export const baseName = (scope: Named): string => `${scope.name.slice(0, 40)}-${shortId(scope)}`;
/** Load balancers have 32 letters, and end and begin with none but letters and digits. */
export const balancerName = (scope: Named): string => `${scope.name.slice(0, 17).replace(/-+$/, '')}-${shortId(scope)}-api`;
export const rolePath = '/groundplane/';
export const nodeRoleName = (scope: Named): string => `${baseName(scope)}-node`;
export const clusterRoleName = (scope: Named): string => `${baseName(scope)}-eks`;

export const tagsOf = (
  scope: Named & { placement: { tags: Readonly<Record<string, string>> } },
  name: string,
  more: Readonly<Record<string, string>> = {},
): Tag[] =>
  Object.entries({ ...scope.placement.tags, Name: name, [tagKeys.cluster]: scope.id, [tagKeys.name]: name, ...more }).map(([Key, Value]) => ({ Key, Value }));

export const tagOf = (thing: { Tags?: { Key?: string | undefined; Value?: string | undefined }[] | undefined }, key: string): string | undefined =>
  thing.Tags?.find((tag) => tag.Key === key)?.Value;
export const isOurs = (thing: Parameters<typeof tagOf>[0], scope: Pick<Named, 'id'>): boolean => tagOf(thing, tagKeys.cluster) === scope.id;

/** A token of idempotency: of what it was made from, so that the same wish is the same token in every life. At most 64 letters. */
export const tokenOf = (...parts: readonly string[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 48);
