import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import type { ApiResult, Client } from '@groundplane/protocol/api/client';
import { pricesBody } from '@groundplane/protocol/api/cloud-views';
import { catalogueSchema, type Catalogue } from '@groundplane/protocol/environment/catalogue';
import { environmentNames, type Environment } from '@groundplane/protocol/environment/environments';
import type { ZodType } from 'zod';
import { connect } from '../../connect.ts';
import type { Context } from '../../io.ts';
import { printList, printOne } from '../../output/print.ts';
import { table } from '../../output/table.ts';
import { apiTrouble, exits, usage, type Outcome } from '../../trouble.ts';
import { readYamlFile } from './yaml-file.ts';

const marks = { done: '✓', doing: '…', waiting: '…', failed: '✗' } as const;

const money = (cost: InfrastructureView['cost']): string =>
  cost === undefined ? '-' : `$${cost.perHour.toFixed(2)}/h${cost.unknown.length === 0 ? '' : ` without ${cost.unknown.join(', ')}`}`;

const poolColumns = [
  { title: 'POOL', value: (pool: InfrastructureView['pools'][number]) => pool.name },
  { title: 'ROLE', value: (pool: InfrastructureView['pools'][number]) => pool.role },
  { title: 'SIZE', value: (pool: InfrastructureView['pools'][number]) => pool.size },
  { title: 'READY', value: (pool: InfrastructureView['pools'][number]) => `${pool.ready}/${pool.wanted}` },
  {
    title: 'OUTDATED',
    value: (pool: InfrastructureView['pools'][number]) => (pool.needsApproval ? `${pool.outdated}, wait for approval` : String(pool.outdated)),
  },
  { title: 'COST', value: (pool: InfrastructureView['pools'][number]) => money(pool.cost) },
];

const machineColumns = [
  { title: 'MACHINE', value: (item: InfrastructureView['machines'][number]) => item.name },
  { title: 'PHASE', value: (item: InfrastructureView['machines'][number]) => item.phase },
  { title: 'HEALTH', value: (item: InfrastructureView['machines'][number]) => item.health ?? '-' },
  { title: 'ZONE', value: (item: InfrastructureView['machines'][number]) => item.zone ?? '-' },
  { title: 'INSTANCE', value: (item: InfrastructureView['machines'][number]) => item.instance ?? '-' },
  { title: 'NOTE', value: (item: InfrastructureView['machines'][number]) => item.message ?? '' },
];

const imageLine = (cluster: string, { name, image }: InfrastructureView['pools'][number]): string[] => {
  if (image === undefined) return [];
  const newer = image.newer === undefined ? '' : `; a newer one is there, ${image.newer}: gp pool repave ${cluster} ${name}`;
  return [`  ${name}: ${image.name} is ${image.exact}${newer}`];
};

/** `workers: workers-2, 3 nodes, making` and what of the old one differs. */
const partLine = (pool: string, part: NonNullable<InfrastructureView['pools'][number]['parts']>[number]): string => {
  const differs = part.differs.length === 0 ? '' : `, is replaced: other ${part.differs.join(', ')}`;
  return `${pool}: ${part.name}, ${part.count} nodes, ${part.state}${differs}${part.message === undefined ? '' : `: ${part.message}`}`;
};

const text = (name: string, view: InfrastructureView): string => {
  const options = { isWide: false, paint: (_: unknown, said: string) => said };
  const steps = view.steps.map((step) => `  ${marks[step.state]} ${step.name}: ${step.message}`);
  const waits = [...view.pools.flatMap((pool) => pool.waits), ...view.notices].map((line) => `  ${line}`);
  return [
    `cluster ${name} in ${view.environment}${view.account === '' ? '' : `, account ${view.account}`}${view.endpoint === undefined ? '' : `, API at ${view.endpoint.host}:${view.endpoint.port}`}${view.version === undefined ? '' : `, Kubernetes ${view.version}`}`,
    `about ${money(view.cost)}${view.protected ? ', protected' : ''}`,
    ...steps,
    ...waits,
    '',
    table(view.pools, poolColumns, options).trimEnd(),
    ...view.pools.flatMap((pool) => (pool.parts ?? []).map((part) => `  ${partLine(pool.name, part)}`)),
    ...view.pools.flatMap((pool) => imageLine(name, pool)),
    ...(view.machines.length === 0 ? [] : ['', table(view.machines, machineColumns, options).trimEnd()]),
    '',
  ].join('\n');
};

