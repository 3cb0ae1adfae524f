import { isAllowed } from '@groundplane/protocol/access';
import type { ProfileSummaryView, ProfileView } from '@groundplane/protocol/api/views';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import { parseKubernetesContent } from '@groundplane/protocol/distribution/content';
import { managedPart } from '@groundplane/protocol/layer';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import { compareLayers } from '@groundplane/protocol/layer';
import { osContent } from '@groundplane/protocol/os-spec';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import type { ClusterEntry } from '../fleet/index.ts';
import type { Row } from '../port/store.ts';
import { compareSpecs } from './compare-specs.ts';
import { notFound } from './errors.ts';
import { limitOf, page, stamp, type ApiDeps, type Handler, type Request } from './handler.ts';

export const findProfile = async (deps: ApiDeps, tenant: string, project: string, name: string, version: string): Promise<Result<Row<'profile'>>> => {
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

export const profileView = (deps: ApiDeps, row: Row<'profile'>, project: string): ProfileView => ({
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

const kubernetesContent = ({ kubernetes }: ProfileSpec['layers'][number]): Digest[] =>
  Object.values(managedPart(kubernetes)?.content ?? {}).flatMap((digest) => (digest === undefined ? [] : [digest]));

/** What a list of Kubernetes content names has to be this tenant's too: hosts are given whatever their bundle names. */
const missingOfKubernetes = async (deps: ApiDeps, tenant: string, layer: ProfileSpec['layers'][number]): Promise<Result<void>> => {
  for (const digest of kubernetesContent(layer)) {
    const bytes = await deps.content.read(digest);
    const list = parseKubernetesContent(bytes?.toString('utf8') ?? '', `layer ${layer.name}, Kubernetes content ${digest}`);
    if (!list.ok) return list;
    for (const item of [...list.value.files, ...list.value.blobs])
      if ((await deps.store.get('blob', tenant, item.digest)) === undefined)
        return fail(
          'fatal',
          'chart-missing',
          `layer ${layer.name}`,
          `its Kubernetes content names ${item.digest}, which was not uploaded. Run: gp kubernetes upload FOLDER`,
        );
  }
  return ok(undefined);
};

/** Digests that a profile refers to: charts, packs, Zarf packages, Kubernetes content. */
export const contentOf = (spec: ProfileSpec): { layer: string; what: string; digest: string }[] =>
  spec.layers.flatMap((layer) =>
    [
      { layer: layer.name, what: 'chart', digest: layer.helm?.chart.digest },
      { layer: layer.name, what: 'pack', digest: layer.pack?.digest },
      { layer: layer.name, what: 'Zarf package', digest: layer.zarf?.package.digest },
      ...kubernetesContent(layer).map((digest) => ({ layer: layer.name, what: 'Kubernetes content', digest })),
      ...osContent(layer.os).map(({ what, digest }) => ({ layer: layer.name, what, digest })),
    ].flatMap((item) => (item.digest === undefined ? [] : [{ ...item, digest: item.digest }])),
  );

/** Only what this tenant uploaded itself: knowing the digest of somebody else's chart must not be enough to render it. */
export const missingContent = async (deps: ApiDeps, tenant: string, spec: ProfileSpec): Promise<Result<void>> => {
  for (const { layer, what, digest } of contentOf(spec)) {
    if ((await deps.store.get('blob', tenant, digest)) !== undefined) continue;
    return fail(
      'fatal',
      'chart-missing',
      `layer ${layer}`,
      `the ${what} ${digest} was not uploaded. gp apply does that when the layer names it by path, gp registry import from a registry, gp kubernetes upload for Kubernetes, gp agent upload for agents`,
    );
  }
  for (const layer of spec.layers) {
    const missing = await missingOfKubernetes(deps, tenant, layer);
    if (!missing.ok) return missing;
  }
  return ok(undefined);
};

/** What a release lets clusters set: variables, and values of layers as `layer/path`. */
const settableOf = (spec: ProfileSpec): string[] => [
  ...spec.variables.filter((variable) => !variable.immutable).map((variable) => variable.name),
  ...spec.layers.flatMap((layer) => (layer.settable ?? []).map((path) => `${layer.name}/${path}`)),
];

const release = (deps: ApiDeps, row: { tenant: string; name: string; version: string; digest: string; spec: ProfileSpec }) =>
  deps.keys.sign('release', {
    schema: 'groundplane.dev/release/1',
    tenant: row.tenant,
    profile: row.name,
    version: row.version,
    digest: row.digest as `sha256:${string}`,
    settable: settableOf(row.spec),
  } as const);

/** Writes a version; releasing it signs it, and from then on it cannot change. */
export const saveProfile = async (
  request: Pick<Request<'applyProfile'>, 'principal' | 'project'>,
  deps: ApiDeps,
  draft: Row<'profile'>['value'],
  before: Row<'profile'> | undefined,
  state: 'draft' | 'released',
): Promise<Result<void>> => {
  const { tenant, subject } = request.principal;
  const signed = { tenant, name: draft.profile, version: draft.version, digest: draft.digest, spec: draft.spec };
  const value: Row<'profile'>['value'] = state === 'draft' ? draft : { ...draft, state, release: release(deps, signed) };
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
    if (before.value.digest === digest) return ok(profileView(deps, before, params.project));
    return fail('blocked', 'immutable', `profile ${params.name} ${params.version}`, 'is released and cannot change. Raise metadata.version and apply again');
  }
  const isDraft = body.draft === true;
  if (!isDraft && !isAllowed(principal.grants, 'profile.release', project))
    return fail('fatal', 'denied', `profile ${params.name} ${params.version}`, 'you may not release profiles. Save it as a draft: gp apply --draft');
  const present = await missingContent(deps, principal.tenant, body.spec);
  if (!present.ok) return present;
  const value: Row<'profile'>['value'] = {
    profile: params.name,
    version: params.version,
    labels: body.labels ?? before?.value.labels ?? {},
    spec: body.spec,
    digest,
    state: 'draft',
  };
  const state = isDraft ? 'draft' : 'released';
  if (request.query.dryRun === 'true') {
    const nowMs = deps.clock.wallMs();
    return ok({
      id: before?.id ?? '',
      createdAtMs: before?.createdAtMs ?? nowMs,
      updatedAtMs: nowMs,
      rowVersion: before?.version ?? 0,
      ...params,
      labels: value.labels,
      state,
      digest,
      spec: body.spec,
      usedBy: [],
    });
  }
  const saved = await saveProfile(request, deps, value, before, state);
  if (!saved.ok) return saved;
  const row = await findProfile(deps, principal.tenant, project, params.name, params.version);
  return row.ok ? ok(profileView(deps, row.value, params.project)) : row;
};

export const getProfile: Handler<'getProfile'> = async ({ principal, params, project }, deps) => {
  const row = await findProfile(deps, principal.tenant, project, params.name, params.version);
  return row.ok ? ok(profileView(deps, row.value, params.project)) : row;
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
  const row = await findProfile(deps, principal.tenant, project, params.name, params.version);
  if (!row.ok) return row;
  if (row.value.value.state === 'draft') {
    const saved = await saveProfile(request, deps, row.value.value, row.value, 'released');
    if (!saved.ok) return saved;
  }
  const after = await findProfile(deps, principal.tenant, project, params.name, params.version);
  return after.ok ? ok(profileView(deps, after.value, params.project)) : after;
};

export const deleteProfile: Handler<'deleteProfile'> = async ({ principal, params, project }, deps) => {
  const row = await findProfile(deps, principal.tenant, project, params.name, params.version);
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
  const from = await findProfile(deps, principal.tenant, project, params.name, query.from);
  if (!from.ok) return from;
  const to = await findProfile(deps, principal.tenant, project, params.name, query.to);
  if (!to.ok) return to;
  const layers = compareSpecs(from.value.value.spec, to.value.value.spec);
  return ok({ from: query.from, to: query.to, layers });
};
