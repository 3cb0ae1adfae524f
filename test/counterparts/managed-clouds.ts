import type { ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import type { Http } from '@groundplane/hub/port/http';
import { poolName } from '@groundplane/hub/providers/aks/pool-body';
import { createSession } from '@groundplane/hub/providers/aws/session';
import { createClients } from '@groundplane/hub/providers/eks/read';
import { eksReview } from './aws/eks-authenticator.ts';
import { eksFront, type EksModel } from './aws/eks-front.ts';
import { eksInventory } from './aws/eks-rig.ts';
import { motoFront } from './aws/front.ts';
import { depsOf, region } from './aws/rig.ts';
import { startMoto } from './aws/start.ts';
import { azureAccount, azureHttp } from './azure/http.ts';
import { inventoryOf as azureInventory } from './azure/rig.ts';
import type { ControlPlaneOf, ReviewToken } from './control-plane.ts';
import { googleAccount, googleHttp, keyFile } from './google/http.ts';
import { inventoryOf as googleInventory } from './google/rig.ts';
import { plainHttp } from './plain-http.ts';

/** A cloud with managed clusters whose control planes are given: what a hub needs to be told of it, and what a test may do to it. */
export interface ManagedCloud {
  environment: ManagedEnvironment;
  http: Http;
  /** What its API servers say about a token; absent where they are entered by certificate. */
  review?: ReviewToken;
  /** Whom an API server sees. */
  username: string;
  account: { kind: 'aws' | 'azure' | 'google'; settings: Record<string, unknown>; secret: Record<string, unknown> };
  placement: Record<string, unknown>;
  size: string;
  /** What a pool cannot change in place. */
  otherSize: string;
  /** Of the nodes of a pool. */
  nodeLabels: (pool: string) => Record<string, string>;
  /** Whether a call asks for a pool to be deleted. */
  deletesPool: (call: { method: string; url: string }) => boolean;
  /** Two minors, the older first. */
  versions: readonly [string, string];
  /** Everything that is there and was not in the empty account. */
  inventory(): Promise<string[]>;
  close(): Promise<void>;
}

const versions = ['1.33', '1.34'] as const;

/** `laterMs`: what the test's clock is ahead of the machine's. */
export const eksCloud = async (controlPlane: ControlPlaneOf, laterMs: () => number): Promise<ManagedCloud> => {
  const moto = await startMoto();
  if (!moto.ok) throw new Error(moto.failure.message);
  const { url, stop } = moto.value;
  // The API server is of whichever cluster it was handed out for.
  let cluster = '';
  const handOut: ControlPlaneOf = (name) => {
    const given = controlPlane(name);
    if (given !== undefined) cluster = name;
    return given;
  };
  const model: EksModel = { looks: 2, controlPlane: handOut };
  const http = motoFront(eksFront(plainHttp, model));
  const deps = depsOf(url, http);
  const { secret } = deps;
  if (secret.type !== 'keys') throw new Error('the counterpart knows keys only');
  const secretOf = (keyId: string): string | undefined => (keyId === secret.accessKeyId ? secret.secretAccessKey : undefined);
  return {
    environment: 'eks',
    http,
    review: eksReview({ moto: url, model, secretOf, laterMs, cluster: () => cluster }),
    username: 'arn:aws:sts::123456789012:user/moto',
    account: { kind: 'aws', settings: { region, endpoint: url }, secret },
    placement: { region },
    size: 'm5.large',
    otherSize: 'm5.xlarge',
    nodeLabels: (pool) => ({ 'eks.amazonaws.com/nodegroup': pool }),
    deletesPool: ({ method, url }) => method === 'DELETE' && url.includes('/node-groups/'),
    versions,
    inventory: () => eksInventory(createClients(createSession(deps))(region)),
    close: stop,
  };
};

/** `local`: entered by the certificate of the cluster's local account; `entra`: a policy has taken that account away. */
export const aksCloud = async (controlPlane: ControlPlaneOf, accounts: 'local' | 'entra', tokenSeconds: number): Promise<ManagedCloud> => {
  const { http, arm, tokens, review } = await azureHttp(controlPlane);
  tokens.state.lifeSeconds = tokenSeconds;
  arm.store.policy.disableLocalAccounts = accounts === 'entra';
  const { tenantId, clientId, subscription, clientSecret } = azureAccount;
  return {
    environment: 'aks',
    http,
    ...(accounts === 'entra' ? { review } : {}),
    username: accounts === 'entra' ? clientId : 'masterclient',
    account: { kind: 'azure', settings: { tenantId, clientId, subscription }, secret: { type: 'client-secret', clientSecret } },
    placement: { subscription, location: 'westeurope' },
    size: 'Standard_D2s_v5',
    otherSize: 'Standard_D4s_v5',
    nodeLabels: (pool) => ({ 'kubernetes.azure.com/agentpool': poolName(pool) }),
    deletesPool: ({ method, url }) => method === 'DELETE' && url.includes('/agentPools/'),
    versions,
    inventory: async () => azureInventory(arm, new Set()),
    close: async () => undefined,
  };
};

export const gkeCloud = async (controlPlane: ControlPlaneOf, tokenSeconds: number): Promise<ManagedCloud> => {
  const { http, store, tokens, review } = googleHttp(controlPlane);
  tokens.state.lifeSeconds = tokenSeconds;
  const before = new Set(store.things.keys());
  const { project, zone, email } = googleAccount;
  return {
    environment: 'gke',
    http,
    review,
    username: email,
    account: { kind: 'google', settings: { project }, secret: { type: 'key', json: keyFile() } },
    placement: { project, location: zone },
    size: 'n2-standard-2',
    otherSize: 'n2-standard-4',
    nodeLabels: (pool) => ({ 'cloud.google.com/gke-nodepool': pool }),
    deletesPool: ({ method, url }) => method === 'DELETE' && url.includes('/nodePools/'),
    versions,
    inventory: async () => googleInventory(store, before),
    close: async () => undefined,
  };
};
