import semver from 'semver';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { MacroValue } from '@groundplane/protocol/resolve/references';
import type { Fleet } from '../fleet/index.ts';
import type { ContentStore } from '../port/content.ts';
import type { SealerFor } from '../port/sealer.ts';
import type { Kind, Row, Store } from '../port/store.ts';
import type { BundleInput, ProfileInput } from '../render/bundle.ts';
import { withPackValues } from '../render/hydrate.ts';
import { openSecrets } from '../trust/cluster-secrets.ts';

/** Used for rendering while no API server has told its version yet. */
const assumedKubernetes = 'v1.34.0';

const pageRows = 1_000;

/** Every row of a kind in one place, however many. */
const listAll = async <K extends Kind>(store: Store, kind: K, tenant: string, project: string): Promise<Row<K>[]> => {
  const rows: Row<K>[] = [];
  for (let after: string | undefined = ''; after !== undefined;) {
    const page: Row<K>[] = await store.list(kind, tenant, { project, after, limit: pageRows });
    rows.push(...page);
    after = page.length === pageRows ? page.at(-1)?.name : undefined;
  }
  return rows;
};

/** The version templates see: what the cluster runs; before that, the lowest that the Kubernetes layer allows. */
export const kubeVersionFor = (profiles: readonly ProfileInput[], observed: string | undefined): string => {
  const seen = observed === undefined ? null : semver.coerce(observed);
  if (seen !== null) return `v${seen.version}`;
  const range = profiles.flatMap((profile) => profile.spec.layers).find((layer) => layer.kubernetes !== undefined)?.kubernetes?.version;
  const lowest = range === undefined || semver.validRange(range) === null ? null : semver.minVersion(range);
  return lowest === null || lowest.major === 0 ? assumedKubernetes : `v${lowest.version}`;
};

/** What `.spectro.system.*` gives; names as Palette has them. */
const systemValues = (
  cluster: Pick<Row<'cluster'>, 'tenant' | 'project' | 'name' | 'id'>,
  project: string,
  kubeVersion: string,
  environment: string,
): Record<string, string> => ({
  'cluster.name': cluster.name,
  'cluster.uid': cluster.id,
  'project.name': project,
  'project.uid': cluster.project,
  'tenant.uid': cluster.tenant,
  'cloud.type': environment,
  'kubernetes.version': kubeVersion.replace(/^v/, ''),
});

export interface ClusterInputsDeps {
  store: Store;
  fleet: Fleet;
  content: ContentStore;
  systemTenant: string;
  sealers: SealerFor;
}

/** Reads what a cluster's bundle is made of. Used by the reconciler, and by the plan preview with an edited spec. */
export const createClusterInputs = ({ store, fleet, content, systemTenant, sealers }: ClusterInputsDeps) => {
  const profiles = new Map<string, ProfileInput>();
  const macros = new Map<string, Record<string, MacroValue>>();

  /** The nearest scope wins: project, tenant, system (which are the macros of the system tenant itself). */
  const macrosOf = async (tenant: string, project: string): Promise<Record<string, MacroValue>> => {
    const key = `${tenant} ${project}`;
    const known = macros.get(key);
    if (known !== undefined) return known;
    const values: Record<string, MacroValue> = {};
    const scopes = [
      { scope: 'system', tenant: systemTenant, project: '' },
      { scope: 'tenant', tenant, project: '' },
      { scope: 'project', tenant, project },
    ] as const;
    for (const { scope, ...at } of scopes) {
      for (const row of await listAll(store, 'macro', at.tenant, at.project)) {
        const { value, sensitive = false } = row.value;
        const opened = sensitive ? sealers(at.tenant).open(value) : ok(value);
        // One that does not open is missing, and whoever refers to it is told so.
        if (opened.ok) values[row.name] = { value: opened.value, scope, ...(sensitive ? { sensitive } : {}) };
      }
    }
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
    const spec = await withPackValues(content, row.value.spec);
    if (!spec.ok) return spec;
    const input: ProfileInput = { name, version, spec: spec.value, digest: row.value.digest };
    if (row.value.state === 'released') profiles.set(key, input);
    return ok(input);
  };

  const read = async (cluster: Pick<Row<'cluster'>, 'tenant' | 'project' | 'name' | 'id'>, spec: ClusterSpec): Promise<Result<BundleInput>> => {
    const inputs: ProfileInput[] = [];
    for (const { name, version } of spec.profiles) {
      const profile = await profileOf(cluster.tenant, cluster.project, name, version);
      if (!profile.ok) return profile;
      inputs.push(profile.value);
    }
    const observed = (fleet.cluster(cluster.id)?.spec ?? spec).hosts
      .map((name) => fleet.hostByName(cluster.tenant, cluster.project, name)?.kubernetesVersion)
      .find((version) => version !== undefined);
    const kubeVersion = kubeVersionFor(inputs, observed);
    const project = await store.get('project', cluster.tenant, cluster.project);
    return ok({
      cluster: cluster.id,
      profiles: inputs,
      variables: spec.variables,
      macros: await macrosOf(cluster.tenant, cluster.project),
      ...(spec.overrides === undefined ? {} : { overrides: spec.overrides }),
      system: systemValues(cluster, project?.name ?? '', kubeVersion, spec.infrastructure?.environment ?? 'edge'),
      kubeVersion,
    });
  };

  return {
    systemTenant,
    macrosOf,
    forgetMacros: (): void => macros.clear(),
    forgetProfile: (tenant: string, project: string, name: string): void => void profiles.delete(`${tenant} ${project} ${name}`),
    /** With an edited spec, for checks and previews; its secrets are in clear. */
    read,
    /** As it is stored, secrets opened. */
    ofRow: async (row: Row<'cluster'>): Promise<Result<BundleInput>> => {
      const spec = openSecrets(sealers, row.tenant, row.value);
      return spec.ok ? read(row, spec.value) : spec;
    },
  };
};
export type ClusterInputs = ReturnType<typeof createClusterInputs>;
