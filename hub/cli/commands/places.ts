import type { JournalEntry, Vitals } from '@groundplane/protocol/ask';
import { usedPercent } from '@groundplane/protocol/ask';
import type { HostJournalView, HostVitalsView, SiteHostView, SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import { connect } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { ageText, facts, printList, printOne, timeText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { toneOf } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { everyPage } from '../pages.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { applierText } from './columns.ts';
import { badName } from './kinds.ts';

const stepColumns: readonly Column<JournalEntry>[] = [
  { title: 'TIME', value: (step) => timeText(step.atMs) },
  { title: 'GENERATION', value: (step) => String(step.generation) },
  { title: 'LAYER', value: (step) => step.layer ?? '-' },
  { title: 'STATE', value: (step) => (step.state === 'intent' ? 'begun' : step.state), tone: (text) => toneOf(text === 'done' ? 'ready' : text) },
  { title: 'TRY', value: (step) => String(step.attempt) },
  { title: 'STEP', value: (step) => step.text, max: 100 },
  { title: 'WHY', value: (step) => step.failure?.message ?? '', max: 100 },
];

/** Whose word it is when the host did not say it just now. */
const notLive = (host: string, told: Pick<HostJournalView, 'state' | 'asOfMs' | 'why'>, nowMs: number): string | undefined => {
  if (told.state === 'live') return undefined;
  const why = `host ${printable(host)} ${printable(told.why?.message ?? 'told nothing')}`;
  return told.state === 'none' ? `${why}; nothing is known of it here` : `${why}; the last known is ${ageText(nowMs, told.asOfMs)} old`;
};

/** `gp get journal HOST`: the last steps of its agent, asked of the host now; exit code 1 when nothing is known. */
export const showJournal = async (context: Context, name: string | undefined): Promise<Outcome> => {
  if (name === undefined) return usage('get journal', 'say of which host', 'gp get journal HOST');
  const bad = badName('host', name, 'till-1');
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('hostJournal', { params: { project: connection.value.project, name } });
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? 'gp get hosts' : undefined);
  const text = notLive(name, answer.value, context.io.clock.nowMs());
  if (text !== undefined) await notice(context, text);
  await printList(context, answer.value.steps, {
    name: (step) => `step/${step.seq}`,
    columns: stepColumns,
    empty: 'no steps. What it reported: gp logs host NAME',
  });
  return answer.value.state === 'none' ? exits.error : exits.ok;
};

const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
const space = (part: Vitals['memory']): string => `${usedPercent(part)} % of ${gib(part.totalBytes)}`;

/** The vitals of a host as lines of `gp describe host`; empty when the hub cannot tell any. */
export const vitalsText = (host: string, told: HostVitalsView, nowMs: number): string => {
  const { vitals } = told;
  const note = notLive(host, told, nowMs);
  if (vitals === undefined) return facts([['Vitals', note]]);
  return facts([
    ['CPU', `${vitals.cpuPercent} %, load ${vitals.load1}`],
    ['Memory', space(vitals.memory)],
    ...vitals.disks.map((disk) => ['Disk', `${printable(disk.path)}: ${space(disk)}`] as const),
    ['Temperature', vitals.temperature === undefined ? undefined : `${vitals.temperature} °C`],
    ['Up for', ageText(vitals.uptimeMs, 0)],
    ['Known', note ?? 'now'],
  ]);
};

const siteColumns = (nowMs: number): Column<SiteSummaryView>[] => [
  { title: 'NAME', value: (site) => `${site.name}${site.simulated ? ' (simulated)' : ''}` },
  { title: 'HOSTS', value: (site) => `${site.online}/${site.hosts} online` },
  { title: 'LOBBY', value: (site) => String(site.lobby) },
  { title: 'CLUSTERS', value: (site) => site.clusters.map((cluster) => `${cluster.name} (${cluster.state})`).join(', ') || '-', max: 60 },
  { title: 'OFFLINE SEEN', value: (site) => (site.offlineSinceMs === undefined ? '-' : `${ageText(nowMs, site.offlineSinceMs)} ago`) },
  { title: 'SHARE', value: (site) => `${site.sharing}/${site.hosts}` },
  { title: 'MEDIUM', value: (site) => (site.carriedMs === undefined ? '-' : `${ageText(nowMs, site.carriedMs)} ago`) },
  { title: 'BY', value: (site) => site.by, wide: true },
];

const memberColumns = (nowMs: number): Column<SiteHostView>[] => [
  { title: 'NAME', value: (host) => `${host.name}${host.simulated ? ' (simulated)' : ''}` },
  {
    title: 'LINK',
    value: (host) => (host.state === 'lobby' ? 'lobby' : host.online ? 'online' : `offline, seen ${ageText(nowMs, host.lastSeenMs)} ago`),
    tone: toneOf,
  },
  { title: 'CLUSTER', value: (host) => host.cluster ?? '-' },
  {
    title: 'ROLE',
    value: ({ kubernetes, applier }) => (kubernetes === undefined ? applierText(applier) : `${kubernetes.role}${kubernetes.keeper ? ', keeper' : ''}`),
  },
  { title: 'SHARES AT', value: ({ shares }) => (shares === undefined ? '-' : `${shares.addresses[0] ?? '?'} port ${shares.port}`) },
  { title: 'MEDIUM', value: ({ carried }) => (carried?.receivedAtMs === undefined ? '-' : `${ageText(nowMs, carried.receivedAtMs)} ago`) },
];

/** `gp get sites [NAME]`. */
export const showSites = async (context: Context, name: string | undefined): Promise<Outcome> => {
  if (name !== undefined && !/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(name))
    return usage(`site ${name.slice(0, 80)}`, 'is not a possible name: it is the value of a label, or the name of a cluster', 'gp get sites');
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const nowMs = context.io.clock.nowMs();
  if (name !== undefined) {
    const site = await client.call('getSite', { params: { project, name } });
    if (!site.ok) return apiTrouble(site.failure, site.failure.status === 404 ? 'gp get sites' : undefined);
    const shown = site.value;
    await printOne(context, shown, `site/${name}`, (paint, isWide) =>
      [table([shown], siteColumns(nowMs), { isWide, paint }), '\n', table(shown.members, memberColumns(nowMs), { isWide, paint })].join(''),
    );
    return exits.ok;
  }
  const all = await everyPage((query) => client.call('listSites', { params: { project }, query }));
  if (!all.ok) return apiTrouble(all.failure, all.failure.status === 404 ? 'gp get projects' : undefined);
  await printList(context, all.value, {
    name: (site) => `site/${site.name}`,
    columns: siteColumns(nowMs),
    empty: 'no sites. Hosts with the same label site are one, and so are those of a cluster',
  });
  return exits.ok;
};
