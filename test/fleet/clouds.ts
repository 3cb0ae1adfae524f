import { createCloudWorld, poolsOf } from '../hub/cloud-world.ts';

const idOf = (index: number): string => `clu_${String(index).padStart(20, '0')}`;

/** Most calls within any second, of sorted times in milliseconds. */
const busiestSecond = (times: readonly number[]): number => {
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last += 1) {
    while ((times[last] ?? 0) - (times[first] ?? 0) >= 1_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
};

/**
 * The hub's own work for clusters of machines: the real core over an invented cloud and a store in memory, in virtual time. CPU is this process's, the invented
 * cloud and hosts included; calls are those of one account.
 */
export const clouds = async (creating: number, standing: number): Promise<Record<string, number>> => {
  const made = await createCloudWorld({ seed: 1 });
  const before = process.cpuUsage();
  for (let index = 0; index < creating; index += 1)
    await made.apply(poolsOf({ name: 'workers', count: 1, size: 'small' }), {}, { id: idOf(index), name: `c${index}` });
  let seconds = 0;
  while (seconds < 3_600 && [...made.core().fleet.clusters()].some((cluster) => cluster.state !== 'ready' || cluster.hosts.length < 2)) {
    await made.run(10);
    seconds += 10;
  }
  const spent = process.cpuUsage(before);
  const creatingFigures = {
    createClusters: creating,
    createVirtualSeconds: seconds,
    createCallsPerCluster: Math.round((made.calls() / creating) * 10) / 10,
    createCallsBusiestSecond: busiestSecond(made.callTimes),
    createCpuMsPerCluster: Math.round(((spent.user + spent.system) / 1_000 / creating) * 10) / 10,
  };
  await made.close();

  const still = await createCloudWorld({ seed: 2 });
  for (let index = 0; index < standing; index += 1) await still.apply(poolsOf(), {}, { id: idOf(index), name: `c${index}` });
  await still.run(2_400);
  const [calls, cpu] = [still.calls(), process.cpuUsage()];
  const minutes = 10;
  // Hosts are not asked meanwhile: what is measured is the hub alone.
  await still.clock.advance(minutes * 60_000);
  const used = process.cpuUsage(cpu);
  const looked = still.calls() - calls;
  const figures = {
    standingClusters: standing,
    standingCallsPerClusterAndMinute: Math.round((looked / standing / minutes) * 100) / 100,
    standingCpuMsPerLook: Math.round(((used.user + used.system) / 1_000 / looked) * 100) / 100,
    standingReady: [...still.core().fleet.clusters()].filter((cluster) => cluster.state === 'ready').length,
  };
  await still.close();
  return { ...creatingFigures, ...figures };
};
