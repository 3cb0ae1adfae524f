import { parse } from 'yaml';
import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterCredentials } from '../../port/provider.ts';
import { baseName, groupOf } from '../azure/names.ts';
import type { Cloud } from '../azure/network.ts';
import { call, type Session } from '../azure/session.ts';
import { elementOf, findCluster, type AksScope } from './cluster.ts';

/** The application that Microsoft runs as AKS' API server in Entra: tokens for clusters are made out to it. */
const aksServerApp = '6dae42f8-4368-4678-94ff-3960e28e3630';

const base64 = z.string().transform((text) => Buffer.from(text, 'base64').toString('utf8'));
const kubeconfigSchema = z.object({
  clusters: z.array(z.object({ cluster: z.object({ server: z.string(), 'certificate-authority-data': base64.optional() }) })).min(1),
  users: z
    .array(z.object({ user: z.object({ token: z.string().optional(), 'client-certificate-data': base64.optional(), 'client-key-data': base64.optional() }) }))
    .default([]),
});

const parseText = (text: string): unknown => {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch {
    return undefined;
  }
};

const readKubeconfig = async (cloud: Cloud, scope: AksScope, kind: 'admin' | 'user'): Promise<Result<z.infer<typeof kubeconfigSchema>>> => {
  const clusters = cloud.containers.managedClusters;
  const [group, name] = [groupOf(scope), baseName(scope)];
  const answer = await call(elementOf(scope), () =>
    kind === 'admin' ? clusters.listClusterAdminCredentials(group, name) : clusters.listClusterUserCredentials(group, name),
  );
  if (!answer.ok) return answer;
  const bytes = answer.value.kubeconfigs?.[0]?.value;
  const parsed = kubeconfigSchema.safeParse(bytes === undefined ? undefined : parseText(Buffer.from(bytes).toString('utf8')));
  return parsed.success ? ok(parsed.data) : fail('retry', 'cloud-failed', elementOf(scope), 'the kubeconfig that AKS gave cannot be read');
};

/** By the cluster's local account, as `az aks get-credentials --admin` does; where those are off, by a token of Entra. */
export const credentials = async (session: Session, cloud: Cloud, scope: AksScope, refused?: string): Promise<Result<ClusterCredentials>> => {
  const cluster = await findCluster(cloud, scope);
  if (!cluster.ok) return cluster;
  if (cluster.value === undefined) return fail('retry', 'cluster-missing', elementOf(scope), 'it is not there (any more)');
  const isEntra = cluster.value.disableLocalAccounts === true;
  const config = await readKubeconfig(cloud, scope, isEntra ? 'user' : 'admin');
  if (!config.ok) return config;
  // The address that AKS gives to whoever comes: of a private cluster the private one.
  const { server, 'certificate-authority-data': ca } = config.value.clusters[0]?.cluster ?? { server: '' };
  if (isEntra) {
    if (refused !== undefined) session.forget();
    const token = await session.token(`${aksServerApp}/.default`);
    return token.ok ? ok({ server, ca, token: token.value.token, expiresAtMs: token.value.expiresOnTimestamp }) : token;
  }
  const user = config.value.users[0]?.user ?? {};
  return ok({ server, ca, token: user.token, clientCertificate: user['client-certificate-data'], clientKey: user['client-key-data'] });
};
