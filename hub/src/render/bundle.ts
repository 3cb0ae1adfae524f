import { bundleBlobs, layerDigest, type Bundle, type BundleLayer } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestBytes, digestOf, type Digest } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import { references } from '@groundplane/protocol/resolve/substitute';
import { resolveProfiles, type ProfileVersionInput } from '@groundplane/protocol/resolve/profile';
import { findTwice } from './objects.ts';
import { renderLayer, type LayerRenderer } from './layer.ts';

export interface ProfileInput extends ProfileVersionInput {
  digest: string;
}

export interface BundleInput {
  cluster: string;
  profiles: readonly ProfileInput[];
  variables: Readonly<Record<string, string>>;
  macros: Readonly<Record<string, string>>;
  system: Readonly<Record<string, string>>;
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
}

export const builtBundle = (bundle: Bundle): BuiltBundle => ({
  digest: digestOf(bundle),
  bundle,
  layerDigests: bundle.layers.map(layerDigest),
  layerKeys: bundle.layers.map((layer) => digestOf(layer)),
  blobs: bundleBlobs(bundle),
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

/**
 * Resolves and renders. Two caches make thousands of clusters cheap: whole bundles by their inputs, of which only those count that the profiles refer to,
 * and layers by their resolved text.
 */
export const createBundler = (renderer: LayerRenderer, engine: string) => {
  const bundles = new Map<string, BuiltBundle>();
  const byDigest = new Map<string, BuiltBundle>();
  const layers = new Map<string, BundleLayer>();
  const usesRandom = new Map<string, boolean>();
  const referencesOf = new WeakMap<object, string[]>();

  const usedBy = (profile: ProfileInput): string[] => {
    const known = referencesOf.get(profile.spec);
    if (known !== undefined) return known;
    const found = [...new Set(textsIn(profile.spec.layers).flatMap(references))];
    referencesOf.set(profile.spec, found);
    return found;
  };

  const isSeeded = (input: BundleInput): boolean =>
    input.profiles.some((profile) =>
      profile.spec.layers.some((layer) => layer.helm !== undefined && usesRandom.get(digestOf([layer.helm.chart.digest, layer.helm.values])) !== false),
    );

  const hasCharts = (input: BundleInput): boolean => input.profiles.some((profile) => profile.spec.layers.some((layer) => layer.helm !== undefined));

  /** Digest of everything that can change the outcome, and of nothing else. */
  const inputsOf = (input: BundleInput): string => {
    const used = new Set(input.profiles.flatMap(usedBy));
    const pick = (scope: string, values: Readonly<Record<string, string>>): [string, string][] =>
      Object.entries(values).filter(([key]) => used.has(`spectro.${scope}.${key}`));
    return digestBytes(
      canonicalJson([
        input.profiles.map((profile) => profile.digest),
        input.variables,
        pick('macro', input.macros),
        pick('system', input.system),
        hasCharts(input) ? input.kubeVersion : '',
        isSeeded(input) ? input.cluster : '',
      ]),
    );
  };

  const build = async (input: BundleInput): Promise<Result<BuiltBundle>> => {
    const resolved = resolveProfiles(input);
    if (!resolved.ok) return resolved;
    const rendered: BundleLayer[] = [];
    for (const item of resolved.value) {
      const key = digestOf(
        item.layer.helm === undefined
          ? [item]
          : [item, input.kubeVersion, usesRandom.get(digestOf([item.layer.helm.chart.digest, item.layer.helm.values])) === false ? '' : input.cluster],
      );
      const layer = layers.get(key) ?? (await renderLayer(renderer, item, { cluster: input.cluster, kubeVersion: input.kubeVersion, usesRandom }));
      if ('ok' in layer && !layer.ok) return layer;
      rendered.push(keep(layers, key, 'ok' in layer ? layer.value : layer, layersMax));
    }
    const single = findTwice(rendered);
    if (!single.ok) return single;
    const bundle: Bundle = {
      schema: 'groundplane.dev/bundle/1',
      engine,
      profiles: input.profiles.map(({ name, version, digest }) => ({ name, version, digest: digest as Digest })),
      layers: rendered,
    };
    const built = builtBundle(bundle);
    await renderer.content.put(canonicalJson(bundle));
    return ok(keep(byDigest, built.digest, built, bundlesMax));
  };

  return {
    inputsOf,
    make: async (input: BundleInput): Promise<Result<BuiltBundle>> => {
      const known = bundles.get(inputsOf(input));
      if (known !== undefined) return ok(known);
      const built = await build(input);
      // Asked again, since rendering may have found out that a chart uses random values.
      return built.ok ? ok(keep(bundles, inputsOf(input), built.value, bundlesMax)) : built;
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
