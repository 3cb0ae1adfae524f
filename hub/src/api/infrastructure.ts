import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { findAccount } from '../cloud/accounts.ts';
import { builtInPrices } from '../cloud/prices.ts';
import { catalogueKey, catalogueOf } from '../cloud/catalogue.ts';
import { generationOf } from '../cloud/machine-rows.ts';
import { scopeOf } from '../cloud/turn.ts';
import { regionOf } from '../plan/catalogue.ts';
import { poolCost, sumCosts, type Prices } from '../plan/cost.ts';
import type { Row } from '../port/store.ts';
import { residentPool } from '../resident/ensure.ts';
import { findCluster } from './clusters.ts';
import { notFound } from './errors.ts';
import type { ApiDeps, Handler } from './handler.ts';

const pricesKey = 'prices';

const pricesOf = async (deps: ApiDeps, tenant: string): Promise<{ source: string; prices: Prices; isBuiltIn: boolean }> => {
  const row = await deps.store.get('setting', tenant, `${pricesKey}-${tenant}`);
  return row === undefined
    ? { ...builtInPrices, isBuiltIn: true }
    : { ...(JSON.parse(row.value.value) as { source: string; prices: Prices }), isBuiltIn: false };
};

const machinesOf = async (deps: ApiDeps, row: Row<'cluster'>): Promise<Row<'machine'>[]> => {
  const rows = await Promise.all(deps.fleet.machinesOf(row.id).map((id) => deps.store.get('machine', row.tenant, id)));
  return rows
    .filter((machine) => machine !== undefined)
    .filter((machine) => machine.value.pool !== residentPool)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
};

const machineView = (deps: ApiDeps, machine: Row<'machine'>, generation: string | undefined): InfrastructureView['machines'][number] => {
  const { pool, phase, sinceMs, size, zone, instance, state, health, message, reason, addresses, image } = machine.value;
  const host = deps.fleet.hostOfMachine(machine.id)?.name;
  return {
    name: machine.name,
    pool,
    phase,
    sinceMs,
    size,
    reason,
    addresses: addresses ?? [],
    outdated: generation !== undefined && machine.value.generation !== generation,
    ...(zone === undefined ? {} : { zone }),
    ...(instance === undefined ? {} : { instance }),
    ...(image === undefined ? {} : { image }),
    ...(state === undefined ? {} : { state }),
    ...(health === undefined ? {} : { health }),
    ...(message === undefined || message === '' ? {} : { message }),
    ...(host === undefined ? {} : { host }),
  };
};

