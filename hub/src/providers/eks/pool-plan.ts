import type { Nodegroup, Taint as EksTaint } from '@aws-sdk/client-eks';
import type { ManagedPoolFacts, ManagedPoolWant } from '../../port/provider.ts';

const effects = { NoSchedule: 'NO_SCHEDULE', PreferNoSchedule: 'PREFER_NO_SCHEDULE', NoExecute: 'NO_EXECUTE' } as const;

export interface Scaling {
  minSize: number;
  maxSize: number;
  desiredSize: number;
}

const isAutoscaled = (want: ManagedPoolWant): want is ManagedPoolWant & { min: number; max: number } => want.min !== undefined && want.max !== undefined;

/** Within the bounds of an autoscaled pool its size is the autoscaler's. EKS wants room for one at least. */
export const scalingOf = (want: ManagedPoolWant, current: number | undefined): Scaling => {
  if (!isAutoscaled(want)) return { minSize: want.count, maxSize: Math.max(1, want.count), desiredSize: want.count };
  const desiredSize = Math.min(Math.max(current ?? want.count, want.min), want.max);
  return { minSize: want.min, maxSize: Math.max(1, want.max), desiredSize };
};

export const taintsOf = (want: ManagedPoolWant): EksTaint[] =>
  want.taints.map(({ key, value, effect }) => ({ key, value: value ?? '', effect: effects[effect] }));

/** EKS surges by itself; of our two numbers it knows one, from 1 to 100. */
export const unavailableOf = (want: ManagedPoolWant): number => Math.min(Math.max(1, want.update.maxUnavailable), 100);

const isSameTaint = (a: EksTaint, b: EksTaint): boolean => a.key === b.key && a.effect === b.effect;

/** What cannot be changed in place. What a pool does not name is EKS' choice, and never differs. */
export const differsOf = (group: Nodegroup, want: ManagedPoolWant, subnets: readonly string[] | undefined): string[] => {
  const has = group.subnets ?? [];
  return [
    ...((group.instanceTypes ?? [want.size]).includes(want.size) ? [] : ['size']),
    ...(want.diskGiB !== undefined && group.diskSize !== undefined && group.diskSize !== want.diskGiB ? ['diskGiB'] : []),
    ...((group.capacityType === 'SPOT') === want.spot ? [] : ['spot']),
    ...(want.image !== undefined && group.amiType !== undefined && group.amiType !== want.image ? ['image'] : []),
    ...(want.zones.length > 0 && subnets !== undefined && (has.length !== subnets.length || has.some((id) => !subnets.includes(id))) ? ['zones'] : []),
  ];
};

export interface ConfigChange {
  labels?: { addOrUpdateLabels: Record<string, string>; removeLabels: string[] };
  taints?: { addOrUpdateTaints: EksTaint[]; removeTaints: EksTaint[] };
  scalingConfig?: Scaling;
  updateConfig?: { maxUnavailable: number };
}

const labelChange = (has: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): ConfigChange => {
  const addOrUpdateLabels = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => has[key] !== value));
  const removeLabels = Object.keys(has).filter((key) => wanted[key] === undefined);
  return Object.keys(addOrUpdateLabels).length + removeLabels.length === 0 ? {} : { labels: { addOrUpdateLabels, removeLabels } };
};

const taintChange = (has: readonly EksTaint[], wanted: readonly EksTaint[]): ConfigChange => {
  const addOrUpdateTaints = wanted.filter((taint) => !has.some((other) => isSameTaint(taint, other) && (other.value ?? '') === taint.value));
  const removeTaints = has.filter((taint) => !wanted.some((other) => isSameTaint(taint, other)));
  return addOrUpdateTaints.length + removeTaints.length === 0 ? {} : { taints: { addOrUpdateTaints, removeTaints } };
};

/** Undefined: nothing to change. */
export const configChange = (group: Nodegroup, want: ManagedPoolWant): ConfigChange | undefined => {
  const scaling = scalingOf(want, group.scalingConfig?.desiredSize);
  const { minSize, maxSize, desiredSize } = group.scalingConfig ?? {};
  const isScaled = minSize === scaling.minSize && maxSize === scaling.maxSize && desiredSize === scaling.desiredSize;
  const change: ConfigChange = {
    ...labelChange(group.labels ?? {}, want.labels),
    ...taintChange(group.taints ?? [], taintsOf(want)),
    ...(isScaled ? {} : { scalingConfig: scaling }),
    ...(group.updateConfig?.maxUnavailable === unavailableOf(want) ? {} : { updateConfig: { maxUnavailable: unavailableOf(want) } }),
  };
  return Object.keys(change).length === 0 ? undefined : change;
};

const minorOf = (version: string): number => Number(version.split('.')[1] ?? Number.NaN);

/** EKS knows versions as `1.34`. */
export const minorVersion = (version: string): string => version.split('.').slice(0, 2).join('.');

/** Nodes never go back, and never ahead of the control plane. Undefined: they stay. */
export const versionChange = (group: Nodegroup, wanted: string | undefined, controlPlane: string | undefined): string | undefined => {
  const target = minorVersion(wanted ?? controlPlane ?? '');
  const [has, want, most] = [minorOf(group.version ?? ''), minorOf(target), minorOf(controlPlane ?? '')];
  return want > has && want <= most ? target : undefined;
};

const states: Readonly<Record<string, ManagedPoolFacts['state']>> = {
  CREATING: 'making',
  ACTIVE: 'ready',
  DEGRADED: 'ready',
  UPDATING: 'changing',
  CREATE_FAILED: 'failed',
  DELETE_FAILED: 'failed',
  DELETING: 'going',
};
export const poolState = (group: Nodegroup): ManagedPoolFacts['state'] => states[group.status ?? ''] ?? 'changing';

/** Of an instance type's architecture; `image` of a pool is one of EKS' own types, `BOTTLEROCKET_x86_64`. */
export const amiTypeOf = (want: Pick<ManagedPoolWant, 'image'>, isArm: boolean): string =>
  want.image ?? (isArm ? 'AL2023_ARM_64_STANDARD' : 'AL2023_x86_64_STANDARD');
