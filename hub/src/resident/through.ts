import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import type { Connection } from '@groundplane/agent/cluster/connection';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { limits } from '@groundplane/protocol/limits';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';

export interface ThroughDeps {
  clock: Clock;
  random: Random;
}

/** Opens a cluster for as long as one look takes. `isLate`: `limits.lookMs` are over, and it is time to come to an end. */
export const throughConnection = async <T>(
  connection: Connection,
  { clock, random }: ThroughDeps,
  look: (cluster: Cluster, isLate: () => boolean) => Promise<T>,
): Promise<T> => {
  const cluster = kubernetesCluster({ connection, clock, random, userAgent: 'groundplane-hub' });
  const untilMs = clock.monotonicMs() + limits.lookMs;
  try {
    return await look(cluster, () => clock.monotonicMs() >= untilMs);
  } finally {
    cluster.close();
  }
};
