import { ok, type Result } from '@groundplane/protocol/failure';
import type { ManagedClusterProvider, Offers, OpenManaged } from '../../port/provider.ts';
import type { Cloud } from '../azure/network.ts';
import { readOffers } from '../azure/offers.ts';
import { checkAccount, managedActions } from '../azure/permissions.ts';
import { call, createSession } from '../azure/session.ts';
import { findTagged } from '../azure/teardown.ts';
import { credentials } from './access.ts';
import { ensureCluster, ensureNothingLeft, observe, upgrade } from './cluster.ts';
import { deletePool, ensurePool, listPools } from './pools.ts';

const newestFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true });

const versionsOf = async (cloud: Cloud, location: string): Promise<Result<NonNullable<Offers['versions']>>> => {
  const found = await call('AKS versions', () => cloud.containers.managedClusters.listKubernetesVersions(location));
  if (!found.ok) return found;
  const stable = (found.value.values ?? []).filter((item) => item.isPreview !== true);
  return ok(
    stable
      .flatMap((item) => (item.version === undefined ? [] : [{ name: item.version, ...(item.isDefault === true ? { isDefault: true } : {}) }]))
      .toSorted((a, b) => newestFirst(a.name, b.name)),
  );
};

const readManagedOffers = async (cloud: Cloud, location: string | undefined): Promise<Result<Offers>> => {
  const offers = await readOffers(cloud, location, 'Microsoft.ContainerService/managedClusters');
  if (!offers.ok || location === undefined) return offers;
  const versions = await versionsOf(cloud, location);
  if (!versions.ok) return versions;
  const images = [
    { name: 'Ubuntu', title: "Ubuntu, AKS' default" },
    { name: 'AzureLinux', title: 'Azure Linux' },
  ];
  return ok({ ...offers.value, images, versions: versions.value });
};

/** Azure Kubernetes Service, through Microsoft's own clients. */
export const openAks: OpenManaged<'aks', 'azure'> = async (deps) => {
  const session = createSession(deps);
  const at = async <T>(where: { subscription?: string | undefined }, act: (cloud: Cloud) => Promise<Result<T>>): Promise<Result<T>> => {
    const cloud = session.clients(where.subscription);
    return cloud.ok ? act(cloud.value) : cloud;
  };
  return {
    check: (placement) => checkAccount(session, placement?.subscription, managedActions),
    offers: (placement) => at(placement, (cloud) => readManagedOffers(cloud, placement.location)),
    findTagged: (where) => at(where, findTagged),
    observe: (scope) => at(scope.placement, (cloud) => observe(cloud, scope)),
    ensureCluster: (scope, version, first) => at(scope.placement, (cloud) => ensureCluster(cloud, scope, version, first)),
    upgrade: (scope, version) => at(scope.placement, (cloud) => upgrade(cloud, scope, version)),
    listPools: (scope, wants) => at(scope.placement, (cloud) => listPools(cloud, scope, wants)),
    ensurePool: (scope, want) => at(scope.placement, (cloud) => ensurePool(cloud, scope, want)),
    deletePool: (scope, name) => at(scope.placement, (cloud) => deletePool(cloud, scope, name)),
    credentials: (scope, refused) => at(scope.placement, (cloud) => credentials(session, cloud, scope, refused)),
    ensureNothingLeft: (scope) => at(scope.placement, (cloud) => ensureNothingLeft(cloud, scope)),
  } satisfies ManagedClusterProvider<'aks'>;
};
