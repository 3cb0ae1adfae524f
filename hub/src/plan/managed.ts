import { minorOf } from '@groundplane/protocol/distribution/spec';
import type { Pool } from '@groundplane/protocol/environment/pool';
import type { ManagedPoolFacts, ManagedPoolWant } from '../port/provider.ts';

export type VersionStep = { kind: 'stay' } | { kind: 'go'; version: string } | { kind: 'blocked'; why: string };

const plain = (version: string): string => version.replace(/^v/, '');

/**
 * The next version of a managed control plane: one minor at a time (Kubernetes' version skew policy), never down. A wanted `1.34` is met by any `1.34.x`; a more
 * exact one is asked for as it stands, once the minor is right.
 */
export const nextVersion = (current: string, wanted: string): VersionStep => {
  const [has, wants] = [minorOf(`${plain(current)}.`), minorOf(`${plain(wanted)}.`)];
  if (has === undefined || wants === undefined) return { kind: 'blocked', why: `${current} or ${wanted} is no version of Kubernetes` };
  if (wants < has)
    return { kind: 'blocked', why: `it runs ${current}, and no environment goes back to ${wanted}. Set the Kubernetes layer to 1.${has} or newer` };
  if (wants > has + 1) return { kind: 'go', version: `1.${has + 1}` };
  if (wants === has + 1) return { kind: 'go', version: plain(wanted) };
  const isExact = plain(wanted).split('.').length > 2;
  return !isExact || plain(current) === plain(wanted) || plain(current).startsWith(`${plain(wanted)}-`)
    ? { kind: 'stay' }
    : { kind: 'go', version: plain(wanted) };
};

/** What a pool of a managed cluster should be. Its nodes follow the control plane, never before it. */
export const managedWant = (pool: Pool, scale: number | undefined, version: string | undefined): ManagedPoolWant => ({
  name: pool.name,
  size: pool.size,
  count: scale === undefined || pool.min === undefined || pool.max === undefined ? pool.count : Math.min(pool.max, Math.max(pool.min, scale)),
  min: pool.min,
  max: pool.max,
  zones: pool.zones,
  diskGiB: pool.diskGiB,
  image: pool.image,
  spot: pool.spot,
  labels: pool.labels,
  taints: pool.taints,
  update: pool.update,
  ...(version === undefined ? {} : { version }),
});

/** Whether an environment scales this pool by itself, so that its number of nodes is not ours. */
export const isAutoscaled = (pool: Pool): boolean => pool.min !== undefined && pool.max !== undefined && pool.min < pool.max;

/** One pool changes at a time, so that workloads have somewhere to go; new ones come before old ones are changed or go. */
export const poolOrder = (wanted: readonly Pool[], there: readonly ManagedPoolFacts[]): { ensure: Pool[]; remove: string[] } => {
  const known = new Map(there.map((pool) => [pool.name, pool]));
  const active = wanted.filter((pool) => !pool.paused);
  const names = new Set(wanted.map((pool) => pool.name));
  return {
    ensure: [...active.filter((pool) => !known.has(pool.name)), ...active.filter((pool) => known.has(pool.name))],
    remove: there.filter((pool) => !names.has(pool.name)).map((pool) => pool.name),
  };
};
