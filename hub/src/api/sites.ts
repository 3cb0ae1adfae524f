import type { CarriedHostView, SiteHostView, SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import { ok } from '@groundplane/protocol/failure';
import type { ClusterEntry, HostEntry } from '../fleet/index.ts';
import { notFound } from './errors.ts';
import { limitOf, type ApiDeps, type Handler } from './handler.ts';
import { hostSummary } from './hosts.ts';

/** The label that says where a host is; a ticket gives it, so that it holds in the lobby already. */
const siteLabel = 'site';

interface Site {
  name: string;
  by: 'label' | 'cluster';
  hosts: HostEntry[];
}

const clusterOf = (deps: ApiDeps, host: HostEntry): ClusterEntry | undefined =>
  host.cluster === undefined ? deps.fleet.clusterOf(host.id) : deps.fleet.cluster(host.cluster);

/** A host says itself where it is; else its cluster does; else the cluster is the place. */
const placeOf = (host: HostEntry, cluster: ClusterEntry | undefined): Pick<Site, 'name' | 'by'> | undefined => {
  const label = host.labels[siteLabel] || cluster?.labels[siteLabel];
  if (label !== undefined && label !== '') return { name: label, by: 'label' };
  return cluster === undefined ? undefined : { name: cluster.name, by: 'cluster' };
};

/** All sites of a project, from memory. */
const sitesOf = (deps: ApiDeps, tenant: string, project: string): { sites: Map<string, Site>; elsewhere: number } => {
  const sites = new Map<string, Site>();
  let elsewhere = 0;
  for (const host of deps.fleet.hosts()) {
    if (host.tenant !== tenant || host.project !== project || host.state === 'revoked') continue;
    const place = placeOf(host, clusterOf(deps, host));
    if (place === undefined) {
      elsewhere += 1;
      continue;
    }
    const site = sites.get(place.name) ?? { ...place, hosts: [] };
    if (place.by === 'label') site.by = 'label';
    site.hosts.push(host);
    sites.set(place.name, site);
  }
  return { sites, elsewhere };
};

const newest = (times: readonly (number | undefined)[]): number | undefined =>
  times.reduce((max, time) => (time === undefined ? max : Math.max(max ?? time, time)), undefined);

const summaryOf = (deps: ApiDeps, { name, by, hosts }: Site): SiteSummaryView => {
  const approved = hosts.filter((host) => host.state === 'approved');
  const away = approved.filter((host) => !host.online);
  const offlineSinceMs = newest(away.map((host) => host.lastSeenMs));
  const carriedMs = newest(hosts.map((host) => host.carried?.receivedAtMs));
  const clusters = new Map(hosts.map((host) => clusterOf(deps, host)).flatMap((cluster) => (cluster === undefined ? [] : [[cluster.name, cluster] as const])));
  return {
    name,
    by,
    hosts: approved.length,
    online: approved.length - away.length,
    lobby: hosts.length - approved.length,
    simulated: hosts.some((host) => host.simulated),
    clusters: [...clusters.values()].map((cluster) => ({ name: cluster.name, state: cluster.state })).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ...(offlineSinceMs === undefined ? {} : { offlineSinceMs }),
    sharing: approved.filter((host) => host.blobs !== undefined).length,
    ...(carriedMs === undefined ? {} : { carriedMs }),
  };
};

/** One page by name; `after` is the last name of the page before. */
const pageByName = <T>(items: readonly T[], nameOf: (item: T) => string, query: { after?: string | undefined; limit?: number | undefined }) => {
  const limit = limitOf(query);
  const rest = items
    .filter((item) => query.after === undefined || nameOf(item) > query.after)
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
  const shown = rest.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown, ...(rest.length > limit && last !== undefined ? { next: nameOf(last) } : {}) };
};

export const listSites: Handler<'listSites'> = async ({ principal, project, query }, deps) => {
  const { sites, elsewhere } = sitesOf(deps, principal.tenant, project);
  const { items, ...next } = pageByName([...sites.values()], (site) => site.name, query);
  return ok({ items: items.map((site) => summaryOf(deps, site)), ...next, elsewhere });
};

const siteHost = (deps: ApiDeps, host: HostEntry, project: string): SiteHostView => ({
  ...hostSummary(deps, host, project),
  ...(host.blobs === undefined ? {} : { shares: { addresses: [...host.blobs.addresses], port: host.blobs.port } }),
  ...(host.carried === undefined ? {} : { carried: host.carried }),
});

export const getSite: Handler<'getSite'> = async ({ principal, params, project }, deps) => {
  const site = sitesOf(deps, principal.tenant, project).sites.get(params.name);
  if (site === undefined) return notFound(`site ${params.name}`, 'See: gp get sites');
  const members = site.hosts.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((host) => siteHost(deps, host, params.project));
  return ok({ ...summaryOf(deps, site), members });
};

export const listReceipts: Handler<'listReceipts'> = async ({ principal, project, query }, deps) => {
  const hosts = [...deps.fleet.hosts()].filter(
    (host) => host.tenant === principal.tenant && host.project === project && host.state === 'approved' && host.carried !== undefined,
  );
  const { items, ...next } = pageByName(hosts, (host) => host.name, query);
  return ok({
    items: items.map((host): CarriedHostView => {
      const cluster = clusterOf(deps, host);
      return {
        host: host.name,
        ...(cluster === undefined ? {} : { cluster: cluster.name }),
        online: host.online,
        generationWanted: host.desired?.generation ?? 0,
        seq: 0,
        ...host.carried,
      };
    }),
    ...next,
  });
};
