import { bundleBlobs, largeBlobs, layerDigest, type Bundle, type BundleBlob, type BundleLayer, type BundleObject } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import { refKey, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { references } from '@groundplane/protocol/resolve/substitute';
import { resolveProfiles, type ProfileVersionInput, type ResolvedLayer } from '@groundplane/protocol/resolve/profile';
import type { MacroValue } from '@groundplane/protocol/resolve/references';
import { findTwice } from './objects.ts';
import { sha256 } from '../content/digest.ts';
import type { ContentStore } from '../port/content.ts';
import { withPackValues } from './hydrate.ts';
import { renderLayer, storeObject, type LayerContext, type LayerRenderer, type RenderedLayer } from './layer.ts';
import { planNamespaces } from './namespaces.ts';

export interface ProfileInput extends ProfileVersionInput {
  digest: string;
}

export interface BundleInput {
  cluster: string;
  profiles: readonly ProfileInput[];
  variables: Readonly<Record<string, string>>;
  macros: Readonly<Record<string, MacroValue>>;
  system: Readonly<Record<string, string>>;
  overrides?: Readonly<Record<string, { values: string }>>;
  kubeVersion: string;
}

/** A bundle with what delivery needs to know about it, worked out once for all clusters that share it. */
export interface BuiltBundle {
  digest: Digest;
  bundle: Bundle;
  /** What the layers are compared by. */
  layerDigests: readonly Digest[];
  /** Digests of every byte of them, names too; patches are made of these. */
  layerKeys: readonly Digest[];
  blobs: ReadonlyMap<string, number>;
  /** Content that lies in files on hosts, of every architecture. */
  large: ReadonlyMap<string, BundleBlob>;
  /** What rendering put up with; only right after it was made. */
  warnings?: readonly Finding[];
}

export const builtBundle = (bundle: Bundle): BuiltBundle => ({
  digest: digestOf(bundle),
  bundle,
  layerDigests: bundle.layers.map(layerDigest),
  layerKeys: bundle.layers.map((layer) => digestOf(layer)),
  blobs: bundleBlobs(bundle),
  large: largeBlobs(bundle),
});

const keep = <V>(map: Map<string, V>, key: string, value: V, max: number): V => {
  if (map.size >= max) {
    const oldest = map.keys().next();
    if (oldest.done !== true) map.delete(oldest.value);
  }
  map.set(key, value);
  return value;
};

/** Every text in plain data, however deep; profiles were checked for depth when they came in. */
const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return value.includes('.spectro.') ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
};

const bundlesMax = 256;
const layersMax = 4_096;

const hasCharts = (input: BundleInput): boolean =>
  input.profiles.some((profile) => profile.spec.layers.some((layer) => [layer.helm, layer.zarf, layer.pack?.digest].some((source) => source !== undefined)));

/** Puts each namespace that layers ask for into the inventory of one of them. */
const addNamespaces = async (content: ContentStore, rendered: readonly RenderedLayer[]): Promise<Result<BundleLayer[]>> => {
  const layers = rendered.map((item) => item.layer);
  const isNamespace = (object: BundleObject): boolean => object.ref.kind === 'Namespace' && object.ref.apiVersion === 'v1';
  const claims = planNamespaces(
    rendered.map(({ layer, namespaces }) => ({
      layer: layer.name,
      wanted: namespaces,
      defines: new Set(layer.objects.filter(isNamespace).map((object) => object.ref.name)),
    })),
  );
  if (!claims.ok) return claims;
  for (const { name, owner, isDefined, labels, annotations } of claims.value) {
    const layer = layers[owner];
    if (layer === undefined) continue;
    const ref: ObjectRef = { apiVersion: 'v1', kind: 'Namespace', name };
    const own = layer.objects.find((object) => refKey(object.ref) === refKey(ref));
    const bytes = own === undefined ? undefined : await content.read(own.digest);
    const base: KubeObject =
      bytes === undefined ? { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } : (JSON.parse(bytes.toString('utf8')) as KubeObject);
    const merged = (which: 'labels' | 'annotations', more: Record<string, string>) => {
      const all = { ...base.metadata[which], ...more };
      return Object.keys(all).length === 0 ? {} : { [which]: all };
    };
    const object = { ...base, metadata: { ...base.metadata, ...merged('labels', labels), ...merged('annotations', annotations) } };
    const stored = await storeObject(content, object, `layer ${layer.name}`);
    if (!stored.ok) return stored;
    const placed: BundleObject = { ...(own ?? { ref }), ...stored.value, ...(isDefined ? {} : { early: true }) };
    layers[owner] = { ...layer, objects: own === undefined ? [placed, ...layer.objects] : layer.objects.map((item) => (item === own ? placed : item)) };
  }
  return ok(layers);
};

/**
 * Resolves and renders. Two caches make thousands of clusters cheap: whole bundles by their inputs, of which only those count that the profiles refer to,
 * and layers by their resolved text.
 */
