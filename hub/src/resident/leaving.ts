import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import type { Connection } from '@groundplane/agent/cluster/connection';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';

type Fields = Record<string, string | undefined> | undefined;
const isGoing = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;
const specOf = (object: KubeObject): Fields => object['spec'] as Fields;

/** Kinds that stand for things in the cloud, and which of them are on their way out; namespaces, since what is in them goes last. */
const kinds: readonly { apiVersion: string; kind: string; isLeaving: (object: KubeObject) => boolean }[] = [
  { apiVersion: 'v1', kind: 'Namespace', isLeaving: isGoing },
  { apiVersion: 'v1', kind: 'Service', isLeaving: (object) => isGoing(object) && specOf(object)?.['type'] === 'LoadBalancer' },
  {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    // Released ones are deleted by their driver, which first deletes the disk.
    isLeaving: (object) =>
      isGoing(object) || (specOf(object)?.['persistentVolumeReclaimPolicy'] === 'Delete' && (object['status'] as Fields)?.['phase'] === 'Released'),
  },
];

/**
 * Load balancers and disks that a cluster is giving back to its cloud just now. Whoever deletes the cluster before that is done leaves them behind, where they
 * cost money, and hold up the deletion of their network. Failures: those of the `Cluster` port.
 */
export const leavingThings = async (connection: Connection, deps: { clock: Clock; random: Random }): Promise<Result<string[]>> => {
  const cluster = kubernetesCluster({ connection, clock: deps.clock, random: deps.random, userAgent: 'groundplane-hub' });
  try {
    const found: string[] = [];
    for (const { apiVersion, kind, isLeaving } of kinds) {
      const listed = await cluster.list({ apiVersion, kind });
      if (!listed.ok) return listed;
      const going = listed.value.items.filter(isLeaving);
      found.push(...going.map(({ metadata }) => `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name ?? ''}`));
    }
    return ok(found);
  } finally {
    cluster.close();
  }
};
