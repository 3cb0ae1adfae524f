import type { HostSummaryView, HostView } from '@groundplane/protocol/api/views';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { keyWords } from '@groundplane/protocol/words';
import type { ClusterEntry, HostEntry } from '../fleet/index.ts';
import type { Row } from '../port/store.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, type ApiDeps, type Handler } from './handler.ts';

const kubernetesOf = (host: HostEntry, cluster: ClusterEntry | undefined): Pick<HostSummaryView, 'kubernetes'> =>
  host.node === undefined || cluster === undefined
    ? {}
    : {
        kubernetes: {
          role: cluster.workers.has(host.name) ? 'worker' : 'control-plane',
          node: host.node,
          keeper: host.isKeeper && host.online,
          ...(host.kubernetesVersion === undefined ? {} : { version: host.kubernetesVersion }),
        },
      };

/** A host in a list, from memory. */
export const hostSummary = (deps: ApiDeps, host: HostEntry, project: string): HostSummaryView => {
  const cluster = host.cluster === undefined ? deps.fleet.clusterOf(host.id) : deps.fleet.cluster(host.cluster);
  return {
    id: host.id,
    name: host.name,
    project,
    state: host.state,
    online: host.online,
    ...(host.lastSeenMs === undefined ? {} : { lastSeenMs: host.lastSeenMs }),
    simulated: host.simulated,
    ...(cluster === undefined ? {} : { cluster: cluster.name }),
    ...(host.phase === undefined ? {} : { phase: host.phase }),
    generation: host.desired?.generation ?? 0,
    ...(host.reported === undefined ? {} : { reportedGeneration: host.reported.generation }),
    drifted: host.drifted,
    labels: { ...host.labels },
    ...kubernetesOf(host, cluster),
    ...(host.applier === undefined || cluster === undefined ? {} : { applier: host.applier === 'holds' && !host.online ? 'held' : host.applier }),
    ...(host.why === undefined || cluster === undefined ? {} : { why: host.why }),
  };
};

const find = async (deps: ApiDeps, tenant: string, project: string, name: string): Promise<Result<{ row: Row<'host'>; entry: HostEntry }>> => {
  const row = await deps.store.byName('host', tenant, project, name);
  const entry = row === undefined ? undefined : deps.fleet.host(row.id);
  return row === undefined || entry === undefined ? notFound(`host ${name}`, 'See: gp get hosts') : ok({ row, entry });
};

const replacedBy = (deps: ApiDeps, row: Row<'host'>): { replaces?: string } => {
  const old = row.value.replaces === undefined || row.value.state !== 'lobby' ? undefined : deps.fleet.host(row.value.replaces);
  return old?.state === 'approved' ? { replaces: old.name } : {};
};

const questionOf = (deps: ApiDeps, row: Row<'host'>): { question?: 'replaces' | 'clone' } =>
  row.value.state === 'lobby' && row.value.suspected !== undefined
    ? { question: 'clone' }
    : 'replaces' in replacedBy(deps, row)
      ? { question: 'replaces' }
      : {};

const view = async (deps: ApiDeps, row: Row<'host'>, entry: HostEntry, project: string): Promise<HostView> => {
  const observed = await deps.store.get('observed', row.tenant, row.id);
  return {
    ...hostSummary(deps, entry, project),
    ...questionOf(deps, row),
    createdAtMs: row.createdAtMs,
    key: row.value.key,
    words: keyWords(row.value.key, deps.keys.hub),
    ...(row.value.serial === undefined ? {} : { serial: row.value.serial }),
    ...replacedBy(deps, row),
    ...(row.value.suspected === undefined ? {} : { suspected: row.value.suspected }),
    ...(row.value.info === undefined ? {} : { info: row.value.info }),
    ...(observed === undefined ? {} : { status: observed.value.status, reportedAtMs: observed.value.reportedAtMs }),
    ...(entry.carried === undefined ? {} : { carried: entry.carried }),
    ...(entry.desired === undefined ? {} : { desired: entry.desired }),
  };
};

export const getHost: Handler<'getHost'> = async ({ principal, params, project }, deps) => {
  const found = await find(deps, principal.tenant, project, params.name);
  return found.ok ? ok(await view(deps, found.value.row, found.value.entry, params.project)) : found;
};

export const listHosts: Handler<'listHosts'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const keyed = query.key === undefined ? undefined : await deps.store.byLookup('host', query.key);
  if (query.key !== undefined && (keyed?.tenant !== principal.tenant || keyed.project !== project)) return ok({ items: [] });
  const rows = keyed !== undefined ? [keyed] : await deps.store.list('host', principal.tenant, pageQuery(query, project));
  const listed = page(rows, limit, (row) => ({ row, host: deps.fleet.host(row.id) }));
  const items = listed.items.flatMap(({ row, host }) =>
    host !== undefined && (query.state === undefined ? host.state !== 'revoked' : host.state === query.state)
      ? [{ ...hostSummary(deps, host, params.project), ...questionOf(deps, row) }]
      : [],
  );
  return ok({ items, ...(listed.next === undefined || keyed !== undefined ? {} : { next: listed.next }) });
};