export const createBundler = (renderer: LayerRenderer, engine: string) => {
  const bundles = new Map<string, BuiltBundle>();
  const byDigest = new Map<string, BuiltBundle>();
  const layers = new Map<string, RenderedLayer>();
  const usesRandom = new Map<string, boolean>();
  /** By profiles: whether any of their charts was ever seen to use random bytes. Unknown counts as yes. */
  const isSeeded = new Map<string, boolean>();
  const referencesOf = new WeakMap<object, string[]>();

  const usedBy = (profile: ProfileInput): string[] => {
    const known = referencesOf.get(profile.spec);
    if (known !== undefined) return known;
    const found = [...new Set(textsIn(profile.spec.layers).flatMap(references))];
    referencesOf.set(profile.spec, found);
    return found;
  };

  const profilesKey = (input: BundleInput): string => input.profiles.map((profile) => profile.digest).join(' ');

  /** Everything that can change the outcome, and nothing else. */
  const keyOf = (input: BundleInput, isOwn: boolean): string => {
    const used = new Set([...input.profiles.flatMap(usedBy), ...textsIn(input.overrides).flatMap(references)]);
    const pick = <V>(scope: string, values: Readonly<Record<string, V>>): [string, V][] =>
      Object.entries(values).filter(([key]) => used.has(`spectro.${scope}.${key}`));
    return sha256(
      canonicalJson([
        input.profiles.map((profile) => profile.digest),
        input.variables,
        input.overrides ?? {},
        pick('macro', input.macros).map(([name, macro]) => [name, macro.value]),
        pick('system', input.system),
        hasCharts(input) ? input.kubeVersion : '',
        hasCharts(input) && isOwn ? input.cluster : '',
      ]),
    );
  };

  /** Digest of everything that this cluster's bundle is made of. Always the cluster's own, so that it stays the same over restarts of the hub. */
  const inputsOf = (input: BundleInput): string => keyOf(input, true);
  /** Clusters with equal inputs share a bundle, unless a chart makes passwords for each. */
  const shareKey = (input: BundleInput): string => keyOf(input, isSeeded.get(profilesKey(input)) !== false);

  /** One layer, from memory when the same text was rendered before; with random bytes in it, for this cluster only. */
  const layerOf = async (item: ResolvedLayer, context: LayerContext): Promise<Result<RenderedLayer>> => {
    const { uses: _, ...text } = item;
    const isChart = [text.layer.helm, text.layer.zarf, text.layer.pack?.digest].some((source) => source !== undefined);
    const shared = digestOf(isChart ? [text, context.kubeVersion, context.apiVersions] : [text]);
    const own = `${shared} ${context.cluster}`;
    const known = layers.get(shared) ?? layers.get(own);
    if (known !== undefined) return ok(known);
    const rendered = await renderLayer(renderer, item, context);
    return rendered.ok ? ok(keep(layers, rendered.value.usedRandom ? own : shared, rendered.value, layersMax)) : rendered;
  };

  const build = async (input: BundleInput): Promise<Result<BuiltBundle>> => {
    const resolved = resolveProfiles(input);
    if (!resolved.ok) return resolved;
    const rendered: RenderedLayer[] = [];
    for (const item of resolved.value) {
      const apiVersions = rendered.flatMap((layer) => layer.apis);
      const layer = await layerOf(item, { cluster: input.cluster, kubeVersion: input.kubeVersion, apiVersions, usesRandom });
      if (!layer.ok) return layer;
      rendered.push(layer.value);
    }
    const complete = await addNamespaces(renderer.content, rendered);
    if (!complete.ok) return complete;
    const single = findTwice(complete.value);
    if (!single.ok) return single;
    const seeded = rendered.some((layer) => layer.usedRandom);
    isSeeded.set(profilesKey(input), seeded || isSeeded.get(profilesKey(input)) === true);
    const bundle: Bundle = {
      schema: 'groundplane.dev/bundle/1',
      engine,
      profiles: input.profiles.map(({ name, version, digest }) => ({ name, version, digest: digest as Digest })),
      layers: complete.value,
    };
    const built: BuiltBundle = { ...builtBundle(bundle), warnings: rendered.flatMap((layer) => layer.warnings) };
    await renderer.content.put(canonicalJson(bundle));
    return ok(keep(byDigest, built.digest, built, bundlesMax));
  };

  return {
    inputsOf,
    make: async (given: BundleInput): Promise<Result<BuiltBundle>> => {
      const profiles: ProfileInput[] = [];
      for (const profile of given.profiles) {
        const spec = await withPackValues(renderer.content, profile.spec);
        if (!spec.ok) return spec;
        profiles.push(spec.value === profile.spec ? profile : { ...profile, spec: spec.value });
      }
      const input = { ...given, profiles };
      const known = bundles.get(shareKey(input));
      if (known !== undefined) return ok(known);
      const built = await build(input);
      // Asked again, since rendering may have found out that a chart uses random values.
      return built.ok ? ok(keep(bundles, shareKey(input), built.value, bundlesMax)) : built;
    },
    /** Forgets what was made: blobs of it may be gone from the store, and making it again puts them back. */
    forget: (): void => {
      bundles.clear();
      byDigest.clear();
      layers.clear();
    },
    /** A bundle that was made before, also by an earlier run of the hub. */
    load: async (digest: string): Promise<BuiltBundle | undefined> => {
      const known = byDigest.get(digest);
      if (known !== undefined) return known;
      const bytes = await renderer.content.read(digest);
      return bytes === undefined ? undefined : keep(byDigest, digest, builtBundle(JSON.parse(bytes.toString('utf8')) as Bundle), bundlesMax);
    },
  };
};
export type Bundler = ReturnType<typeof createBundler>;
