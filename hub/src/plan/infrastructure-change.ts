import { environments } from '@groundplane/protocol/environment/environments';
import { placementOf, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';
import type { ClusterSpec } from '@groundplane/protocol/profile';

/** Parts of a placement that may change while machines run; everything else is where they are. */
const changeable: Readonly<Record<string, readonly string[]>> = {
  aws: ['apiSources', 'boot', 'sshKeys', 'tags'],
  eks: ['access', 'apiSources', 'addons', 'accessEntries', 'logging', 'tags'],
  azure: ['apiSources', 'boot', 'sshKeys', 'tags'],
  aks: ['apiSources', 'tier', 'tags'],
  google: ['apiSources', 'boot', 'sshKeys', 'tags'],
  gke: ['apiSources', 'releaseChannel', 'tags'],
  vsphere: ['template', 'boot', 'sshKeys'],
  nutanix: ['image', 'boot', 'sshKeys'],
  openstack: ['dns', 'apiSources', 'boot', 'sshKeys'],
  maas: ['image', 'machineTags', 'boot', 'sshKeys'],
  existing: ['mode', 'image', 'storage', 'proxy'],
};

const placementProblem = (now: Infrastructure, before: Infrastructure): string | undefined => {
  const [next, last] = [placementOf(now) as Record<string, unknown>, placementOf(before) as Record<string, unknown>];
  const free = changeable[now.environment] ?? [];
  const moved = [...new Set([...Object.keys(next), ...Object.keys(last)])].find(
    (key) => !free.includes(key) && JSON.stringify(next[key] ?? null) !== JSON.stringify(last[key] ?? null),
  );
  return moved === undefined
    ? undefined
    : `spec.infrastructure.placement.${moved} cannot change: what was made is where it is. Make another cluster there, and delete this one`;
};

/** What would harm a cluster that the hub makes, or means nothing; undefined when all is well. Distribution: that of its Kubernetes layer. */
export const infrastructureProblem = (spec: ClusterSpec, before: ClusterSpec | undefined, distribution: string | undefined): string | undefined => {
  const { infrastructure } = spec;
  if (infrastructure === undefined)
    return before?.infrastructure === undefined
      ? undefined
      : 'spec.infrastructure cannot be taken out: what was made for it would stay behind. Delete the cluster instead';
  const { environment } = infrastructure;
  const { kind, title } = environments[environment];
  if (spec.hosts.length > 0) return `its hosts come from ${kind === 'machines' ? 'its pools' : title}; take spec.hosts out`;
  if (kind === 'managed' && distribution !== environment)
    return `its profiles need a Kubernetes layer for ${environment}: kubernetes: {distribution: ${environment}, version: "1.34"}`;
  if (kind !== 'managed' && (distribution === 'eks' || distribution === 'aks' || distribution === 'gke'))
    return `its Kubernetes layer is for ${distribution}, and this cluster is in ${title}`;
  if (before === undefined) return undefined;
  if (before.infrastructure === undefined) return 'a cluster of hosts that came by themselves cannot get an infrastructure afterwards. Make another one';
  if (before.infrastructure.environment !== environment)
    return `it is in ${environments[before.infrastructure.environment].title} and cannot move to ${title}. Make another cluster there`;
  if (before.infrastructure.account !== infrastructure.account && kind !== 'existing')
    return 'spec.infrastructure.account cannot change: another account sees nothing of what was made. Change the account itself (gp cloud account set)';
  return placementProblem(infrastructure, before.infrastructure);
};
