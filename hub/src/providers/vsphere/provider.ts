import { ok, type Result } from '@groundplane/protocol/failure';
import { ready, type MachineProvider, type OpenMachines } from '../../port/provider.ts';
import { ensureFolder } from './folder.ts';
import { deleteMachine, ensureMachine, listMachines } from './machines.ts';
import { checkAccount, readOffers } from './offers.ts';
import { createSession } from './session.ts';
import { choosePlug, resolveImage, siteOf, type Scope, type Site } from './site.ts';
import { createTasks } from './tasks.ts';
import { ensureNothingLeft, findTagged } from './teardown.ts';

/** Where kube-apiserver listens on the address that the control planes move between them. */
const apiPort = 6_443;

/** VMware vSphere 6.7 and newer by its SOAP API. */
export const openVsphere: OpenMachines<'vsphere', 'vsphere'> = async (deps) => {
  const session = createSession(deps);
  const tasks = createTasks(session);
  const sites = new Map<string, Site>();
  const at = async <T>(scope: Scope, act: (site: Site) => Promise<Result<T>>): Promise<Result<T>> => {
    const key = scope.placement.datacenter;
    const known = sites.get(key);
    const site = known === undefined ? await siteOf(session, scope.placement) : ok(known);
    if (!site.ok) return site;
    sites.set(key, site.value);
    const done = await act(site.value);
    // Whatever failed: it may be that the datacenter is another one by now.
    if (!done.ok) sites.delete(key);
    return done;
  };
  return {
    check: (placement) => checkAccount(session, placement),
    offers: (placement) => readOffers(session, placement),
    findTagged: () => findTagged(session),
    /** There is no network to make: the folder, and whether the named network is there. */
    ensureNetwork: (scope) =>
      at(scope, async (site) => {
        const folder = await ensureFolder(site, scope);
        if (!folder.ok) return folder;
        const { network } = scope.placement;
        const plug = network === undefined ? undefined : await choosePlug(site, network);
        return plug?.ok === false ? plug : ready(undefined);
      }),
    ensureEndpoint: (scope) => Promise.resolve(ready({ kind: 'vip', host: scope.placement.vip, port: apiPort })),
    ensureMachine: (scope, want) => at(scope, (site) => ensureMachine(site, scope, want, tasks)),
    resolveImage: (scope, _size, choice) => at(scope, (site) => resolveImage(site, choice)),
    listMachines: (scope) => at(scope, (site) => listMachines(site, scope)),
    deleteMachine: (scope, name) => at(scope, (site) => deleteMachine(site, scope, name, tasks)),
    ensureNothingLeft: (scope) => at(scope, (site) => ensureNothingLeft(site, scope, tasks)),
  } satisfies MachineProvider<'vsphere'>;
};
