import { createHmac } from 'node:crypto';
import { BlockList, isIPv6 } from 'node:net';
import { writeFrame } from '@groundplane/protocol/frame';
import { limits } from '@groundplane/protocol/limits';
import type { Neighbours } from '@groundplane/protocol/messages';
import type { Fleet, HostEntry } from '../fleet/index.ts';
import type { Peer } from '../port/carrier.ts';

/** Places that no neighbour lives at: a host that lies about its address must not send others to their own services or to a cloud's. */
const nowhere = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  nowhere.ipv4.addSubnet(network, bits, 'ipv4');
// The last one is IPv4 in other clothes. The lists are two, since Node would apply it to plain IPv4 too.
for (const [network, bits] of [
  ['::', 127],
  ['fe80::', 10],
  ['ff00::', 8],
  ['::ffff:0:0', 96],
] as const)
  nowhere.ipv6.addSubnet(network, bits, 'ipv6');

const isSomewhere = (address: string): boolean => (isIPv6(address) ? !nowhere.ipv6.check(address, 'ipv6') : !nowhere.ipv4.check(address, 'ipv4'));

/** Well-known services live below. */
const portMin = 1_024;

/**
 * Who a host may take large content from: approved hosts of its cluster that say where they are. In a large cluster those next to it in the order of ids, so that
 * a change of one address concerns few. The secret is the cluster's own and is made anew from the hub's whenever it is needed.
 */
export const neighboursOf = (
  deps: { fleet: Pick<Fleet, 'host' | 'hosts' | 'clusterOf' | 'cluster' | 'hostByName'>; secret: string },
  host: HostEntry,
): Neighbours | undefined => {
  const { fleet } = deps;
  const cluster = host.cluster === undefined ? fleet.clusterOf(host.id) : fleet.cluster(host.cluster);
  if (cluster === undefined || host.state !== 'approved') return undefined;
  const members = cluster.hosts
    .map((name) => fleet.hostByName(cluster.tenant, cluster.project, name))
    .filter((item) => item !== undefined && item.state === 'approved' && item.id !== host.id)
    .filter((item) => item !== undefined)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const next = members.findIndex((item) => item.id > host.id);
  const ring = next <= 0 ? members : [...members.slice(next), ...members.slice(0, next)];
  const hosts = ring.flatMap((item) => {
    const addresses = item.blobs?.addresses.filter(isSomewhere) ?? [];
    return item.blobs === undefined || addresses.length === 0 || item.blobs.port < portMin ? [] : [{ host: item.id, addresses, port: item.blobs.port }];
  });
  return {
    t: 'neighbours',
    cluster: cluster.id,
    secret: createHmac('sha256', deps.secret).update(`groundplane neighbours 1\n${cluster.tenant}\n${cluster.id}`).digest('base64url'),
    hosts: hosts.slice(0, limits.neighbours),
  };
};

/** What is known of one connection. */
export interface Introduced {
  host: string;
  peer: Pick<Peer, 'send'>;
  /** What it was told last; undefined: it does not want to know. */
  neighbours: string | undefined;
}

export const createIntroductions = (deps: { fleet: Fleet; secret: string; sessionOf: (host: string) => Introduced | undefined }) => {
  const { fleet } = deps;
  /** Tells a host who its neighbours are, if that is news. */
  const introduce = (session: Introduced): void => {
    const host = fleet.host(session.host);
    const message = session.neighbours === undefined || host === undefined ? undefined : neighboursOf(deps, host);
    if (message === undefined) return;
    const text = writeFrame(message);
    if (text === session.neighbours) return;
    session.neighbours = text;
    session.peer.send(text);
  };
  return {
    introduce,
    /** Somebody of this cluster came, moved or left. */
    introduceAll: (id: string | undefined): void => {
      const cluster = id === undefined ? undefined : fleet.cluster(id);
      for (const name of cluster?.hosts ?? []) {
        const host = fleet.hostByName(cluster?.tenant ?? '', cluster?.project ?? '', name);
        const session = host === undefined ? undefined : deps.sessionOf(host.id);
        if (session !== undefined) introduce(session);
      }
    },
  };
};
