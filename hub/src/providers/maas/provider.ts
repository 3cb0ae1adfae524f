import { ok, type Result } from '@groundplane/protocol/failure';
import { ready, type MachineProvider, type OpenMachines } from '../../port/provider.ts';
import { deleteMachine, ensureMachine, ensureNothingLeft, findTagged, listMachines, whoAmI } from './machines.ts';
import { checkAccount, checkPlacement, readOffers } from './offers.ts';
import { createSession } from './session.ts';

const apiPort = 6_443;

/** Canonical MAAS by its REST API 2.0. */
export const openMaas: OpenMachines<'maas', 'maas'> = async (deps) => {
  const session = createSession(deps);
  let user: string | undefined;
  const turns = new Map<string, Promise<unknown>>();

  const asUser = async <T>(act: (name: string) => Promise<Result<T>>): Promise<Result<T>> => {
    const known = user === undefined ? await whoAmI(session) : ok(user);
    if (!known.ok) return known;
    user = known.value;
    return act(known.value);
  };
  /** One after the other in a cluster: between an allocation and its name, a second one would take it for left over. */
  const inTurn = async <T>(cluster: string, act: () => Promise<Result<T>>): Promise<Result<T>> => {
    const before = turns.get(cluster) ?? Promise.resolve();
    const turn = before.then(act);
    turns.set(cluster, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(cluster) === turn) turns.delete(cluster);
    }
  };
  return {
    check: (placement) => checkAccount(session, placement),
    offers: (placement) => readOffers(session, placement),
    findTagged: (where) => findTagged(session, where.resourcePool),
    ensureNetwork: async (scope) => {
      const checked = await checkPlacement(session, scope.placement);
      return checked.ok ? ready(undefined) : checked;
    },
    ensureEndpoint: (scope) => Promise.resolve(ready({ kind: 'vip', host: scope.placement.vip, port: apiPort })),
    ensureMachine: (scope, want) => inTurn(scope.id, () => asUser((name) => ensureMachine(session, name, scope, want))),
    listMachines: (scope) => asUser((name) => listMachines(session, name, scope)),
    deleteMachine: (scope, machine) => asUser((name) => deleteMachine(session, name, scope, machine)),
    ensureNothingLeft: (scope) => inTurn(scope.id, () => asUser((name) => ensureNothingLeft(session, name, scope))),
  } satisfies MachineProvider<'maas'>;
};
