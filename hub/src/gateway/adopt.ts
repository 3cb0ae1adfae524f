import type { Version } from '@groundplane/protocol/bundle';
import { isSameVersion } from '@groundplane/protocol/version';
import type { Fleet, HostEntry } from '../fleet/index.ts';
import type { Clock } from '../port/clock.ts';
import type { Store } from '../port/store.ts';
import type { Assigner } from '../reconcile/assign.ts';

interface AdoptionDeps {
  store: Store;
  fleet: Fleet;
  assigner: Assigner;
  clock: Clock;
}

/**
 * The host is ahead of us, or of another history: this hub was restored from an older backup. It keeps what it has, and we go on above it. When we know
 * nothing that it should be, it is left as it is: losing our memory is no reason to take its workloads away.
 */
export const createAdoption =
  ({ store, fleet, assigner, clock }: AdoptionDeps) =>
  async (host: HostEntry, theirs: Version | undefined): Promise<void> => {
    const ours = host.desired;
    if (theirs === undefined || host.state !== 'approved') return;
    if (isSameVersion(ours, theirs) || (ours?.epoch === theirs.epoch && theirs.generation < ours.generation)) return;
    const row = ours === undefined ? undefined : await store.get('desired', host.tenant, host.id);
    if (row === undefined) fleet.noteHeld(host.id, theirs);
    else {
      const { desired, inputs } = row.value;
      // All of it: a host that was let go and heard only that it has no cluster any more would take away what goes on without it.
      const { cluster, bundle, detached, inside } = desired;
      const same = { tenant: host.tenant, host: host.id, cluster, bundle, inputs, inside, ...(detached === undefined ? {} : { detached }) };
      await assigner.assign([same], new Map([[host.id, theirs]]));
    }
    await store.commit([
      {
        op: 'event',
        event: {
          tenant: host.tenant,
          project: host.project,
          host: host.name,
          atMs: clock.wallMs(),
          type: 'warning',
          reason: 'HostAhead',
          message: `host ${host.name} holds generation ${theirs.generation} (epoch ${theirs.epoch}), ahead of this hub; its next generation is above that`,
        },
      },
    ]);
  };
