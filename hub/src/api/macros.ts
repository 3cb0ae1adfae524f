import { ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import type { Row } from '../port/store.ts';
import type { Principal } from './auth.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type ApiDeps, type Handler } from './handler.ts';
import { redacted } from '../trust/cluster-secrets.ts';

/** Where a macro belongs: a project by id and name, or both empty for the whole tenant. */
interface Place {
  id: string;
  name: string;
}
const tenantWide: Place = { id: '', name: '' };

const view = (row: Row<'macro'>, place: Place) => {
  const sensitive = row.value.sensitive === true;
  return { ...stamp(row), name: row.name, project: place.name, value: sensitive ? redacted : row.value.value, sensitive };
};

const set = async (deps: ApiDeps, principal: Principal, place: Place, name: string, body: { value: string; sensitive?: boolean | undefined }) => {
  const { tenant, subject } = principal;
  const before = await deps.store.byName('macro', tenant, place.id, name);
  const id = before?.id ?? makeId('macro', (length) => deps.random.bytes(length));
  const sensitive = body.sensitive ?? before?.value.sensitive ?? false;
  const kept = body.value === redacted && before !== undefined ? before.value.value : undefined;
  const value = kept ?? (sensitive ? deps.sealers(tenant).seal(body.value) : body.value);
  const done = await deps.store.commit([
    {
      op: 'put',
      kind: 'macro',
      tenant,
      id,
      project: place.id,
      name,
      expect: before?.version ?? 'absent',
      value: { value, ...(sensitive ? { sensitive } : {}) },
    },
    {
      op: 'event',
      event: { tenant, project: place.id, atMs: deps.clock.wallMs(), type: 'normal', reason: 'MacroSet', actor: subject, message: `macro ${name} was set` },
    },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('macro', tenant, id);
  return row === undefined ? notFound(`macro ${name}`, '') : ok(view(row, place));
};

const list = async (deps: ApiDeps, tenant: string, place: Place, query: { after?: string | undefined; limit?: number | undefined }) => {
  const rows = await deps.store.list('macro', tenant, pageQuery(query, place.id));
  return ok(page(rows, limitOf(query), (row) => view(row, place)));
};

const remove = async (deps: ApiDeps, tenant: string, place: Place, name: string): Promise<Result<undefined>> => {
  const row = await deps.store.byName('macro', tenant, place.id, name);
  if (row === undefined) return notFound(`macro ${name}`, 'See: gp get macros');
  const done = await deps.store.commit([{ op: 'delete', kind: 'macro', tenant, id: row.id, expect: row.version }]);
  return done.ok ? ok(undefined) : done;
};

export const setMacro: Handler<'setMacro'> = ({ principal, params, body, project }, deps) =>
  set(deps, principal, { id: project, name: params.project }, params.name, body);
export const listMacros: Handler<'listMacros'> = ({ principal, params, query, project }, deps) =>
  list(deps, principal.tenant, { id: project, name: params.project }, query);
export const deleteMacro: Handler<'deleteMacro'> = ({ principal, params, project }, deps) =>
  remove(deps, principal.tenant, { id: project, name: params.project }, params.name);

export const setTenantMacro: Handler<'setTenantMacro'> = ({ principal, params, body }, deps) => set(deps, principal, tenantWide, params.name, body);
export const listTenantMacros: Handler<'listTenantMacros'> = ({ principal, query }, deps) => list(deps, principal.tenant, tenantWide, query);
export const deleteTenantMacro: Handler<'deleteTenantMacro'> = ({ principal, params }, deps) => remove(deps, principal.tenant, tenantWide, params.name);
