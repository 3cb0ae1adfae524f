import { clusterStates, type ClusterState } from '@groundplane/protocol/cluster-state';
import type { ClusterSummaryView, HostSummaryView } from '@groundplane/protocol/api/views';
import { paths } from '../paths.ts';
import type { Tone } from './tone.ts';

/** One thing that somebody should look at. */
export interface Attention {
  key: string;
  tone: Tone;
  title: string;
  /** Name of a cluster in front of the title. */
  name?: string;
  detail: string;
  href: string;
  /** How many hosts it touches: the order of the list. */
  hosts: number;
  simulated: boolean;
}

const urgent: readonly (readonly [ClusterState, Tone, string])[] = [
  ['failed', 'bad', 'failed'],
  ['unresolved', 'bad', 'does not resolve'],
  ['blocked', 'warn', 'is blocked'],
  ['degraded', 'warn', 'is degraded'],
  ['waiting', 'idle', 'has no host'],
];

/** A host that is away for longer than this is worth a line. */
const awayMs = 15 * 60_000;
const itemsMax = 50;

const clusterItem = (project: string, cluster: ClusterSummaryView): Attention[] => {
  const row = urgent.find(([state]) => state === cluster.state);
  if (row === undefined) return [];
  const detail = cluster.message === '' ? clusterStates[cluster.state] : cluster.message;
  return [
    {
      key: `cluster/${cluster.name}`,
      tone: row[1],
      name: cluster.name,
      title: row[2],
      detail,
      href: paths.cluster(project, cluster.name),
      hosts: cluster.hosts,
      simulated: cluster.simulated,
    },
  ];
};

/** What needs somebody, worst kind first and within it by the number of hosts it touches. Never longer than 50 lines. */
export const attention = (
  project: string,
  clusters: readonly ClusterSummaryView[],
  hosts: readonly HostSummaryView[],
  lobby: number,
  now: number,
): { items: Attention[]; more: number } => {
  const items = clusters.flatMap((cluster) => clusterItem(project, cluster));
  const away = hosts.filter((host) => !host.online && now - (host.lastSeenMs ?? 0) > awayMs);
  if (away.length > 0) {
    const detail = 'They keep working by themselves; what you change waits here until they return.';
    items.push({
      key: 'away',
      tone: 'off',
      title: `${away.length} ${away.length === 1 ? 'host is' : 'hosts are'} offline for more than 15 min`,
      detail,
      href: paths.hosts(project, 'is:offline'),
      hosts: away.length,
      simulated: away.every((host) => host.simulated),
    });
  }
  if (lobby > 0) {
    items.push({
      key: 'lobby',
      tone: 'busy',
      title: `${lobby} ${lobby === 1 ? 'host waits' : 'hosts wait'} in the lobby`,
      detail: 'Compare their words with the console and let them in.',
      href: paths.lobby(project),
      hosts: 0,
      simulated: false,
    });
  }
  const order: readonly Tone[] = ['bad', 'warn', 'busy', 'idle', 'off', 'good'];
  const sorted = items.toSorted((a, b) => order.indexOf(a.tone) - order.indexOf(b.tone) || b.hosts - a.hosts || (a.key < b.key ? -1 : 1));
  return { items: sorted.slice(0, itemsMax), more: Math.max(0, sorted.length - itemsMax) };
};
