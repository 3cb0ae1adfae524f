import { createHash } from 'node:crypto';
import type { AgentPool, AgentPoolMode } from '@azure/arm-containerservice';
import type { Taint } from '@groundplane/protocol/taint';
import type { ManagedPoolWant } from '../../port/provider.ts';
import { tagName, tagsOf, type Scope } from '../azure/names.ts';

/** AKS allows twelve lower-case letters and digits. Every other name gets one of its own; the real one is in a tag. */
export const poolName = (name: string): string =>
  /^[a-z][a-z0-9]{0,11}$/.test(name) ? name : `p${createHash('sha256').update(name).digest('hex').slice(0, 11)}`;

export const taintText = ({ key, value, effect }: Taint): string => `${key}${value === undefined || value === '' ? '' : `=${value}`}:${effect}`;

export const isAutoscaled = (want: ManagedPoolWant): boolean => want.min !== undefined && want.max !== undefined && want.min < want.max;

export interface PoolContext {
  version?: string | undefined;
  subnet: string | undefined;
  mode: AgentPoolMode;
  scope: Scope;
}

/** What may change while a pool is there. */
export const changeable = (
  want: ManagedPoolWant,
): Pick<AgentPool, 'count' | 'enableAutoScaling' | 'minCount' | 'maxCount' | 'nodeLabels' | 'nodeTaints' | 'upgradeSettings'> => ({
  count: want.count,
  ...(isAutoscaled(want) ? { enableAutoScaling: true, minCount: want.min ?? 0, maxCount: want.max ?? want.count } : { enableAutoScaling: false }),
  nodeLabels: { ...want.labels },
  nodeTaints: want.taints.map(taintText),
  // AKS knows either: more nodes than wanted for a while, or fewer.
  ...(want.spot ? {} : { upgradeSettings: want.update.maxSurge > 0 ? { maxSurge: String(want.update.maxSurge) } : { maxSurge: '0', maxUnavailable: String(want.update.maxUnavailable) } }), // prettier-ignore
});

export const poolBody = (want: ManagedPoolWant, { version, subnet, mode, scope }: PoolContext): AgentPool => ({
  ...changeable(want),
  mode,
  vmSize: want.size,
  osType: 'Linux',
  tags: tagsOf(scope, {
    [tagName('pool')]: want.pool,
    [tagName('name')]: want.name,
    ...(want.generation === undefined ? {} : { [tagName('generation')]: want.generation }),
  }),
  ...(want.image === undefined ? {} : { osSKU: want.image }),
  ...(want.diskGiB === undefined ? {} : { osDiskSizeGB: want.diskGiB }),
  ...(want.zones.length === 0 ? {} : { availabilityZones: [...want.zones] }),
  ...(subnet === undefined ? {} : { vnetSubnetID: subnet }),
  ...(version === undefined ? {} : { orchestratorVersion: version }),
  ...(want.spot ? { scaleSetPriority: 'Spot', scaleSetEvictionPolicy: 'Delete', spotMaxPrice: -1 } : {}),
});

const sorted = (items: Iterable<string>): string => [...items].toSorted().join();
/** AKS adds labels and taints of its own (spot), which are not ours to take away. */
const isTheirs = (text: string): boolean => text.startsWith('kubernetes.azure.com/');

/** What of the wanted cannot be changed in place, and differs. */
export const fixedDifferences = (pool: AgentPool, want: ManagedPoolWant): string[] => {
  const differs: string[] = [];
  if (pool.vmSize?.toLowerCase() !== want.size.toLowerCase()) differs.push('size');
  if (sorted(pool.availabilityZones ?? []) !== sorted(want.zones) && want.zones.length > 0) differs.push('zones');
  if (want.diskGiB !== undefined && pool.osDiskSizeGB !== want.diskGiB) differs.push('diskGiB');
  if ((pool.scaleSetPriority === 'Spot') !== want.spot) differs.push('spot');
  if (want.image !== undefined && pool.osSKU !== undefined && pool.osSKU.toLowerCase() !== want.image.toLowerCase()) differs.push('image');
  return differs;
};

export const isAsWanted = (pool: AgentPool, want: ManagedPoolWant): boolean => {
  const wanted = changeable(want);
  const labels = Object.entries(pool.nodeLabels ?? {}).filter(([key]) => !isTheirs(key));
  const taints = (pool.nodeTaints ?? []).filter((text) => !isTheirs(text));
  const hasCount =
    wanted.enableAutoScaling === true
      ? pool.enableAutoScaling === true && pool.minCount === wanted.minCount && pool.maxCount === wanted.maxCount
      : pool.enableAutoScaling !== true && pool.count === wanted.count;
  return (
    hasCount &&
    sorted(labels.map((pair) => pair.join('='))) === sorted(Object.entries(want.labels).map((pair) => pair.join('='))) &&
    sorted(taints) === sorted(want.taints.map(taintText)) &&
    (wanted.upgradeSettings === undefined || pool.upgradeSettings?.maxSurge === wanted.upgradeSettings.maxSurge)
  );
};

/** The pool as it is, changed to the wanted. Its image's version does not go back: setting it, even to the same one, starts a roll-back. */
export const changed = (pool: AgentPool, want: ManagedPoolWant, version: string | undefined): AgentPool => {
  const wanted = changeable(want);
  const { nodeImageVersion: _image, minCount: _min, maxCount: _max, ...rest } = pool;
  // An autoscaler's count is its own.
  const count = wanted.enableAutoScaling === true ? Math.min(Math.max(pool.count ?? want.count, want.min ?? 0), want.max ?? want.count) : want.count;
  return { ...rest, ...wanted, count, ...(version === undefined ? {} : { orchestratorVersion: version }) };
};
