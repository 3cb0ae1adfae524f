import { Refused, type Resource, type Store } from './store.ts';

/** Managed clusters and their pools in this model. */

interface Profile {
  name: string;
  count?: number;
  mode?: string;
  orchestratorVersion?: string;
  currentOrchestratorVersion?: string;
  tags?: Record<string, string>;
  [key: string]: unknown;
}

export const kubernetesVersions = { '1.33': ['1.33.1', '1.33.2'], '1.34': ['1.34.0', '1.34.1'], '1.35': ['1.35.0'] } as const;
const callsToMake = 6;
const callsToChange = 3;

/** `1.34` is an alias of its newest patch. */
const exact = (version: unknown): string => {
  const text = String(version);
  const newest = (kubernetesVersions as Record<string, readonly string[]>)[text]?.at(-1);
  const known = Object.values(kubernetesVersions).flat() as string[];
  if (newest === undefined && !known.includes(text)) throw new Refused(400, 'K8sVersionNotSupported', `Managed cluster is on version ${text} which is not supported in this region.`); // prettier-ignore
  return newest ?? text;
};

const busy = (what: string): Refused =>
  new Refused(409, 'OperationNotAllowed', `Operation is not allowed because there's an in progress update ${what}. Please wait for it to finish before starting a new operation.`); // prettier-ignore

const minor = (version: string): number => Number(version.split('.')[1]);

const poolsOf = (store: Store, cluster: Resource): Resource[] => store.under(`${cluster.id}/agentPools`);
const nodeGroupId = (cluster: Resource): string => {
  const [, , subscription, , group] = cluster.id.split('/');
  return `/subscriptions/${subscription}/resourceGroups/MC_${group}_${cluster.name}_${cluster.location}`.slice(0, 140);
};

const profilesOf = (store: Store, cluster: Resource): Profile[] => poolsOf(store, cluster).map((pool) => ({ name: pool.name, ...pool.properties }));

const poolResource = (cluster: Resource, profile: Profile): Resource => {
  const { name, ...properties } = profile;
  return { id: `${cluster.id}/agentPools/${name}`, name, type: 'Microsoft.ContainerService/managedClusters/agentPools', properties };
};

const setVersion = (cluster: Resource, pool: Resource): void => {
  const running = String(cluster.properties['currentKubernetesVersion']);
  const wanted = exact(pool.properties['orchestratorVersion'] ?? cluster.properties['currentKubernetesVersion']);
  if (minor(wanted) > minor(running))
    throw new Refused(400, 'NodePoolVersionNotSupported', `Node pool version ${wanted} and control plane version ${running} are incompatible.`);
  pool.properties['orchestratorVersion'] = wanted;
  pool.properties['currentOrchestratorVersion'] = wanted;
};

/** The profiles of a cluster's answer are its pools; in a request they are made, or changed. */
const takeProfiles = (store: Store, cluster: Resource, isNew: boolean): void => {
  for (const profile of (cluster.properties['agentPoolProfiles'] as Profile[] | undefined) ?? []) {
    const before = store.get(`${cluster.id}/agentPools/${profile.name}`);
    const pool = before ?? poolResource(cluster, profile);
    Object.assign(pool.properties, profile, { type: 'VirtualMachineScaleSets' });
    delete pool.properties['name'];
    setVersion(cluster, pool);
    store.put(pool);
    if (isNew) pool.properties['provisioningState'] = 'Creating';
  }
  delete cluster.properties['agentPoolProfiles'];
};

export const showCluster = (store: Store, cluster: Resource): Resource => ({
  ...cluster,
  properties: { ...cluster.properties, agentPoolProfiles: profilesOf(store, cluster) },
});

