import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import type { Connection } from '@groundplane/agent/cluster/connection';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { Accounts } from '../cloud/accounts.ts';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import type { Row } from '../port/store.ts';
import type { EgressPolicy } from '../registry/egress.ts';
import { givenConnection } from './access.ts';

/** The way into a cluster that somebody gave a kubeconfig for. */
export const importedAccess = (
  accounts: Pick<Accounts, 'secretOf'>,
  account: Row<'account'> | undefined,
  name: string,
  policy: EgressPolicy,
): Result<Connection> => {
  if (account === undefined)
    return fail('blocked', 'account-missing', `account ${name}`, 'there is no such account. Make it: gp cloud account set NAME --kind kubeconfig');
  if (account.value.kind !== 'kubeconfig')
    return fail('blocked', 'account-wrong', `account ${name}`, `is for ${account.value.kind}, and an existing cluster needs one of kind kubeconfig`);
  const secret = accounts.secretOf(account);
  if (!secret.ok) return secret;
  const { kubeconfig } = secret.value as { kubeconfig: string };
  return givenConnection(kubeconfig, (account.value.settings as { context?: string }).context, policy);
};

export interface SeenCluster {
  version: string;
  nodes: number;
  nodesReady: number;
  workloads: number;
}

const isReadyNode = (node: KubeObject): boolean => {
  const conditions = (node['status'] as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? [];
  return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
};

/** A look that changes nothing. Failures: those of the `Cluster` port. */
export const lookAt = async (connection: Connection, deps: { clock: Clock; random: Random }): Promise<Result<SeenCluster>> => {
  const cluster = kubernetesCluster({ connection, clock: deps.clock, random: deps.random, userAgent: 'groundplane-hub' });
  try {
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
    return ok({ version: version.value, nodes: nodes.value.items.length, nodesReady: nodes.value.items.filter(isReadyNode).length, workloads });
  } finally {
    cluster.close();
  }
};
