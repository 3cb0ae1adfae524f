import type { ProfileComparisonView } from '@groundplane/protocol/api/profile-views';
import { digestOf } from '@groundplane/protocol/digest';
import { compareLayers } from '@groundplane/protocol/layer';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { stringify } from 'yaml';

/** Layers of two profiles side by side, as YAML. */
export const compareSpecs = (from: ProfileSpec, to: ProfileSpec): ProfileComparisonView['layers'] => {
  const before = new Map(from.layers.map((layer) => [layer.name, layer]));
  const after = new Map(to.layers.map((layer) => [layer.name, layer]));
  const all = [...from.layers, ...to.layers.filter((layer) => !before.has(layer.name))].toSorted(compareLayers);
  const text = (layer: unknown): string => (layer === undefined ? '' : stringify(layer, { lineWidth: 0 }));
  return all.map(({ name }) => {
    const [old, next] = [before.get(name), after.get(name)];
    const change = old === undefined ? 'add' : next === undefined ? 'remove' : digestOf(old) === digestOf(next) ? 'same' : 'change';
    return { name, change, before: text(old), after: text(next) };
  });
};
