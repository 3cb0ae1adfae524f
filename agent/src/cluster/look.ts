import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { Cluster } from '../port/cluster.ts';

/** What somebody else's cluster is, in numbers. */
export interface SeenCluster {
  version: string;
  nodes: number;
  nodesReady: number;
  workloads: number;
}

export const isNodeReady = (node: KubeObject): boolean => {
  const status = node['status'] as { conditions?: { type: string; status: string }[] } | undefined;
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;
};

/** A look that changes nothing. It needs the rights to list nodes and the three kinds of workloads, and no more. Failures: those of the `Cluster` port. */
export const lookAtCluster = async (cluster: Cluster): Promise<Result<SeenCluster>> => {
  const version = await cluster.version();
  if (!version.ok) return version;
  const nodes = await cluster.list({ apiVersion: 'v1', kind: 'Node' });
  if (!nodes.ok) return nodes;
  let workloads = 0;
  for (const kind of ['Deployment', 'StatefulSet', 'DaemonSet']) {
    const found = await cluster.list({ apiVersion: 'apps/v1', kind });
    if (!found.ok) return found;
    workloads += found.value.items.length;
  }
  const { items } = nodes.value;
  return ok({ version: version.value, nodes: items.length, nodesReady: items.filter(isNodeReady).length, workloads });
};
