import semver from 'semver';
import { isSameVersion } from '@groundplane/protocol/version';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { Fleet } from '../fleet/index.ts';
import type { Assignment } from '../plan/assignments.ts';
import type { Row, Store } from '../port/store.ts';
import type { Bundler, BuiltBundle, ProfileInput } from '../render/bundle.ts';
import type { Assigner } from './assign.ts';
import type { Reconciler } from './runner.ts';

/** Used for rendering while no API server has told its version yet. */
const assumedKubernetes = 'v1.34.0';

export interface ClusterReconcilerDeps {
  store: Store;
  fleet: Fleet;
  bundler: Bundler;
  assigner: Assigner;
  /** New desired states, to be sent to whoever is connected. */
  onAssigned: (rows: readonly Row<'desired'>[]) => void;
}

/** The version templates see: what the cluster runs; before that, the lowest that the Kubernetes layer allows. */
export const kubeVersionFor = (profiles: readonly ProfileInput[], observed: string | undefined): string => {
  const seen = observed === undefined ? null : semver.coerce(observed);
  if (seen !== null) return `v${seen.version}`;
  const range = profiles.flatMap((profile) => profile.spec.layers).find((layer) => layer.kubernetes !== undefined)?.kubernetes?.version;
  const lowest = range === undefined || semver.validRange(range) === null ? null : semver.minVersion(range);
  return lowest === null || lowest.major === 0 ? assumedKubernetes : `v${lowest.version}`;
};

/** Reads what a cluster's bundle is made of. Used by the reconciler, and by the plan preview with an edited spec. */
export const createClusterInputs = (store: Store, fleet: Fleet) => {
  const profiles = new Map<string, ProfileInput>();
  const macros = new Map<string, Record<string, string>>();

  const macrosOf = async (tenant: string, project: string): Promise<Record<string, string>> => {
    const key = `${tenant} ${project}`;
    const known = macros.get(key);
    if (known !== undefined) return known;
    const rows = await store.list('macro', tenant, { project, limit: 5_000 });
    const values = Object.fromEntries(rows.map((row) => [row.name, row.value.value]));
    macros.set(key, values);
    return values;
  };

  const profileOf = async (tenant: string, project: string, name: string, version: string): Promise<Result<ProfileInput>> => {
    const key = `${tenant} ${project} ${name}@${version}`;
    const known = profiles.get(key);
    if (known !== undefined) return ok(known);
    const row = await store.byName('profile', tenant, project, `${name}@${version}`);
    if (row === undefined)
      return {
        ok: false,
        failure: {
          kind: 'blocked',
          code: 'profile-missing',
          element: `profile ${name} ${version}`,
          message: 'there is no such profile version in this project. See: gp get profiles',
        },
      };
    const input: ProfileInput = { name, version, spec: row.value.spec, digest: row.value.digest };
    if (row.value.state === 'released') profiles.set(key, input);
    return ok(input);
  };

  return {
    forgetMacros: (tenant: string, project: string): void => void macros.delete(`${tenant} ${project}`),
    forgetProfile: (tenant: string, project: string, name: string): void => void profiles.delete(`${tenant} ${project} ${name}`),
    read: async (cluster: Pick<Row<'cluster'>, 'tenant' | 'project' | 'name' | 'id'>, spec: Row<'cluster'>['value']['spec']) => {
      const inputs: ProfileInput[] = [];
      for (const { name, version } of spec.profiles) {
        const profile = await profileOf(cluster.tenant, cluster.project, name, version);
        if (!profile.ok) return profile;
        inputs.push(profile.value);
      }
      const observed = spec.hosts
        .map((name) => fleet.hostByName(cluster.tenant, cluster.project, name)?.kubernetesVersion)
        .find((version) => version !== undefined);
      const project = await store.get('project', cluster.tenant, cluster.project);
      return ok({
        cluster: cluster.id,
        profiles: inputs,
        variables: spec.variables,
        macros: await macrosOf(cluster.tenant, cluster.project),
        system: {
          'cluster.name': cluster.name,
          'cluster.uid': cluster.id,
          'project.name': project?.name ?? '',
          'project.uid': cluster.project,
          'tenant.uid': cluster.tenant,
        },
        kubeVersion: kubeVersionFor(inputs, observed),
      });
    },
  };
};
export type ClusterInputs = ReturnType<typeof createClusterInputs>;

