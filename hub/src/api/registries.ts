import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { registryBody } from '@groundplane/protocol/api/registries';
import { makeId } from '@groundplane/protocol/ids';
import type { z } from 'zod';
import type { Row } from '../port/store.ts';
import { createEgress, type Egress } from '../registry/egress.ts';
import { endpointsOf } from '../registry/endpoints.ts';
import { createHelmRepository } from '../registry/helm-repository.ts';
import { createOciClient, type OciClient } from '../registry/oci-client.ts';
import { parseReference, versionOfTag, type Reference } from '../registry/oci-reference.ts';
import { fetchArtifact } from '../registry/sync.ts';
import { pullChart, pullPack, type PulledUnit } from '../registry/units.ts';
import { createSealers } from '../trust/sealer.ts';
import type { Principal } from './auth.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type ApiDeps, type Handler } from './handler.ts';

type RegistryRow = Row<'registry'>;
const itemsMax = 1_000;
/** A person waits for the answer. */
const waitMaxMs = 10_000;

const view = (row: RegistryRow, project: string) => {
  const { sealed, ...rest } = row.value;
  return { ...stamp(row), ...rest, name: row.name, project, hasPassword: sealed !== undefined };
};

/** Where a registry belongs: a project by id and name, or both empty for the whole tenant. */
interface Place {
  id: string;
  name: string;
}
const tenantWide: Place = { id: '', name: '' };

const findIn = async (deps: ApiDeps, tenant: string, place: Place, name: string): Promise<Result<RegistryRow>> => {
  const row = await deps.store.byName('registry', tenant, place.id, name);
  return row === undefined ? notFound(`registry ${name}`, 'See: gp registry list') : ok(row);
};

/** What a name means in a project: its own registry, else that of the tenant. */
const find = async (deps: ApiDeps, tenant: string, project: string, name: string): Promise<Result<RegistryRow>> => {
  const own = await deps.store.byName('registry', tenant, project, name);
  return own === undefined ? findIn(deps, tenant, tenantWide, name) : ok(own);
};

/** Marks a place in a list that lies behind a project's own registries; no name begins with it. */
const shared = '~';

/** A project's own registries by name, then those of the tenant whose names it does not use itself. */
export const listRegistries: Handler<'listRegistries'> = async ({ principal, params, query, project }, deps) => {
  const { tenant } = principal;
  const limit = limitOf(query);
  const isBehind = query.after?.startsWith(shared) === true;
  const own = isBehind ? [] : await deps.store.list('registry', tenant, pageQuery(query, project));
  const last = own.at(-1);
  const items = own.map((row) => view(row, params.project));
  if (own.length === limit && last !== undefined) return ok({ items, next: last.name });
  const after = isBehind ? query.after?.slice(shared.length) : undefined;
  const rows = await deps.store.list('registry', tenant, { project: '', limit: limit - own.length, ...(after === undefined ? {} : { after }) });
  for (const row of rows) if ((await deps.store.byName('registry', tenant, project, row.name)) === undefined) items.push(view(row, ''));
  const end = rows.at(-1);
  return ok({ items, ...(rows.length === limit - own.length && end !== undefined ? { next: `${shared}${end.name}` } : {}) });
};

export const listTenantRegistries: Handler<'listTenantRegistries'> = async ({ principal, query }, deps) => {
  const rows = await deps.store.list('registry', principal.tenant, pageQuery(query, ''));
  return ok(page(rows, limitOf(query), (row) => view(row, '')));
};

/** The address of an artifact below a registry's own. */
const referenceIn = (row: RegistryRow, artifact: string): Result<Reference> =>
  parseReference(artifact === '' ? row.value.url : `${row.value.url.replace(/\/+$/, '')}/${artifact}`);