export const putCluster = (store: Store, cluster: Resource, before: Resource | undefined): void => {
  if (before !== undefined && store.isBusy(before.id)) throw busy(`managed cluster ${cluster.name}`);
  const wanted = exact(cluster.properties['kubernetesVersion']);
  const profiles = (cluster.properties['agentPoolProfiles'] as Profile[] | undefined) ?? [];
  if (before === undefined && !profiles.some((profile) => profile.mode === 'System'))
    throw new Refused(400, 'InvalidParameter', 'Required parameter agentPoolProfiles is missing: there must be at least one system pool.');
  const running = before === undefined ? wanted : String(before.properties['currentKubernetesVersion']);
  if (minor(wanted) > minor(running) + 1) throw new Refused(400, 'OperationNotAllowed', `Upgrading Kubernetes version ${running} to ${wanted} is not allowed.`);
  if (minor(wanted) < minor(running)) throw new Refused(400, 'OperationNotAllowed', `Downgrading cluster from ${running} to ${wanted} is not allowed.`);
  const fqdn = `${cluster.name}.hcp.${cluster.location}.azmk8s.io`;
  Object.assign(cluster.properties, { currentKubernetesVersion: running, fqdn, nodeResourceGroup: nodeGroupId(cluster).split('/').at(-1) });
  if (store.policy.disableLocalAccounts)
    Object.assign(cluster.properties, { disableLocalAccounts: true, aadProfile: { managed: true, enableAzureRBAC: true } });
  cluster['identity'] = { ...(cluster['identity'] as object), principalId: '00000000-0000-0000-0000-00000000000a' };
  store.put(cluster);
  takeProfiles(store, cluster, before === undefined);
  if (before === undefined)
    store.put({ id: nodeGroupId(cluster), name: nodeGroupId(cluster).split('/').at(-1) ?? '', type: 'Microsoft.Resources/resourceGroups', location: cluster.location ?? '', properties: { provisioningState: 'Succeeded' } }); // prettier-ignore
  const state = before === undefined ? 'Creating' : wanted === running ? 'Updating' : 'Upgrading';
  store.work(cluster, state, before === undefined ? callsToMake : callsToChange, () => {
    cluster.properties['currentKubernetesVersion'] = wanted;
    for (const pool of poolsOf(store, cluster)) if (!store.isBusy(pool.id)) pool.properties['provisioningState'] = 'Succeeded';
  });
};

export const deleteCluster = (store: Store, cluster: Resource): void => {
  store.work(cluster, 'Deleting', callsToMake, () => {
    for (const pool of poolsOf(store, cluster)) store.drop(pool.id);
    store.drop(nodeGroupId(cluster));
    store.drop(cluster.id);
  });
};

const clusterOf = (store: Store, pool: Pick<Resource, 'id'>): Resource => {
  const cluster = store.get(pool.id.replace(/\/agentPools\/[^/]+$/i, ''));
  if (cluster === undefined) throw new Refused(404, 'ParentResourceNotFound', `Failed to perform 'write' on resource ${pool.id}: its parent was not found.`);
  if (store.isBusy(cluster.id)) throw busy(`managed cluster ${cluster.name}`);
  const other = poolsOf(store, cluster).find((item) => store.isBusy(item.id));
  if (other !== undefined) throw busy(`agent pool ${other.name}`);
  return cluster;
};

export const putPool = (store: Store, pool: Resource, before: Resource | undefined): void => {
  const cluster = clusterOf(store, pool);
  if (!/^[a-z][a-z0-9]{0,11}$/.test(pool.name)) throw new Refused(400, 'InvalidParameter', `The value of parameter agentPool.name is invalid: ${pool.name}.`);
  for (const fixed of ['vmSize', 'osDiskSizeGB', 'scaleSetPriority'])
    if (before !== undefined && pool.properties[fixed] !== undefined && pool.properties[fixed] !== before.properties[fixed])
      throw new Refused(400, 'PropertyChangeNotAllowed', `Changing property 'properties.${fixed}' is not allowed.`);
  setVersion(cluster, pool);
  store.put(pool);
  const isUpgrade = before !== undefined && before.properties['orchestratorVersion'] !== pool.properties['orchestratorVersion'];
  store.work(pool, before === undefined ? 'Creating' : isUpgrade ? 'Upgrading' : 'Scaling', callsToChange);
};

export const deletePool = (store: Store, pool: Resource): void => {
  const cluster = clusterOf(store, pool);
  const others = poolsOf(store, cluster).filter((item) => item.id !== pool.id && item.properties['mode'] === 'System');
  if (pool.properties['mode'] === 'System' && others.length === 0)
    throw new Refused(400, 'CannotDeleteLastSystemPool', `There has to be at least one system node pool: ${pool.name} is the last.`);
  store.work(pool, 'Deleting', callsToChange, () => store.drop(pool.id));
};
