import type { ClusterLayerView, ClusterSummaryView, EventView, HostSummaryView, ProfileSummaryView, TicketView } from '@groundplane/protocol/api/views';
import { applierWords } from '@groundplane/protocol/observed';
import { shortDigest } from '@groundplane/protocol/digest';
import { ageText, timeText } from '../output/print.ts';
import { toneOf } from '../output/style.ts';
import type { Column } from '../output/table.ts';

const simulated = (is: boolean): string => (is ? ' (simulated)' : '');
const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || '-';
/** Which host applies, where several share that. */
export const applierText = (applier: HostSummaryView['applier']): string => (applier === undefined ? '-' : applierWords[applier]);
const digestText = (digest: string | undefined): string => (digest === undefined ? '-' : shortDigest(digest));

export const clusterColumns = (nowMs: number): Column<ClusterSummaryView>[] => [
  { title: 'NAME', value: (item) => item.name },
  { title: 'STATE', value: (item) => `${item.state}${simulated(item.simulated)}`, tone: toneOf },
  { title: 'PROFILES', value: (item) => item.profiles.map((profile) => `${profile.name}@${profile.version}`).join(', '), max: 60 },
  { title: 'LAYERS', value: (item) => `${item.layersReady}/${item.layersTotal}` },
  { title: 'HOSTS', value: (item) => `${item.online}/${item.hosts} online` },
  { title: 'DRIFT', value: (item) => (item.drifted === 0 ? '-' : `${item.drifted} healed`) },
  { title: 'AGE', value: (item) => ageText(nowMs, item.createdAtMs) },
  { title: 'LABELS', value: (item) => labelText(item.labels), wide: true },
  { title: 'MESSAGE', value: (item) => item.message, max: 60 },
];

export const hostColumns = (nowMs: number): Column<HostSummaryView>[] => [
  { title: 'NAME', value: (item) => item.name },
  { title: 'STATE', value: (item) => `${item.state}${simulated(item.simulated)}`, tone: toneOf },
  {
    title: 'LINK',
    value: (item) => (item.online ? 'online' : `offline, seen ${item.lastSeenMs === undefined ? 'never' : `${ageText(nowMs, item.lastSeenMs)} ago`}`),
    tone: toneOf,
  },
  { title: 'CLUSTER', value: (item) => item.cluster ?? '-' },
  { title: 'PHASE', value: (item) => item.phase ?? '-', tone: toneOf },
  {
    title: 'NODE',
    value: ({ kubernetes, applier }) =>
      kubernetes === undefined ? applierText(applier) : `${kubernetes.role}${kubernetes.keeper ? ', keeper' : ''}, ${kubernetes.node}`,
    wide: true,
  },
  {
    title: 'GENERATION',
    value: (item) =>
      item.reportedGeneration === undefined || item.reportedGeneration === item.generation
        ? String(item.generation)
        : `${item.reportedGeneration} → ${item.generation}`,
  },
  { title: 'DRIFT', value: (item) => (item.drifted === 0 ? '-' : `${item.drifted} healed`) },
  { title: 'LABELS', value: (item) => labelText(item.labels), wide: true },
  { title: 'ID', value: (item) => item.id, wide: true },
];

export const profileColumns = (nowMs: number): Column<ProfileSummaryView>[] => [
  { title: 'NAME', value: (item) => item.name },
  { title: 'VERSION', value: (item) => item.version },
  { title: 'TYPE', value: (item) => item.type },
  { title: 'STATE', value: (item) => item.state, tone: toneOf },
  { title: 'LAYERS', value: (item) => item.layers.map((layer) => layer.name).join(', '), max: 60 },
  { title: 'CLUSTERS', value: (item) => String(item.clusters) },
  { title: 'AGE', value: (item) => ageText(nowMs, item.createdAtMs) },
  { title: 'DIGEST', value: (item) => digestText(item.digest), wide: true },
  { title: 'DESCRIPTION', value: (item) => item.description ?? '-', wide: true },
];

export const ticketColumns = (nowMs: number): Column<TicketView>[] => [
  { title: 'NAME', value: (item) => item.name },
  { title: 'USES LEFT', value: (item) => String(item.usesLeft) },
  { title: 'EXPIRES', value: (item) => (item.expiresAtMs < nowMs ? 'expired' : ageText(nowMs, item.expiresAtMs)) },
  { title: 'LETS IN', value: (item) => (item.autoApprove ? 'by itself' : 'after approval') },
  { title: 'LABELS', value: (item) => labelText(item.labels) },
];

export const eventColumns: Column<EventView>[] = [
  { title: 'TIME', value: (item) => timeText(item.atMs) },
  { title: 'TYPE', value: (item) => item.type, tone: toneOf },
  { title: 'REASON', value: (item) => item.reason },
  { title: 'ABOUT', value: (item) => [item.cluster, item.host, item.layer].filter((part) => part !== undefined).join('/') || '-' },
  { title: 'BY', value: (item) => item.actor ?? '-', wide: true },
  { title: 'MESSAGE', value: (item) => item.message, max: 120 },
];

const layerVersion = (layer: ClusterLayerView): string => {
  const [desired, observed] = [layer.desired?.pack.version, layer.observed?.pack.version];
  if (desired === undefined) return `${observed ?? '-'} (leaving)`;
  return observed === undefined || observed === desired ? desired : `${desired} (runs ${observed})`;
};

/** Desired beside observed, one line per layer, in install order. */
export const layerColumns = (isSimulated: boolean): Column<ClusterLayerView>[] => [
  { title: 'LAYER', value: (item) => item.name },
  { title: 'KIND', value: (item) => item.kind },
  { title: 'PACK', value: (item) => (item.desired ?? item.observed)?.pack.name ?? '-' },
  { title: 'VERSION', value: layerVersion },
  { title: 'DESIRED', value: (item) => digestText(item.desired?.digest) },
  { title: 'OBSERVED', value: (item) => digestText(item.observed?.digest), tone: () => undefined },
  { title: 'STATE', value: (item) => `${item.observed?.state ?? 'pending'}${simulated(isSimulated)}`, tone: toneOf },
  { title: 'OBJECTS', value: (item) => (item.observed === undefined ? '-' : `${item.observed.objects.ready}/${item.observed.objects.total}`) },
  { title: 'DRIFT', value: (item) => ((item.observed?.drift.healed ?? 0) === 0 ? '-' : `${item.observed?.drift.healed ?? 0} healed`) },
  { title: 'PROFILE', value: (item) => (item.profile === undefined ? '-' : `${item.profile.name}@${item.profile.version}`), wide: true },
  { title: 'MESSAGE', value: (item) => item.observed?.message ?? '', max: 80 },
];
