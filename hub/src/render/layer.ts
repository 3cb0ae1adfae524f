import type { BundleHook, BundleLayer, BundleObject } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { Layer } from '@groundplane/protocol/layer';
import { limits } from '@groundplane/protocol/limits';
import type { ResolvedLayer } from '@groundplane/protocol/resolve/profile';
import type { ContentStore } from '../port/content.ts';
import { nothing, renderChart, renderManifest, type ChartRenderer, type Collected, type RenderContext } from './chart.ts';
import { imageRewriter, imagesOf, rewriteImages } from './images.ts';
import { installPosition } from './kinds.ts';
import { customApis, customScopes, parseObjects, placeObject } from './objects.ts';
import { kubernetesTimeoutSeconds, renderKubernetes } from './kubernetes.ts';
import { renderOs } from './os.ts';
import type { NamespacePart, SourceParts } from './parts.ts';
import { applyPatches } from './patches.ts';
import { withReadyChecks } from './ready-checks.ts';
import { sourceParts } from './sources.ts';

export interface LayerRenderer extends Omit<ChartRenderer, 'usesRandom'> {
  content: ContentStore;
}

export interface LayerContext {
  cluster: string;
  kubeVersion: string;
  apiVersions: readonly string[];
  usesRandom: Map<string, boolean>;
}

/** A layer in its bundle form, with what the other layers of its bundle have to know. */
export interface RenderedLayer {
  layer: BundleLayer;
  /** Namespaces to make for it; whose inventory they are in is decided for the whole bundle. */
  namespaces: NamespacePart[];
  /** API versions and kinds that its CRDs bring. */
  apis: string[];
  usedRandom: boolean;
  warnings: Finding[];
}

/** A layer that says nothing waits as long as its pack does. */
const defaultTimeoutSeconds = 300;

const keepAnnotation = 'helm.sh/resource-policy';

export const storeObject = async (
  content: ContentStore,
  object: KubeObject,
  element: string,
  secret = false,
): Promise<Result<{ digest: Digest; size: number }>> => {
  const text = canonicalJson(object);
  const size = Buffer.byteLength(text);
  if (size > limits.objectBytes)
    return fail('fatal', 'object-too-large', element, `${object.kind} ${object.metadata.name ?? ''} has ${size} bytes; at most ${limits.objectBytes}`);
  return ok({ digest: await content.put(text, { secret: secret || object.kind === 'Secret' }), size });
};

const renderParts = async (renderer: LayerRenderer, layer: Layer, parts: SourceParts, context: LayerContext): Promise<Result<Collected>> => {
  const element = `layer ${layer.name}`;
  const lookup = layer.helm?.lookup === undefined ? ok([]) : parseObjects(layer.helm.lookup, `${element}, lookup`);
  if (!lookup.ok) return lookup;
  const apiVersions = [...new Set([...context.apiVersions, ...(layer.helm?.apiVersions ?? [])])];
  const engine = { ...renderer, usesRandom: context.usesRandom };
  const all = nothing();
  const add = (more: Collected): void => {
    all.objects.push(...more.objects);
    all.hooks.push(...more.hooks);
    all.usedRandom ||= more.usedRandom;
    all.notes = [all.notes, more.notes].filter((text) => text.trim() !== '').join('\n');
  };
  for (const chart of parts.charts) {
    const about: RenderContext = { cluster: context.cluster, kubeVersion: context.kubeVersion, apiVersions, lookup: lookup.value };
    const rendered = await renderChart(engine, chart, layer.helm?.crds ?? 'apply', about, element);
    if (!rendered.ok) return rendered;
    add(placedIn(rendered.value, chart.namespace));
  }
  for (const manifest of parts.manifests) {
    const rendered = await renderManifest(engine, manifest, { ...context, apiVersions, lookup: [] }, element);
    if (!rendered.ok) return rendered;
    add(placedIn(rendered.value, manifest.namespace));
  }
  return ok(all);
};

/** The namespace of a part is that of its objects which name none; whether they can have one is known once all CRDs are. */
const placedIn = (collected: Collected, namespace: string): Collected => {
  const place = <T extends { object: KubeObject }>(item: T): T => ({ ...item, namespace });
  return { ...collected, objects: collected.objects.map(place), hooks: collected.hooks.map(place) };
};

const changeObjects = (collected: Collected, layer: Layer, parts: SourceParts): Result<Collected> => {
  const rewrites = parts.imageRewrites;
  const rewrite = rewrites === undefined || rewrites.size === 0 ? undefined : imageRewriter(rewrites);
  const change = (object: KubeObject): KubeObject => (rewrite === undefined ? object : rewriteImages(object, rewrite));
  const objects = collected.objects.map((item) => ({ ...item, object: change(item.object) }));
  const hooks = collected.hooks.map((item) => ({ ...item, object: change(item.object) }));
  const patches = layer.patches ?? [];
  if (patches.length === 0) return ok({ ...collected, objects, hooks });
  const patched = applyPatches(
    [...objects, ...hooks].map((item) => item.object),
    patches,
    `layer ${layer.name}`,
  );
  if (!patched.ok) return patched;
  const put = <T extends { object: KubeObject }>(items: readonly T[], from: number): T[] =>
    items.map((item, index) => ({ ...item, object: patched.value[from + index] ?? item.object }));
  return ok({ ...collected, objects: put(objects, 0), hooks: put(hooks, objects.length) });
};

