import type { Version } from '@groundplane/protocol/bundle';
import { clusterState, type ClusterState } from '@groundplane/protocol/cluster-state';
import type { FleetView } from '@groundplane/protocol/api/views';
import type { HostStatus } from '@groundplane/protocol/observed';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { Endpoint } from '../port/provider.ts';
import type { AnyRow, Change, Row, Store } from '../port/store.ts';
import { isExcused, toldDuty, withoutApplier, type ToldDuty } from '../plan/appliers.ts';
import { withMachines, type MachineMember } from '../plan/machine-members.ts';

/** What is worth holding in memory of each host: a few hundred bytes. The whole report is in the store. */
export interface HostEntry {
  id: string;
  tenant: string;
  project: string;
  name: string;
  key: string;
  serial: string | undefined;
  state: 'lobby' | 'approved' | 'revoked';
  simulated: boolean;
  labels: Readonly<Record<string, string>>;
  online: boolean;
  lastSeenMs: number | undefined;
  desired: Version | undefined;
  /** What the host itself says it holds, when this hub knows of nothing that it should hold: it was restored from a backup older than that. */
  held: Version | undefined;
  bundle: string | undefined;
  cluster: string | undefined;
  phase: HostStatus['phase'] | undefined;
  reported: Version | undefined;
  drifted: number;
  layersReady: number;
  layersTotal: number;
  message: string | undefined;
  kubernetesVersion: string | undefined;
  /** Only where agents bring Kubernetes up. */
  node: HostStatus['kubernetes']['node'];
  isKeeper: boolean;
  /** Only where hosts share the duty to apply: what it is among them, and why not more. */
  applier: HostStatus['kubernetes']['applier'];
  why: string | undefined;
  /** Nothing but its way to the API server keeps it from being as desired. */
  isApartOnly: boolean;
  /** Its agent knows how to share that duty. */
  canTakeOver: boolean;
  /** What it was told about it. */
  told: ToldDuty | undefined;
  address: string | undefined;
  sealKey: string | undefined;
  /** Where its neighbours get large content from it. */
  blobs: { addresses: readonly string[]; port: number } | undefined;
  /** Row of the machine that the hub made for it. */
  machine: string | undefined;
  /** Its last receipt that was carried here. */
  carried: { seq: number; atMs?: number; receivedAtMs?: number; generation?: number } | undefined;
}

export interface ClusterEntry {
  id: string;
  tenant: string;
  project: string;
  name: string;
  /** What its document says, with the hosts on machines of ours and the address that their environment gave. */
  spec: ClusterSpec;
  labels: Readonly<Record<string, string>>;
  hosts: readonly string[];
  /** Names of its hosts that are no control planes. */
  workers: ReadonlySet<string>;
  /** Profile versions it runs, as rows are named: `name@version`. */
  profiles: readonly string[];
  deleting: boolean;
  /** Why its profiles and values do not make a bundle. */
  failure: { code: string; element: string; message: string; kind: 'retry' | 'blocked' | 'fatal' } | undefined;
  bundle: string | undefined;
  state: ClusterState;
  message: string;
}

const summary = (
  status: HostStatus,
): Pick<
  HostEntry,
  'phase' | 'reported' | 'drifted' | 'layersReady' | 'layersTotal' | 'message' | 'kubernetesVersion' | 'node' | 'isKeeper' | 'applier' | 'why' | 'isApartOnly'
> => ({
  phase: status.phase,
  reported: status.version,
  drifted: status.layers.reduce((sum, layer) => sum + layer.drift.healed, 0),
  layersReady: status.layers.filter((layer) => layer.state === 'ready').length,
  layersTotal: status.layers.length,
  message:
    status.poisoned?.failure.message ??
    status.failure?.message ??
    status.layers.find((layer) => layer.state !== 'ready' && layer.message !== undefined)?.message,
  kubernetesVersion: status.kubernetes.version,
  node: status.kubernetes.node,
  isKeeper: status.kubernetes.keeper === true,
  applier: status.kubernetes.applier,
  why: status.kubernetes.why,
  isApartOnly: status.failure !== undefined && status.kubernetes.why === `${status.failure.element}: ${status.failure.message}`.slice(0, 1024),
});

