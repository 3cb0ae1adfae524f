import type { HubMessage } from '@groundplane/protocol/messages';
import type { Fleet, HostEntry } from '../fleet/index.ts';
import type { Store } from '../port/store.ts';

type SiteMessage = Extract<HubMessage, { t: 'site' }>;

/** What hosts of one cluster have to know of each other. The hub only carries it: invitations are sealed from host to host. */
export const createSites = ({ store, fleet }: { store: Store; fleet: Fleet }) => {
  const membersOf = (host: HostEntry): HostEntry[] => {
    const cluster = fleet.clusterOf(host.id);
    return (cluster?.hosts ?? []).flatMap((name) => {
      const member = fleet.hostByName(host.tenant, host.project, name);
      return member?.state === 'approved' ? [member] : [];
    });
  };

  return {
    membersOf,
    /** Undefined where the host belongs to no cluster. */
    message: async (host: HostEntry): Promise<SiteMessage | undefined> => {
      const cluster = fleet.clusterOf(host.id);
      if (cluster === undefined) return undefined;
      const invitation = await store.get('invitation', host.tenant, host.id);
      return {
        t: 'site',
        cluster: cluster.id,
        neighbours: membersOf(host).map(({ id, name, address, sealKey, node }) => ({
          host: id,
          name,
          ...(address === undefined ? {} : { address }),
          ...(sealKey === undefined ? {} : { sealKey }),
          isWaiting: node === 'waiting',
        })),
        ...(invitation?.value.cluster === cluster.id && host.node !== 'joined' ? { invitation: invitation.value.sealed } : {}),
      };
    },
    /** Keeps an invitation from one host of a cluster to another one of it; anything else is dropped. Answers for whom it is. */
    invite: async (from: HostEntry, message: { cluster: string; host: string; sealed: string }): Promise<HostEntry | undefined> => {
      const cluster = fleet.clusterOf(from.id);
      const to = membersOf(from).find((member) => member.id === message.host);
      if (cluster?.id !== message.cluster || to === undefined || to.id === from.id) return undefined;
      const value = { cluster: cluster.id, sealed: message.sealed };
      const done = await store.commit([{ op: 'put', kind: 'invitation', tenant: to.tenant, id: to.id, project: '', name: to.id, value }]);
      return done.ok ? to : undefined;
    },
  };
};
