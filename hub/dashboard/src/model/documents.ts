import type { ClusterView, ProfileView } from '@groundplane/protocol/api/views';

const version = 'groundplane.dev/v1';
const withLabels = (labels: Readonly<Record<string, string>>): object => (Object.keys(labels).length === 0 ? {} : { labels });

/** The document that `gp apply` takes: what the cluster should be, nothing of how it is. */
export const clusterDocument = (cluster: Pick<ClusterView, 'name' | 'labels' | 'spec'>): unknown => ({
  apiVersion: version,
  kind: 'Cluster',
  metadata: { name: cluster.name, ...withLabels(cluster.labels) },
  spec: cluster.spec,
});

export const profileDocument = (profile: Pick<ProfileView, 'name' | 'version' | 'labels' | 'spec'>): unknown => ({
  apiVersion: version,
  kind: 'Profile',
  metadata: { name: profile.name, version: profile.version, ...withLabels(profile.labels) },
  spec: profile.spec,
});
