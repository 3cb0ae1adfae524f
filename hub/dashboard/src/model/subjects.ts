import type { ClusterSummaryView, EventView, HostSummaryView, ProfileSummaryView } from '@groundplane/protocol/api/views';
import type { SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import type { FilterSubject } from './filter.ts';

const flags = (entries: Readonly<Record<string, boolean>>): string[] => Object.entries(entries).flatMap(([name, isSet]) => (isSet ? [name] : []));

export const hostSubject = (host: HostSummaryView): FilterSubject => ({
  texts: [host.name, host.cluster ?? ''],
  labels: host.labels,
  fields: {
    name: host.name,
    cluster: host.cluster ?? 'none',
    phase: host.phase ?? 'none',
    is: flags({
      online: host.online,
      offline: !host.online,
      simulated: host.simulated,
      drifted: host.drifted > 0,
      late: host.generation !== (host.reportedGeneration ?? 0),
    }),
  },
});

export const clusterSubject = (cluster: ClusterSummaryView): FilterSubject => ({
  texts: [cluster.name, cluster.message, ...cluster.profiles.map((profile) => profile.name)],
  labels: cluster.labels,
  fields: {
    name: cluster.name,
    state: cluster.state,
    profile: cluster.profiles.flatMap((profile) => [profile.name, `${profile.name}@${profile.version}`]),
    is: flags({ simulated: cluster.simulated, drifted: cluster.drifted > 0, offline: cluster.online < cluster.hosts }),
  },
});

export const profileSubject = (profile: ProfileSummaryView): FilterSubject => ({
  texts: [profile.name, profile.description ?? '', ...profile.layers.flatMap((layer) => [layer.name, layer.pack.name])],
  labels: profile.labels,
  fields: {
    name: profile.name,
    state: profile.state,
    type: profile.type,
    version: profile.version,
    is: flags({ used: profile.clusters > 0, unused: profile.clusters === 0 }),
  },
});

export const eventSubject = (event: EventView): FilterSubject => ({
  texts: [event.reason, event.message, event.cluster ?? '', event.host ?? '', event.layer ?? '', event.actor ?? ''],
  labels: {},
  fields: {
    type: event.type,
    reason: event.reason,
    cluster: event.cluster ?? 'none',
    host: event.host ?? 'none',
    layer: event.layer ?? 'none',
    actor: event.actor ?? 'none',
  },
});

export const siteSubject = (site: SiteSummaryView): FilterSubject => ({
  texts: [site.name, ...site.clusters.map((cluster) => cluster.name)],
  labels: {},
  fields: {
    name: site.name,
    cluster: site.clusters.length === 0 ? 'none' : site.clusters.map((cluster) => cluster.name),
    state: site.clusters.map((cluster) => cluster.state),
    is: flags({ online: site.hosts > 0 && site.online === site.hosts, offline: site.online < site.hosts, simulated: site.simulated, waiting: site.lobby > 0 }),
  },
});