const show = async (context: Context, name: string, view: InfrastructureView): Promise<Outcome> => {
  await printOne(context, view, `cluster/${name}`, () => text(name, view));
  return exits.ok;
};

/** `gp cloud show CLUSTER`. */
export const showInfrastructure = async (context: Context, name: string): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer = await client.call('getInfrastructure', { params: { project, name } });
  return answer.ok ? show(context, name, answer.value) : apiTrouble(answer.failure);
};

/** `gp pool scale CLUSTER POOL COUNT`. */
export const scalePool = async (context: Context, name: string, pool: string, count: number): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer = await client.call('scalePool', { params: { project, name, pool }, body: { count } });
  return answer.ok ? show(context, name, answer.value) : apiTrouble(answer.failure);
};

/** `gp pool repave CLUSTER POOL`. */
export const repavePool = async (context: Context, name: string, pool: string): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer = await client.call('repavePool', { params: { project, name, pool } });
  return answer.ok ? show(context, name, answer.value) : apiTrouble(answer.failure);
};

interface WhereOptions {
  environment: string;
  set: string[];
}

/** `region=eu-central-1` pairs as a placement. */
const placementOf = (options: WhereOptions): { environment: Environment; placement: Record<string, unknown> } | undefined => {
  const environment = environmentNames.find((name) => name === options.environment);
  const pairs = options.set.map((pair) => /^([A-Za-z]+)=(.+)$/.exec(pair));
  if (environment === undefined || pairs.includes(null)) return undefined;
  return { environment, placement: Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? ''])) };
};

const wrongPlace = (): Outcome =>
  usage(
    'gp cloud',
    `--environment is one of ${environmentNames.join(', ')}, and --set is KEY=VALUE`,
    'gp cloud offers ACCOUNT --environment aws --set region=eu-central-1',
  );

/** `gp cloud offers ACCOUNT`: regions, sizes, images, networks, versions. */
export const showOffers = async (context: Context, name: string, options: WhereOptions): Promise<Outcome> => {
  const body = placementOf(options);
  if (body === undefined) return wrongPlace();
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer = await client.call('accountOffers', { params: { project, name }, body });
  if (!answer.ok) return apiTrouble(answer.failure);
  const offers = answer.value;
  const line = (title: string, names: readonly string[]): string => (names.length === 0 ? '' : `${title}: ${names.join(', ')}\n`);
  await printOne(context, offers, `offers/${name}`, () =>
    [
      line(
        'regions',
        offers.regions.map((item) => item.name),
      ),
      line('zones', offers.zones),
      line(
        'versions',
        (offers.versions ?? []).map((item) => item.name),
      ),
      line(
        'networks',
        offers.networks.map((item) => item.name),
      ),
      line(
        'images',
        offers.images.map((item) => item.title ?? item.name),
      ),
      ...Object.entries(offers.other ?? {}).map(([title, items]) =>
        line(
          title,
          items.map((item) => item.name),
        ),
      ),
      ...offers.sizes.map(
        (size) => `${size.name}: ${size.cpus} CPUs, ${(size.memoryMiB / 1024).toFixed(1)} GiB${size.price === undefined ? '' : `, $${size.price}/h`}\n`,
      ),
    ].join(''),
  );
  return exits.ok;
};

