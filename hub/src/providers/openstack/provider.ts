import type { Result } from '@groundplane/protocol/failure';
import type { MachineProvider, OpenMachines } from '../../port/provider.ts';
import { cloudOf, type Cloud } from './cluster-things.ts';
import { ensureEndpoint } from './endpoint.ts';
import { ensurePlug } from './ensure-network.ts';
import { deleteMachine, ensureMachine, listMachines, resolveImage } from './machines.ts';
import { checkAccount, readOffers } from './offers.ts';
import { createSession } from './session.ts';
import { ensureNothingLeft, findTagged } from './teardown.ts';

/** OpenStack: keystone, nova, neutron, glance, and octavia where a placement asks for it. Plain calls, no client library. */
export const openStack: OpenMachines<'openstack', 'openstack'> = async (deps) => {
  const session = createSession(deps);
  const at = async <T>(where: { region?: string | undefined }, act: (cloud: Cloud) => Promise<Result<T>>): Promise<Result<T>> => {
    const cloud = await cloudOf(session, deps.settings, where);
    return cloud.ok ? act(cloud.value) : cloud;
  };
  return {
    check: (placement) => at(placement ?? {}, checkAccount),
    offers: (placement) => at(placement, readOffers),
    findTagged: (where) => at(where, findTagged),
    ensureNetwork: (scope) =>
      at(scope.placement, async (cloud) => {
        const plug = await ensurePlug(cloud, scope);
        return plug.ok ? { ok: true, value: { state: 'ready', value: undefined } } : plug;
      }),
    ensureEndpoint: (scope, servers) => at(scope.placement, (cloud) => ensureEndpoint(cloud, scope, servers)),
    ensureMachine: (scope, want) => at(scope.placement, (cloud) => ensureMachine(cloud, scope, want)),
    resolveImage: (scope, _size, choice) => at(scope.placement, (cloud) => resolveImage(cloud, choice)),
    listMachines: (scope) => at(scope.placement, (cloud) => listMachines(cloud, scope)),
    deleteMachine: (scope, name) => at(scope.placement, (cloud) => deleteMachine(cloud, scope, name)),
    ensureNothingLeft: (scope) => at(scope.placement, (cloud) => ensureNothingLeft(cloud, scope)),
  } satisfies MachineProvider<'openstack'>;
};
