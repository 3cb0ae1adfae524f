import { ok } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import type { Row } from '../port/store.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type Handler } from './handler.ts';

const view = (row: Row<'macro'>, project: string) => ({ ...stamp(row), name: row.name, project, value: row.value.value });

export const setMacro: Handler<'setMacro'> = async ({ principal, params, body, project }, deps) => {
  const before = await deps.store.byName('macro', principal.tenant, project, params.name);
  const id = before?.id ?? makeId('macro', (length) => deps.random.bytes(length));
  const done = await deps.store.commit([
    { op: 'put', kind: 'macro', tenant: principal.tenant, id, project, name: params.name, expect: before?.version ?? 'absent', value: { value: body.value } },
    {
      op: 'event',
      event: {
        tenant: principal.tenant,
        project,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'MacroSet',
        actor: principal.subject,
        message: `macro ${params.name} was set`,
      },
    },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('macro', principal.tenant, id);
  return row === undefined ? notFound(`macro ${params.name}`, '') : ok(view(row, params.project));
};

export const listMacros: Handler<'listMacros'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const rows = await deps.store.list('macro', principal.tenant, pageQuery(query, project));
  return ok(page(rows, limit, (row) => view(row, params.project)));
};

export const deleteMacro: Handler<'deleteMacro'> = async ({ principal, params, project }, deps) => {
  const row = await deps.store.byName('macro', principal.tenant, project, params.name);
  if (row === undefined) return notFound(`macro ${params.name}`, 'See: gp get macros');
  const done = await deps.store.commit([{ op: 'delete', kind: 'macro', tenant: principal.tenant, id: row.id, expect: row.version }]);
  return done.ok ? ok(undefined) : done;
};
