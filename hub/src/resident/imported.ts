import { lookAtCluster, type SeenCluster } from '@groundplane/agent/cluster/look';
import type { Connection } from '@groundplane/agent/cluster/connection';
import { fail, type Result } from '@groundplane/protocol/failure';
import type { Accounts } from '../cloud/accounts.ts';
import type { Row } from '../port/store.ts';
import type { EgressPolicy } from '../registry/egress.ts';
import { givenConnection } from './access.ts';
import { throughConnection, type ThroughDeps } from './through.ts';

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
export const lookAt = async (connection: Connection, deps: ThroughDeps): Promise<Result<SeenCluster>> =>
  await throughConnection(connection, deps, lookAtCluster);
