import type { Result } from '@groundplane/protocol/failure';
import type { MachineProvider, OpenMachines } from '../../port/provider.ts';
import { ensureEndpoint } from './endpoint.ts';
import { resolveImage } from './images.ts';
import { deleteMachine, ensureMachine, listMachines } from './machines.ts';
import { ensureNetwork, type Cloud } from './network.ts';
import { readOffers } from './offers.ts';
import { checkAccount, machineActions } from './permissions.ts';
import { createSession } from './session.ts';
import { ensureNothingLeft, findTagged } from './teardown.ts';

/** Azure virtual machines, through Microsoft's own clients. */
export const openAzure: OpenMachines<'azure', 'azure'> = async (deps) => {
  const session = createSession(deps);
  const at = async <T>(where: { subscription?: string | undefined }, act: (cloud: Cloud) => Promise<Result<T>>): Promise<Result<T>> => {
    const cloud = session.clients(where.subscription);
    return cloud.ok ? act(cloud.value) : cloud;
  };
  return {
    check: (placement) => checkAccount(session, placement?.subscription, machineActions),
    offers: (placement) => at(placement, (cloud) => readOffers(cloud, placement.location)),
    findTagged: (where) => at(where, findTagged),
    ensureNetwork: (scope) => at(scope.placement, (cloud) => ensureNetwork(cloud, scope)),
    ensureEndpoint: (scope, servers) => at(scope.placement, (cloud) => ensureEndpoint(cloud, scope, servers)),
    ensureMachine: (scope, want) => at(scope.placement, (cloud) => ensureMachine(cloud, scope, want, deps.random)),
    resolveImage: (scope, size, choice) => at(scope.placement, (cloud) => resolveImage(cloud, scope.placement.location, size, choice)),
    listMachines: (scope) => at(scope.placement, (cloud) => listMachines(cloud, scope)),
    deleteMachine: (scope, name) => at(scope.placement, (cloud) => deleteMachine(cloud, scope, name)),
    ensureNothingLeft: (scope) => at(scope.placement, (cloud) => ensureNothingLeft(cloud, scope)),
  } satisfies MachineProvider<'azure'>;
};
