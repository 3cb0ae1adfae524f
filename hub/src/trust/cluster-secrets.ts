import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { SealerFor } from '../port/sealer.ts';
import type { Row } from '../port/store.ts';

/** Stands for a value that is kept and not shown. Sent back, it means: leave it as it is. */
export const redacted = '‹redacted›';

export type StoredCluster = Pick<Row<'cluster'>['value'], 'spec' | 'secrets'>;

export const mapVariables = (spec: ClusterSpec, change: (name: string, value: string) => string): ClusterSpec => ({
  ...spec,
  variables: Object.fromEntries(Object.entries(spec.variables).map(([name, value]) => [name, change(name, value)])),
});

/** A cluster's spec with its secrets in clear, for rendering and for nothing else. */
export const openSecrets = (sealers: SealerFor, tenant: string, { spec, secrets }: StoredCluster): Result<ClusterSpec> => {
  const opened: Record<string, string> = {};
  for (const [name, sealed] of Object.entries(secrets ?? {})) {
    const text = sealers(tenant).open(sealed);
    if (!text.ok) return fail('blocked', text.failure.code, `variable ${name}`, text.failure.message);
    opened[name] = text.value;
  }
  return ok(mapVariables(spec, (name, value) => (value === redacted && Object.hasOwn(opened, name) ? (opened[name] ?? '') : value)));
};
