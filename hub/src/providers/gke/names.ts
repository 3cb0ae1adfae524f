import type { ClusterScope, ManagedPoolWant } from '../../port/provider.ts';
import { shortId } from '../../port/provider.ts';
import type { Taint } from '@groundplane/protocol/taint';

export type GkeScope = ClusterScope<'gke'>;

const begins = (text: string): string => (/^[a-z]/.test(text) ? text : `g${text}`);
/** At most 40 letters, as GKE allows. */
export const clusterName = (scope: Pick<GkeScope, 'id' | 'name'>): string => `${begins(scope.name).slice(0, 28).replace(/-+$/, '')}-${shortId(scope)}`;
/** Names of pools begin with a letter; the real one is in a label. */
export const poolName = (name: string): string => (/^[a-z]/.test(name) ? name : `p-${name}`);

export const parentOf = (scope: GkeScope): string => `/projects/${encodeURIComponent(scope.placement.project)}/locations/${scope.placement.location}`;
export const clusterPath = (scope: GkeScope): string => `${parentOf(scope)}/clusters/${clusterName(scope)}`;
export const poolPath = (scope: GkeScope, name: string): string => `${clusterPath(scope)}/nodePools/${poolName(name)}`;
export const elementOf = (scope: GkeScope): string => `GKE cluster ${clusterName(scope)}`;

/** `europe-west1-b` is a zone, `europe-west1` a region. */
export const isZone = (location: string): boolean => /-[a-z]$/.test(location);

/** `1.34` is met by `1.34.1-gke.1`, `1.34.1` by `1.34.1-gke.1`. */
export const isVersion = (running: string | undefined, wanted: string): boolean =>
  running === wanted || running?.startsWith(`${wanted}.`) === true || running?.startsWith(`${wanted}-`) === true;

const effects = { NoSchedule: 'NO_SCHEDULE', PreferNoSchedule: 'PREFER_NO_SCHEDULE', NoExecute: 'NO_EXECUTE' } as const;
export const taintsOf = (taints: readonly Taint[]): { key: string; value: string; effect: string }[] =>
  taints.map(({ key, value = '', effect }) => ({ key, value, effect: effects[effect] }));

export const isAutoscaled = (want: ManagedPoolWant): boolean => want.min !== undefined && want.max !== undefined && want.min < want.max;
