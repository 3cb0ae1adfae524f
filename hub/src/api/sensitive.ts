import { ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { SealerFor } from '../port/sealer.ts';
import type { Row } from '../port/store.ts';
import { mapVariables, openSecrets, redacted, type StoredCluster } from '../trust/cluster-secrets.ts';
import type { ApiDeps } from './handler.ts';

type Place = Pick<Row<'cluster'>, 'tenant' | 'project'>;

const sensitiveNames = async (deps: ApiDeps, cluster: Place, spec: ClusterSpec): Promise<Set<string>> => {
  const names = new Set<string>();
  for (const { name, version } of spec.profiles) {
    const profile = await deps.store.byName('profile', cluster.tenant, cluster.project, `${name}@${version}`);
    for (const variable of profile?.value.spec.variables ?? []) if (variable.sensitive) names.add(variable.name);
  }
  return names;
};

/** Reading a cluster never means reading its secrets. */
export const hideSensitive = async (deps: ApiDeps, cluster: Place, spec: ClusterSpec): Promise<ClusterSpec> => {
  const names = await sensitiveNames(deps, cluster, spec);
  return names.size === 0 ? spec : mapVariables(spec, (name, value) => (names.has(name) ? redacted : value));
};

/** Puts back the values that an edited document only shows as redacted. */
export const restoreSensitive = (sealers: SealerFor, tenant: string, spec: ClusterSpec, before: StoredCluster | undefined): Result<ClusterSpec> => {
  if (before === undefined) return ok(spec);
  const opened = openSecrets(sealers, tenant, before);
  if (!opened.ok) return opened;
  return ok(mapVariables(spec, (name, value) => (value === redacted ? (opened.value.variables[name] ?? value) : value)));
};

/** What is stored: sensitive values sealed, beside a spec that only names them. An unchanged secret keeps its sealed form. */
export const sealSensitive = async (deps: ApiDeps, cluster: Place, spec: ClusterSpec, before: StoredCluster | undefined): Promise<Result<StoredCluster>> => {
  const names = await sensitiveNames(deps, cluster, spec);
  if (names.size === 0) return ok({ spec });
  const old = before === undefined ? undefined : openSecrets(deps.sealers, cluster.tenant, before);
  const secrets: Record<string, string> = {};
  for (const name of [...names].toSorted()) {
    const value = spec.variables[name];
    if (value === undefined) continue;
    const kept = old?.ok === true && old.value.variables[name] === value ? before?.secrets?.[name] : undefined;
    secrets[name] = kept ?? deps.sealers(cluster.tenant).seal(value);
  }
  return ok({ spec: mapVariables(spec, (name, value) => (names.has(name) ? redacted : value)), ...(Object.keys(secrets).length === 0 ? {} : { secrets }) });
};