/** `gp cloud orphans ACCOUNT`: what carries our tag and belongs to no cluster that this hub knows. Ends with `partly` when there is any. */
export const showOrphans = async (context: Context, name: string, options: WhereOptions): Promise<Outcome> => {
  const body = placementOf(options);
  if (body === undefined) return wrongPlace();
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer = await client.call('accountOrphans', { params: { project, name }, body });
  if (!answer.ok) return apiTrouble(answer.failure);
  await printList(context, answer.value.items, {
    name: (item) => item.thing,
    empty: `nothing is left of clusters that this hub does not know; ${answer.value.known} things belong to known ones`,
    columns: [
      { title: 'THING', value: (item) => item.thing },
      { title: 'NAME', value: (item) => item.name ?? '-' },
      { title: 'CLUSTER', value: (item) => item.cluster },
    ],
  });
  return answer.value.items.length === 0 ? exits.ok : exits.partly;
};

/** A document of the tenant's: with a file it is replaced first. */
const shownDocument = async <B, A>(
  context: Context,
  file: string | undefined,
  schema: ZodType<B>,
  calls: { get: (client: Client) => Promise<ApiResult<A>>; set: (client: Client, body: B) => Promise<ApiResult<A>> },
): Promise<{ ok: true; value: A } | { ok: false; trouble: Outcome }> => {
  const connection = await connect(context);
  if (!connection.ok) return connection;
  const { client } = connection.value;
  let answer;
  if (file === undefined) answer = await calls.get(client);
  else {
    const read = await readYamlFile(context, file);
    if (!read.ok) return read;
    const body = schema.safeParse(read.value);
    if (!body.success)
      return { ok: false, trouble: usage(`file ${file}`, `${body.error.issues[0]?.path.join('.') ?? ''}: ${body.error.issues[0]?.message ?? ''}`) };
    answer = await calls.set(client, body.data);
  }
  return answer.ok ? answer : { ok: false, trouble: apiTrouble(answer.failure) };
};

/** `gp cloud catalogue [FILE]`: images by name and what they are where; ends of support. */
export const catalogue = async (context: Context, file: string | undefined): Promise<Outcome> => {
  const answer = await shownDocument(context, file, catalogueSchema, {
    get: (client) => client.call('getCatalogue', {}),
    set: (client, body) => client.call('setCatalogue', { body }),
  });
  if (!answer.ok) return answer.trouble;
  const { isBuiltIn: _isBuiltIn, ...document } = answer.value;
  await printOne(context, document, 'catalogue', () => catalogueText(document));
  return exits.ok;
};

const catalogueText = ({ source, images, kubernetes }: Catalogue): string =>
  [
    source,
    ...Object.entries(images).map(
      ([name, image]) =>
        `${name}: ${image.title}${image.endOfSupport === undefined ? '' : `, supported until ${image.endOfSupport}`}; ${Object.keys(image.environments).join(', ')}`,
    ),
    ...Object.entries(kubernetes).map(
      ([environment, versions]) =>
        `Kubernetes, ${environment}: ${Object.entries(versions ?? {})
          .map(([version, ends]) => `${version} until ${ends}`)
          .join(', ')}`,
    ),
    '',
  ].join('\n');

/** `gp cloud prices [set FILE]`. */
export const prices = async (context: Context, file: string | undefined): Promise<Outcome> => {
  const answer = await shownDocument(context, file, pricesBody, {
    get: (client) => client.call('getPrices', {}),
    set: (client, body) => client.call('setPrices', { body }),
  });
  if (!answer.ok) return answer.trouble;
  const { source, prices: list } = answer.value;
  await printOne(
    context,
    answer.value,
    'prices',
    () =>
      `${source}: ${Object.entries(list)
        .map(([name, regions]) => `${name} ${Object.values(regions ?? {}).reduce((sum, sizes) => sum + Object.keys(sizes).length, 0)} sizes`)
        .join(', ')}\n`,
  );
  return exits.ok;
};
