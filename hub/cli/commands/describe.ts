import type { ClusterView, EventView, HostView, ProfileView } from '@groundplane/protocol/api/views';
import { layerStates } from '@groundplane/protocol/observed';
import { clusterStates } from '@groundplane/protocol/cluster-state';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { ageText, facts, formatOf, jsonText, timeText, yamlText } from '../output/print.ts';
import { printable, printableLines } from '../output/printable.ts';
import { painter, toneOf, type Paint } from '../output/style.ts';
import { table } from '../output/table.ts';
import { apiTrouble, exits, type Outcome } from '../trouble.ts';
import { applierText, eventColumns, hostColumns, layerColumns } from './columns.ts';
import { readOne } from './get.ts';
import { vitalsText } from './places.ts';
import { badName, parseKind, parseProfileName, pluralOf } from './kinds.ts';

const heading = (paint: Paint, text: string): string => `\n${paint('bold', text)}\n`;
const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => printable(`${key}=${value}`))
    .join(', ');
const bytesText = (bytes: number): string => (bytes < 1024 ** 3 ? `${Math.round(bytes / 1024 ** 2)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`);

const eventsText = (events: readonly EventView[], paint: Paint, isWide: boolean): string =>
  events.length === 0 ? '' : heading(paint, 'Events') + table(events, eventColumns, { isWide, paint });

const clusterText = (cluster: ClusterView, nowMs: number, paint: Paint, isWide: boolean): string => {
  const open = cluster.layers.filter((layer) => layer.observed !== undefined && layer.observed.state !== 'ready');
  return [
    facts([
      ['Cluster', printable(cluster.name)],
      ['Project', printable(cluster.project)],
      ['State', `${paint(toneOf(cluster.state), cluster.state)}${cluster.simulated ? ' (simulated)' : ''}   ${clusterStates[cluster.state]}`],
      ['Message', cluster.message === clusterStates[cluster.state] ? undefined : printable(cluster.message)],
      [
        'Failure',
        cluster.failure === undefined ? undefined : paint('bad', printable(`${cluster.failure.element}: ${cluster.failure.message} (${cluster.failure.code})`)),
      ],
      ['Profiles', printable(cluster.profiles.map((item) => `${item.name}@${item.version}`).join(', '))],
      [
        'Variables',
        Object.entries(cluster.spec.variables)
          .map(([key, value]) => printable(`${key}=${value}`))
          .join(', '),
      ],
      ['Labels', labelText(cluster.labels)],
      ['Kubernetes', cluster.kubernetesVersion === undefined ? undefined : printable(cluster.kubernetesVersion)],
      ['Bundle', cluster.bundle],
      ['Created', `${timeText(cluster.createdAtMs)} (${ageText(nowMs, cluster.createdAtMs)} ago)`],
    ]),
    heading(paint, 'Layers'),
    table(cluster.layers, layerColumns(cluster.simulated), { isWide, paint }),
    ...open.map((layer) => (layer.observed === undefined ? '' : `  ${printable(layer.name)}: ${layerStates[layer.observed.state]}\n`)),
    heading(paint, 'Conditions'),
    table(
      cluster.conditions,
      [
        { title: 'TYPE', value: (item) => item.type },
        { title: 'STATUS', value: (item) => item.status },
        { title: 'REASON', value: (item) => item.reason },
        { title: 'MESSAGE', value: (item) => item.message },
      ],
      { isWide, paint },
    ),
    heading(paint, 'Hosts'),
    table(cluster.hosts, hostColumns(nowMs), { isWide, paint }),
  ].join('');
};

