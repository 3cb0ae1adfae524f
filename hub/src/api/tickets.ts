import { ok } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import type { Row } from '../port/store.ts';
import { ticketLine } from '../gateway/ticket-line.ts';
import { secretHash } from './auth.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type Handler } from './handler.ts';

const listed = (serials: number, came: number): { serials: number; serialsToCome: number } => ({ serials, serialsToCome: serials - came });

const view = (row: Row<'ticket'>, project: string) => ({
  ...stamp(row),
  name: row.name,
  project,
  expiresAtMs: row.value.expiresAtMs,
  usesLeft: row.value.usesLeft,
  labels: row.value.labels,
  autoApprove: row.value.autoApprove,
  ...(row.value.serials === undefined ? {} : listed(Object.keys(row.value.serials).length, row.value.came?.length ?? 0)),
});

export const createTicket: Handler<'createTicket'> = async ({ principal, params, body, project }, deps) => {
  const id = makeId('ticket', (length) => deps.random.bytes(length));
  const secret = Buffer.from(deps.random.bytes(24)).toString('base64url');
  const done = await deps.store.commit([
    {
      op: 'put',
      kind: 'ticket',
      tenant: principal.tenant,
      id,
      project,
      name: body.name,
      lookup: id,
      expect: 'absent',
      value: {
        keyHash: secretHash(secret),
        expiresAtMs: deps.clock.wallMs() + body.ttlSeconds * 1000,
        usesLeft: body.uses,
        labels: body.labels ?? {},
        autoApprove: body.autoApprove,
        ...(body.serials === undefined ? {} : { serials: body.serials }),
      },
    },
    {
      op: 'event',
      event: {
        tenant: principal.tenant,
        project,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'TicketMade',
        actor: principal.subject,
        message: `ticket ${body.name} for ${body.uses} hosts was made`,
      },
    },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('ticket', principal.tenant, id);
  if (row === undefined) return notFound(`ticket ${body.name}`, '');
  return ok({ ...view(row, params.project), ticket: ticketLine(deps.addresses(), deps.keys, { id, secret }) });
};

export const listTickets: Handler<'listTickets'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const rows = await deps.store.list('ticket', principal.tenant, pageQuery(query, project));
  return ok(page(rows, limit, (row) => view(row, params.project)));
};

export const deleteTicket: Handler<'deleteTicket'> = async ({ principal, params, project }, deps) => {
  const row = await deps.store.byName('ticket', principal.tenant, project, params.name);
  if (row === undefined) return notFound(`ticket ${params.name}`, 'See: gp get tickets');
  const done = await deps.store.commit([{ op: 'delete', kind: 'ticket', tenant: principal.tenant, id: row.id }]);
  return done.ok ? ok(undefined) : done;
};
