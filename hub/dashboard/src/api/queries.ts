import { queryOptions, type QueryClient, type QueryKey } from '@tanstack/react-query';
import type { ClusterSummaryView, HostSummaryView, ProfileSummaryView, TicketView } from '@groundplane/protocol/api/views';
import { ask } from './client.ts';
import { readPages, type Listing } from './listing.ts';

/** Cache keys: resource, project, then whatever narrows it. `live.ts` invalidates by these prefixes. */
export const keys = {
  who: ['who'],
  projects: ['projects'],
  fleet: (project: string) => ['fleet', project],
  clusters: (project: string) => ['clusters', project],
  cluster: (project: string, name: string) => ['cluster', project, name],
  hosts: (project: string) => ['hosts', project],
  lobby: (project: string) => ['lobby', project],
  host: (project: string, name: string) => ['host', project, name],
  profiles: (project: string) => ['profiles', project],
  profile: (project: string, name: string, version: string) => ['profile', project, name, version],
  profileOf: (project: string, name: string) => ['profile', project, name],
  tickets: (project: string) => ['tickets', project],
  events: (project: string) => ['events', project],
  registries: (project: string) => ['registries', project],
  units: (project: string) => ['units', project],
  macros: (project: string) => ['macros', project],
  tenantMacros: ['tenant-macros'],
} satisfies Record<string, QueryKey | ((...parts: string[]) => QueryKey)>;

/** The first read shows each page as it comes; later reads replace the list in one go, so that rows do not vanish for a moment. */
const showParts =
  <T>(client: QueryClient, key: QueryKey) =>
  (part: Listing<T>): void => {
    const held = client.getQueryData<Listing<T>>(key);
    if (held === undefined || (!held.complete && held.items.length < part.items.length)) client.setQueryData(key, part);
  };

export const whoQuery = () =>
  queryOptions({ queryKey: keys.who, queryFn: () => ask('whoami', {}), staleTime: 60_000, retry: (count, error) => error.kind === 'retry' && count < 2 });

export const projectsQuery = () => queryOptions({ queryKey: keys.projects, queryFn: async () => (await ask('listProjects', { query: { limit: 500 } })).items });

export const fleetQuery = (project: string) => queryOptions({ queryKey: keys.fleet(project), queryFn: () => ask('fleet', { query: { project } }) });

export const clustersQuery = (project: string) =>
  queryOptions({
    queryKey: keys.clusters(project),
    queryFn: ({ client, queryKey }) =>
      readPages<ClusterSummaryView>((query) => ask('listClusters', { params: { project }, query }), showParts(client, queryKey)),
  });

export const clusterQuery = (project: string, name: string) =>
  queryOptions({ queryKey: keys.cluster(project, name), queryFn: () => ask('getCluster', { params: { project, name } }) });

export const hostsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.hosts(project),
    queryFn: ({ client, queryKey }) =>
      readPages<HostSummaryView>((query) => ask('listHosts', { params: { project }, query: { ...query, state: 'approved' } }), showParts(client, queryKey)),
  });

export const lobbyQuery = (project: string) =>
  queryOptions({
    queryKey: keys.lobby(project),
    queryFn: ({ client, queryKey }) =>
      readPages<HostSummaryView>((query) => ask('listHosts', { params: { project }, query: { ...query, state: 'lobby' } }), showParts(client, queryKey)),
  });

export const hostQuery = (project: string, name: string) =>
  queryOptions({ queryKey: keys.host(project, name), queryFn: () => ask('getHost', { params: { project, name } }) });

export const profilesQuery = (project: string) =>
  queryOptions({
    queryKey: keys.profiles(project),
    queryFn: ({ client, queryKey }) =>
      readPages<ProfileSummaryView>((query) => ask('listProfiles', { params: { project }, query }), showParts(client, queryKey)),
  });

export const profileQuery = (project: string, name: string, version: string) =>
  queryOptions({ queryKey: keys.profile(project, name, version), queryFn: () => ask('getProfile', { params: { project, name, version } }) });

export const ticketsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.tickets(project),
    queryFn: ({ client, queryKey }) => readPages<TicketView>((query) => ask('listTickets', { params: { project }, query }), showParts(client, queryKey)),
  });

/** The newest events, oldest first as the hub sends them. */
export const eventsQuery = (project: string, of: { cluster?: string; host?: string }, last: number) =>
  queryOptions({
    queryKey: [...keys.events(project), of, last],
    queryFn: async () => (await ask('listEvents', { params: { project }, query: { ...of, last } })).items,
  });
