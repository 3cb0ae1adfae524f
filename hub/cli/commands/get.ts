import type { ApiResult, Client, Output } from '@groundplane/protocol/api/client';
import type { RouteName } from '@groundplane/protocol/api/routes';
import type { ClusterView, HostView, ProfileView } from '@groundplane/protocol/api/views';
import { shortDigest } from '@groundplane/protocol/digest';
import { apiVersion } from '@groundplane/protocol/profile';
import { connect, type Connection } from '../connect.ts';
import type { Context } from '../io.ts';
import { everyPage } from '../pages.ts';
import { ageText, formatOf, jsonText, printList, printOne, timeText, yamlText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { toneOf, type Paint } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { apiTrouble, exits, trouble, usage, type Outcome } from '../trouble.ts';
import { clusterColumns, eventColumns, hostColumns, layerColumns, profileColumns, ticketColumns } from './columns.ts';
import { badName, parseKind, parseProfileName, pluralOf, type KindName } from './kinds.ts';
import { newestVersion } from './versions.ts';

interface GetOptions {
  state?: 'lobby' | 'approved' | 'revoked';
  cluster?: string;
  host?: string;
  last?: number;
  export?: boolean;
}

type ItemOf<N extends RouteName> = Output<N> extends { items: (infer T)[] } ? T : never;

interface Listing<T> {
  read: (client: Client, project: string, options: GetOptions) => Promise<ApiResult<T[]>>;
  name: (item: T) => string;
  columns: (nowMs: number) => readonly Column<T>[];
  empty: string;
}

const eventsShown = 100;
const eventsMax = 500;

const filters = ({ cluster, host }: GetOptions) => ({ ...(cluster === undefined ? {} : { cluster }), ...(host === undefined ? {} : { host }) });

/** Those of the project, then those of the tenant for whoever may see them. */
const readMacros = async (client: Client, project: string): Promise<ApiResult<ItemOf<'listMacros'>[]>> => {
  const own = await everyPage((query) => client.call('listMacros', { params: { project }, query }));
  if (!own.ok) return own;
  const shared = await everyPage((query) => client.call('listTenantMacros', { query }));
  if (!shared.ok) return shared.failure.status === 403 ? own : shared;
  return { ok: true, value: [...own.value, ...shared.value] };
};

const lists: {
  [K in KindName]: Listing<
    ItemOf<
      {
        profile: 'listProfiles';
        cluster: 'listClusters';
        host: 'listHosts';
        project: 'listProjects';
        ticket: 'listTickets';
        event: 'listEvents';
        macro: 'listMacros';
        'api-key': 'listApiKeys';
      }[K]
    >
  >;
} = {
  profile: {
    read: (client, project) => everyPage((query) => client.call('listProfiles', { params: { project }, query })),
    name: (item) => `profile/${item.name}@${item.version}`,
    columns: profileColumns,
    empty: 'no profiles yet. Make one: gp apply -f FILE',
  },
  cluster: {
    read: (client, project) => everyPage((query) => client.call('listClusters', { params: { project }, query })),
    name: (item) => `cluster/${item.name}`,
    columns: clusterColumns,
    empty: 'no clusters yet. Make one: gp apply -f FILE',
  },
  host: {
    read: (client, project, { state }) =>
      everyPage((query) => client.call('listHosts', { params: { project }, query: { ...query, ...(state === undefined ? {} : { state }) } })),
    name: (item) => `host/${item.name}`,
    columns: hostColumns,
    empty: 'no such hosts. Enrol one: gp ticket create NAME',
  },
  project: {
    read: (client) => everyPage((query) => client.call('listProjects', { query })),
    name: (item) => `project/${item.name}`,
    columns: (nowMs) => [
      { title: 'NAME', value: (item) => item.name },
      { title: 'AGE', value: (item) => ageText(nowMs, item.createdAtMs) },
      { title: 'ID', value: (item) => item.id, wide: true },
    ],
    empty: 'you can see no project',
  },
  ticket: {
    read: (client, project) => everyPage((query) => client.call('listTickets', { params: { project }, query })),
    name: (item) => `ticket/${item.name}`,
    columns: ticketColumns,
    empty: 'no tickets. Make one: gp ticket create NAME',
  },
  event: {
    read: async (client, project, options) => {
      const answer = await client.call('listEvents', {
        params: { project },
        query: { last: Math.min(options.last ?? eventsShown, eventsMax), ...filters(options) },
      });
      return answer.ok ? { ok: true, value: answer.value.items } : answer;
    },
    name: (item) => `event/${item.seq}`,
    columns: () => eventColumns,
    empty: 'no events',
  },
  macro: {
    read: readMacros,
    name: (item) => `macro/${item.name}`,
    columns: (nowMs) => [
      { title: 'NAME', value: (item) => item.name },
      { title: 'SCOPE', value: (item) => (item.project === '' ? 'tenant' : 'project') },
      { title: 'VALUE', value: (item) => item.value, max: 80 },
      { title: 'CHANGED', value: (item) => ageText(nowMs, item.updatedAtMs) },
    ],
    empty: 'no macros. Set one: gp macro set NAME VALUE',
  },
  'api-key': {
    read: (client) => everyPage((query) => client.call('listApiKeys', { query })),
    name: (item) => `api-key/${item.name}`,
    columns: (nowMs) => [
      { title: 'NAME', value: (item) => item.name },
      { title: 'ROLE', value: (item) => item.role },
      { title: 'PROJECT', value: (item) => item.project ?? 'all' },
      {
        title: 'EXPIRES',
        value: (item) => (item.expiresAtMs === undefined ? 'never' : item.expiresAtMs < nowMs ? 'expired' : ageText(nowMs, item.expiresAtMs)),
      },
      { title: 'AGE', value: (item) => ageText(nowMs, item.createdAtMs) },
    ],
    empty: 'no API keys',
  },
};

/** `profile/shop@1.0.0` of a listing answers to `shop` and to `shop@1.0.0`. */
const isNamed = (full: string, wanted: string): boolean => {
  const name = full.slice(full.indexOf('/') + 1);
  return name === wanted || parseProfileName(name).name === wanted;
};

const getList = async (context: Context, connection: Connection, kind: KindName, name: string | undefined, options: GetOptions): Promise<Outcome> => {
  // Each entry of the table fits its own kind; the compiler cannot follow that through the index.
  const listing = lists[kind] as unknown as Listing<unknown>;
  const all = await listing.read(connection.client, connection.project, options);
  if (!all.ok) return apiTrouble(all.failure, all.failure.status === 404 ? 'gp get projects' : undefined);
  const items = name === undefined ? all.value : all.value.filter((item) => isNamed(listing.name(item), name));
  if (name !== undefined && items.length === 0)
    return trouble(`${kind} ${name}`, `there is none of this name in project ${connection.project}`, `gp get ${pluralOf(kind)}`);
  await printList(context, items, { name: listing.name, columns: listing.columns(context.io.clock.nowMs()), empty: listing.empty });
  return exits.ok;
};

const clusterText = (cluster: ClusterView, paint: Paint, isWide: boolean): string => {
  const state = `${paint(toneOf(cluster.state), cluster.state)}${cluster.simulated ? ' (simulated)' : ''}`;
  const profiles = printable(cluster.profiles.map((item) => `${item.name}@${item.version}`).join(', '));
  const kubernetes = cluster.kubernetesVersion === undefined ? '' : `  Kubernetes ${printable(cluster.kubernetesVersion)}`;
  const bundle = cluster.bundle === undefined ? '-' : shortDigest(cluster.bundle);
  const head = `cluster ${printable(cluster.name)}: ${state}  ${profiles}${kubernetes}  bundle ${bundle}\n`;
  const cause = cluster.failure === undefined ? cluster.message : `${cluster.failure.element}: ${cluster.failure.message}`;
  const message = cluster.state === 'ready' ? '' : `${paint(toneOf(cluster.state), printable(cause))}\n`;
  return `${head}${message}\n${table(cluster.layers, layerColumns(cluster.simulated), { isWide, paint })}`;
};

const exported = (value: ClusterView | ProfileView): unknown => {
  const labels = Object.keys(value.labels).length === 0 ? {} : { labels: value.labels };
  if ('layersTotal' in value) return { apiVersion, kind: 'Cluster', metadata: { name: value.name, project: value.project, ...labels }, spec: value.spec };
  return { apiVersion, kind: 'Profile', metadata: { name: value.name, version: value.version, project: value.project, ...labels }, spec: value.spec };
};

/** A document that `gp apply` takes. */
const printExported = async (context: Context, value: ClusterView | ProfileView): Promise<Outcome> => {
  await context.io.stdout.write(
    formatOf(context) === 'json' && context.globals.output === 'json' ? jsonText(exported(value)) : await yamlText(exported(value)),
  );
  return exits.ok;
};

const profileText = (profile: ProfileView, paint: Paint, isWide: boolean): string => {
  const columns: Column<ProfileView['spec']['layers'][number]>[] = [
    { title: 'LAYER', value: (layer) => layer.name },
    { title: 'KIND', value: (layer) => layer.kind },
    { title: 'PRIORITY', value: (layer) => String(layer.priority) },
    {
      title: 'FROM',
      value: (layer) =>
        layer.helm !== undefined
          ? `chart ${layer.helm.chart.name} ${layer.helm.chart.version}`
          : layer.manifests !== undefined
            ? `${layer.manifests.length} manifests`
            : (layer.kubernetes?.distribution ?? `${layer.os?.files.length ?? 0} files`),
    },
    { title: 'REPLACES', value: (layer) => layer.replaces ?? '-' },
    { title: 'NAMESPACE', value: (layer) => layer.namespace ?? '-', wide: true },
  ];
  const state = paint(toneOf(profile.state), profile.state);
  const users = profile.usedBy.length === 0 ? 'no cluster' : printable(profile.usedBy.join(', '));
  const head = `profile ${printable(profile.name)}@${printable(profile.version)}: ${state}, type ${profile.spec.type}, used by ${users}\n`;
  return `${head}\n${table(profile.spec.layers, columns, { isWide, paint })}`;
};

const hostText = (context: Context, host: HostView, paint: Paint, isWide: boolean): string => {
  const head = table([host], hostColumns(context.io.clock.nowMs()), { isWide, paint });
  const words = host.state === 'lobby' ? `\nwords: ${printable(host.words)}   (compare with the device, then: gp approve ${printable(host.name)})\n` : '';
  const place = host.replaces === undefined ? '' : `replaces ${printable(host.replaces)}, which has the same serial number (with: gp approve --replace)\n`;
  const seen = host.reportedAtMs === undefined ? '' : `\nreported ${timeText(host.reportedAtMs)}\n`;
  const layers = (host.status?.layers ?? []).map((layer) => ({ name: layer.name, kind: layer.kind, observed: layer, isCurrent: layer.state === 'ready' }));
  return `${head}${words}${place}${seen}${
    layers.length === 0
      ? ''
      : table(
          layers,
          layerColumns(host.simulated).filter((column) => column.title !== 'DESIRED'),
          { isWide, paint },
        ).replaceAll(' (leaving)', '')
  }`;
};

/** Reads one cluster, host or profile version; of a profile without version the newest. */
export const readOne = async (
  connection: Connection,
  kind: 'cluster' | 'host' | 'profile',
  text: string,
): Promise<ApiResult<ClusterView | HostView | ProfileView>> => {
  const { client, project } = connection;
  if (kind === 'cluster') return client.call('getCluster', { params: { project, name: text } });
  if (kind === 'host') return client.call('getHost', { params: { project, name: text } });
  const { name, version } = parseProfileName(text);
  const newest = version === '' ? await newestVersion(connection, project, name) : { ok: true as const, value: version };
  if (!newest.ok) return newest;
  if (newest.value === undefined)
    return {
      ok: false,
      failure: { kind: 'fatal', code: 'not-found', element: `profile ${name}`, message: `project ${project} has no version of it`, status: 404 },
    };
  return client.call('getProfile', { params: { project, name, version: newest.value } });
};

const getOne = async (context: Context, connection: Connection, kind: 'cluster' | 'host' | 'profile', name: string, options: GetOptions): Promise<Outcome> => {
  const bad = badName(kind, parseProfileName(name).name);
  if (bad !== undefined) return bad;
  const answer = await readOne(connection, kind, name);
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? `gp get ${pluralOf(kind)}` : undefined);
  const item = answer.value;
  if (options.export === true && !('words' in item)) return printExported(context, item);
  const human = (paint: Paint, isWide: boolean): string =>
    'words' in item ? hostText(context, item, paint, isWide) : 'layersTotal' in item ? clusterText(item, paint, isWide) : profileText(item, paint, isWide);
  await printOne(context, item, `${kind}/${name}`, human);
  return exits.ok;
};

/** `gp get KIND [NAME]`. */
export const get = async (context: Context, kindText: string, name: string | undefined, options: GetOptions): Promise<Outcome> => {
  const kind = parseKind(kindText);
  if (typeof kind !== 'string') return kind;
  const isSingle = kind === 'cluster' || kind === 'host' || kind === 'profile';
  if (options.export === true && (name === undefined || kind === 'host' || !isSingle))
    return usage('--export', 'exports one cluster or one profile version', 'gp get cluster NAME --export');
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  // `get profile NAME` without a version lists its versions, which is nearly always what one wants to know first.
  const isVersions = kind === 'profile' && name !== undefined && !name.includes('@') && options.export !== true;
  return isSingle && name !== undefined && !isVersions
    ? getOne(context, connection.value, kind, name, options)
    : getList(context, connection.value, kind, name, options);
};
