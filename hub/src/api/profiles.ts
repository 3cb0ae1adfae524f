import { isAllowed } from '@groundplane/protocol/access';
import type { ProfileDiffView, ProfileSummaryView, ProfileView } from '@groundplane/protocol/api/views';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import { compareLayers } from '@groundplane/protocol/layer';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { stringify } from 'yaml';
import type { ClusterEntry } from '../fleet/index.ts';
import type { Row } from '../port/store.ts';
import { notFound } from './errors.ts';
import { limitOf, page, stamp, type ApiDeps, type Handler, type Request } from './handler.ts';

const find = async (deps: ApiDeps, tenant: string, project: string, name: string, version: string): Promise<Result<Row<'profile'>>> => {
  const row = await deps.store.byName('profile', tenant, project, `${name}@${version}`);
  return row === undefined ? notFound(`profile ${name} ${version}`, 'See: gp get profiles') : ok(row);
};

/** Clusters of a project, from memory: asking the store for each would make a list of profiles as dear as a list of clusters. */
const clustersIn = (deps: ApiDeps, tenant: string, project: string): ClusterEntry[] =>
  [...deps.fleet.clusters()].filter((cluster) => cluster.tenant === tenant && cluster.project === project);

const usedBy = (deps: ApiDeps, row: Row<'profile'>): string[] =>
  clustersIn(deps, row.tenant, row.project)
    .filter((cluster) => cluster.profiles.includes(row.name))
    .map((cluster) => cluster.name)
    .toSorted();

const layersOf = (spec: ProfileSpec, version: string): ProfileSummaryView['layers'] =>
  spec.layers.toSorted(compareLayers).map((layer) => ({
    name: layer.name,
    kind: layer.kind,
    pack: layer.pack ?? (layer.helm === undefined ? { name: layer.name, version } : { name: layer.helm.chart.name, version: layer.helm.chart.version }),
  }));

const view = (deps: ApiDeps, row: Row<'profile'>, project: string): ProfileView => ({
  ...stamp(row),
  name: row.value.profile,
  version: row.value.version,
  project,
  labels: row.value.labels,
  state: row.value.state,
  digest: row.value.digest,
  spec: row.value.spec,
  usedBy: usedBy(deps, row),
});

/** Only what this tenant uploaded itself: knowing the digest of somebody else's chart must not be enough to render it. */
const missingChart = async (deps: ApiDeps, tenant: string, spec: ProfileSpec): Promise<Result<void>> => {
  for (const layer of spec.layers) {
    if (layer.helm === undefined || (await deps.store.get('blob', tenant, layer.helm.chart.digest)) !== undefined) continue;
    return fail(
      'fatal',
      'chart-missing',
      `layer ${layer.name}`,
      `the chart archive ${layer.helm.chart.digest} was not uploaded. gp apply does that when the layer names a chart by path`,
    );
  }
  return ok(undefined);
};

const release = (deps: ApiDeps, row: { tenant: string; name: string; version: string; digest: string; spec: ProfileSpec }) =>
  deps.keys.sign('release', {
    schema: 'groundplane.dev/release/1',
    tenant: row.tenant,
    profile: row.name,
    version: row.version,
    digest: row.digest as `sha256:${string}`,
    settable: row.spec.variables.filter((variable) => !variable.immutable).map((variable) => variable.name),
  } as const);

const save = async (
  request: Pick<Request<'applyProfile'>, 'principal' | 'project'>,
  deps: ApiDeps,
  value: Row<'profile'>['value'],
  before: Row<'profile'> | undefined,
): Promise<Result<void>> => {
  const { tenant, subject } = request.principal;
  const id = before?.id ?? makeId('profileVersion', (length) => deps.random.bytes(length));
  const verb = value.state === 'released' ? 'released' : 'saved as draft';
  const done = await deps.store.commit([
    { op: 'put', kind: 'profile', tenant, id, project: request.project, name: `${value.profile}@${value.version}`, value, expect: before?.version ?? 'absent' },
    {
      op: 'event',
      event: {
        tenant,
        project: request.project,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'ProfileSaved',
        actor: subject,
        message: `profile ${value.profile} ${value.version} was ${verb}`,
      },
    },
  ]);
  return done.ok ? ok(undefined) : done;
};

