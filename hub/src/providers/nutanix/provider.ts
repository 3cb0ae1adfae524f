import { ready, type MachineProvider, type OpenMachines } from '../../port/provider.ts';
import { ensureCategory } from './category.ts';
import { chooseCluster, chooseSubnet, resolveImage } from './choices.ts';
import { deleteMachine, ensureMachine, listMachines, type Memory } from './machines.ts';
import { checkAccount, readOffers } from './offers.ts';
import { createSession } from './session.ts';
import { ensureNothingLeft, findTagged } from './teardown.ts';

const apiPort = 6_443;

/** Nutanix AHV by version 4 of Prism Central's API. */
export const openNutanix: OpenMachines<'nutanix', 'nutanix'> = async (deps) => {
  const session = createSession(deps);
  const memory: Memory = { attempts: new Map(), missed: new Map() };
  return {
    check: () => checkAccount(session, deps.secret),
    offers: () => readOffers(session),
    findTagged: () => findTagged(session),
    /** There is no network to make: the category, and whether cluster and subnet are there. */
    ensureNetwork: async (scope) => {
      const cluster = await chooseCluster(session, scope.placement.cluster);
      if (!cluster.ok) return cluster;
      const subnet = await chooseSubnet(session, scope.placement.subnet, cluster.value);
      if (!subnet.ok) return subnet;
      const category = await ensureCategory(session, scope);
      return category.ok ? ready(undefined) : category;
    },
    ensureEndpoint: (scope) => Promise.resolve(ready({ kind: 'vip', host: scope.placement.vip, port: apiPort })),
    ensureMachine: (scope, want) => ensureMachine(session, deps.clock, scope, want, memory),
    resolveImage: (_scope, _size, choice) => resolveImage(session, choice),
    listMachines: (scope) => listMachines(session, scope),
    deleteMachine: (scope, name) => deleteMachine(session, scope, name),
    ensureNothingLeft: (scope) => ensureNothingLeft(session, scope),
  } satisfies MachineProvider<'nutanix'>;
};
