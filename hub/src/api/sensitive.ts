import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { Row } from '../port/store.ts';
import type { ApiDeps } from './handler.ts';

/** Stands for a value that is kept and not shown. Sent back, it means: leave it as it is. */
export const redacted = '‹redacted›';

const sensitiveNames = async (deps: ApiDeps, cluster: Pick<Row<'cluster'>, 'tenant' | 'project'>, spec: ClusterSpec): Promise<Set<string>> => {
  const names = new Set<string>();
  for (const { name, version } of spec.profiles) {
    const profile = await deps.store.byName('profile', cluster.tenant, cluster.project, `${name}@${version}`);
    for (const variable of profile?.value.spec.variables ?? []) if (variable.sensitive) names.add(variable.name);
  }
  return names;
};

/** Reading a cluster never means reading its secrets. */
export const hideSensitive = async (deps: ApiDeps, cluster: Pick<Row<'cluster'>, 'tenant' | 'project'>, spec: ClusterSpec): Promise<ClusterSpec> => {
  const names = await sensitiveNames(deps, cluster, spec);
  if (names.size === 0) return spec;
  return { ...spec, variables: Object.fromEntries(Object.entries(spec.variables).map(([name, value]) => [name, names.has(name) ? redacted : value])) };
};

/** Puts back the values that an edited document only shows as redacted. */
export const restoreSensitive = (spec: ClusterSpec, before: ClusterSpec | undefined): ClusterSpec => ({
  ...spec,
  variables: Object.fromEntries(Object.entries(spec.variables).map(([name, value]) => [name, value === redacted ? (before?.variables[name] ?? value) : value])),
});
