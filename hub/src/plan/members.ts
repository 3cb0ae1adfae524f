import type { Bundle, Desired, DesiredSite } from '@groundplane/protocol/bundle';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import { isSameVersion } from '@groundplane/protocol/version';
import type { HostEntry } from '../fleet/index.ts';
import { planAppliers } from './appliers.ts';

interface ClusterPart {
  host: string;
  cluster: NonNullable<Desired['cluster']>;
}

/** Whether the agents bring the Kubernetes of this bundle up themselves. */
export const isManagedBundle = (bundle: Pick<Bundle, 'layers'>): boolean => bundle.layers.some((layer) => layer.kubernetes?.managed !== undefined);

/** The name of the API server where nobody gave it an address: each host resolves it by itself. */
const managedEndpoint = (cluster: string) => ({ kind: 'managed' as const, host: `api.${cluster}.groundplane.internal`, port: 6443 });

/**
 * Which host makes the cluster. Nobody does as soon as another one has joined it; until then it stays the one that was told so, since it may be at work.
 */
const founderOf = (servers: readonly HostEntry[], members: readonly HostEntry[], told: ReadonlySet<string>): string | undefined => {
  const founder = servers.find((host) => told.has(host.id)) ?? servers.find((host) => host.node === 'joined') ?? servers[0];
  return members.some((host) => host.node === 'joined' && host.id !== founder?.id) ? undefined : founder?.id;
};

/** Labels and taints of all members, those together that want the same: a pool of hundreds is one entry. */
const traitsOf = (members: readonly HostEntry[], spec: ClusterSpec): NonNullable<DesiredSite['traits']> => {
  const groups = new Map<string, NonNullable<DesiredSite['traits']>[number]>();
  for (const { name } of members) {
    const { labels = {}, taints = [] } = spec.hostSettings?.[name] ?? {};
    if (Object.keys(labels).length + taints.length === 0) continue;
    const key = JSON.stringify([Object.entries(labels).toSorted(), taints]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { nodes: [name], labels, taints });
    else group.nodes.push(name);
  }
  return [...groups.values()];
};

/** The part of each host in its cluster. `told`: hosts that were told to make it. */
export const planMembers = (
  cluster: { id: string; name: string; spec: ClusterSpec },
  members: readonly HostEntry[],
  isManaged: boolean,
  told: ReadonlySet<string>,
  sharing: { wasShared: boolean; nowMs: number },
): ClusterPart[] => {
  const { id, name, spec } = cluster;
  const transfer = spec.transfer === undefined ? {} : { transfer: spec.transfer };
  if (!isManaged)
    return planAppliers({ id, wasShared: sharing.wasShared }, members, sharing.nowMs).map(({ host, ...duty }) => ({
      host,
      cluster: { id, name, role: 'control-plane' as const, ...duty, ...transfer },
    }));
  const roleOf = (host: HostEntry) => spec.hostSettings?.[host.name]?.role ?? 'control-plane';
  const servers = members.filter((host) => roleOf(host) === 'control-plane');
  const founder = founderOf(servers, members, told);
  const list = members.map((host) => ({ host: host.id, name: host.name, role: roleOf(host) }));
  const traits = traitsOf(members, spec);
  return members.map((host) => {
    const settings = spec.hostSettings?.[host.name];
    return {
      host: host.id,
      cluster: {
        id,
        name,
        role: roleOf(host),
        applier: roleOf(host) === 'control-plane',
        ...transfer,
        site: {
          members: list,
          founder: host.id === founder,
          endpoint: spec.endpoint ?? managedEndpoint(name),
          ...(settings?.address === undefined ? {} : { address: settings.address }),
          labels: settings?.labels ?? {},
          taints: settings?.taints ?? [],
          ...(roleOf(host) === 'control-plane' ? { traits } : {}),
        },
      },
    };
  });
};

/** It was told to hold nothing, and says that it holds nothing. */
export const isClear = (host: Pick<HostEntry, 'cluster' | 'desired' | 'reported' | 'phase'>): boolean =>
  host.cluster === undefined && (host.desired === undefined || (isSameVersion(host.reported, host.desired) && host.phase === 'converged'));

interface MemberChange {
  spec: ClusterSpec;
  before: ClusterSpec | undefined;
  isManaged: boolean;
  /** Names of hosts that are members of the cluster now. */
  joined: ReadonlySet<string>;
}

/** What would harm a cluster that the agents bring up, or means nothing for another one; undefined when all is well. */
export const memberProblem = ({ spec, before, isManaged, joined }: MemberChange): string | undefined => {
  const unknown = Object.keys(spec.hostSettings ?? {}).find((name) => !spec.hosts.includes(name));
  if (unknown !== undefined) return `spec.hostSettings names ${unknown}, which is not among spec.hosts`;
  const isServer = (of: ClusterSpec, name: string): boolean => of.hosts.includes(name) && of.hostSettings?.[name]?.role !== 'worker';
  if (!isManaged)
    return spec.endpoint === undefined ? undefined : 'spec.endpoint is for clusters that the agents bring up; this one uses a Kubernetes that is there';
  if (spec.hosts.length > 0 && !spec.hosts.some((name) => isServer(spec, name))) return 'all its hosts are workers. One of them has to be a control plane';
  if (before === undefined) return undefined;
  const members = before.hosts.filter((name) => joined.has(name));
  const changed = members.find((name) => spec.hosts.includes(name) && isServer(spec, name) !== isServer(before, name));
  if (changed !== undefined) return `host ${changed} cannot change its role in place. Take it out of the cluster, wait until it is gone, and put it in again`;
  const servers = members.filter((name) => isServer(before, name));
  if (servers.length > 0 && spec.hosts.length > 0 && !servers.some((name) => isServer(spec, name)))
    return `its control planes are ${servers.join(', ')}, and none of them would stay. Keep one until others have joined, or delete the cluster`;
  if (members.length > 0 && JSON.stringify(spec.endpoint ?? null) !== JSON.stringify(before.endpoint ?? null))
    return 'spec.endpoint cannot change once hosts have joined: it stands in their certificates and kubeconfigs';
  return undefined;
};