const hostText = (host: HostView, nowMs: number, paint: Paint, isWide: boolean): string => {
  const { info, status } = host;
  const seen = host.lastSeenMs === undefined ? 'never' : `${ageText(nowMs, host.lastSeenMs)} ago`;
  const approve = `gp approve ${printable(host.name)} --words "…"`;
  const layers = (status?.layers ?? []).map((layer) => ({
    name: layer.name,
    kind: layer.kind,
    desired: { pack: layer.pack, digest: layer.digest },
    observed: layer,
    isCurrent: layer.state === 'ready',
  }));
  return [
    facts([
      ['Host', printable(host.name)],
      ['Project', printable(host.project)],
      ['State', `${paint(toneOf(host.state), host.state)}${host.simulated ? ' (simulated)' : ''}`],
      ['Link', host.online ? paint('good', 'online') : `offline, last seen ${seen}; it goes on by itself and reports when it is back`],
      ['Words', printable(host.words)],
      ['Key', printable(host.key)],
      ['Serial', host.serial === undefined ? undefined : printable(host.serial)],
      ['Replaces', host.replaces === undefined ? undefined : `${printable(host.replaces)}, which has the same serial number; see: gp approve --help`],
      ['Cluster', host.cluster === undefined ? undefined : printable(host.cluster)],
      [
        'Phase',
        status === undefined
          ? undefined
          : `${paint(toneOf(status.phase), status.phase)} at generation ${status.version?.generation ?? '-'}; desired is ${host.generation}`,
      ],
      ['Failure', status?.failure === undefined ? undefined : paint('bad', printable(`${status.failure.element}: ${status.failure.message}`))],
      [
        'Given up',
        status?.poisoned === undefined
          ? undefined
          : printable(`generation ${status.poisoned.version.generation}, ${status.poisoned.failure.element}: ${status.poisoned.failure.message}`),
      ],
      [
        'Kubernetes',
        status === undefined
          ? undefined
          : printable(`${status.kubernetes.state}${status.kubernetes.version === undefined ? '' : `, ${status.kubernetes.version}`}`),
      ],
      ['Add-ons', host.applier === undefined ? undefined : printable(`${applierText(host.applier)}${host.why === undefined ? '' : `; ${host.why}`}`)],
      [
        'Machine',
        info === undefined
          ? undefined
          : printable(`${info.hostname}, ${info.os}, ${info.kernel}, ${info.arch}, ${info.cpus} CPUs, ${bytesText(info.memoryBytes)}`),
      ],
      ['Agent', info === undefined ? undefined : printable(`${info.agentVersion}${info.privileged ? '' : ', without privileges'}`)],
      ['Reported', host.reportedAtMs === undefined ? undefined : `${timeText(host.reportedAtMs)} (${ageText(nowMs, host.reportedAtMs)} ago)`],
      ['Labels', labelText(host.labels)],
    ]),
    ...(layers.length === 0
      ? []
      : [
          heading(paint, 'Layers'),
          table(
            layers,
            layerColumns(host.simulated).filter((column) => column.title !== 'DESIRED'),
            { isWide, paint },
          ),
        ]),
    ...(host.state === 'lobby' ? [`\nIt waits in the lobby. Compare the words with its console, then: ${approve}\n`] : []),
  ].join('');
};

const profileText = async (profile: ProfileView, paint: Paint, isWide: boolean): Promise<string> => {
  const { spec } = profile;
  return [
    facts([
      ['Profile', printable(`${profile.name}@${profile.version}`)],
      ['Project', printable(profile.project)],
      ['State', paint(toneOf(profile.state), profile.state)],
      ['Type', spec.type],
      ['About', spec.description === undefined ? undefined : printable(spec.description)],
      ['Digest', profile.digest],
      ['Used by', profile.usedBy.length === 0 ? 'no cluster' : printable(profile.usedBy.join(', '))],
      ['Labels', labelText(profile.labels)],
      ['Saved', timeText(profile.updatedAtMs)],
    ]),
    ...(spec.variables.length === 0
      ? []
      : [
          heading(paint, 'Variables'),
          table(
            spec.variables,
            [
              { title: 'NAME', value: (item) => item.name },
              { title: 'FORMAT', value: (item) => item.format },
              { title: 'NEEDED', value: (item) => (item.required ? 'yes' : '-') },
              { title: 'DEFAULT', value: (item) => (item.sensitive && item.default !== undefined ? '(hidden)' : (item.default ?? '-')), max: 60 },
              { title: 'ABOUT', value: (item) => item.description ?? '' },
            ],
            { isWide, paint },
          ),
        ]),
    heading(paint, 'Layers'),
    printableLines(await yamlText(spec.layers)),
  ].join('');
};

/** `gp describe cluster|host|profile NAME`: everything about one thing, with its last events. */
export const describe = async (context: Context, kindText: string, name: string): Promise<Outcome> => {
  const kind = parseKind(kindText, ['cluster', 'host', 'profile']);
  if (kind !== 'cluster' && kind !== 'host' && kind !== 'profile') return typeof kind === 'string' ? exits.usage : kind;
  const bad = badName(kind, parseProfileName(name).name);
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await readOne(connection.value, kind, name);
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? `gp get ${pluralOf(kind)}` : undefined);
  const item = answer.value;
  const filter = kind === 'cluster' ? { cluster: name } : { host: name };
  const events =
    kind === 'profile'
      ? undefined
      : await connection.value.client.call('listEvents', { params: { project: connection.value.project }, query: { last: 10, ...filter } });
  const vitals =
    'words' in item && item.state === 'approved'
      ? await connection.value.client.call('hostVitals', { params: { project: connection.value.project, name } })
      : undefined;
  // The description is worth having without its events, and without vitals from an older hub.
  const known = events?.ok === true ? events.value.items : [];
  const format = formatOf(context);
  const { stdout } = context.io;
  const value = kind === 'profile' ? item : { ...item, ...(vitals?.ok === true ? { vitals: vitals.value } : {}), events: known };
  if (format === 'json') await stdout.write(jsonText(value));
  else if (format === 'yaml') await stdout.write(await yamlText(value));
  else if (format === 'name') await stdout.write(`${kind}/${name}\n`);
  else {
    const paint = painter(context, stdout);
    const nowMs = context.io.clock.nowMs();
    const isWide = format === 'wide';
    const text =
      'words' in item
        ? hostText(item, nowMs, paint, isWide)
        : 'layersTotal' in item
          ? clusterText(item, nowMs, paint, isWide)
          : await profileText(item, paint, isWide);
    const alive = vitals?.ok === true ? heading(paint, 'Vitals') + vitalsText(name, vitals.value, nowMs) : '';
    await stdout.write(text + alive + eventsText(known, paint, isWide));
  }
  return exits.ok;
};