export const approveHost: Handler<'approveHost'> = async ({ principal, params, body, project }, deps) => {
  const found = await find(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const { row } = found.value;
  const words = keyWords(row.value.key, deps.keys.hub);
  if (body.words !== undefined && body.words.trim().split(/\s+/).join(' ').toLowerCase() !== words) {
    return fail(
      'fatal',
      'words-differ',
      `host ${params.name}`,
      'the words on the device are not the words of this host. Somebody may be trying to pass off another device; look at its console again',
    );
  }
  if (row.value.state === 'revoked') return fail('blocked', 'host-revoked', `host ${params.name}`, 'was revoked; enrol it again with a new key');
  if (body.replace === true) return replaceHost(deps, principal.subject, row, params.project);
  const name = body.rename ?? row.name;
  const { suspected: _, ...value } = row.value;
  const done = await deps.store.commit([
    {
      op: 'put',
      kind: 'host',
      tenant: row.tenant,
      id: row.id,
      project: row.project,
      name,
      lookup: row.value.key,
      expect: row.version,
      value: { ...value, state: 'approved', labels: body.labels ?? row.value.labels },
    },
    {
      op: 'event',
      event: {
        tenant: row.tenant,
        project: row.project,
        host: name,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'HostApproved',
        actor: principal.subject,
        message: `host ${name} (${words}) was let in`,
      },
    },
  ]);
  if (!done.ok) return done;
  const after = await find(deps, principal.tenant, project, name);
  return after.ok ? ok(await view(deps, after.value.row, after.value.entry, params.project)) : after;
};

/** The newcomer's key takes the place of the old one: same host, same name, same cluster, which brings it to what it should be. */
const replaceHost = async (deps: ApiDeps, actor: string, row: Row<'host'>, project: string): Promise<Result<HostView>> => {
  const old = row.value.replaces === undefined ? undefined : await deps.store.get('host', row.tenant, row.value.replaces);
  if (row.value.state !== 'lobby' || old === undefined || old.value.state !== 'approved')
    return fail(
      'blocked',
      'nothing-replaced',
      `host ${row.name}`,
      'has the serial number of no approved host of this project. Let it in as a new one: leave --replace out',
    );
  const { replaces: _, suspected: _suspected, ...value } = row.value;
  const done = await deps.store.commit([
    { op: 'delete', kind: 'host', tenant: row.tenant, id: row.id, expect: row.version },
    {
      op: 'put',
      kind: 'host',
      tenant: old.tenant,
      id: old.id,
      project: old.project,
      name: old.name,
      lookup: value.key,
      expect: old.version,
      value: { ...value, state: 'approved', labels: old.value.labels },
    },
    {
      op: 'event',
      event: {
        tenant: old.tenant,
        project: old.project,
        host: old.name,
        atMs: deps.clock.wallMs(),
        type: 'warning',
        reason: 'HostReplaced',
        actor,
        message: `a device with the same serial number took the place of ${old.name}; the old key is worth nothing any more`,
      },
    },
  ]);
  if (!done.ok) return done;
  deps.gateway.replaced(old.id);
  const after = await find(deps, old.tenant, old.project, old.name);
  return after.ok ? ok(await view(deps, after.value.row, after.value.entry, project)) : after;
};

/** The key is remembered, so that no ticket brings it back; the name is free again. */
export const revokeHost: Handler<'revokeHost'> = async ({ principal, params, project }, deps) => {
  const found = await find(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const { row, entry } = found.value;
  const cluster = deps.fleet.clusterOf(row.id);
  if (cluster !== undefined && !cluster.deleting)
    return fail('blocked', 'in-use', `host ${params.name}`, `belongs to cluster ${cluster.name}. Take it out of the cluster's hosts first`);
  const done = await deps.store.commit([
    {
      op: 'put',
      kind: 'host',
      tenant: row.tenant,
      id: row.id,
      project: row.project,
      name: `revoked-${row.id.slice(-12)}`,
      lookup: row.value.key,
      expect: row.version,
      value: { ...row.value, state: 'revoked' },
    },
    {
      op: 'event',
      event: {
        tenant: row.tenant,
        project: row.project,
        host: row.name,
        atMs: deps.clock.wallMs(),
        type: 'warning',
        reason: 'HostRevoked',
        actor: principal.subject,
        message: `host ${row.name} was revoked`,
      },
    },
  ]);
  if (!done.ok) return done;
  deps.gateway.revoke(entry.id);
  return ok(undefined);
};
