import { createHash } from 'node:crypto';
import { fail, type Result } from '@groundplane/protocol/failure';
import { shortId, tagKeys, type ClusterScope } from '../../port/provider.ts';

/** What both providers of this vendor have in their placements. */
export type Scope = ClusterScope<'azure'> | ClusterScope<'aks'>;
export type VmScope = ClusterScope<'azure'>;
export const apiPort = 6_443;

/** Names of tags may hold no slash (Azure Resource Manager: `<`, `>`, `%`, `&`, `\`, `?`, `/`). */
export const tagName = (key: keyof typeof tagKeys): string => tagKeys[key].replace('/', '-');
export const clusterTag = tagName('cluster');

export const tagsOf = (scope: Scope, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...scope.placement.tags,
  [clusterTag]: scope.id,
  ...more,
});

interface Tagged {
  tags?: Record<string, string> | undefined;
}
export const isOurs = (scope: Pick<Scope, 'id'>, thing: Tagged): boolean => thing.tags?.[clusterTag] === scope.id;
export const notOurs = (element: string, scope: Pick<Scope, 'name'>): ReturnType<typeof fail> =>
  fail('blocked', 'not-ours', element, `it is there without the tag of cluster ${scope.name}. Rename or delete it, or name another resource group`);

/** Short enough for every kind of thing here: load balancers and addresses allow 80 letters, clusters 63. */
export const baseName = (scope: Pick<Scope, 'id' | 'name'>): string => `${scope.name.slice(0, 40).replace(/-+$/, '')}-${shortId(scope)}`;
export const ownGroup = (scope: Pick<Scope, 'id' | 'name'>): string => `gp-${baseName(scope)}`;
export const groupOf = (scope: Scope): string => scope.placement.resourceGroup ?? ownGroup(scope);
/** By default each cluster has a resource group of its own, which goes with it. */
export const isOwnGroup = (scope: Scope): boolean => scope.placement.resourceGroup === undefined;

/** A resource group may hold several clusters, whose machines may have the same names; the whole name is in a tag. */
export const machineName = (scope: Pick<Scope, 'id'>, name: string): string =>
  `${name.slice(0, 50)}-${createHash('sha256').update(`${scope.id}/${name}`).digest('hex').slice(0, 10)}`;

export const idOf = (subscription: string, group: string, path: string): string => `/subscriptions/${subscription}/resourceGroups/${group}/providers/${path}`;

export interface Names {
  group: string;
  network: string;
  natAddress: string;
  nat: string;
  firewall: string;
  apiAddress: string;
  balancer: string;
}
export const namesOf = (scope: Scope): Names => {
  const base = baseName(scope);
  const api = `${base}-api`;
  return { group: groupOf(scope), network: base, natAddress: `${base}-nat`, nat: base, firewall: base, apiAddress: api, balancer: api };
};

export type Found<T> = Result<T | undefined>;
