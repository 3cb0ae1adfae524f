import { allowedProjects } from '@groundplane/protocol/access';
import { isAllowed } from '@groundplane/protocol/access';
import { isDigest } from '@groundplane/protocol/digest';
import { ok } from '@groundplane/protocol/failure';
import type { EventView, FleetView } from '@groundplane/protocol/api/views';
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
  return ok({
    items: events.map((event) => view(event, params.project)),
    ...(last !== undefined && events.length === limit && query.last === undefined ? { next: String(last.seq) } : {}),
  });
};

export const headContent: Handler<'headContent'> = async ({ principal, params }, deps) => {
  // Authors upload charts from within their project, and blobs belong to the whole tenant.
  const mayAsk = principal.grants.some((grant) => isAllowed([grant], 'content.upload', grant.project) || isAllowed([grant], 'content.get', grant.project));
  const mine = mayAsk && isDigest(params.digest) ? await deps.store.get('blob', principal.tenant, params.digest) : undefined;
  return mine === undefined ? notFound(`content ${params.digest}`, 'It was not uploaded to this tenant') : ok({ digest: params.digest, size: mine.value.size });
};

/** Adds up counters of several projects. */
const sum = (views: readonly FleetView[]): FleetView => {
  const total: FleetView = { hosts: 0, online: 0, lobby: 0, simulated: 0, clusters: 0, byState: {}, drifted: 0, profiles: 0 };
  for (const view of views) {
    for (const key of ['hosts', 'online', 'lobby', 'simulated', 'clusters', 'drifted', 'profiles'] as const) total[key] += view[key];
    for (const [state, count] of Object.entries(view.byState)) total.byState[state] = (total.byState[state] ?? 0) + count;
  }
  return total;
};

/** Counters of what the caller may see: of the tenant, of one project, or of the projects that their grants name. */
export const fleet: Handler<'fleet'> = async ({ principal, query }, deps) => {
  const visible = allowedProjects(principal.grants, 'host.get');
  const project = query.project === undefined ? undefined : await deps.store.byName('project', principal.tenant, '', query.project);
  if (query.project !== undefined && (project === undefined || (visible !== 'all' && !visible.includes(project.id))))
    return notFound(`project ${query.project}`, 'See: gp get projects');
  if (project === undefined && visible !== 'all') return ok(sum(visible.map((id) => deps.fleet.counters(principal.tenant, id))));
  return ok(deps.fleet.counters(principal.tenant, project?.id));
};