export const applyProfile: Handler<'applyProfile'> = async (request, deps) => {
  const { principal, params, body, project } = request;
  const digest = digestOf(body.spec);
  const before = await deps.store.byName('profile', principal.tenant, project, `${params.name}@${params.version}`);
  if (before?.value.state === 'released') {
    if (before.value.digest === digest) return ok(view(deps, before, params.project));
    return fail('blocked', 'immutable', `profile ${params.name} ${params.version}`, 'is released and cannot change. Raise metadata.version and apply again');
  }
  const isDraft = body.draft === true;
  if (!isDraft && !isAllowed(principal.grants, 'profile.release', project))
    return fail('fatal', 'denied', `profile ${params.name} ${params.version}`, 'you may not release profiles. Save it as a draft: gp apply --draft');
  const charts = await missingChart(deps, principal.tenant, body.spec);
  if (!charts.ok) return charts;
  const value: Row<'profile'>['value'] = {
    profile: params.name,
    version: params.version,
    labels: body.labels ?? before?.value.labels ?? {},
    spec: body.spec,
    digest,
    state: isDraft ? 'draft' : 'released',
    ...(isDraft ? {} : { release: release(deps, { tenant: principal.tenant, name: params.name, version: params.version, digest, spec: body.spec }) }),
  };
  if (request.query.dryRun === 'true') {
    const nowMs = deps.clock.wallMs();
    return ok({
      id: before?.id ?? '',
      createdAtMs: before?.createdAtMs ?? nowMs,
      updatedAtMs: nowMs,
      rowVersion: before?.version ?? 0,
      ...params,
      labels: value.labels,
      state: value.state,
      digest,
      spec: body.spec,
      usedBy: [],
    });
  }
  const saved = await save(request, deps, value, before);
  if (!saved.ok) return saved;
  const row = await find(deps, principal.tenant, project, params.name, params.version);
  return row.ok ? ok(view(deps, row.value, params.project)) : row;
};

export const getProfile: Handler<'getProfile'> = async ({ principal, params, project }, deps) => {
  const row = await find(deps, principal.tenant, project, params.name, params.version);
  return row.ok ? ok(view(deps, row.value, params.project)) : row;
};

export const listProfiles: Handler<'listProfiles'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const after = query.after ?? (query.name === undefined ? '' : `${query.name}@`);
  const rows = (await deps.store.list('profile', principal.tenant, { project, after, limit })).filter(
    (row) => query.name === undefined || row.value.profile === query.name,
  );
  const uses = new Map<string, number>();
  for (const cluster of clustersIn(deps, principal.tenant, project)) {
    for (const name of cluster.profiles) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  return ok(
    page(rows, limit, (row) => ({
      ...stamp(row),
      name: row.value.profile,
      version: row.value.version,
      project: params.project,
      labels: row.value.labels,
      state: row.value.state,
      digest: row.value.digest,
      type: row.value.spec.type,
      ...(row.value.spec.description === undefined ? {} : { description: row.value.spec.description }),
      layers: layersOf(row.value.spec, row.value.version),
      clusters: uses.get(row.name) ?? 0,
    })),
  );
};

export const releaseProfile: Handler<'releaseProfile'> = async (request, deps) => {
  const { principal, params, project } = request;
  const row = await find(deps, principal.tenant, project, params.name, params.version);
  if (!row.ok) return row;
  if (row.value.value.state === 'draft') {
    const { value } = row.value;
    const saved = await save(
      request,
      deps,
      {
        ...value,
        state: 'released',
        release: release(deps, { tenant: principal.tenant, name: value.profile, version: value.version, digest: value.digest, spec: value.spec }),
      },
      row.value,
    );
    if (!saved.ok) return saved;
  }
  const after = await find(deps, principal.tenant, project, params.name, params.version);
  return after.ok ? ok(view(deps, after.value, params.project)) : after;
};

export const deleteProfile: Handler<'deleteProfile'> = async ({ principal, params, project }, deps) => {
  const row = await find(deps, principal.tenant, project, params.name, params.version);
  if (!row.ok) return row;
  const users = usedBy(deps, row.value);
  if (users.length > 0)
    return fail(
      'blocked',
      'in-use',
      `profile ${params.name} ${params.version}`,
      `is used by ${users.slice(0, 5).join(', ')}${users.length > 5 ? ` and ${users.length - 5} more` : ''}. Move them to another version first`,
    );
  const done = await deps.store.commit([
    { op: 'delete', kind: 'profile', tenant: principal.tenant, id: row.value.id, expect: row.value.version },
    {
      op: 'event',
      event: {
        tenant: principal.tenant,
        project,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'ProfileDeleted',
        actor: principal.subject,
        message: `profile ${params.name} ${params.version} was deleted`,
      },
    },
  ]);
  return done.ok ? ok(undefined) : done;
};

export const diffProfile: Handler<'diffProfile'> = async ({ principal, params, query, project }, deps) => {
  const from = await find(deps, principal.tenant, project, params.name, query.from);
  if (!from.ok) return from;
  const to = await find(deps, principal.tenant, project, params.name, query.to);
  if (!to.ok) return to;
  const before = new Map(from.value.value.spec.layers.map((layer) => [layer.name, layer]));
  const after = new Map(to.value.value.spec.layers.map((layer) => [layer.name, layer]));
  const all = [...from.value.value.spec.layers, ...to.value.value.spec.layers.filter((layer) => !before.has(layer.name))].toSorted(compareLayers);
  const text = (layer: unknown): string => (layer === undefined ? '' : stringify(layer, { lineWidth: 0 }));
  const layers = all.map(({ name }): ProfileDiffView['layers'][number] => {
    const old = before.get(name);
    const next = after.get(name);
    const change = old === undefined ? 'add' : next === undefined ? 'remove' : digestOf(old) === digestOf(next) ? 'same' : 'change';
    return { name, change: change, before: text(old), after: text(next) };
  });
  return ok({ from: query.from, to: query.to, layers });
};
