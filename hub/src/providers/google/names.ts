import { createHash } from 'node:crypto';
import { fail } from '@groundplane/protocol/failure';
import { shortId, tagKeys, type ClusterScope } from '../../port/provider.ts';

export type Scope = ClusterScope<'google'>;
export const apiPort = 6_443;

/** Labels have no slash. */
export const labelName = (key: keyof typeof tagKeys): string => tagKeys[key].replace('/', '-');
export const clusterLabel = labelName('cluster');
export const labelsOf = (
  scope: Pick<Scope, 'id'> & { placement: { tags: Record<string, string> } },
  more: Readonly<Record<string, string>> = {},
): Record<string, string> => ({
  ...scope.placement.tags,
  [clusterLabel]: scope.id,
  ...more,
});

/** Most of a network has no labels; a description comes with each thing, and is our mark there. */
export const markOf = (scope: Pick<Scope, 'id'>): string => `${tagKeys.cluster}=${scope.id}`;
export const clusterOfMark = (text: string | undefined): string | undefined => new RegExp(`^${tagKeys.cluster}=(\\S+)$`).exec(text ?? '')?.[1];

interface Marked {
  description?: string | undefined;
  labels?: Record<string, string> | undefined;
}
export const clusterOf = (thing: Marked): string | undefined => thing.labels?.[clusterLabel] ?? clusterOfMark(thing.description);
export const notOurs = (element: string, scope: Pick<Scope, 'name'>): ReturnType<typeof fail> =>
  fail('blocked', 'not-ours', element, `it is there without the mark of cluster ${scope.name}. Rename or delete it`);

/** Names begin with a letter and have at most 63. */
const begins = (text: string): string => (/^[a-z]/.test(text) ? text : `g${text}`);
export const baseName = (scope: Pick<Scope, 'id' | 'name'>): string => `${begins(scope.name).slice(0, 28).replace(/-+$/, '')}-${shortId(scope)}`;
/** Machines of all clusters of a project share its zones; the whole name is in a label. */
export const machineName = (scope: Pick<Scope, 'id'>, name: string): string =>
  `${begins(name).slice(0, 50).replace(/-+$/, '')}-${createHash('sha256').update(`${scope.id}/${name}`).digest('hex').slice(0, 10)}`;

export const projectPath = (scope: { placement: { project: string } }): string => `/projects/${encodeURIComponent(scope.placement.project)}`;
export const regionPath = (scope: Scope): string => `${projectPath(scope)}/regions/${scope.placement.region}`;

/** The last part of a link. */
export const lastOf = (link: string | undefined): string | undefined => link?.split('/').at(-1);
