import { isInside } from '@groundplane/protocol/environment/infrastructure';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterEntry, Fleet, HostEntry } from '../fleet/index.ts';
import { isClear, isManagedBundle, planMembers } from '../plan/members.ts';
import { isInsideAgentRow } from '../inside/agent-setting.ts';
import { withOrders } from './inside-orders.ts';
import type { Assignment } from '../plan/assignments.ts';
import type { Clock } from '../port/clock.ts';
import type { Row, Store } from '../port/store.ts';
import type { Bundler, BuiltBundle } from '../render/bundle.ts';
import type { Assigner } from './assign.ts';
import type { ClusterInputs } from './cluster-inputs.ts';
import type { Reconciler } from './runner.ts';

export interface ClusterReconcilerDeps {
  store: Store;
  fleet: Fleet;
  bundler: Bundler;
  assigner: Assigner;
  clock: Clock;
  /** New desired states, to be sent to whoever is connected. */
  onAssigned: (rows: readonly Row<'desired'>[]) => void;
}

/** Makes a bundle of each cluster and hands it to its hosts; takes it away from hosts that left. */
export const clusterReconciler = (deps: ClusterReconcilerDeps & { inputs: ClusterInputs }): Reconciler => {
  const { store, fleet, bundler, assigner, inputs } = deps;
  const memory: Memory = { members: new Map(), kubeVersions: new Map(), nodes: new Map() };

  /** An unchanged cluster keeps its stored bundle, also when a newer engine would render it differently. */
  const bundleFor = async (row: Row<'cluster'>): Promise<Result<{ built: BuiltBundle; inputs: string }>> => {
    const input = await inputs.ofRow(row);
    if (!input.ok) return input;
    const digest = bundler.inputsOf(input.value);
    const first = fleet
      .specOf(row)
      .hosts.map((name) => fleet.hostByName(row.tenant, row.project, name))
      .find((host) => host?.bundle !== undefined && host.cluster === row.id);
    const told = first === undefined || fleet.cluster(row.id)?.bundle !== undefined ? undefined : await store.get('desired', row.tenant, first.id);
    const kept = told?.value.inputs === digest && told.value.desired.bundle !== undefined ? await bundler.load(told.value.desired.bundle) : undefined;
    if (kept !== undefined) return ok({ built: kept, inputs: digest });
    const built = await bundler.make(input.value);
    return built.ok ? ok({ built: built.value, inputs: bundler.inputsOf(input.value) }) : built;
  };

  const assignmentsOf = async (row: Row<'cluster'>, built: BuiltBundle, digest: string): Promise<Assignment[]> => {
    const spec = fleet.specOf(row);
    const members = spec.hosts
      .map((name) => fleet.hostByName(row.tenant, row.project, name))
      .filter((host) => host !== undefined && host.state === 'approved') as HostEntry[];
    const isManaged = isManagedBundle(built.bundle);
    const told = new Set<string>();
    if (isManaged)
      for (const host of members) {
        const before = host.cluster === row.id ? await store.get('desired', row.tenant, host.id) : undefined;
        if (before?.value.desired.cluster?.site?.founder === true) told.add(host.id);
      }
    const parts = planMembers({ id: row.id, name: row.name, spec }, members, isManaged, told, {
      wasShared: fleet.isShared(row.id),
      nowMs: deps.clock.wallMs(),
    });
    return parts.map(({ host, cluster }) => ({ tenant: row.tenant, host, cluster, bundle: built.digest, inputs: digest }));
  };

  const leaving = (tenant: string, cluster: string, staying: ReadonlySet<string>): Assignment[] =>
    [...fleet.hosts()]
      .filter((host) => host.cluster === cluster && !staying.has(host.id) && fleet.clusterOf(host.id)?.id !== host.cluster)
      // Where others stay, the cluster goes on, and what runs in it is theirs to look after; the last one takes everything away.
      .map((host) => ({ tenant, host: host.id, cluster: undefined, bundle: undefined, inputs: '', ...(staying.size > 0 ? { detached: true } : {}) }));

  /** Deleted when every host says that it holds nothing of it any more. */
  const finishDeletion = async (row: Row<'cluster'>): Promise<void> => {
    // Machines and networks go after the layers; whoever made them takes the row away.
    if (row.value.spec.infrastructure !== undefined) return;
    const members = row.value.spec.hosts.map((name) => fleet.hostByName(row.tenant, row.project, name)).filter((host) => host !== undefined);
    if (!members.every(isClear)) return;
    await store.commit([
      { op: 'delete', kind: 'cluster', tenant: row.tenant, id: row.id },
      {
        op: 'event',
        event: {
          tenant: row.tenant,
          project: row.project,
          cluster: row.name,
          atMs: row.updatedAtMs,
          type: 'normal',
          reason: 'ClusterDeleted',
          message: `cluster ${row.name} is gone from all its hosts`,
        },
      },
    ]);
  };

  const reconcile = async (keys: readonly string[]): Promise<readonly string[]> => {
    const wanted: Assignment[] = [];
    const deleting: Row<'cluster'>[] = [];
    for (const id of keys) {
      const entry = fleet.cluster(id);
      const row = entry === undefined ? undefined : await store.get('cluster', entry.tenant, id);
      if (row === undefined) {
        for (const host of fleet.hosts())
          if (host.cluster === id) wanted.push({ tenant: host.tenant, host: host.id, cluster: undefined, bundle: undefined, inputs: '' });
        continue;
      }
      if (row.value.deleting) {
        wanted.push(
          ...[...fleet.hosts()]
            .filter((host) => host.cluster === id)
            .map((host) => ({ tenant: host.tenant, host: host.id, cluster: undefined, bundle: undefined, inputs: '' })),
        );
        deleting.push(row);
        continue;
      }
      const made = await bundleFor(row);
      fleet.setBundle(id, made.ok ? { bundle: made.value.built.digest, failure: undefined } : { bundle: entry?.bundle, failure: made.failure });
      if (!made.ok) continue;
      const members = await assignmentsOf(row, made.value.built, made.value.inputs);
      wanted.push(...members);
      if (members.length !== memory.members.get(id)) wanted.push(...leaving(row.tenant, id, new Set(members.map((item) => item.host))));
      memory.members.set(id, members.length);
    }
    const assigned = await assigner.assign(await withOrders(deps, wanted, keys));
    if (assigned.length > 0) deps.onAssigned(assigned);
    for (const row of deleting) await finishDeletion(row);
    return [];
  };

  return {
    name: 'clusters',
    reads: ['cluster', 'profile', 'macro', 'host', 'observed', 'machine', 'infrastructure', 'setting'],
    writes: ['desired', 'director'],
    all: () => [...fleet.clusters()].map((cluster) => cluster.id),
    affected: (change) => affectedBy(change, fleet, inputs, memory),
    reconcile,
  };
};

