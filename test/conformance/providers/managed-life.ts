import { setTimeout as sleep } from 'node:timers/promises';
import { isSettled, managedWant, planManagedPools, type ManagedPoolStep } from '@groundplane/hub/plan/managed-pools';
import type { ClusterScope, ManagedClusterProvider, ManagedPoolFacts, Progress } from '@groundplane/hub/port/provider';
import type { Result } from '@groundplane/protocol/failure';
import { poolSchema, type Pool } from '@groundplane/protocol/environment/pool';
import type { Drive } from './drive.ts';
import type { ManagedRig } from './rig.ts';

/** More rounds than a replacement with all its steps needs. */
const roundsMax = 100;

export const poolOf = (rig: ManagedRig, name: string, count: number, fields: Partial<Pool> = {}): Pool => {
  const { size, zones, labels, taints, spot, update } = rig.pool(name, count);
  return poolSchema.parse({ name, count, size, zones, labels, taints, spot, update, ...fields });
};

/** What the hub does with the pools of a cluster, look by look, until nothing is left to do. Each step is waited for, as the environment allows one at a time. */
export const settlePools = async (
  rig: ManagedRig,
  drive: Drive,
  provider: ManagedClusterProvider,
  scope: ClusterScope,
  pools: readonly Pool[],
  version: string | undefined,
): Promise<ManagedPoolFacts[]> => {
  const at = scope as never;
  const wants = pools.map((pool) => managedWant(pool, undefined, version));
  const act = async (pool: Pool, step: ManagedPoolStep): Promise<void> => {
    const want = managedWant(pool, undefined, version);
    if (step.kind === 'ensure') await drive.until(`pool ${step.name}`, () => provider.ensurePool(at, { ...want, name: step.name, count: step.count }));
    else await drive.until(`pool ${step.name} gone`, () => provider.deletePool(at, step.name));
  };
  for (let round = 0; round < roundsMax; round += 1) {
    const listed = await drive.once('pools', () => provider.listPools(at, wants));
    const planned = planManagedPools({ pools, listed, scale: {}, approved: {}, generationOf: () => '' });
    for (const { pool, plan, there } of planned.pools)
      for (const step of plan.steps) if (!isSettled(step, managedWant(pool, undefined, version), there)) await act(pool, step);
    for (const name of planned.remove) await drive.until(`pool ${name} gone`, () => provider.deletePool(at, name));
    if (listed.length === pools.length && listed.every((item) => item.state === 'ready' && item.differs.length === 0)) return listed;
    await sleep(rig.pollMs);
  }
  throw new Error(`pools are not as wanted after ${roundsMax} looks`);
};

/** One look at a cluster that is as wanted, as the hub takes it. Throws when anything was to be done. */
export const lookOnce = async (provider: ManagedClusterProvider, scope: ClusterScope, version: string, pools: readonly Pool[]): Promise<void> => {
  const at = scope as never;
  const wants = pools.map((pool) => managedWant(pool, undefined, version));
  const isReady = <T>(result: Result<Progress<T>>): boolean => result.ok && result.value.state === 'ready';
  if (!isReady(await provider.ensureCluster(at, version, wants[0]))) throw new Error('the cluster is not as wanted');
  const listed = await provider.listPools(at, wants);
  if (!listed.ok) throw new Error(listed.failure.message);
  const planned = planManagedPools({ pools, listed: listed.value, scale: {}, approved: {}, generationOf: () => '' });
  for (const { pool, plan, there } of planned.pools)
    for (const step of plan.steps) {
      const want = managedWant(pool, undefined, version);
      if (isSettled(step, want, there)) continue;
      if (step.kind === 'remove' || !isReady(await provider.ensurePool(at, { ...want, name: step.name, count: step.count })))
        throw new Error(`pool ${step.name} is not as wanted`);
    }
};

/** A cluster with two pools: one grows, both are upgraded, the second one goes, and the first is replaced, since its size cannot be changed. */
export const growManaged = async (rig: ManagedRig, drive: Drive, provider: ManagedClusterProvider, scope: ClusterScope): Promise<ManagedPoolFacts[]> => {
  const at = scope as never;
  const [older, newer] = rig.versions;
  const settle = (pools: readonly Pool[], version?: string): Promise<ManagedPoolFacts[]> => settlePools(rig, drive, provider, scope, pools, version);
  const seen = await drive.once('observe', () => provider.observe(at));
  const isNewer = seen.version?.startsWith(newer) === true;
  await drive.until('cluster', () => provider.ensureCluster(at, isNewer ? newer : older, rig.pool('first', 1)));
  if (!isNewer) {
    await settle([poolOf(rig, 'first', 1), poolOf(rig, 'second', 1)]);
    await settle([poolOf(rig, 'first', 2), poolOf(rig, 'second', 1)]);
    await drive.until('upgrade', () => provider.upgrade(at, newer));
    await settle([poolOf(rig, 'first', 2)], newer);
  }
  await settle([poolOf(rig, 'first', 2, { size: rig.otherSize })], newer);
  return drive.once('pools', () => provider.listPools(at, [{ ...rig.pool('first', 2), size: rig.otherSize }]));
};

export const endManaged = async (drive: Drive, provider: ManagedClusterProvider, scope: ClusterScope): Promise<void> => {
  await drive.until('nothing left', () => provider.ensureNothingLeft(scope as never));
};
