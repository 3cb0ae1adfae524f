import { z } from 'zod';
import type { ManagedPoolWant } from '../../port/provider.ts';
import { labelName, labelsOf } from '../google/names.ts';
import { isAutoscaled, poolName, taintsOf, type GkeScope } from './names.ts';

const taintSchema = z.looseObject({ key: z.string(), value: z.string().optional(), effect: z.string() });
export const poolSchema = z.looseObject({
  name: z.string(),
  status: z.string().default('PROVISIONING'),
  statusMessage: z.string().optional(),
  version: z.string().optional(),
  initialNodeCount: z.number().optional(),
  instanceGroupUrls: z.array(z.string()).default([]),
  locations: z.array(z.string()).default([]),
  config: z
    .looseObject({
      machineType: z.string().optional(),
      diskSizeGb: z.number().optional(),
      spot: z.boolean().optional(),
      imageType: z.string().optional(),
      labels: z.record(z.string(), z.string()).default({}),
      taints: z.array(taintSchema).default([]),
      resourceLabels: z.record(z.string(), z.string()).default({}),
    })
    .default({ labels: {}, taints: [], resourceLabels: {} }),
  autoscaling: z
    .looseObject({ enabled: z.boolean().optional(), totalMinNodeCount: z.number().optional(), totalMaxNodeCount: z.number().optional() })
    .optional(),
  upgradeSettings: z.looseObject({ maxSurge: z.number().optional(), maxUnavailable: z.number().optional() }).optional(),
});
export type NodePool = z.infer<typeof poolSchema>;

/** As many zones GKE takes of a region; which ones is known when the cluster is there. */
const zonesOfRegion = 3;

/**
 * GKE counts nodes by zone: every zone of a pool has as many. A pool of fewer nodes than it has zones uses the first of them only; otherwise it uses all, and
 * where the number does not divide there are a few nodes more than wanted (`roundingNote`). Bounds of an autoscaled pool are totals, and exact.
 */
export const spread = (want: ManagedPoolWant, zones: readonly string[]): { zones: string[]; perZone: number } => {
  if (zones.length === 0) return { zones: [], perZone: Math.ceil(want.count / zonesOfRegion) };
  const most = isAutoscaled(want) ? (want.max ?? want.count) : want.count;
  const used = zones.slice(0, Math.max(1, Math.min(zones.length, most)));
  const share = want.count / Math.max(1, used.length);
  return { zones: used, perZone: isAutoscaled(want) ? Math.max(Math.min(1, want.count), Math.floor(share)) : Math.ceil(share) };
};

/** Undefined: as many nodes as wanted. */
export const roundingNote = (want: ManagedPoolWant, zones: readonly string[]): string | undefined => {
  const { zones: used, perZone } = spread(want, zones);
  if (isAutoscaled(want) || used.length * perZone === want.count) return undefined;
  return `GKE has as many nodes in each zone: ${want.count} in ${used.length} zones are ${used.length * perZone}. Name fewer zones to have it exact`;
};

export const autoscalingOf = (want: ManagedPoolWant): Record<string, unknown> =>
  isAutoscaled(want) ? { enabled: true, totalMinNodeCount: want.min, totalMaxNodeCount: want.max } : { enabled: false };

/** Blue-green upgrades need twice the nodes; surge is what the port's words mean. */
export const upgradeSettingsOf = (want: ManagedPoolWant): Record<string, unknown> => ({
  strategy: 'SURGE',
  maxSurge: want.update.maxSurge,
  maxUnavailable: want.update.maxUnavailable,
});

export const poolBody = (scope: GkeScope, want: ManagedPoolWant, zones: readonly string[]): Record<string, unknown> => ({
  name: poolName(want.name),
  initialNodeCount: spread(want, zones).perZone,
  ...(want.version === undefined ? {} : { version: want.version }),
  ...(zones.length === 0 ? {} : { locations: spread(want, zones).zones }),
  config: {
    machineType: want.size,
    labels: { ...want.labels },
    taints: taintsOf(want.taints),
    resourceLabels: labelsOf(scope, {
      [labelName('pool')]: want.pool,
      [labelName('name')]: want.name,
      ...(want.generation === undefined ? {} : { [labelName('generation')]: want.generation }),
    }),
    oauthScopes: ['https://www.googleapis.com/auth/cloud-platform'],
    ...(scope.placement.serviceAccount === undefined ? {} : { serviceAccount: scope.placement.serviceAccount }),
    ...(want.image === undefined ? {} : { imageType: want.image }),
    ...(want.diskGiB === undefined ? {} : { diskSizeGb: want.diskGiB }),
    ...(want.spot ? { spot: true } : {}),
  },
  autoscaling: autoscalingOf(want),
  // Versions are changed by whoever changes the profile. A release channel insists on both.
  management: { autoRepair: true, autoUpgrade: scope.placement.releaseChannel !== 'UNSPECIFIED' },
  upgradeSettings: upgradeSettingsOf(want),
  // By default GKE takes no notice of disruption budgets when a pool is deleted; so it does, for an hour at most.
  nodeDrainConfig: { respectPdbDuringNodePoolDeletion: true },
});

