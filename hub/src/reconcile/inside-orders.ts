import { isInside } from '@groundplane/protocol/environment/infrastructure';
import type { Fleet } from '../fleet/index.ts';
import { insideAgents } from '../inside/agent-setting.ts';
import type { Assignment } from '../plan/assignments.ts';
import type { Store } from '../port/store.ts';

/**
 * Tells agents inside of clusters what they are there for. One that may only look has no part in its cluster and no bundle, and is told so all the same: it gives
 * its rights back by that, and learns which agent to run.
 */
export const withOrders = async (
  { fleet, store }: { fleet: Fleet; store: Pick<Store, 'get'> },
  wanted: readonly Assignment[],
  clusters: readonly string[],
): Promise<Assignment[]> => {
  const all = new Map(wanted.map((item) => [item.host, item]));
  for (const id of clusters) {
    const cluster = fleet.cluster(id);
    const infrastructure = cluster?.spec.infrastructure;
    if (cluster === undefined || infrastructure === undefined || !isInside(infrastructure)) continue;
    const agent = (await insideAgents(store, cluster.tenant))?.agent;
    const asked = infrastructure.placement['mode'] === 'read-only' ? 'read-only' : 'full';
    for (const machine of fleet.machinesOf(id)) {
      const host = fleet.hostOfMachine(machine);
      if (host === undefined || host.state !== 'approved') continue;
      const part = all.get(host.id) ?? { tenant: host.tenant, host: host.id, cluster: undefined, bundle: undefined, inputs: '' };
      // A member whose bundle cannot be made goes on with the one it has.
      if (!all.has(host.id) && asked === 'full' && !cluster.deleting) continue;
      const mode = cluster.deleting ? 'gone' : part.cluster === undefined ? 'read-only' : 'full';
      all.set(host.id, { ...part, inside: { mode, ...(agent === undefined ? {} : { agent }) } });
    }
  }
  return [...all.values()];
};
