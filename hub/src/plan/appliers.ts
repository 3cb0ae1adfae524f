import type { Desired, DesiredLease } from '@groundplane/protocol/bundle';
import type { ClusterState } from '@groundplane/protocol/cluster-state';
import { digestOf } from '@groundplane/protocol/digest';
import type { HostEntry } from '../fleet/index.ts';

/** What a host was told last about applying. */
export interface ToldDuty {
  alone: boolean;
  lease: { from: string | undefined; sinceMs: number; list: string } | undefined;
}

export const toldDuty = (cluster: Desired['cluster']): ToldDuty | undefined =>
  cluster === undefined || cluster.site !== undefined
    ? undefined
    : {
        alone: cluster.applier,
        lease: cluster.lease === undefined ? undefined : { from: cluster.lease.from, sinceMs: cluster.lease.sinceMs, list: digestOf(cluster.lease.hosts) },
      };

type Member = Pick<HostEntry, 'id' | 'cluster' | 'canTakeOver' | 'told'>;

/**
 * Which hosts of a Kubernetes that was there before them may apply. One alone does without a Lease. Several share the duty by a Lease, from when on whoever applied
 * before knows how to hand over; an agent that is too old for that is never told to apply beside them. What was shared once (`wasShared`) stays shared.
 */
export const planAppliers = (
  { id, wasShared }: { id: string; wasShared: boolean },
  members: readonly Member[],
  nowMs: number,
): (Pick<NonNullable<Desired['cluster']>, 'applier' | 'lease'> & { host: string })[] => {
  const told = members.flatMap((host) => (host.cluster === id && host.told !== undefined ? [{ ...host.told, host }] : []));
  const alone = told.find((item) => item.alone)?.host;
  const able = members.filter((host) => host.canTakeOver);
  const isShared = able.length > 0 && (wasShared || (able.length > 1 && (alone === undefined || alone.canTakeOver)));
  // Whoever applies alone and could hand over stays it until it can: another one would not know what it owns.
  const only = alone?.canTakeOver === true ? alone : members[0];
  if (!isShared) return members.map((host) => ({ host: host.id, applier: host === only }));
  const hosts = able.map((host) => host.id).toSorted();
  const newest = told.flatMap((item) => item.lease ?? []).toSorted((a, b) => b.sinceMs - a.sinceMs)[0];
  const sinceMs = newest === undefined ? nowMs : newest.list === digestOf(hosts) ? newest.sinceMs : Math.max(nowMs, newest.sinceMs + 1);
  const first = newest === undefined ? alone?.id : newest.from;
  const lease: DesiredLease = { hosts, sinceMs, ...(first !== undefined && hosts.includes(first) ? { from: first } : {}) };
  return members.map((host) => ({ host: host.id, applier: false, ...(host.canTakeOver ? { lease } : {}) }));
};

type Reporter = Pick<HostEntry, 'id' | 'name' | 'online' | 'applier' | 'why' | 'isKeeper'>;

/** The host that looks after the cluster, as its hosts tell: one that is connected before one that was. */
export const applierAmong = <H extends Pick<Reporter, 'online' | 'applier' | 'isKeeper'>>(hosts: readonly H[]): H | undefined => {
  const holders = hosts.filter((host) => host.isKeeper || host.applier === 'holds');
  return holders.find((host) => host.online) ?? holders[0];
};

/** Whether its hosts share the duty to apply. */
export const isShared = (hosts: readonly Pick<Reporter, 'applier'>[]): boolean => hosts.some((host) => host.applier !== undefined);

/**
 * Whether a host is told as blocked only because its own way to the API server is closed, while another one applies: then nothing of the cluster is.
 */
export const isExcused = (host: Pick<HostEntry, 'applier' | 'phase' | 'isApartOnly'>, hosts: readonly Reporter[]): boolean =>
  host.applier === 'cannot' && host.phase === 'blocked' && host.isApartOnly && applierAmong(hosts) !== undefined;

const whyNot = (hosts: readonly Reporter[]): string => {
  const named = (text: string): string => hosts.reduce((words, host) => words.replaceAll(host.id, host.name), text);
  return hosts
    .filter((host) => host.applier === 'cannot' || host.applier === 'waits')
    .slice(0, 5)
    .map((host) => `${host.name}: ${named(host.why ?? '')}`)
    .join('; ');
};

/** Its hosts are all well, and nobody applies: then the cluster is not. */
export const withoutApplier = (hosts: readonly Reporter[]): { state: ClusterState; message: string } | undefined => {
  if (!isShared(hosts) || applierAmong(hosts) !== undefined) return undefined;
  const isStuck = hosts.every((host) => host.applier === undefined || host.applier === 'cannot');
  return { state: isStuck ? 'blocked' : 'applying', message: `no host holds the cluster's Lease, so nobody applies. ${whyNot(hosts)}` };
};

/** The condition Applier: who applies, who would, and who cannot. */
export const applierCondition = (hosts: readonly Reporter[]): { type: string; status: 'True' | 'False' | 'Unknown'; reason: string; message: string }[] => {
  if (!isShared(hosts)) return [];
  const holder = applierAmong(hosts);
  if (holder === undefined) return [{ type: 'Applier', status: 'False', reason: 'nobody', message: withoutApplier(hosts)?.message ?? '' }];
  const waiting = hosts.filter((host) => host !== holder && host.online && host.applier === 'waits').map((host) => host.name);
  const cannot = hosts.filter((host) => host !== holder && host.applier === 'cannot');
  const next = waiting.length === 0 ? 'No other connected host could take over.' : `Ready to take over: ${waiting.slice(0, 10).join(', ')}.`;
  const others = cannot.length === 0 ? '' : ` Not able to: ${whyNot(cannot)}`;
  return [
    holder.online
      ? { type: 'Applier', status: 'True', reason: 'held', message: `${holder.name} holds the Lease and applies. ${next}${others}` }
      : { type: 'Applier', status: 'Unknown', reason: 'offline', message: `${holder.name} held the Lease when it was last heard of. ${next}${others}` },
  ];
};
