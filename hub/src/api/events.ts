import { isDigest } from '@groundplane/protocol/digest';
import { ok } from '@groundplane/protocol/failure';
import type { EventView } from '@groundplane/protocol/api/views';
import type { StoredEvent } from '../port/store.ts';
import { notFound } from './errors.ts';
import { limitOf, type Handler } from './handler.ts';

const view = (event: StoredEvent, project: string): EventView => ({
  seq: event.seq,
  atMs: event.atMs,
  type: event.type,
  reason: event.reason,
  message: event.message,
  project,
  ...(event.cluster === undefined ? {} : { cluster: event.cluster }),
  ...(event.host === undefined ? {} : { host: event.host }),
  ...(event.layer === undefined ? {} : { layer: event.layer }),
  ...(event.generation === undefined ? {} : { generation: event.generation }),
  ...(event.actor === undefined ? {} : { actor: event.actor }),
});

export const listEvents: Handler<'listEvents'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const events = await deps.store.events(principal.tenant, {
    project,
    limit: query.last ?? limit,
    ...(query.cluster === undefined ? {} : { cluster: query.cluster }),
    ...(query.host === undefined ? {} : { host: query.host }),
    ...(query.after === undefined ? {} : { afterSeq: Number(query.after) || 0 }),
    ...(query.last === undefined ? {} : { last: query.last }),
  });
  const last = events.at(-1);
  return ok({ items: events.map((event) => view(event, params.project)), ...(last !== undefined && events.length === limit && query.last === undefined ? { next: String(last.seq) } : {}) });
};

export const headContent: Handler<'headContent'> = async ({ principal, params }, deps) => {
  const mine = isDigest(params.digest) ? await deps.store.get('blob', principal.tenant, params.digest) : undefined;
  return mine === undefined ? notFound(`content ${params.digest}`, 'It was not uploaded to this tenant') : ok({ digest: params.digest, size: mine.value.size });
};

export const fleet: Handler<'fleet'> = async ({ principal, query }, deps) => {
  const project = query.project === undefined ? undefined : await deps.store.byName('project', principal.tenant, '', query.project);
  if (query.project !== undefined && project === undefined) return notFound(`project ${query.project}`, 'See: gp get projects');
  return ok(deps.fleet.counters(principal.tenant, project?.id));
};
