import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { Cluster } from '../port/cluster.ts';
import { foldList } from './fold-list.ts';

/** What somebody else's cluster is, in numbers. */
export interface SeenCluster {
  version: string;
  nodes: number;
  nodesReady: number;
  workloads: number;
  /** Of what there is more than was counted. Absent: the numbers are exact. */
  more?: ('nodes' | 'workloads')[];
}

export const isNodeReady = (node: KubeObject): boolean => {
  const conditions = (node['status'] as { conditions?: unknown } | null | undefined)?.conditions;
  const list = (Array.isArray(conditions) ? conditions : []) as ({ type?: unknown; status?: unknown } | null | undefined)[];
  return list.some((condition) => condition?.type === 'Ready' && condition.status === 'True');
};

/**
 * A look that changes nothing. It needs the rights to list nodes and the three kinds of workloads, and no more. `isLate`: when it is time to come to an end; what
 * was counted until then is a lower bound. Failures: those of the `Cluster` port.
 */
export const lookAtCluster = async (cluster: Cluster, isLate?: () => boolean): Promise<Result<SeenCluster>> => {
  const version = await cluster.version();
  if (!version.ok) return version;
  const limit = isLate === undefined ? {} : { isLate };
  const nodes = await foldList(cluster, {
    query: { apiVersion: 'v1', kind: 'Node' },
    empty: () => ({ all: 0, ready: 0 }),
    add: ({ all, ready }, node) => ({ all: all + 1, ready: ready + (isNodeReady(node) ? 1 : 0) }),
    ...limit,
  });
  if (!nodes.ok) return nodes;
  let workloads = 0;
  let hasMore = false;
  for (const kind of ['Deployment', 'StatefulSet', 'DaemonSet']) {
    const found = await foldList(cluster, { query: { apiVersion: 'apps/v1', kind }, empty: () => 0, add: (count) => count + 1, ...limit });
    if (!found.ok) return found;
    workloads += found.value.value;
    hasMore ||= found.value.isMore;
  }
  const { all, ready } = nodes.value.value;
  const more = [...(nodes.value.isMore ? ['nodes' as const] : []), ...(hasMore ? ['workloads' as const] : [])];
  return ok({ version: version.value, nodes: all, nodesReady: ready, workloads, ...(more.length === 0 ? {} : { more }) });
};
