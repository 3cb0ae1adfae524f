import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { environments } from '@groundplane/protocol/environment/environments';
import { phaseTone, tones, type Tone } from './tone.ts';

/** A machine, node or host as it is drawn. */
export interface Member {
  name: string;
  /** Host page behind it. */
  host: string | undefined;
  tone: Tone;
  /** Its state in a word or two. */
  state: string;
}

export interface Tally {
  tone: Tone;
  state: string;
  count: number;
}

export interface PoolBranch {
  name: string;
  role: string;
  total: number;
  /** Every state that there is, the worst first. */
  tallies: Tally[];
  /** Those drawn one by one. */
  members: Member[];
  /** Counted above and not drawn. */
  folded: number;
}

export interface ZoneBranch {
  /** Empty where the environment has no zones. */
  name: string;
  pools: PoolBranch[];
}

export interface Topology {
  environment: string;
  place: string | undefined;
  facts: [term: string, text: string][];
  zones: ZoneBranch[];
}

/** Drawn at most, in one pool without folding, and in all pools together. */
const wholePoolMax = 48;
const drawnMax = 300;

const severity: readonly Tone[] = ['bad', 'warn', 'busy', 'idle', 'off', 'good'];
const rank = (tone: Tone): number => severity.indexOf(tone);
if (severity.length !== tones.length) throw new Error('a tone has no rank');

const healthTone: Readonly<Record<string, Tone>> = { healthy: 'good', starting: 'busy', unknown: 'idle', unhealthy: 'bad', failed: 'bad', lost: 'bad' };

type Machine = InfrastructureView['machines'][number];
type Host = ClusterView['hosts'][number];

const machineMember = (machine: Machine): Member => {
  const { name, host, phase, health } = machine;
  const going: Readonly<Record<Machine['phase'], [Tone, string] | undefined>> = {
    wanted: ['busy', 'being made'],
    made: undefined,
    leaving: ['off', 'leaving'],
    deleting: ['off', 'being deleted'],
  };
  const [tone, state] = going[phase] ?? [healthTone[health ?? 'unknown'] ?? 'idle', health ?? 'not known yet'];
  return { name, host, tone, state };
};

const hostMember = (host: Host): Member => ({
  name: host.name,
  host: host.name,
  tone: host.online ? (host.phase === undefined ? 'idle' : phaseTone[host.phase]) : 'off',
  state: host.online ? (host.phase ?? 'no report') : 'offline',
});

const tally = (members: readonly Member[]): Tally[] => {
  const counts = new Map<string, Tally>();
  for (const { tone, state } of members) {
    const known = counts.get(state);
    if (known === undefined) counts.set(state, { tone, state, count: 1 });
    else known.count += 1;
  }
  return [...counts.values()].toSorted((a, b) => rank(a.tone) - rank(b.tone) || b.count - a.count);
};

/** A pool with few members shows each; of a large one those that are well are a number, and the others are shown while there is room. */
const branch = (name: string, role: string, all: readonly Member[], room: number): PoolBranch => {
  const sorted = all.toSorted((a, b) => rank(a.tone) - rank(b.tone) || a.name.localeCompare(b.name));
  const candidates = all.length <= Math.min(wholePoolMax, room) ? sorted : sorted.filter((member) => member.tone !== 'good');
  const members = candidates.slice(0, Math.max(0, Math.min(room, wholePoolMax)));
  return { name, role, total: all.length, tallies: tally(all), members, folded: all.length - members.length };
};

const grouped = <T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return new Map([...groups].toSorted(([a], [b]) => a.localeCompare(b)));
};

const roleText = (role: 'control-plane' | 'worker'): string => (role === 'worker' ? 'workers' : 'control planes');

interface Part {
  zone: string;
  name: string;
  role: string;
  members: Member[];
  tallies?: Tally[];
}

