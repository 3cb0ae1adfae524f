import { permissions, isAllowed } from '@groundplane/protocol/access';
import { fail, ok } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import type { WhoView } from '@groundplane/protocol/api/views';
import type { Row } from '../port/store.ts';
import type { Principal } from './auth.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type ApiDeps, type Handler } from './handler.ts';

/** Who somebody is; also the answer to logging in. */
export const who = async (principal: Principal, deps: Pick<ApiDeps, 'store'>): Promise<WhoView> => {
  const tenant = await deps.store.get('tenant', principal.tenant, principal.tenant);
  const projects = new Map<string, string>();
  for (const grant of principal.grants) {
    if (grant.project !== undefined) projects.set(grant.project, (await deps.store.get('project', principal.tenant, grant.project))?.name ?? '');
  }
  return {
    subject: principal.subject,
    name: principal.name,
    tenant: { id: principal.tenant, name: tenant?.name ?? '' },
    grants: principal.grants.map((grant) => ({ role: grant.role, ...(grant.project === undefined ? {} : { project: projects.get(grant.project) ?? '' }) })),
    permissions: permissions.filter((permission) => principal.grants.some((grant) => isAllowed([grant], permission, grant.project))),
  };
};

export const whoami: Handler<'whoami'> = async ({ principal }, deps) => ok(await who(principal, deps));

export const tenant: Handler<'tenant'> = async ({ principal }, deps) => {
  const row = await deps.store.get('tenant', principal.tenant, principal.tenant);
  return row === undefined ? notFound('tenant', '') : ok({ ...stamp(row), name: row.name, trustMode: row.value.trustMode });
};

export const createTenant: Handler<'createTenant'> = async ({ principal, body }, deps) => {
  if (principal.tenant !== deps.systemTenant) return fail('fatal', 'denied', `tenant ${body.name}`, 'only administrators of the system tenant make tenants');
  if ((await deps.store.byLookup('tenant', body.name)) !== undefined) return fail('blocked', 'name-taken', `tenant ${body.name}`, 'exists already');
  const id = makeId('tenant', (length) => deps.random.bytes(length));
  const project = makeId('project', (length) => deps.random.bytes(length));
  const done = await deps.store.commit([
    { op: 'put', kind: 'tenant', tenant: id, id, project: '', name: body.name, lookup: body.name, expect: 'absent', value: { trustMode: 'hub' } },
    { op: 'put', kind: 'project', tenant: id, id: project, project: '', name: 'default', expect: 'absent', value: {} },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('tenant', id, id);
  if (row === undefined) return notFound(`tenant ${body.name}`, '');
  return ok({ ...stamp(row), name: row.name, trustMode: row.value.trustMode, setupToken: await deps.auth.makeSetupToken(id) });
};

export const listProjects: Handler<'listProjects'> = async ({ principal, query }, deps) => {
  const limit = limitOf(query);
  const rows = await deps.store.list('project', principal.tenant, pageQuery(query, ''));
  const mine = rows.filter((row) => principal.grants.some((grant) => grant.project === undefined || grant.project === row.id));
  return ok({ ...page(rows, limit, (row) => row), items: mine.map((row) => ({ ...stamp(row), name: row.name })) });
};

export const createProject: Handler<'createProject'> = async ({ principal, body }, deps) => {
  const id = makeId('project', (length) => deps.random.bytes(length));
  const done = await deps.store.commit([
    { op: 'put', kind: 'project', tenant: principal.tenant, id, project: '', name: body.name, expect: 'absent', value: {} },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('project', principal.tenant, id);
  return row === undefined ? notFound(`project ${body.name}`, '') : ok({ ...stamp(row), name: row.name });
};

export const deleteProject: Handler<'deleteProject'> = async ({ principal, params }, deps) => {
  const row = await deps.store.byName('project', principal.tenant, '', params.project);
  if (row === undefined) return notFound(`project ${params.project}`, 'See: gp get projects');
  for (const kind of ['cluster', 'profile', 'host', 'ticket', 'macro'] as const) {
    const rows = await deps.store.list(kind, principal.tenant, { project: row.id, limit: 500 });
    const inside = rows.filter((item) => item.kind !== 'host' || (item as Row<'host'>).value.state !== 'revoked');
    if (inside[0] !== undefined)
      return fail('blocked', 'in-use', `project ${params.project}`, `still has ${kind} ${inside[0].name}. Delete what is in it first`);
  }
  const done = await deps.store.commit([{ op: 'delete', kind: 'project', tenant: principal.tenant, id: row.id, expect: row.version }]);
  return done.ok ? ok(undefined) : done;
};

const keyView = async (deps: ApiDeps, row: Row<'apiKey'>) => {
  const grant = row.value.grants[0];
  const project = grant?.project === undefined ? undefined : (await deps.store.get('project', row.tenant, grant.project))?.name;
  return {
    ...stamp(row),
    name: row.name,
    role: grant?.role ?? ('Viewer' as const),
    ...(project === undefined ? {} : { project }),
    ...(row.value.expiresAtMs === undefined ? {} : { expiresAtMs: row.value.expiresAtMs }),
  };
};

export const createApiKey: Handler<'createApiKey'> = async ({ principal, body }, deps) => {
  const project = body.project === undefined ? undefined : await deps.store.byName('project', principal.tenant, '', body.project);
  if (body.project !== undefined && project === undefined) return notFound(`project ${body.project}`, 'See: gp get projects');
  const grant = { role: body.role, ...(project === undefined ? {} : { project: project.id }) };
  const missing = permissions.find((permission) => isAllowed([grant], permission, project?.id) && !isAllowed(principal.grants, permission, project?.id));
  if (missing !== undefined)
    return fail('fatal', 'denied', `API key ${body.name}`, `its role ${body.role} may ${missing}, and you may not: nobody gives more than they have`);
  const made = await deps.auth.makeApiKey(
    principal.tenant,
    body.name,
    [grant],
    body.ttlSeconds === undefined ? undefined : deps.clock.wallMs() + body.ttlSeconds * 1000,
  );
  return made.ok ? ok({ ...(await keyView(deps, made.value.row)), key: made.value.key }) : made;
};

export const listApiKeys: Handler<'listApiKeys'> = async ({ principal, query }, deps) => {
  const limit = limitOf(query);
  const rows = await deps.store.list('apiKey', principal.tenant, pageQuery(query, ''));
  const views = await Promise.all(rows.map((row) => keyView(deps, row)));
  return ok({ ...page(rows, limit, (row) => row), items: views });
};

export const deleteApiKey: Handler<'deleteApiKey'> = async ({ principal, params }, deps) => {
  const row = await deps.store.byName('apiKey', principal.tenant, '', params.name);
  if (row === undefined) return notFound(`API key ${params.name}`, 'See: gp get api-keys');
  const done = await deps.store.commit([{ op: 'delete', kind: 'apiKey', tenant: principal.tenant, id: row.id }]);
  return done.ok ? ok(undefined) : done;
};
