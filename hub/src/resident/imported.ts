import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import { lookAtCluster, type SeenCluster } from '@groundplane/agent/cluster/look';
import type { Connection } from '@groundplane/agent/cluster/connection';
import { fail, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
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

/** A look that changes nothing. Failures: those of the `Cluster` port. */
export const lookAt = async (connection: Connection, deps: { clock: Clock; random: Random }): Promise<Result<SeenCluster>> => {
  const cluster = kubernetesCluster({ connection, clock: deps.clock, random: deps.random, userAgent: 'groundplane-hub' });
  try {
    const untilMs = deps.clock.monotonicMs() + limits.lookMs;
    return await lookAtCluster(cluster, () => deps.clock.monotonicMs() >= untilMs);
  } finally {
    cluster.close();
  }
};
