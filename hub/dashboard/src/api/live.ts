import type { QueryClient } from '@tanstack/react-query';
import type { FleetView, HostView, ClusterView, ClusterSummaryView, HostSummaryView } from '@groundplane/protocol/api/views';
import { after, nowMs } from '../clock.ts';
import { ask, type ApiError } from './client.ts';
import { placeKeys } from './queries-places.ts';
import { patchListing, type Listing } from './listing.ts';
import { keys } from './queries.ts';

export const changeKinds = ['cluster', 'host', 'profile', 'ticket', 'project', 'macro'] as const;
export interface Change {
  kind: (typeof changeKinds)[number];
  project: string;
  name: string;
}
export interface Frame {
  changes: Change[];
  /** New events were written. */
  events: boolean;
  fleet: FleetView | undefined;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isChange = (value: unknown): value is Change =>
  isRecord(value) && changeKinds.some((kind) => kind === value['kind']) && typeof value['project'] === 'string' && typeof value['name'] === 'string';

/** Reads a frame of the stream; parts that are not understood are left out, since a newer hub may say more. */
export const parseFrame = (text: string): Frame | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return undefined;
    const changes = Array.isArray(value['changes']) ? value['changes'].filter(isChange) : [];
    return { changes, events: value['events'] === true, fleet: isRecord(value['fleet']) ? (value['fleet'] as FleetView) : undefined };
  } catch {
    return undefined;
  }
};

export const joinFrames = (first: Frame, second: Frame): Frame => ({
  changes: [...new Map([...first.changes, ...second.changes].map((change) => [`${change.kind}/${change.project}/${change.name}`, change])).values()],
  events: first.events || second.events,
  fleet: second.fleet ?? first.fleet,
});

/** The hub names at most this many things in a frame; a full one may stand for more. */
const namesMax = 200;
/** Up to this many changed things are read one by one into a long list; with more of them, reading the list again costs less. */
const readSinglyMax = 12;
/** A list of more rows than this is patched row by row; shorter ones are simply read again. */
const shortList = 200;

const gone = (error: unknown): undefined => {
  if ((error as Partial<ApiError>).status === 404) return undefined;
  throw error;
};

const summaryOf = (cluster: ClusterView): ClusterSummaryView => ({
  ...cluster,
  hosts: cluster.hosts.length,
  online: cluster.hosts.filter((host) => host.online).length,
});

const patchHosts = async (client: QueryClient, project: string, names: readonly string[]): Promise<void> => {
  for (const name of names) {
    const host: HostView | undefined = await ask('getHost', { params: { project, name } }).catch(gone);
    for (const [key, state] of [
      [keys.hosts(project), 'approved'],
      [keys.lobby(project), 'lobby'],
    ] as const) {
      client.setQueryData<Listing<HostSummaryView>>(key, (held) => held && patchListing(held, name, host?.state === state ? host : undefined));
    }
  }
};

const patchClusters = async (client: QueryClient, project: string, names: readonly string[]): Promise<void> => {
  for (const name of names) {
    const cluster = await ask('getCluster', { params: { project, name } }).catch(gone);
    client.setQueryData<Listing<ClusterSummaryView>>(keys.clusters(project), (held) => held && patchListing(held, name, cluster && summaryOf(cluster)));
  }
};

const isLong = (client: QueryClient, key: readonly string[]): boolean => (client.getQueryData<Listing<unknown>>(key)?.items.length ?? 0) > shortList;

/** A long list costs many requests, so it is read again at most this often. */
const longListPauseMs = 10_000;
const readAtMs = new Map<string, number>();
const planned = new Set<string>();

const readAgain = async (client: QueryClient, key: readonly string[]): Promise<void> => {
  const id = key.join(' ');
  const waitMs = (readAtMs.get(id) ?? 0) + longListPauseMs - nowMs();
  if (!isLong(client, key) || waitMs <= 0) {
    readAtMs.set(id, nowMs());
    return client.invalidateQueries({ queryKey: key });
  }
  if (planned.has(id)) return;
  planned.add(id);
  after(waitMs, () => {
    planned.delete(id);
    readAtMs.set(id, nowMs());
    void client.invalidateQueries({ queryKey: key });
  });
};

const refreshHosts = async (client: QueryClient, project: string, names: readonly string[], isFull: boolean): Promise<void> => {
  const isListLong = isLong(client, keys.hosts(project)) || isLong(client, keys.lobby(project));
  if (isListLong && !isFull && names.length <= readSinglyMax) return patchHosts(client, project, names);
  await Promise.all([readAgain(client, keys.hosts(project)), readAgain(client, keys.lobby(project))]);
};

const refreshClusters = async (client: QueryClient, project: string, names: readonly string[], isFull: boolean): Promise<void> => {
  if (isLong(client, keys.clusters(project)) && !isFull && names.length <= readSinglyMax) return patchClusters(client, project, names);
  await readAgain(client, keys.clusters(project));
};

const namesOf = (changes: readonly Change[], kind: Change['kind']): string[] => [
  ...new Set(changes.filter((change) => change.kind === kind).map((change) => change.name)),
];

/** Sites are counted on the hub; the counts of a project are one request, and no more often than a long list. */
const refreshPlaces = async (client: QueryClient, project: string): Promise<void> => {
  await Promise.all([placeKeys.sites(project), placeKeys.siteOf(project), placeKeys.receipts(project)].map((key) => readAgain(client, key)));
};

/** Brings the cache up to what a frame says changed: the single things at once, long lists row by row. */
export const applyFrame = async (client: QueryClient, project: string, frame: Frame): Promise<void> => {
  if (frame.fleet !== undefined) client.setQueryData(keys.fleet(project), frame.fleet);
  const here = frame.changes.filter((change) => change.project === project);
  const hosts = namesOf(here, 'host');
  const clusters = namesOf(here, 'cluster');
  const work: Promise<unknown>[] = [];
  for (const name of hosts) work.push(client.invalidateQueries({ queryKey: keys.host(project, name) }));
  for (const name of clusters) work.push(client.invalidateQueries({ queryKey: keys.cluster(project, name) }));
  const isFull = frame.changes.length >= namesMax;
  if (hosts.length + clusters.length > 0 || isFull) work.push(refreshPlaces(client, project));
  if (hosts.length > 0 || isFull) work.push(refreshHosts(client, project, hosts, isFull));
  if (clusters.length > 0 || isFull) work.push(refreshClusters(client, project, clusters, isFull));
  for (const name of namesOf(here, 'profile')) work.push(client.invalidateQueries({ queryKey: keys.profileOf(project, name) }));
  if (here.some((change) => change.kind === 'profile')) {
    work.push(client.invalidateQueries({ queryKey: keys.profiles(project) }), client.invalidateQueries({ queryKey: keys.units(project) }));
  }
  if (here.some((change) => change.kind === 'ticket')) work.push(client.invalidateQueries({ queryKey: keys.tickets(project) }));
  if (frame.changes.some((change) => change.kind === 'macro')) {
    work.push(client.invalidateQueries({ queryKey: keys.macros(project) }), client.invalidateQueries({ queryKey: keys.tenantMacros }));
  }
  if (frame.changes.some((change) => change.kind === 'project')) work.push(client.invalidateQueries({ queryKey: keys.projects }));
  if (frame.events) work.push(client.invalidateQueries({ queryKey: keys.events(project) }));
  await Promise.all(work);
};

/** After a gap the stream may have skipped what happened meanwhile, so everything on screen is read again. */
export const refreshProject = async (client: QueryClient, project: string): Promise<void> => {
  await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[1] === project });
};