const hostOf = (row: RegistryRow): string => row.value.url.replace(/^oci:\/\//, '').split('/')[0] ?? '';

interface Opened {
  egress: Egress;
  oci: OciClient;
  helm: ReturnType<typeof createHelmRepository>;
}

/** Clients for one registry with its own credentials; other registries that it points to get none of them. */
const withRegistry = async <T>(deps: ApiDeps, row: RegistryRow, act: (opened: Opened) => Promise<Result<T>>): Promise<Result<T>> => {
  const { url, username, sealed, insecure, ca, tokenHosts, mirrors } = row.value;
  const password = sealed === undefined ? ok('') : createSealers(deps.keys.sealKey)(row.tenant).open(sealed);
  if (!password.ok) return password;
  const credentials = username === undefined && sealed === undefined ? undefined : { username: username ?? '', password: password.value };
  const egress = createEgress(deps.egress ?? { private: [] });
  const settings = { insecure, tokenHosts, ...(ca === undefined ? {} : { ca }), ...(credentials === undefined ? {} : { credentials }) };
  const home = hostOf(row);
  const oci = createOciClient({
    egress,
    clock: deps.clock,
    waitMaxMs,
    endpoints: (registry) =>
      Promise.resolve(
        endpointsOf(registry, registry === home ? { ...settings, mirrors: mirrors.map((text) => ({ url: text.replace(/^oci:/, 'https:') })) } : {}, undefined),
      ),
  });
  const helm = createHelmRepository(
    { egress, clock: deps.clock },
    { url, insecure, ...(ca === undefined ? {} : { ca }), ...(credentials === undefined ? {} : { credentials }) },
  );
  try {
    return await act({ egress, oci, helm });
  } finally {
    egress.close();
  }
};

const check = (deps: ApiDeps, row: RegistryRow): Promise<Result<string>> =>
  withRegistry(deps, row, async ({ oci, helm }) => {
    if (row.value.kind === 'helm') {
      const index = await helm.index();
      return index.ok ? ok(`it has ${index.value.size} charts`) : index;
    }
    const there = await oci.ping(hostOf(row));
    return there.ok ? ok('it is a registry, and it lets us in') : there;
  });

interface Change {
  principal: Principal;
  place: Place;
  name: string;
  body: z.output<typeof registryBody>;
  isTried: boolean;
}

const set = async (deps: ApiDeps, { principal, place, name, body, isTried }: Change) => {
  const project = place.id;
  const params = { name };
  const before = await deps.store.byName('registry', principal.tenant, project, name);
  const { password, username, ca, ...rest } = body;
  if (body.kind !== 'helm') {
    const host = parseReference(`${body.url.replace(/\/+$/, '')}/x`);
    if (!host.ok) return fail('fatal', 'request-invalid', `registry ${params.name}`, `${body.url} is no address of a registry: ${host.failure.message}`);
  }
  // A password goes on to the address that it was given for and to no other: whoever may change the address must not learn it that way.
  const isMoved = before !== undefined && (before.value.url !== body.url || before.value.username !== username || body.insecure !== before.value.insecure);
  if (password === undefined && before?.value.sealed !== undefined && isMoved)
    return fail('fatal', 'request-invalid', `registry ${params.name}`, 'changes its address, user or encryption; give the password again');
  const sealed =
    password === undefined ? before?.value.sealed : password === '' ? undefined : createSealers(deps.keys.sealKey)(principal.tenant).seal(password);
  const id = before?.id ?? makeId('registry', (length) => deps.random.bytes(length));
  const value: RegistryRow['value'] = {
    ...rest,
    ...(username === undefined ? {} : { username }),
    ...(ca === undefined ? {} : { ca }),
    ...(sealed === undefined ? {} : { sealed }),
  };
  const draft: RegistryRow = { kind: 'registry', tenant: principal.tenant, id, project, name: params.name, version: 0, createdAtMs: 0, updatedAtMs: 0, value };
  if (isTried) {
    const checked = await check(deps, draft);
    if (!checked.ok) return checked;
  }
  const { tenant } = principal;
  const done = await deps.store.commit([
    { op: 'put', kind: 'registry', tenant, id, project, name: params.name, expect: before?.version ?? 'absent', value },
    {
      op: 'event',
      event: {
        tenant,
        project,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'RegistrySet',
        actor: principal.subject,
        message: `registry ${params.name} is ${body.url}`,
      },
    },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('registry', tenant, id);
  return row === undefined ? notFound(`registry ${params.name}`, '') : ok(view(row, place.name));
};

export const setRegistry: Handler<'setRegistry'> = ({ principal, params, query, body, project }, deps) =>
  set(deps, { principal, place: { id: project, name: params.project }, name: params.name, body, isTried: query.validate !== 'false' });
export const setTenantRegistry: Handler<'setTenantRegistry'> = ({ principal, params, query, body }, deps) =>
  set(deps, { principal, place: tenantWide, name: params.name, body, isTried: query.validate !== 'false' });

const remove = async (deps: ApiDeps, tenant: string, place: Place, name: string): Promise<Result<undefined>> => {
  const row = await findIn(deps, tenant, place, name);
  if (!row.ok) return row;
  const done = await deps.store.commit([{ op: 'delete', kind: 'registry', tenant, id: row.value.id, expect: row.value.version }]);
  return done.ok ? ok(undefined) : done;
};

export const deleteRegistry: Handler<'deleteRegistry'> = ({ principal, params, project }, deps) =>
  remove(deps, principal.tenant, { id: project, name: params.project }, params.name);
export const deleteTenantRegistry: Handler<'deleteTenantRegistry'> = ({ principal, params }, deps) => remove(deps, principal.tenant, tenantWide, params.name);

const validate = async (deps: ApiDeps, row: Result<RegistryRow>) => {
  if (!row.ok) return row;
  const checked = await check(deps, row.value);
  return ok(
    checked.ok
      ? { reachable: true, message: checked.value }
      : { reachable: false, code: checked.failure.code, message: `${checked.failure.element}: ${checked.failure.message}` },
  );
};

export const validateRegistry: Handler<'validateRegistry'> = async ({ principal, params, project }, deps) =>
  validate(deps, await find(deps, principal.tenant, project, params.name));
export const validateTenantRegistry: Handler<'validateTenantRegistry'> = async ({ principal, params }, deps) =>
  validate(deps, await findIn(deps, principal.tenant, tenantWide, params.name));

export const listVersions: Handler<'listVersions'> = async ({ principal, params, query, project }, deps) => {
  const row = await find(deps, principal.tenant, project, params.name);
  if (!row.ok) return row;
  const { artifact } = query;
  const found = await withRegistry(deps, row.value, async ({ oci, helm }): Promise<Result<string[]>> => {
    if (row.value.value.kind === 'helm') {
      const index = await helm.index();
      if (!index.ok) return index;
      if (artifact === undefined) return ok([...index.value.keys()].toSorted());
      const entries = index.value.get(artifact);
      return entries === undefined ? notFound(`chart ${artifact}`, '') : ok(entries.map((entry) => entry.version));
    }
    if (artifact === undefined)
      return fail(
        'blocked',
        'registry-unsupported',
        `registry ${params.name}`,
        'OCI registries do not say which artifacts they have; name one: ?artifact=NAME',
      );
    const reference = referenceIn(row.value, artifact);
    if (!reference.ok) return reference;
    const tags = await oci.tags(reference.value);
    return tags.ok ? ok(tags.value.map(versionOfTag).toSorted().toReversed()) : tags;
  });
  if (!found.ok) return found;
  return ok({ ...(artifact === undefined ? {} : { artifact }), items: found.value.slice(0, itemsMax), truncated: found.value.length > itemsMax });
};

interface Imported {
  kind: 'chart' | 'pack' | 'zarf';
  name: string;
  version: string;
  digest: string;
  size: number;
  reference: string;
  warnings: string[];
}

/**
 * The digest that profiles pin is the one of the archive; whoever has the one of the manifest may give that. Anything else is refused before it is stored:
 * a tag or an index that was changed must not change what a profile is.
 */
const checkPin = (element: string, wanted: string | undefined, unit: { digest: string; manifest?: string }): Result<void> =>
  wanted === undefined || wanted === unit.digest || wanted === unit.manifest
    ? ok(undefined)
    : fail('fatal', 'content-wrong', element, `has the digest ${unit.digest}, and ${wanted} is pinned; nothing was taken`);

/** By version; only a digest without a version is looked up as that of a manifest. */
const pullUnit = async (
  oci: OciClient,
  kind: 'pack' | 'oci',
  base: Reference,
  body: { version?: string | undefined; digest?: string | undefined },
): Promise<Result<PulledUnit>> => {
  const pull = kind === 'pack' ? pullPack : pullChart;
  if (body.digest !== undefined && body.version === undefined) {
    const exact = await pull(oci, { ...base, digest: body.digest as `sha256:${string}` });
    if (exact.ok) return exact;
  }
  const unit = await pull(oci, base, body.version);
  if (!unit.ok) return unit;
  const checked = checkPin(`${kind === 'pack' ? 'pack' : 'chart'} ${unit.value.name} ${unit.value.version}`, body.digest, unit.value);
  return checked.ok ? unit : checked;
};

const fetchUnit = (
  deps: ApiDeps,
  row: RegistryRow,
  body: { artifact: string; version?: string | undefined; digest?: string | undefined },
): Promise<Result<Imported>> =>
  withRegistry(deps, row, async ({ oci, helm }): Promise<Result<Imported>> => {
    const { kind, url } = row.value;
    if (kind === 'helm') {
      const chart = await helm.fetch(body.artifact, body.version);
      if (!chart.ok) return chart;
      const { name, version, bytes } = chart.value;
      const checked = checkPin(`chart ${name} ${version}`, body.digest, chart.value);
      if (!checked.ok) return checked;
      return ok({ kind: 'chart', name, version, digest: await deps.content.put(bytes), size: bytes.length, reference: `${url} ${name}`, warnings: [] });
    }
    const base = referenceIn(row, body.artifact);
    if (!base.ok) return base;
    const reference: Reference = body.digest === undefined ? base.value : { ...base.value, digest: body.digest as `sha256:${string}` };
    if (kind === 'zarf') {
      const tagged: Reference =
        reference.tag === undefined && reference.digest === undefined && body.version !== undefined ? { ...reference, tag: body.version } : reference;
      const all = await fetchArtifact(oci, tagged, deps.content);
      const root = all.ok ? all.value.at(-1) : undefined;
      if (!all.ok) return all;
      if (root === undefined) return notFound(body.artifact, '');
      return ok({ kind: 'zarf', name: body.artifact, version: tagged.tag ?? '', digest: root.digest, size: root.size, reference: body.artifact, warnings: [] });
    }
    const unit = await pullUnit(oci, kind, base.value, body);
    if (!unit.ok) return unit;
    const { name, version, bytes, provenance } = unit.value;
    const warnings = provenance === undefined ? [] : ['the chart brings a provenance file, which is not checked: no key of its maintainer is known'];
    const digest = await deps.content.put(bytes);
    return ok({
      kind: kind === 'pack' ? 'pack' : 'chart',
      name,
      version,
      digest,
      size: bytes.length,
      reference: `${url}/${body.artifact}@${unit.value.manifest}`,
      warnings,
    });
  });

export const importArtifact: Handler<'importArtifact'> = async ({ principal, params, body, project }, deps) => {
  const row = await find(deps, principal.tenant, project, params.name);
  if (!row.ok) return row;
  const { tenant } = principal;
  const unit = await fetchUnit(deps, row.value, body);
  if (!unit.ok) return unit;
  const { kind, digest, size, name, version } = unit.value;
  const done = await deps.store.commit([
    { op: 'put', kind: 'blob', tenant, id: digest, project: '', name: digest, value: { size, unit: { kind, name, version, project, registry: params.name } } },
    {
      op: 'event',
      event: {
        tenant,
        project,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'ArtifactImported',
        actor: principal.subject,
        message: `${unit.value.kind} ${name} ${version} came from registry ${params.name}`,
      },
    },
  ]);
  return done.ok ? ok(unit.value) : done;
};

export const listArtifacts: Handler<'listArtifacts'> = async ({ principal, query, project }, deps) => {
  const rows = await deps.store.list('artifact', principal.tenant, pageQuery(query, project));
  return ok(page(rows, limitOf(query), (row) => ({ ...row.value, createdAtMs: row.createdAtMs })));
};
