import type { ManagedClusterProvider, OpenManaged } from '../../port/provider.ts';
import { checkAccount } from '../aws/check.ts';
import { createSession } from '../aws/session.ts';
import { credentials, ensureCluster, observe, upgrade } from './cluster.ts';
import { readOffers, readVersions } from './offers.ts';
import { managedActions } from './permissions.ts';
import { deletePool, ensurePool, listPools } from './pools.ts';
import { createClients } from './read.ts';
import { ensureNothingLeft, findTagged } from './teardown.ts';

/** Amazon EKS: network and roles as AWS EC2's, a control plane, managed node groups, access entries and add-ons. */
export const openEks: OpenManaged<'eks', 'aws'> = async (deps) => {
  const clients = createClients(createSession(deps));
  const at = (where: { region?: string | undefined } | undefined) => clients(where?.region ?? deps.settings.region);
  return {
    check: (placement) => checkAccount(at(placement), managedActions),
    offers: (placement) => readOffers(at(placement)),
    findTagged: (where) => findTagged(at(where)),
    observe: (scope) => observe(at(scope.placement), scope),
    ensureCluster: (scope, version) => ensureCluster(at(scope.placement), scope, version),
    upgrade: (scope, version) => upgrade(at(scope.placement), scope, version),
    listPools: (scope, wants) => listPools(at(scope.placement), scope, wants),
    ensurePool: (scope, want) => ensurePool(at(scope.placement), scope, want),
    deletePool: (scope, name) => deletePool(at(scope.placement), scope, name),
    credentials: (scope, refused) => credentials(at(scope.placement), scope, refused),
    versions: (placement) => readVersions(at(placement)),
    ensureNothingLeft: (scope) => ensureNothingLeft(at(scope.placement), scope),
  } satisfies ManagedClusterProvider<'eks'>;
};
