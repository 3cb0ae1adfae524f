import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { NamespacePart } from './parts.ts';

/** What a layer wants of namespaces and which of them it defines itself, as objects. */
export interface NamespaceWishes {
  layer: string;
  wanted: readonly NamespacePart[];
  defines: ReadonlySet<string>;
}

/** One namespace of a bundle: who owns it, and everything that any layer wants on it. */
export interface NamespaceClaim {
  name: string;
  /** Index of the layer whose inventory holds it. */
  owner: number;
  /** The owner's chart or manifest has it already; the labels go onto that object. */
  isDefined: boolean;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

const addAll = (into: Record<string, string>, from: Record<string, string>, what: string, name: string, layer: string): Result<void> => {
  for (const [key, value] of Object.entries(from)) {
    const other = Object.hasOwn(into, key) ? into[key] : undefined;
    if (other !== undefined && other !== value)
      return fail(
        'fatal',
        'namespace-conflict',
        `layer ${layer}`,
        `wants the ${what} ${key}=${value} on namespace ${name}, and an earlier layer wants ${key}=${other}`,
      );
    into[key] = value;
  }
  return ok(undefined);
};

/**
 * Several layers may live in one namespace, and one object has one owner: the layer that defines it, else the first in install order that asks for it.
 * Labels and annotations of all of them come together; two values for one label are an error. Pure.
 */
export const planNamespaces = (layers: readonly NamespaceWishes[]): Result<NamespaceClaim[]> => {
  const claims = new Map<string, NamespaceClaim>();
  for (const [index, { layer, wanted }] of layers.entries()) {
    for (const namespace of wanted) {
      const definer = layers.findIndex((item) => item.defines.has(namespace.name));
      const claim = claims.get(namespace.name) ?? {
        name: namespace.name,
        owner: definer < 0 ? index : definer,
        isDefined: definer >= 0,
        labels: {},
        annotations: {},
      };
      claims.set(namespace.name, claim);
      const labels = addAll(claim.labels, namespace.labels, 'label', namespace.name, layer);
      if (!labels.ok) return labels;
      const annotations = addAll(claim.annotations, namespace.annotations, 'annotation', namespace.name, layer);
      if (!annotations.ok) return annotations;
    }
  }
  return ok([...claims.values()]);
};
