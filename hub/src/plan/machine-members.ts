import { isMachineEnvironment } from '@groundplane/protocol/environment/environments';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { Endpoint } from '../port/provider.ts';

/** A host that runs on a machine of ours. */
export interface MachineMember {
  host: string;
  pool: string;
}

const poolLabel = 'groundplane.dev/pool';

/**
 * What a cluster is when its machines are counted: their hosts with the roles, labels and taints of their pools, and the address that its environment gave.
 * A cluster without machines of ours is what its document says.
 */
export const withMachines = (spec: ClusterSpec, machines: readonly MachineMember[], endpoint: Endpoint | undefined): ClusterSpec => {
  const { infrastructure } = spec;
  if (infrastructure === undefined) return spec;
  const pools = new Map(infrastructure.pools.map((pool) => [pool.name, pool]));
  // The first control plane makes the cluster, so the order has to be the same at each look.
  const members = machines.toSorted((a, b) => (a.host < b.host ? -1 : 1));
  const isMachines = isMachineEnvironment(infrastructure.environment);
  const settings: NonNullable<ClusterSpec['hostSettings']> = { ...spec.hostSettings };
  for (const { host, pool: name } of members) {
    const pool = pools.get(name);
    settings[host] = {
      role: pool?.role ?? (isMachines ? 'worker' : 'control-plane'),
      labels: { ...pool?.labels, [poolLabel]: name },
      taints: pool?.taints ?? [],
    };
  }
  return {
    ...spec,
    hosts: [...spec.hosts, ...members.map((member) => member.host)],
    ...(members.length === 0 ? {} : { hostSettings: settings }),
    ...(endpoint === undefined || spec.endpoint !== undefined ? {} : { endpoint }),
  };
};