/** Makes a bundle of each cluster and hands it to its hosts; takes it away from hosts that left. */
export const clusterReconciler = (deps: ClusterReconcilerDeps & { inputs: ClusterInputs }): Reconciler => {
  const { store, fleet, bundler, assigner, inputs } = deps;
  const memory: Memory = { members: new Map(), kubeVersions: new Map() };

  /** An unchanged cluster keeps its stored bundle, also when a newer engine would render it differently. */
  const bundleFor = async (row: Row<'cluster'>): Promise<Result<{ built: BuiltBundle; inputs: string }>> => {
    const input = await inputs.read(row, row.value.spec);
    if (!input.ok) return input;
    const digest = bundler.inputsOf(input.value);
    const first = row.value.spec.hosts
      .map((name) => fleet.hostByName(row.tenant, row.project, name))
      .find((host) => host?.bundle !== undefined && host.cluster === row.id);
    const told = first === undefined || fleet.cluster(row.id)?.bundle !== undefined ? undefined : await store.get('desired', row.tenant, first.id);
    const kept = told?.value.inputs === digest && told.value.desired.bundle !== undefined ? await bundler.load(told.value.desired.bundle) : undefined;
    if (kept !== undefined) return ok({ built: kept, inputs: digest });
    const built = await bundler.make(input.value);
    return built.ok ? ok({ built: built.value, inputs: bundler.inputsOf(input.value) }) : built;
  };

  const assignmentsOf = (row: Row<'cluster'>, bundle: string, digest: string): Assignment[] => {
    const members = row.value.spec.hosts.map((name) => fleet.hostByName(row.tenant, row.project, name)).filter((host) => host?.state === 'approved');
    return members.flatMap((host, index) =>
      host === undefined
        ? []
        : [
            {
              tenant: row.tenant,
              host: host.id,
              cluster: { id: row.id, name: row.name, role: 'control-plane' as const, applier: index === 0 },
              bundle,
              inputs: digest,
            },
          ],
    );
  };

  const leaving = (tenant: string, cluster: string, staying: ReadonlySet<string>): Assignment[] =>
    [...fleet.hosts()]
      .filter((host) => host.cluster === cluster && !staying.has(host.id) && fleet.clusterOf(host.id)?.id !== host.cluster)
      // Where others stay, the cluster goes on, and what runs in it is theirs to look after; the last one takes everything away.
      .map((host) => ({ tenant, host: host.id, cluster: undefined, bundle: undefined, inputs: '', ...(staying.size > 0 ? { detached: true } : {}) }));

  /** Deleted when every host says that it holds nothing of it any more. */
  const finishDeletion = async (row: Row<'cluster'>): Promise<void> => {
    const members = row.value.spec.hosts.map((name) => fleet.hostByName(row.tenant, row.project, name)).filter((host) => host !== undefined);
    const isClear = members.every(
      (host) => host.cluster === undefined && (host.desired === undefined || (isSameVersion(host.reported, host.desired) && host.phase === 'converged')),
    );
    if (!isClear) return;
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
      const members = assignmentsOf(row, made.value.built.digest, made.value.inputs);
      wanted.push(...members);
      if (members.length !== memory.members.get(id)) wanted.push(...leaving(row.tenant, id, new Set(members.map((item) => item.host))));
      memory.members.set(id, members.length);
    }
    const assigned = await assigner.assign(wanted);
    if (assigned.length > 0) deps.onAssigned(assigned);
    for (const row of deleting) await finishDeletion(row);
    return [];
  };

  return {
    name: 'clusters',
    reads: ['cluster', 'profile', 'macro', 'host', 'observed'],
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
}

const affectedBy = (change: Change, fleet: Fleet, inputs: ClusterInputs, memory: Memory): string[] => {
  if (change.op === 'event') return [];
  const { row } = change;
  const inProject = (): string[] =>
    [...fleet.clusters()].filter((cluster) => cluster.tenant === row.tenant && cluster.project === row.project).map((cluster) => cluster.id);
  switch (row.kind) {
    case 'cluster':
      memory.members.delete(row.id);
      return [row.id];
    case 'macro':
      inputs.forgetMacros(row.tenant, row.project);
      return inProject();
    case 'profile':
      inputs.forgetProfile(row.tenant, row.project, row.name);
      return inProject();
    case 'host': {
      const cluster = fleet.clusterOf(row.id);
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
      return [...deleting.filter((item) => item !== undefined), ...(isNewVersion && id !== undefined ? [id] : [])];
    }
    default:
      return [];
  }
};