const view = async (deps: ApiDeps, row: Row<'cluster'>): Promise<Result<InfrastructureView>> => {
  const spec = row.value.spec.infrastructure;
  if (spec === undefined) return notFound(`infrastructure of cluster ${row.name}`, 'its hosts came by themselves; the hub makes nothing for it');
  const infra = (await deps.store.get('infrastructure', row.tenant, row.id))?.value;
  const { prices } = await pricesOf(deps, row.tenant);
  const region = regionOf(spec);
  const pools = spec.pools.map((pool): InfrastructureView['pools'][number] => {
    const state = infra?.pools[pool.name];
    const image = infra?.images?.[pool.name];
    const cost = poolCost(prices, spec.environment, region, { size: pool.size, count: state?.wanted ?? pool.count });
    return {
      name: pool.name,
      role: pool.role,
      size: pool.size,
      wanted: state?.wanted ?? pool.count,
      total: state?.total ?? 0,
      ready: state?.ready ?? 0,
      outdated: state?.outdated ?? 0,
      needsApproval: state?.needsApproval ?? false,
      waits: state?.waits ?? [],
      ...(pool.min === undefined ? {} : { min: pool.min }),
      ...(pool.max === undefined ? {} : { max: pool.max }),
      ...(state?.version === undefined ? {} : { version: state.version }),
      ...(state?.message === undefined ? {} : { message: state.message }),
      ...(image === undefined ? {} : { image: { name: image.name, exact: image.exact, ...(image.newer === undefined ? {} : { newer: image.newer }) } }),
      ...(state?.parts === undefined ? {} : { parts: state.parts }),
      ...(cost === undefined ? {} : { cost }),
    };
  });
  const account = spec.account === '' ? undefined : await findAccount(deps.store, row, spec.account);
  const gateway = (account?.value.settings as { gateway?: string } | undefined)?.gateway;
  const service = poolCost(prices, spec.environment, region, { size: 'control-plane', count: 1 });
  const cost = sumCosts([...pools.map((pool) => pool.cost), service?.unknown.length === 0 ? service : undefined]);
  return ok({
    environment: spec.environment,
    account: spec.account,
    steps: infra?.steps ?? [],
    pools,
    machines: (await machinesOf(deps, row)).map((machine) => machineView(deps, machine, infra?.pools[machine.value.pool]?.generation)),
    protected: spec.protected,
    notices: [infra?.support?.notice, infra?.manifestNotice].filter((text) => text !== undefined),
    ...(infra?.endpoint === undefined ? {} : { endpoint: infra.endpoint }),
    ...(infra?.server === undefined ? {} : { server: infra.server }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(infra?.version === undefined ? {} : { version: infra.version }),
    ...(cost === undefined ? {} : { cost }),
  });
};

export const getInfrastructure: Handler<'getInfrastructure'> = async ({ principal, params, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  return found.ok ? view(deps, found.value.row) : found;
};

/** Writes what people ask for beside what the hub found out; tried again when both write at the same moment. */
const change = async (
  deps: ApiDeps,
  row: Row<'cluster'>,
  how: (value: Row<'infrastructure'>['value']) => Row<'infrastructure'>['value'],
): Promise<Result<undefined>> => {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const infra = await deps.store.get('infrastructure', row.tenant, row.id);
    if (infra === undefined) return fail('retry', 'not-ready', `cluster ${row.name}`, 'nothing was made for it yet. Try again in a moment');
    const { tenant, id, project, name, version } = infra;
    const done = await deps.store.commit([{ op: 'put', kind: 'infrastructure', tenant, id, project, name, value: how(infra.value), expect: version }]);
    if (done.ok) {
      deps.driver?.kick(row.id);
      return ok(undefined);
    }
  }
  return fail('retry', 'row-conflict', `cluster ${row.name}`, 'is being changed at the moment. Try again');
};

export const scalePool: Handler<'scalePool'> = async ({ principal, params, body, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const { row } = found.value;
  const pool = row.value.spec.infrastructure?.pools.find((item) => item.name === params.pool);
  if (pool === undefined) return notFound(`pool ${params.pool}`, `See: gp cloud show ${params.name}`);
  if (pool.min === undefined || pool.max === undefined)
    return fail(
      'blocked',
      'not-scalable',
      `pool ${pool.name}`,
      'has no bounds, so its document alone says how many machines it has. Give it min and max first',
    );
  if (body.count < pool.min || body.count > pool.max)
    return fail('blocked', 'out-of-bounds', `pool ${pool.name}`, `may have ${pool.min} to ${pool.max} machines, not ${body.count}`);
  const done = await change(deps, row, (value) => ({ ...value, scale: { ...value.scale, [pool.name]: body.count } }));
  return done.ok ? view(deps, row) : done;
};

/** The newer image, and the generation that comes with it: nobody has to say it twice where a pool asks for approval. */
const takeImage = (row: Row<'cluster'>, value: Row<'infrastructure'>['value'], name: string): Row<'infrastructure'>['value'] => {
  const spec = row.value.spec.infrastructure;
  const pool = spec?.pools.find((item) => item.name === name);
  const image = value.images?.[name];
  if (spec === undefined || pool === undefined || image?.newer === undefined) return value;
  const images = { ...value.images, [name]: { ...image, exact: image.newer, isChosen: true } };
  const generation = generationOf({ spec, scope: scopeOf(row, spec), infra: { images } }, pool);
  return { ...value, approvedImages: { ...value.approvedImages, [name]: image.newer }, approved: { ...value.approved, [name]: generation } };
};

export const repavePool: Handler<'repavePool'> = async ({ principal, params, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const { row } = found.value;
  const infra = (await deps.store.get('infrastructure', row.tenant, row.id))?.value;
  const state = infra?.pools[params.pool];
  const isThere = row.value.spec.infrastructure?.pools.some((pool) => pool.name === params.pool) === true;
  if (!isThere) return notFound(`pool ${params.pool}`, `See: gp cloud show ${params.name}`);
  if (infra === undefined || state === undefined)
    return fail('blocked', 'nothing-to-approve', `pool ${params.pool}`, `nothing of it was made yet. What is in the way: gp cloud show ${params.name}`);
  const image = infra.images?.[params.pool];
  if (!state.needsApproval && image?.newer === undefined)
    return fail('blocked', 'nothing-to-approve', `pool ${params.pool}`, 'nothing waits for approval, and there is no newer image');
  const done = await change(deps, row, (value) =>
    state.needsApproval ? { ...value, approved: { ...value.approved, [params.pool]: state.generation } } : takeImage(row, value, params.pool),
  );
  return done.ok ? view(deps, row) : done;
};

export const getPrices: Handler<'getPrices'> = async ({ principal }, deps) => ok((await pricesOf(deps, principal.tenant)) as never);

export const setPrices: Handler<'setPrices'> = async ({ principal, body }, deps) => {
  const id = `${pricesKey}-${principal.tenant}`;
  const done = await deps.store.commit([
    { op: 'put', kind: 'setting', tenant: principal.tenant, id, project: '', name: id, value: { value: JSON.stringify(body) } },
  ]);
  return done.ok ? ok({ ...body, isBuiltIn: false }) : done;
};

export const getCatalogue: Handler<'getCatalogue'> = async ({ principal }, deps) => ok(await catalogueOf(deps.store, principal.tenant));

export const setCatalogue: Handler<'setCatalogue'> = async ({ principal, body }, deps) => {
  const { tenant } = principal;
  const id = catalogueKey(tenant);
  const done = await deps.store.commit([{ op: 'put', kind: 'setting', tenant, id, project: '', name: id, value: { value: JSON.stringify(body) } }]);
  return done.ok ? ok({ ...body, isBuiltIn: false }) : done;
};
