import type { Desired } from '@groundplane/protocol/bundle';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { HostEntry } from '../fleet/index.ts';

interface ClusterPart {
  host: string;
  cluster: NonNullable<Desired['cluster']>;
}

/** The name of the API server where nobody gave it an address: each host resolves it by itself. */
const managedEndpoint = (cluster: string) => ({ kind: 'managed' as const, host: `api.${cluster}.groundplane.internal`, port: 6443 });

/**
 * Which host makes the cluster. Nobody does as soon as another one has joined it; until then it stays the one that was told so, since it may be at work.
 */
const founderOf = (servers: readonly HostEntry[], members: readonly HostEntry[], told: ReadonlySet<string>): string | undefined => {
  const founder = servers.find((host) => told.has(host.id)) ?? servers.find((host) => host.node === 'joined') ?? servers[0];
  return members.some((host) => host.node === 'joined' && host.id !== founder?.id) ? undefined : founder?.id;
};

/** The part of each host in its cluster. `told`: hosts that were told to make it. */
export const planMembers = (
  cluster: { id: string; name: string; spec: ClusterSpec },
  members: readonly HostEntry[],
  isManaged: boolean,
  told: ReadonlySet<string>,
): ClusterPart[] => {
  const { id, name, spec } = cluster;
  const transfer = spec.transfer === undefined ? {} : { transfer: spec.transfer };
  if (!isManaged)
    return members.map((host, index) => ({ host: host.id, cluster: { id, name, role: 'control-plane' as const, applier: index === 0, ...transfer } }));
  const roleOf = (host: HostEntry) => spec.hostSettings?.[host.name]?.role ?? 'control-plane';
  const servers = members.filter((host) => roleOf(host) === 'control-plane');
  const founder = founderOf(servers, members, told);
  const list = members.map((host) => ({ host: host.id, name: host.name, role: roleOf(host) }));
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
        },
      },
    };
  });
};
