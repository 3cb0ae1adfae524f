import { writeFrame } from '@groundplane/protocol/frame';
import type { HubMessage } from '@groundplane/protocol/messages';
import type { Fleet, HostEntry } from '../fleet/index.ts';
import type { Peer } from '../port/carrier.ts';
import type { Store } from '../port/store.ts';

type SiteMessage = Extract<HubMessage, { t: 'site' }>;

/** What is known of one connection. */
export interface SiteSession {
  host: string;
  peer: Pick<Peer, 'send'>;
  canSite: boolean;
  /** The last that it was told. */
  site: string | undefined;
}

/** What the others want to know of a host, so that a change of it is news to them. */
export const siteMark = (host: HostEntry): string => JSON.stringify([host.node ?? null, host.address ?? null, host.sealKey ?? null]);

/** What hosts of one cluster have to know of each other. The hub only carries it: invitations are sealed from host to host. */
export const createSites = ({ store, fleet, sessionOf }: { store: Store; fleet: Fleet; sessionOf: (host: string) => SiteSession | undefined }) => {
  const membersOf = (host: HostEntry): HostEntry[] => {
    const cluster = fleet.clusterOf(host.id);
    return (cluster?.hosts ?? []).flatMap((name) => {
      const member = fleet.hostByName(host.tenant, host.project, name);
      return member?.state === 'approved' ? [member] : [];
    });
  };

  /** Undefined where the host belongs to no cluster. */
  const messageFor = async (host: HostEntry): Promise<SiteMessage | undefined> => {
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
  };

  /** Tells a host what is news to it. Clusters whose hosts bring up no Kubernetes have nothing to tell. */
  const tell = async (session: SiteSession): Promise<void> => {
    const host = fleet.host(session.host);
    if (!session.canSite || host === undefined || membersOf(host).every((member) => member.node === undefined)) return;
    const message = await messageFor(host);
    const text = message === undefined ? undefined : writeFrame(message);
    if (text === undefined || text === session.site || sessionOf(session.host) !== session) return;
    session.site = text;
    session.peer.send(text);
  };

  return {
    tell,
    tellAll: async (host: HostEntry): Promise<void> => {
      for (const member of membersOf(host)) {
        const session = sessionOf(member.id);
        if (session !== undefined) await tell(session);
      }
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
