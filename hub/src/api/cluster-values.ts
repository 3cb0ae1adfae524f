import type { ClusterValuesView } from '@groundplane/protocol/api/profile-views';
import { ok } from '@groundplane/protocol/failure';
import { resolveProfiles, type ResolvedLayer } from '@groundplane/protocol/resolve/profile';
import { valuesProvenance, type ValuesSource } from '@groundplane/protocol/resolve/provenance';
import { findCluster } from './clusters.ts';
import type { Handler } from './handler.ts';
import { redacted } from '../trust/cluster-secrets.ts';

/** Texts of values of a layer, weakest first. */
const sourcesOf = ({ layer }: ResolvedLayer, isOverridden: boolean): ValuesSource[] => {
  const source = layer.pack?.digest === undefined ? layer.helm : layer.pack;
  const more = source?.valuesLayers ?? [];
  return [
    { from: 'profile', text: source?.values ?? layer.zarf?.values ?? '' },
    ...more.map((text, index) => ({ from: isOverridden && index === more.length - 1 ? 'cluster' : `profile, layer ${index + 2}`, text })),
  ];
};

/** `GET …/clusters/{name}/values`: what values a cluster's layers run with, and where each came from. */
export const clusterValues: Handler<'clusterValues'> = async ({ principal, params, project }, deps) => {
  const found = await findCluster(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const { spec } = found.value.row.value;
  const input = await deps.inputs.ofRow(found.value.row);
  if (!input.ok) return input;
  const resolved = resolveProfiles(input.value);
  if (!resolved.ok) return resolved;
  return ok({
    layers: resolved.value.map((item): ClusterValuesView['layers'][number] => {
      const fields = valuesProvenance(sourcesOf(item, spec.overrides?.[item.layer.name] !== undefined));
      // A layer with a secret anywhere in its values shows none of them: which field holds it cannot be told from the resolved text.
      const isSecret = item.uses.some((use) => use.sensitive);
      return { name: item.layer.name, fields: isSecret ? fields.map((field) => ({ ...field, value: redacted })) : fields, uses: item.uses };
    }),
  });
};
