import { fail } from '@groundplane/protocol/failure';
import type { MachineProvider, OpenMachines } from '../../port/provider.ts';
import { ensureEndpoint } from './endpoint.ts';
import { resolveImage } from './images.ts';
import { deleteMachine, ensureMachine, listMachines } from './machines.ts';
import { ensureNetwork } from './network.ts';
import { readOffers } from './offers.ts';
import { checkAccount, machinePermissions } from './permissions.ts';
import { createSession } from './session.ts';
import { ensureNothingLeft, findTagged } from './teardown.ts';

/** Google Compute Engine: plain calls, with Google's own library for the login (ADR 0018). */
export const openGoogle: OpenMachines<'google', 'google'> = async (deps) => {
  const session = createSession(deps);
  return {
    check: (placement) => checkAccount(session, placement?.project, machinePermissions),
    offers: (placement) => readOffers(session, placement.project, placement.region),
    findTagged: async ({ project = deps.settings.project }) =>
      project === undefined
        ? fail('blocked', 'choice-missing', 'Google project', 'neither the placement nor the account names one')
        : findTagged(session, project),
    ensureNetwork: (scope) => ensureNetwork(session, scope),
    ensureEndpoint: (scope, servers) => ensureEndpoint(session, scope, servers),
    ensureMachine: (scope, want) => ensureMachine(session, scope, want),
    resolveImage: (_scope, size, choice) => resolveImage(session, size, choice),
    listMachines: (scope) => listMachines(session, scope),
    deleteMachine: (scope, name) => deleteMachine(session, scope, name),
    ensureNothingLeft: (scope) => ensureNothingLeft(session, scope),
  } satisfies MachineProvider<'google'>;
};
