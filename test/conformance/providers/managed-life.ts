import type { ClusterScope, ManagedClusterProvider, ManagedPoolFacts } from '@groundplane/hub/port/provider';
import type { Drive } from './drive.ts';
import type { ManagedRig } from './rig.ts';

/** A cluster with two pools: one grows, both are upgraded, the second one goes. */
export const growManaged = async (rig: ManagedRig, drive: Drive, provider: ManagedClusterProvider, scope: ClusterScope): Promise<ManagedPoolFacts[]> => {
  const at = scope as never;
  const [older, newer] = rig.versions;
  const first = rig.pool('first', 1);
  const seen = await drive.once('observe', () => provider.observe(at));
  const isNewer = seen.version?.startsWith(newer) === true;
  await drive.until('cluster', () => provider.ensureCluster(at, isNewer ? newer : older, first));
  if (!isNewer) {
    await drive.until('first pool', () => provider.ensurePool(at, first));
    await drive.until('second pool', () => provider.ensurePool(at, rig.pool('second', 1)));
    await drive.until('first pool, larger', () => provider.ensurePool(at, rig.pool('first', 2)));
    await drive.until('upgrade', () => provider.upgrade(at, newer));
  }
  await drive.until('first pool, upgraded', () => provider.ensurePool(at, { ...rig.pool('first', 2), version: newer }));
  await drive.until('second pool gone', () => provider.deletePool(at, 'second'));
  return drive.once('pools', () => provider.listPools(at));
};

export const endManaged = async (drive: Drive, provider: ManagedClusterProvider, scope: ClusterScope): Promise<void> => {
  await drive.until('nothing left', () => provider.ensureNothingLeft(scope as never));
};
