import type { MachineProvider, OpenMachines } from '../../port/provider.ts';
import { checkAccount } from './check.ts';
import { ensureEndpoint } from './endpoint.ts';
import { findTagged } from './found.ts';
import { createImages, resolveImage } from './image.ts';
import { deleteMachine, ensureMachine, listMachines } from './machines.ts';
import { ensureNetwork } from './network.ts';
import { readOffers } from './offers.ts';
import { machineActions } from './permissions.ts';
import { cloudOf, createSession, type Cloud } from './session.ts';
import { ensureNothingLeft } from './teardown.ts';

/** AWS EC2: a VPC, a network load balancer for the API server, and instances. */
export const openAws: OpenMachines<'aws', 'aws'> = async (deps) => {
  const session = createSession(deps);
  const images = createImages();
  const at = (where: { region?: string | undefined } | undefined): Cloud => cloudOf(session, where?.region ?? deps.settings.region);
  return {
    check: (placement) => checkAccount(at(placement), machineActions),
    offers: (placement) => readOffers(at(placement)),
    findTagged: (where) => findTagged(at(where)),
    ensureNetwork: (scope) => ensureNetwork(at(scope.placement), scope),
    ensureEndpoint: (scope, servers) => ensureEndpoint(at(scope.placement), scope, servers),
    ensureMachine: (scope, want) => ensureMachine(at(scope.placement), images, scope, want),
    resolveImage: (scope, size, choice) => resolveImage(at(scope.placement), images, size, choice),
    listMachines: (scope) => listMachines(at(scope.placement), scope),
    deleteMachine: (scope, name) => deleteMachine(at(scope.placement), scope, name),
    ensureNothingLeft: (scope) => ensureNothingLeft(at(scope.placement), scope),
  } satisfies MachineProvider<'aws'>;
};