/**
 * The fleet in memory: presence, and a summary of each host and cluster kept up to date by the store's own change feed, so that lists and counters never count
 * rows. Rebuilt from the store at start.
 */
export const createFleet = (store: Store) => {
  const hosts = new Map<string, HostEntry>();
  const byKey = new Map<string, HostEntry>();
  const byName = new Map<string, HostEntry>();
  const clusters = new Map<string, ClusterEntry>();
  /** Clusters whose hosts share the duty to apply; also when all that were told so have left since. */
  const shared = new Set<string>();
  const clusterOfHost = new Map<string, string>();
  /** Row id of each profile version, with its tenant and project. */
  const profiles = new Map<string, { tenant: string; project: string }>();
  /** Clusters as written, machines that are part of one, and the addresses that environments gave. */
  const written = new Map<string, Row<'cluster'>>();
  const machines = new Map<string, Map<string, { pool: string; isMember: boolean }>>();
  const clusterOfMachine = new Map<string, string>();
  const byMachine = new Map<string, HostEntry>();
  const endpoints = new Map<string, Endpoint>();

  const nameKey = (tenant: string, project: string, name: string): string => `${tenant} ${project} ${name}`;

  const judge = (cluster: ClusterEntry): void => {
    const members = cluster.hosts
      .map((name) => byName.get(nameKey(cluster.tenant, cluster.project, name)))
      .filter((host) => host?.state === 'approved') as HostEntry[];
    const facts = members.map((host) => ({
      desired: host.desired,
      status:
        host.phase === undefined
          ? undefined
          : ({
              phase: isExcused(host, members) ? 'converged' : host.phase,
              layers: [],
              kubernetes: { state: 'unknown' },
              ...(host.reported === undefined ? {} : { version: host.reported }),
              ...(host.message === undefined ? {} : { failure: { kind: 'retry', code: '', element: '', message: host.message } }),
            } satisfies HostStatus),
    }));
    const { infrastructure } = cluster.spec;
    if (infrastructure?.environment === 'existing' && cluster.spec.profiles.length === 0 && !cluster.deleting) {
      Object.assign(cluster, { state: 'ready', message: 'It is looked at, and nothing of it is changed.' });
      return;
    }
    const state = clusterState({ deleting: cluster.deleting, failure: cluster.failure, hosts: facts, isMade: infrastructure !== undefined });
    Object.assign(cluster, state.state === 'ready' ? (withoutApplier(members) ?? state) : state);
  };

  const judgeHost = (host: HostEntry): void => {
    const id = clusterOfHost.get(host.id) ?? host.cluster;
    const cluster = id === undefined ? undefined : clusters.get(id);
    if (cluster !== undefined) judge(cluster);
  };

  const putHost = (row: Row<'host'>): void => {
    const before = hosts.get(row.id);
    const entry: HostEntry = {
      ...(before ?? {
        online: false,
        lastSeenMs: undefined,
        desired: undefined,
        held: undefined,
        bundle: undefined,
        cluster: undefined,
        phase: undefined,
        reported: undefined,
        drifted: 0,
        layersReady: 0,
        layersTotal: 0,
        message: undefined,
        kubernetesVersion: undefined,
        node: undefined,
        isKeeper: false,
        applier: undefined,
        why: undefined,
        isApartOnly: false,
        told: undefined,
      }),
      id: row.id,
      tenant: row.tenant,
      project: row.project,
      name: row.name,
      key: row.value.key,
      serial: row.value.serial,
      state: row.value.state,
      simulated: row.value.info?.simulated ?? false,
      labels: row.value.labels,
      address: row.value.info?.address,
      sealKey: row.value.info?.sealKey,
      canTakeOver: row.value.info?.canTakeOver === true,
      machine: row.value.machine,
      blobs:
        row.value.info?.addresses === undefined || row.value.info.blobPort === undefined
          ? undefined
          : { addresses: row.value.info.addresses, port: row.value.info.blobPort },
      carried: row.value.receipt === undefined ? undefined : { seq: row.value.receipt, ...row.value.carried },
    };
    if (before !== undefined) byName.delete(nameKey(before.tenant, before.project, before.name));
    if (before !== undefined && before.key !== row.value.key && byKey.get(before.key) === before) byKey.delete(before.key);
    hosts.set(row.id, entry);
    byKey.set(entry.key, entry);
    byName.set(nameKey(entry.tenant, entry.project, entry.name), entry);
    if (entry.machine !== undefined) {
      byMachine.set(entry.machine, entry);
      refresh(clusterOfMachine.get(entry.machine));
    }
    judgeHost(entry);
  };

  const membersOf = (cluster: string): MachineMember[] =>
    [...(machines.get(cluster) ?? [])].flatMap(([id, machine]) => {
      const host = machine.isMember ? byMachine.get(id) : undefined;
      return host === undefined || host.state !== 'approved' ? [] : [{ host: host.name, pool: machine.pool }];
    });

  const refresh = (cluster: string | undefined): void => {
    const row = cluster === undefined ? undefined : written.get(cluster);
    if (row !== undefined) putCluster(row);
  };

  const putMachine = (row: Row<'machine'>): void => {
    const { cluster, pool, phase } = row.value;
    const ofCluster = machines.get(cluster) ?? new Map<string, { pool: string; isMember: boolean }>();
    machines.set(cluster, ofCluster.set(row.id, { pool, isMember: phase === 'made' }));
    clusterOfMachine.set(row.id, cluster);
    refresh(row.value.cluster);
  };

  const update = (id: string, fields: Partial<HostEntry>): void => {
    const host = hosts.get(id);
    if (host === undefined) return;
    Object.assign(host, fields);
    judgeHost(host);
  };

  const putCluster = (row: Row<'cluster'>): void => {
    const before = clusters.get(row.id);
    written.set(row.id, row);
    const spec = row.value.spec.infrastructure === undefined ? row.value.spec : withMachines(row.value.spec, membersOf(row.id), endpoints.get(row.id));
    for (const name of before?.hosts ?? []) {
      const host = byName.get(nameKey(row.tenant, row.project, name));
      if (host !== undefined && clusterOfHost.get(host.id) === row.id) clusterOfHost.delete(host.id);
    }
    const entry: ClusterEntry = {
      id: row.id,
      tenant: row.tenant,
      project: row.project,
      name: row.name,
      spec,
      hosts: spec.hosts,
      workers: new Set(spec.hosts.filter((name) => spec.hostSettings?.[name]?.role === 'worker')),
      labels: row.value.labels,
      profiles: row.value.spec.profiles.map((item) => `${item.name}@${item.version}`),
      deleting: row.value.deleting,
      failure: before?.failure,
      bundle: before?.bundle,
      state: 'applying',
      message: '',
    };
    clusters.set(row.id, entry);
    for (const name of entry.hosts) {
      const host = byName.get(nameKey(row.tenant, row.project, name));
      if (host !== undefined) clusterOfHost.set(host.id, row.id);
    }
    judge(entry);
  };

  const onPut = (row: Change & { op: 'put' }): void => {
    const item = row.row;
    if (item.kind === 'host') putHost(item);
    else if (item.kind === 'cluster') putCluster(item);
    else if (item.kind === 'desired') {
      if (item.value.desired.cluster?.lease !== undefined) shared.add(item.value.desired.cluster.id);
      update(item.id, {
        desired: item.value.version,
        bundle: item.value.desired.bundle,
        cluster: item.value.desired.cluster?.id,
        told: toldDuty(item.value.desired.cluster),
      });
    } else if (item.kind === 'observed') update(item.id, summary(item.value.status));
    else if (item.kind === 'presence') update(item.id, { lastSeenMs: item.value.lastSeenMs });
    else if (item.kind === 'profile') profiles.set(item.id, { tenant: item.tenant, project: item.project });
    else if (item.kind === 'machine') putMachine(item);
    else if (item.kind === 'infrastructure') {
      const { endpoint } = item.value;
      if (JSON.stringify(endpoint) === JSON.stringify(endpoints.get(item.id))) return;
      if (endpoint === undefined) endpoints.delete(item.id);
      else endpoints.set(item.id, endpoint);
      refresh(item.id);
    }
  };

  const onDelete = (row: Change & { op: 'delete' }): void => {
    const item = row.row;
    if (item.kind === 'host') {
      const entry = hosts.get(item.id);
      hosts.delete(item.id);
      byKey.delete(item.value.key);
      byName.delete(nameKey(item.tenant, item.project, item.name));
      if (entry !== undefined) judgeHost(entry);
      clusterOfHost.delete(item.id);
      if (item.value.machine !== undefined) {
        byMachine.delete(item.value.machine);
        refresh(clusterOfMachine.get(item.value.machine));
      }
    } else if (item.kind === 'cluster') {
      clusters.delete(item.id);
      shared.delete(item.id);
      written.delete(item.id);
      for (const [host, cluster] of clusterOfHost) if (cluster === item.id) clusterOfHost.delete(host);
    } else if (item.kind === 'desired') update(item.id, { desired: undefined, bundle: undefined, cluster: undefined, told: undefined });
    else if (item.kind === 'profile') profiles.delete(item.id);
    else if (item.kind === 'infrastructure') endpoints.delete(item.id);
    else if (item.kind === 'machine') {
      machines.get(item.value.cluster)?.delete(item.id);
      clusterOfMachine.delete(item.id);
      refresh(item.value.cluster);
    }
  };

  store.onChange((changes) => {
    for (const change of changes) {
      if (change.op === 'put') onPut(change);
      else if (change.op === 'delete') onDelete(change);
    }
  });

  const load = async (): Promise<void> => {
    for (const kind of ['host', 'desired', 'observed', 'presence', 'infrastructure', 'machine', 'cluster', 'profile'] as const)
      for await (const row of store.scan(kind)) onPut({ op: 'put', row: row as AnyRow });
  };

  const counters = (tenant: string, project: string | undefined): FleetView => {
    const view: FleetView = { hosts: 0, online: 0, lobby: 0, simulated: 0, clusters: 0, byState: {}, drifted: 0, profiles: 0 };
    for (const host of hosts.values()) {
      if (host.tenant !== tenant || (project !== undefined && host.project !== project) || host.state === 'revoked') continue;
      if (host.state === 'lobby') view.lobby += 1;
      else {
        view.hosts += 1;
        if (host.online) view.online += 1;
        if (host.simulated) view.simulated += 1;
        view.drifted += host.drifted;
      }
    }
    for (const cluster of clusters.values()) {
      if (cluster.tenant !== tenant || (project !== undefined && cluster.project !== project)) continue;
      view.clusters += 1;
      view.byState[cluster.state] = (view.byState[cluster.state] ?? 0) + 1;
    }
    for (const profile of profiles.values()) if (profile.tenant === tenant && (project === undefined || profile.project === project)) view.profiles += 1;
    return view;
  };

  return {
    load,
    host: (id: string): HostEntry | undefined => hosts.get(id),
    hostByKey: (key: string): HostEntry | undefined => byKey.get(key),
    hostByName: (tenant: string, project: string, name: string): HostEntry | undefined => byName.get(nameKey(tenant, project, name)),
    hosts: (): IterableIterator<HostEntry> => hosts.values(),
    cluster: (id: string): ClusterEntry | undefined => clusters.get(id),
    /** With the hosts on machines of ours. */
    specOf: (row: Row<'cluster'>): ClusterSpec => clusters.get(row.id)?.spec ?? row.value.spec,
    /** Row ids of a cluster's machines. */
    machinesOf: (cluster: string): string[] => [...(machines.get(cluster)?.keys() ?? [])],
    clusterOfMachine: (machine: string): string | undefined => clusterOfMachine.get(machine),
    hostOfMachine: (machine: string): HostEntry | undefined => byMachine.get(machine),
    clusters: (): IterableIterator<ClusterEntry> => clusters.values(),
    clusterOf: (host: string): ClusterEntry | undefined => clusters.get(clusterOfHost.get(host) ?? ''),
    isShared: (cluster: string): boolean => shared.has(cluster),
    noteHeld: (id: string, held: Version): void => update(id, { held }),
    setOnline: (id: string, online: boolean, nowMs: number): void => update(id, { online, lastSeenMs: nowMs }),
    setBundle: (id: string, result: { bundle: string | undefined; failure: ClusterEntry['failure'] }): void => {
      const cluster = clusters.get(id);
      if (cluster === undefined) return;
      Object.assign(cluster, result);
      judge(cluster);
    },
    counters,
  };
};
export type Fleet = ReturnType<typeof createFleet>;