const sorted = (items: Iterable<string>): string => [...items].toSorted().join();
const taintText = ({ key, value = '', effect }: { key: string; value?: string | undefined; effect: string }): string => `${key}=${value}:${effect}`;

/** What of the wanted cannot be changed in place, and differs. */
export const fixedDifferences = (pool: NodePool, want: ManagedPoolWant): string[] => {
  const differs: string[] = [];
  if (pool.config.machineType !== want.size) differs.push('size');
  // Zones that are missing are added in place.
  if (want.zones.length > 0 && pool.locations.some((zone) => !want.zones.includes(zone))) differs.push('zones');
  if (want.diskGiB !== undefined && pool.config.diskSizeGb !== want.diskGiB) differs.push('diskGiB');
  if ((pool.config.spot === true) !== want.spot) differs.push('spot');
  if (want.image !== undefined && pool.config.imageType !== undefined && pool.config.imageType.toLowerCase() !== want.image.toLowerCase())
    differs.push('image');
  return differs;
};

export interface PoolChange {
  method: 'PUT' | 'POST';
  /** After the pool's path: `:setSize`. */
  act: string;
  body: Record<string, unknown>;
  what: string;
}

/** The next of the changes that make a pool as wanted; GKE takes one kind at a time. `count`: nodes there should be now, and are. */
export const nextChange = (pool: NodePool, want: ManagedPoolWant, isOld: boolean, count: number, zones: readonly string[]): PoolChange | undefined => {
  const wish = spread(want, zones);
  if (isOld) return { method: 'PUT', act: '', body: { nodeVersion: want.version ?? '' }, what: `goes to ${want.version ?? ''}` };
  const { autoscaling = {}, config, upgradeSettings = {} } = pool;
  const wanted = autoscalingOf(want);
  const hasScaling = isAutoscaled(want)
    ? autoscaling.enabled === true && autoscaling.totalMinNodeCount === want.min && autoscaling.totalMaxNodeCount === want.max
    : autoscaling.enabled !== true;
  if (!hasScaling) return { method: 'POST', act: ':setAutoscaling', body: { autoscaling: wanted }, what: 'gets other bounds' };
  // A pool that is to be replaced keeps its zones.
  const isPlaced = zones.length === 0 || pool.locations.some((zone) => !zones.includes(zone)) || sorted(pool.locations) === sorted(wish.zones);
  if (!isPlaced) return { method: 'PUT', act: '', body: { locations: wish.zones }, what: `goes to ${wish.zones.join(', ')}` };
  const has = pool.locations.length === 0 ? wish.zones.length : pool.locations.length;
  const perZone = Math.ceil(want.count / Math.max(1, has));
  if (!isAutoscaled(want) && count !== perZone * has)
    return { method: 'POST', act: ':setSize', body: { nodeCount: perZone }, what: `goes to ${want.count} nodes` };
  const labels = sorted(Object.entries(config.labels).map((pair) => pair.join('=')));
  if (labels !== sorted(Object.entries(want.labels).map((pair) => pair.join('='))))
    return { method: 'PUT', act: '', body: { labels: { labels: { ...want.labels } } }, what: 'gets other labels' };
  if (sorted(config.taints.map(taintText)) !== sorted(taintsOf(want.taints).map(taintText)))
    return { method: 'PUT', act: '', body: { taints: { taints: taintsOf(want.taints) } }, what: 'gets other taints' };
  if ((upgradeSettings.maxSurge ?? 0) !== want.update.maxSurge || (upgradeSettings.maxUnavailable ?? 0) !== want.update.maxUnavailable)
    return { method: 'PUT', act: '', body: { upgradeSettings: upgradeSettingsOf(want) }, what: 'gets another surge' };
  return undefined;
};