/** Room is given to the pools one after another, the small ones first, so that one huge pool hides no small one. */
const zonesOf = (parts: readonly Part[]): ZoneBranch[] => {
  let left = drawnMax;
  const drawn = new Map<Part, PoolBranch>();
  for (const part of parts.toSorted((a, b) => a.members.length - b.members.length)) {
    const made = branch(part.name, part.role, part.members, left);
    left -= made.members.length;
    const { tallies } = part;
    drawn.set(part, tallies === undefined ? made : { ...made, tallies, total: tallies.reduce((sum, item) => sum + item.count, 0) });
  }
  return [...grouped(parts, (part) => part.zone)].map(([name, list]) => ({
    name,
    pools: list.toSorted((a, b) => a.role.localeCompare(b.role) || a.name.localeCompare(b.name)).flatMap((part) => drawn.get(part) ?? []),
  }));
};

/** Pools of a service have machines that the hub does not see one by one; only their number is known. */
const countedPool = (pool: InfrastructureView['pools'][number]): Part => ({
  zone: '',
  name: pool.name,
  role: roleText(pool.role),
  members: [],
  tallies: [
    { tone: 'busy' as const, state: 'on their way', count: Math.max(0, Math.max(pool.wanted, pool.total) - pool.ready) },
    { tone: 'good' as const, state: 'ready', count: pool.ready },
  ].filter((item) => item.count > 0),
});

const placeOf = (placement: Readonly<Record<string, unknown>>): string | undefined => {
  const found = ['region', 'location', 'datacenter', 'cluster', 'resourcePool'].map((key) => placement[key]).find((value) => typeof value === 'string');
  return typeof found === 'string' ? found : undefined;
};

/** What a cluster that the hub makes, or looks after, consists of: environment, zones, pools, machines. */
export const environmentTopology = (view: InfrastructureView, cluster: Pick<ClusterView, 'hosts' | 'spec'>): Topology => {
  const placement = cluster.spec.infrastructure?.placement ?? {};
  const roles = new Map(view.pools.map((pool) => [pool.name, roleText(pool.role)]));
  const seen = new Set(view.machines.flatMap((machine) => machine.host ?? []));
  const parts: Part[] = [...grouped(view.machines, (machine) => `${machine.zone ?? ''}\n${machine.pool}`)].map(([key, machines]) => {
    const [zone = '', name = ''] = key.split('\n');
    return { zone, name, role: roles.get(name) ?? 'workers', members: machines.map(machineMember) };
  });
  const drawn = new Set(parts.map((part) => part.name));
  const agents = cluster.hosts.filter((host) => !seen.has(host.name));
  if (agents.length > 0) {
    const isMachines = environments[view.environment].kind === 'machines';
    const name = isMachines ? 'other hosts' : placement['agent'] === 'inside' ? 'agent inside of the cluster' : 'agent in the hub';
    parts.push({ zone: '', name, role: isMachines ? '' : 'applies layers', members: agents.map(hostMember) });
  }
  parts.push(...view.pools.filter((pool) => !drawn.has(pool.name)).map(countedPool));
  const server = view.endpoint === undefined ? view.server : `${view.endpoint.host}:${view.endpoint.port}`;
  return {
    environment: environments[view.environment].title,
    place: placeOf(placement),
    facts: [
      ...(server === undefined ? [] : [['API server', server] as [string, string]]),
      ...(view.gateway === undefined ? [] : [['Site gateway', view.gateway] as [string, string]]),
      ...(view.version === undefined ? [] : [['Kubernetes', view.version] as [string, string]]),
    ],
    zones: zonesOf(parts),
  };
};

/** A cluster of hosts that came by themselves. */
export const siteTopology = (cluster: Pick<ClusterView, 'hosts' | 'spec'>): Topology => {
  const { endpoint } = cluster.spec;
  const roleOf = (host: Host): string => (host.kubernetes === undefined ? 'hosts' : roleText(host.kubernetes.role === 'worker' ? 'worker' : 'control-plane'));
  const parts = [...grouped(cluster.hosts, roleOf)].map(([name, hosts]): Part => ({ zone: '', name, role: '', members: hosts.map(hostMember) }));
  return {
    environment: 'Edge site',
    place: undefined,
    facts: endpoint === undefined ? [] : [['API server', `${endpoint.host}:${endpoint.port}`]],
    zones: zonesOf(parts),
  };
};
