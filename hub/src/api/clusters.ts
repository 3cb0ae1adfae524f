import type { ClusterLayerView, ClusterSummaryView, ClusterView } from '@groundplane/protocol/api/views';
import { clusterStates } from '@groundplane/protocol/cluster-state';
import { isInside, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import { compareLayers } from '@groundplane/protocol/layer';
import type { HostStatus } from '@groundplane/protocol/observed';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { ClusterEntry, HostEntry } from '../fleet/index.ts';
import type { Row } from '../port/store.ts';
import type { BuiltBundle } from '../render/bundle.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type ApiDeps, type Handler, type Request } from './handler.ts';
import { applierAmong, applierCondition } from '../plan/appliers.ts';
import { isManagedBundle, memberProblem } from '../plan/members.ts';
import { hostSummary } from './hosts.ts';
import { accountKindOf } from '@groundplane/protocol/environment/account';
import { findAccount } from '../cloud/accounts.ts';
import { infrastructureProblem } from '../plan/infrastructure-change.ts';
import { hideSensitive, restoreSensitive, sealSensitive } from './sensitive.ts';

export const findCluster = async (
  deps: ApiDeps,
  tenant: string,
  project: string,
  name: string,
): Promise<Result<{ row: Row<'cluster'>; entry: ClusterEntry }>> => {
  const row = await deps.store.byName('cluster', tenant, project, name);
  const entry = row === undefined ? undefined : deps.fleet.cluster(row.id);
  return row === undefined || entry === undefined ? notFound(`cluster ${name}`, 'See: gp get clusters') : ok({ row, entry });
};

export const membersOf = (deps: ApiDeps, cluster: Pick<Row<'cluster'>, 'tenant' | 'project'>, spec: ClusterSpec): HostEntry[] =>
  spec.hosts.map((name) => deps.fleet.hostByName(cluster.tenant, cluster.project, name)).filter((host) => host !== undefined);

const summary = (deps: ApiDeps, row: Row<'cluster'>, entry: ClusterEntry, project: string): ClusterSummaryView => {
  const hosts = membersOf(deps, row, deps.fleet.specOf(row));
  const first = applierAmong(hosts) ?? hosts[0];
  return {
    ...stamp(row),
    name: row.name,
    project,
    labels: row.value.labels,
    state: entry.state,
    message: entry.message || clusterStates[entry.state],
    profiles: row.value.spec.profiles,
    hosts: hosts.length,
    online: hosts.filter((host) => host.online).length,
    layersReady: first?.layersReady ?? 0,
    layersTotal: first?.layersTotal ?? 0,
    drifted: hosts.reduce((sum, host) => sum + host.drifted, 0),
    simulated: hosts.some((host) => host.simulated),
  };
};

/** Desired beside observed for each layer, in install order; a layer that only the host still has is listed too. */
export const layerStack = (built: BuiltBundle | undefined, status: HostStatus | undefined): ClusterLayerView[] => {
  const observed = new Map((status?.layers ?? []).map((layer) => [layer.name, layer]));
  const desired = (built?.bundle.layers ?? []).map((layer, index) => {
    const digest = built?.layerDigests[index] ?? '';
    const seen = observed.get(layer.name);
    observed.delete(layer.name);
    return {
      name: layer.name,
      kind: layer.kind,
      priority: layer.priority,
      profile: layer.profile,
      desired: { pack: { name: layer.pack.name, version: layer.pack.version }, digest },
      ...(seen === undefined ? {} : { observed: seen }),
      isCurrent: seen?.digest === digest && seen.state === 'ready',
    };
  });
  const extra = [...observed.values()].map((seen) => ({
    name: seen.name,
    kind: seen.kind,
    priority: Number.MAX_SAFE_INTEGER,
    observed: seen,
    isCurrent: false,
  }));
  return [...desired, ...extra].toSorted(compareLayers).map(({ priority: _priority, ...layer }) => layer);
};

const conditions = (entry: ClusterEntry, hosts: readonly HostEntry[], layers: readonly ClusterLayerView[]): ClusterView['conditions'] => {
  const open = layers.filter((layer) => !layer.isCurrent);
  const offline = hosts.filter((host) => !host.online);
  const drifted = layers.filter((layer) => (layer.observed?.drift.healed ?? 0) > 0);
  return [
    { type: 'Ready', status: entry.state === 'ready' ? 'True' : 'False', reason: entry.state, message: entry.message },
    {
      type: 'Resolved',
      status: entry.failure === undefined ? 'True' : 'False',
      reason: entry.failure?.code ?? 'resolved',
      message: entry.failure === undefined ? 'Its profiles and values make a bundle.' : `${entry.failure.element}: ${entry.failure.message}`,
    },
    {
      type: 'UpToDate',
      status: open.length === 0 ? 'True' : 'False',
      reason: open.length === 0 ? 'current' : 'layers-differ',
      message:
        open.length === 0 ? 'Every layer is at its desired digest.' : `not at the desired digest or not ready: ${open.map((layer) => layer.name).join(', ')}`,
    },
    {
      type: 'Reachable',
      status: hosts.length === 0 ? 'Unknown' : offline.length === 0 ? 'True' : 'False',
      reason: offline.length === 0 ? 'online' : 'offline',
      message:
        offline.length === 0
          ? 'All its hosts are connected.'
          : `not connected: ${offline
              .map((host) => host.name)
              .slice(0, 10)
              .join(', ')}. They go on by themselves`,
    },
    ...applierCondition(hosts.filter((host) => host.state === 'approved')),
    {
      type: 'Drifted',
      status: drifted.length > 0 ? 'True' : 'False',
      reason: drifted.length > 0 ? 'healed' : 'none',
      message:
        drifted.length > 0
          ? `changed by somebody else and healed: ${drifted.map((layer) => `${layer.name} (${layer.observed?.drift.healed ?? 0})`).join(', ')}`
          : 'Nobody else changed what we own.',
    },
  ];
};

const view = async (deps: ApiDeps, row: Row<'cluster'>, entry: ClusterEntry, project: string): Promise<ClusterView> => {
  const hosts = membersOf(deps, row, deps.fleet.specOf(row));
  const approved = hosts.filter((host) => host.state === 'approved');
  const applier = applierAmong(approved) ?? approved[0];
  const observed = applier === undefined ? undefined : await deps.store.get('observed', row.tenant, applier.id);
  const digest = entry.bundle ?? applier?.bundle;
  const layers = layerStack(digest === undefined ? undefined : await deps.bundler.load(digest), observed?.value.status);
  return {
    ...summary(deps, row, entry, project),
    spec: await hideSensitive(deps, row, row.value.spec),
    ...(digest === undefined ? {} : { bundle: digest }),
    ...(applier?.kubernetesVersion === undefined ? {} : { kubernetesVersion: applier.kubernetesVersion }),
    layers,
    conditions: conditions(entry, hosts, layers),
    hosts: hosts.map((host) => hostSummary(deps, host, project)),
    ...(entry.failure === undefined && observed?.value.status.poisoned === undefined
      ? {}
      : { failure: entry.failure ?? observed?.value.status.poisoned?.failure }),
    deleting: row.value.deleting,
  };
};

export const getCluster: Handler<'getCluster'> = async ({ principal, params, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  return found.ok ? ok(await view(deps, found.value.row, found.value.entry, params.project)) : found;
};

export const listClusters: Handler<'listClusters'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const rows = await deps.store.list('cluster', principal.tenant, pageQuery(query, project));
  const listed = page(rows, limit, (row) => ({ row, entry: deps.fleet.cluster(row.id) }));
  return ok({ ...listed, items: listed.items.flatMap(({ row, entry }) => (entry === undefined ? [] : [summary(deps, row, entry, params.project)])) });
};

/** Hosts that exist, are let in, and belong to nobody else; profiles that are released; values that resolve and render. */
export const checkSpec = async (
  deps: ApiDeps,
  cluster: Pick<Row<'cluster'>, 'tenant' | 'project' | 'name' | 'id'>,
  spec: ClusterSpec,
): Promise<Result<BuiltBundle>> => {
  for (const name of spec.hosts) {
    const host = deps.fleet.hostByName(cluster.tenant, cluster.project, name);
    if (host === undefined) return fail('blocked', 'host-missing', `host ${name}`, 'is not enrolled in this project. See: gp get hosts');
    if (host.state !== 'approved')
      return fail(
        'blocked',
        'host-waiting',
        `host ${name}`,
        host.state === 'lobby' ? `still waits in the lobby. Let it in first: gp approve ${name}` : 'was revoked',
      );
    const other = deps.fleet.clusterOf(host.id);
    if (other !== undefined && other.id !== cluster.id)
      return fail('blocked', 'host-taken', `host ${name}`, `belongs to cluster ${other.name}. A host is in one cluster at a time`);
  }
  if (new Set(spec.hosts).size !== spec.hosts.length) return fail('fatal', 'request-invalid', `cluster ${cluster.name}`, 'spec.hosts names a host twice');
  for (const { name, version } of spec.profiles) {
    const profile = await deps.store.byName('profile', cluster.tenant, cluster.project, `${name}@${version}`);
    if (profile?.value.state === 'draft')
      return fail(
        'blocked',
        'profile-draft',
        `profile ${name} ${version}`,
        `is a draft; hosts take released profiles only. Release it: gp apply without --draft`,
      );
  }
  const inputs = await deps.inputs.read(cluster, spec);
  const built = inputs.ok ? await deps.bundler.make(inputs.value) : inputs;
  if (!built.ok) return built;
  const before = await deps.store.get('cluster', cluster.tenant, cluster.id);
  const placed = await checkInfrastructure(deps, cluster, spec, before?.value.spec);
  if (!placed.ok) return placed;
  const problem = memberProblem({
    spec,
    before: before?.value.spec,
    isManaged: isManagedBundle(built.value.bundle),
    joined: new Set([...deps.fleet.hosts()].filter((host) => host.cluster === cluster.id && host.node === 'joined').map((host) => host.name)),
  });
  return problem === undefined ? built : fail('fatal', 'request-invalid', `cluster ${cluster.name}`, problem);
};

/** An account that is there and of the right kind; changes that harm nothing. */
const checkInfrastructure = async (
  deps: ApiDeps,
  cluster: Pick<Row<'cluster'>, 'tenant' | 'project' | 'name'>,
  spec: ClusterSpec,
  before: ClusterSpec | undefined,
): Promise<Result<void>> => {
  const rows = await Promise.all(spec.profiles.map(({ name, version }) => deps.store.byName('profile', cluster.tenant, cluster.project, `${name}@${version}`)));
  const distribution = rows.flatMap((row) => row?.value.spec.layers ?? []).find((layer) => layer.kubernetes !== undefined)?.kubernetes?.distribution;
  const problem = infrastructureProblem(spec, before, distribution);
  if (problem !== undefined) return fail('fatal', 'request-invalid', `cluster ${cluster.name}`, problem);
  const { infrastructure } = spec;
  if (infrastructure === undefined) return ok(undefined);
  if (isInside(infrastructure)) return ok(undefined);
  const account = await findAccount(deps.store, cluster, infrastructure.account);
  if (account === undefined)
    return fail(
      'blocked',
      'account-missing',
      `account ${infrastructure.account}`,
      'there is none of this name in the project or the tenant. Add it: gp cloud account set',
    );
  const kind = accountKindOf(infrastructure.environment);
  if (account.value.kind !== kind)
    return fail('blocked', 'account-wrong', `account ${account.name}`, `is for ${account.value.kind}, and ${infrastructure.environment} needs one for ${kind}`);
  const other = await otherKeeper(deps, cluster, infrastructure, account);
  return other === undefined
    ? ok(undefined)
    : fail(
        'blocked',
        'in-use',
        `account ${account.name}`,
        `is the kubeconfig of one cluster, and ${other} looks after its layers already; two would take each other's away. Add the layers to ${other}, or only look: placement.mode: read-only`,
      );
};

/** Who already applies layers to the existing cluster that this account is for. */
const otherKeeper = async (
  deps: ApiDeps,
  cluster: Pick<Row<'cluster'>, 'tenant' | 'project' | 'name'>,
  infrastructure: Infrastructure,
  account: Row<'account'>,
): Promise<string | undefined> => {
  const isKeeper = (item: Infrastructure | undefined): boolean => item?.environment === 'existing' && item.placement['mode'] !== 'read-only';
  if (!isKeeper(infrastructure)) return undefined;
  for (const other of deps.fleet.clusters()) {
    const isSelf = other.project === cluster.project && other.name === cluster.name;
    if (other.tenant !== cluster.tenant || isSelf || other.spec.infrastructure?.account !== account.name || !isKeeper(other.spec.infrastructure)) continue;
    if ((await findAccount(deps.store, other, account.name))?.id === account.id) return other.name;
  }
  return undefined;
};

export const applyCluster: Handler<'applyCluster'> = async (request, deps) => {
  const { principal, params, body, project, query } = request;
  const before = await deps.store.byName('cluster', principal.tenant, project, params.name);
  if (query.ifVersion !== undefined && before?.version !== query.ifVersion)
    return fail('retry', 'row-conflict', `cluster ${params.name}`, 'was changed by somebody else in the meantime. Read it again and repeat');
  if (before?.value.deleting === true) return fail('blocked', 'in-use', `cluster ${params.name}`, 'is being deleted. Wait until it is gone: gp get cluster');
  const id = before?.id ?? makeId('cluster', (length) => deps.random.bytes(length));
  const spec = restoreSensitive(deps.sealers, principal.tenant, body.spec, before?.value);
  if (!spec.ok) return spec;
  const checked = await checkSpec(deps, { tenant: principal.tenant, project, name: params.name, id }, spec.value);
  if (!checked.ok) return checked;
  const sealed = await sealSensitive(deps, { tenant: principal.tenant, project }, spec.value, before?.value);
  if (!sealed.ok) return sealed;
  const value: Row<'cluster'>['value'] = {
    labels: body.labels ?? before?.value.labels ?? {},
    spec: sealed.value.spec,
    deleting: false,
    ...(sealed.value.secrets === undefined ? {} : { secrets: sealed.value.secrets }),
  };
  const isSame = before !== undefined && JSON.stringify(before.value) === JSON.stringify(value);
  const saved = isSame ? ok([]) : await saveCluster(request, deps, id, value, before);
  if (!saved.ok) return saved;
  const found = await findCluster(deps, principal.tenant, project, params.name);
  return found.ok ? ok(await view(deps, found.value.row, found.value.entry, params.project)) : found;
};

const saveCluster = async (
  request: Request<'applyCluster'>,
  deps: ApiDeps,
  id: string,
  value: Row<'cluster'>['value'],
  before: Row<'cluster'> | undefined,
): Promise<Result<unknown>> => {
  const { principal, params, project } = request;
  const profiles = value.spec.profiles.map((item) => `${item.name} ${item.version}`).join(', ');
  return deps.store.commit([
    { op: 'put', kind: 'cluster', tenant: principal.tenant, id, project, name: params.name, expect: before?.version ?? 'absent', value },
    {
      op: 'event',
      event: {
        tenant: principal.tenant,
        project,
        cluster: params.name,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: before === undefined ? 'ClusterCreated' : 'ClusterChanged',
        actor: principal.subject,
        message: `cluster ${params.name} shall run ${profiles} on ${value.spec.hosts.length} hosts`,
      },
    },
  ]);
};

export const deleteCluster: Handler<'deleteCluster'> = async ({ principal, params, query, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const { row } = found.value;
  const force = query.force === 'true';
  const { infrastructure } = row.value.spec;
  if (infrastructure?.protected === true)
    return fail('blocked', 'protected', `cluster ${row.name}`, 'is protected. Set spec.infrastructure.protected to false first, and apply');
  // What stands in a cloud is not forgotten by force: only its hosts are not waited for.
  const isKept = infrastructure !== undefined;
  const event = {
    op: 'event' as const,
    event: {
      tenant: principal.tenant,
      project,
      cluster: row.name,
      atMs: deps.clock.wallMs(),
      type: 'warning' as const,
      reason: 'ClusterDeletion',
      actor: principal.subject,
      message:
        force && isKept
          ? `cluster ${row.name} is deleted without waiting for its hosts`
          : force
            ? `cluster ${row.name} was forgotten by force; hosts that come back take its layers away`
            : `cluster ${row.name} is taken off its hosts`,
    },
  };
  const done = await deps.store.commit(
    force && !isKept
      ? [{ op: 'delete', kind: 'cluster', tenant: row.tenant, id: row.id }, event]
      : [
          {
            op: 'put',
            kind: 'cluster',
            tenant: row.tenant,
            id: row.id,
            project: row.project,
            name: row.name,
            value: { ...row.value, deleting: true, ...(force ? { forced: true } : {}) },
            expect: row.version,
          },
          event,
        ],
  );
  return done.ok ? ok(undefined) : done;
};

export const retryCluster: Handler<'retryCluster'> = async ({ principal, params, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const failed = membersOf(deps, found.value.row, deps.fleet.specOf(found.value.row)).filter((host) => host.phase === 'rolled-back' || host.phase === 'failed');
  if (failed.length === 0)
    return fail('blocked', 'nothing-failed', `cluster ${params.name}`, 'none of its hosts gave up on the desired version; there is nothing to retry');
  const offline = failed.filter((host) => !host.online);
  if (offline.length === failed.length)
    return fail(
      'blocked',
      'hosts-offline',
      `cluster ${params.name}`,
      `the hosts that gave up are not connected: ${offline.map((host) => host.name).join(', ')}. Retry when they are back`,
    );
  for (const host of failed) await deps.gateway.retry(host.id);
  await deps.store.commit([
    {
      op: 'event',
      event: {
        tenant: principal.tenant,
        project,
        cluster: params.name,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'RetryAsked',
        actor: principal.subject,
        message: `the failed version of ${params.name} is tried again`,
      },
    },
  ]);
  return ok(undefined);
};