type Stored = Pick<BundleLayer, 'objects' | 'hooks' | 'notes' | 'images'> & { apis: string[] };

const storeAll = async (content: ContentStore, collected: Collected, layer: Layer, parts: SourceParts, secret: boolean): Promise<Result<Stored>> => {
  const element = `layer ${layer.name}`;
  const scopes = customScopes(collected.objects.map((item) => item.object));
  const objects: BundleObject[] = [];
  const sorted = collected.objects.toSorted(
    (a, b) => Number(b.crd !== undefined) - Number(a.crd !== undefined) || installPosition(a.object.kind) - installPosition(b.object.kind),
  );
  for (const { object, crd, namespace } of sorted) {
    const placed = placeObject(object, namespace ?? 'default', scopes);
    const stored = await storeObject(content, placed.object, element, secret);
    if (!stored.ok) return stored;
    const keep = object.metadata.annotations?.[keepAnnotation] === 'keep';
    objects.push({ ref: placed.ref, ...stored.value, ...(crd === undefined ? {} : { crd }), ...(keep ? { keep } : {}) });
  }
  const hooks: BundleHook[] = [];
  for (const { object, namespace, ...hook } of collected.hooks) {
    const placed = placeObject(object, namespace ?? 'default', scopes);
    const stored = await storeObject(content, placed.object, element, secret);
    if (!stored.ok) return stored;
    hooks.push({ ref: placed.ref, ...stored.value, ...hook });
  }
  const all = [...collected.objects, ...collected.hooks].map((item) => item.object);
  const images = [...new Set([...parts.images, ...all.flatMap(imagesOf)])].toSorted();
  const notes =
    collected.notes.trim() === '' ? undefined : { digest: await content.put(collected.notes, { secret }), size: Buffer.byteLength(collected.notes) };
  return ok({ objects, hooks, ...(images.length === 0 ? {} : { images }), ...(notes === undefined ? {} : { notes }), apis: customApis(all) });
};

const sourceOf = (layer: Layer): BundleLayer['pack']['source'] => {
  if (layer.kind === 'os' || layer.kind === 'kubernetes') return layer.kind;
  if (layer.pack?.digest !== undefined) return 'pack';
  return layer.zarf !== undefined ? 'zarf' : layer.helm === undefined ? 'manifest' : 'helm';
};

/** What people call what runs in a layer, and where it came from. */
const packOf = (input: ResolvedLayer): BundleLayer['pack'] => {
  const { layer, profile } = input;
  const named = layer.pack ?? layer.helm?.chart ?? layer.zarf?.package;
  const { name, version } = named ?? { name: layer.kubernetes?.distribution ?? layer.name, version: profile.version };
  return { name, version, source: sourceOf(layer), digest: digestOf({ ...layer, settable: undefined }) };
};

/** Turns one resolved layer into its bundle form; every object, file and note goes into the content store by digest. */
export const renderLayer = async (renderer: LayerRenderer, input: ResolvedLayer, context: LayerContext): Promise<Result<RenderedLayer>> => {
  const { layer } = input;
  const parts = await sourceParts(renderer.content, layer);
  if (!parts.ok) return parts;
  const rendered = await renderParts(renderer, layer, parts.value, context);
  if (!rendered.ok) return rendered;
  // Where a secret went is not known after rendering: everything of such a layer lies sealed.
  const secret = input.uses.some((use) => use.sensitive);
  const changed = changeObjects(rendered.value, layer, parts.value);
  if (!changed.ok) return changed;
  const stored = await storeAll(renderer.content, changed.value, layer, parts.value, secret);
  if (!stored.ok) return stored;
  const kubernetes = await renderKubernetes(renderer.content, layer, secret);
  if (!kubernetes.ok) return kubernetes;
  const { apis, ...content } = stored.value;
  const checked = withReadyChecks(content.objects, parts.value.readiness ?? []);
  const namespace = parts.value.namespace;
  return ok({
    layer: {
      name: layer.name,
      kind: layer.kind,
      priority: layer.priority,
      profile: input.profile,
      pack: packOf(input),
      ...(namespace === undefined ? {} : { namespace }),
      ...(layer.replaces === undefined ? {} : { replaces: layer.replaces }),
      adopt: layer.adopt,
      readinessTimeoutMs:
        kubernetesTimeoutSeconds(
          layer,
          layer.readiness.timeoutSeconds === defaultTimeoutSeconds
            ? (parts.value.readinessTimeoutSeconds ?? defaultTimeoutSeconds)
            : layer.readiness.timeoutSeconds,
          defaultTimeoutSeconds,
        ) * 1000,
      ...(await renderOs(renderer.content, layer, secret)),
      ...kubernetes.value,
      ...content,
      objects: checked.objects,
    },
    namespaces: parts.value.namespaces,
    apis,
    usedRandom: rendered.value.usedRandom,
    warnings: [...parts.value.warnings, ...checked.warnings],
  });
};