type Change = Parameters<Reconciler['affected']>[0];

interface Memory {
  /** Members at the last look: when the number changed, somebody may have to be told that it left. */
  members: Map<string, number>;
  /** Server version told by each host: a change of it can change what charts render. */
  kubeVersions: Map<string, string>;
  nodes: Map<string, string>;
}

const affectedBy = (change: Change, fleet: Fleet, inputs: ClusterInputs, memory: Memory): string[] => {
  if (change.op === 'event') return [];
  const { row } = change;
  const clustersWhere = (is: (cluster: ClusterEntry) => boolean): string[] => [...fleet.clusters()].filter(is).map((cluster) => cluster.id);
  const inProject = (cluster: ClusterEntry): boolean => cluster.tenant === row.tenant && cluster.project === row.project;
  switch (row.kind) {
    case 'cluster':
    case 'infrastructure':
      memory.members.delete(row.id);
      return [row.id];
    case 'setting':
      return isInsideAgentRow(row) ? clustersWhere((cluster) => cluster.tenant === row.tenant && isInside(cluster.spec.infrastructure)) : [];
    case 'machine':
      memory.members.delete(row.value.cluster);
      return [row.value.cluster];
    case 'macro':
      inputs.forgetMacros();
      if (row.project !== '') return clustersWhere(inProject);
      return clustersWhere((cluster) => cluster.tenant === row.tenant || row.tenant === inputs.systemTenant);
    case 'profile':
      inputs.forgetProfile(row.tenant, row.project, row.name);
      return clustersWhere(inProject);
    case 'host': {
      const cluster = fleet.clusterOf(row.id);
      const ofMachine = row.value.machine === undefined ? undefined : fleet.clusterOfMachine(row.value.machine);
      if (cluster === undefined && ofMachine !== undefined) return [ofMachine];
      return cluster === undefined
        ? [...fleet.clusters()].filter((item) => item.tenant === row.tenant && item.hosts.includes(row.name)).map((item) => item.id)
        : [cluster.id];
    }
    case 'observed': {
      const host = fleet.host(row.id);
      const id = fleet.clusterOf(row.id)?.id;
      const deleting = (host === undefined ? [] : [id]).filter((item) => item !== undefined && fleet.cluster(item)?.deleting === true);
      const version = row.value.status.kubernetes.version;
      const isNewVersion = id !== undefined && version !== undefined && memory.kubeVersions.get(row.id) !== version;
      if (version !== undefined) memory.kubeVersions.set(row.id, version);
      // Who has joined decides who may still make the cluster.
      const node = row.value.status.kubernetes.node;
      const isNewNode = id !== undefined && node !== undefined && memory.nodes.get(row.id) !== node;
      if (node !== undefined) memory.nodes.set(row.id, node);
      return [...deleting.filter((item) => item !== undefined), ...((isNewVersion || isNewNode) && id !== undefined ? [id] : [])];
    }
    default:
      return [];
  }
};
