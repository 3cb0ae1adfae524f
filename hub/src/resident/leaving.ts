import { foldList } from '@groundplane/agent/cluster/fold-list';
import type { Connection } from '@groundplane/agent/cluster/connection';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { throughConnection, type ThroughDeps } from './through.ts';

/** A server may write anything, also null. */
type Fields = Record<string, string | undefined> | null | undefined;
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

const wordsOf = (kind: string, { metadata }: KubeObject): string =>
  `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name ?? ''}`.slice(0, 600);

/**
 * Load balancers and disks that a cluster is giving back to its cloud just now. Whoever deletes the cluster before that is done leaves them behind, where they
 * cost money, and hold up the deletion of their network. Failures: those of the `Cluster` port.
 */
export const leavingThings = async (connection: Connection, deps: ThroughDeps): Promise<Result<string[]>> =>
  await throughConnection(connection, deps, async (cluster, isLate) => {
    const found: string[] = [];
    for (const { apiVersion, kind, isLeaving } of kinds) {
      const listed = await foldList<string[]>(cluster, {
        query: { apiVersion, kind },
        empty: () => [],
        add: (going, object) => {
          if (isLeaving(object)) going.push(wordsOf(kind, object));
          return going;
        },
        isLate,
      });
      if (!listed.ok) return listed;
      found.push(...listed.value.value);
      // What was not looked at may be leaving too; the deletion's patience ends that.
      if (listed.value.isMore) found.push(`maybe more: there are more objects of kind ${kind} than are looked at`);
    }
    return ok(found);
  });
