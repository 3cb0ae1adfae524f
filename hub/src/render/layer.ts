import type { BundleHook, BundleLayer, BundleObject, HookEvent } from '@groundplane/protocol/bundle';
import { hookEvents } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { limits } from '@groundplane/protocol/limits';
import type { ResolvedLayer } from '@groundplane/protocol/resolve/profile';
import type { ContentStore } from '../port/content.ts';
import type { HelmRendered, HelmRenderer } from './helm/index.ts';
import { installPosition } from './kinds.ts';
import { customScopes, parseObjects, placeObject } from './objects.ts';

export interface LayerRenderer {
  content: ContentStore;
  helm: HelmRenderer;
  /** Derives the seed of a cluster's random values: no values and no revision in it, or passwords would change with each edit. */
  seed: (cluster: string, release: string) => string;
}

export interface LayerContext {
  cluster: string;
  kubeVersion: string;
  /** Charts whose templates used random bytes; the others are rendered once for all clusters. */
  usesRandom: Map<string, boolean>;
}

const keepAnnotation = 'helm.sh/resource-policy';

const store = async (content: ContentStore, object: KubeObject, element: string): Promise<Result<{ digest: Digest; size: number }>> => {
  const text = canonicalJson(object);
  const size = Buffer.byteLength(text);
  if (size > limits.objectBytes)
    return fail('fatal', 'object-too-large', element, `${object.kind} ${object.metadata.name ?? ''} has ${size} bytes; at most ${limits.objectBytes}`);
  return ok({ digest: await content.put(text), size });
};

interface Collected {
  objects: { object: KubeObject; crd?: 'apply' | 'createOnly' }[];
  hooks: { object: KubeObject; events: HookEvent[]; weight: number; deletePolicies: BundleHook['deletePolicies'] }[];
  notes: string;
}

const isHookEvent = (event: string): event is HookEvent => (hookEvents as readonly string[]).includes(event);
const policies = ['before-hook-creation', 'hook-succeeded', 'hook-failed'] as const;

const collectHelm = (rendered: HelmRendered, crds: 'apply' | 'createOnly' | 'skip', element: string): Result<Collected> => {
  const collected: Collected = { objects: [], hooks: [], notes: rendered.notes };
  for (const document of crds === 'skip' ? [] : rendered.crds) {
    const objects = parseObjects(document.content, `${element}, ${document.source}`);
    if (!objects.ok) return objects;
    collected.objects.push(...objects.value.map((object) => ({ object, crd: crds === 'createOnly' ? ('createOnly' as const) : ('apply' as const) })));
  }
  for (const document of rendered.manifests) {
    const objects = parseObjects(document.content, `${element}, ${document.source}`);
    if (!objects.ok) return objects;
    collected.objects.push(...objects.value.map((object) => ({ object })));
  }
  for (const hook of rendered.hooks) {
    const objects = parseObjects(hook.content, `${element}, ${hook.source}`);
    if (!objects.ok) return objects;
    const events = hook.events.filter(isHookEvent);
    const deletePolicies = policies.filter((policy) => hook.deletePolicies.includes(policy));
    collected.hooks.push(...objects.value.map((object) => ({ object, events, weight: hook.weight, deletePolicies })));
  }
  return ok(collected);
};

const renderHelm = async (renderer: LayerRenderer, input: ResolvedLayer, context: LayerContext): Promise<Result<Collected & { engine: string }>> => {
  const { layer } = input;
  const helm = layer.helm;
  if (helm === undefined) return ok({ objects: [], hooks: [], notes: '', engine: '' });
  const element = `layer ${layer.name}, chart ${helm.chart.name} ${helm.chart.version}`;
  const bytes = await renderer.content.read(helm.chart.digest);
  if (bytes === undefined)
    return fail(
      'blocked',
      'chart-missing',
      element,
      `the chart archive ${helm.chart.digest} is not in the content store. Run gp apply with the chart's folder or archive again`,
    );
  const release = helm.releaseName ?? layer.name;
  const request = {
    chart: { kind: 'archive' as const, bytes },
    values: [helm.values],
    release: { name: release, namespace: layer.namespace ?? 'default' },
    kubeVersion: context.kubeVersion,
    apiVersions: [],
    nowMs: 0,
  };
  const randomKey = digestOf([helm.chart.digest, helm.values]);
  const shared = context.usesRandom.get(randomKey) === true ? undefined : await renderer.helm.render({ ...request, seed: '' });
  if (shared !== undefined && !shared.ok) return { ok: false, failure: { ...shared.failure, element: `${element}: ${shared.failure.element}`.slice(0, 512) } };
  if (shared !== undefined) context.usesRandom.set(randomKey, shared.value.usedRandom);
  const rendered =
    shared === undefined || shared.value.usedRandom ? await renderer.helm.render({ ...request, seed: renderer.seed(context.cluster, release) }) : shared;
  if (!rendered.ok) return { ok: false, failure: rendered.failure };
  const collected = collectHelm(rendered.value, helm.crds, element);
  return collected.ok ? ok({ ...collected.value, engine: rendered.value.engineVersion }) : collected;
};

const renderObjects = async (
  renderer: LayerRenderer,
  input: ResolvedLayer,
  context: LayerContext,
): Promise<Result<Pick<BundleLayer, 'objects' | 'hooks' | 'notes'>>> => {
  const { layer } = input;
  const helm = await renderHelm(renderer, input, context);
  if (!helm.ok) return helm;
  const all = [...helm.value.objects];
  for (const manifest of layer.manifests ?? []) {
    const objects = parseObjects(manifest.content, `layer ${layer.name}, manifest ${manifest.name}`);
    if (!objects.ok) return objects;
    all.push(...objects.value.map((object) => ({ object })));
  }
  const scopes = customScopes(all.map((item) => item.object));
  const namespace = layer.namespace ?? 'default';
  const objects: BundleObject[] = [];
  const sorted = all.toSorted(
    (a, b) => Number(b.crd !== undefined) - Number(a.crd !== undefined) || installPosition(a.object.kind) - installPosition(b.object.kind),
  );
  for (const { object, crd } of sorted) {
    const placed = placeObject(object, namespace, scopes);
    const stored = await store(renderer.content, placed.object, `layer ${layer.name}`);
    if (!stored.ok) return stored;
    const keep = object.metadata.annotations?.[keepAnnotation] === 'keep';
    objects.push({ ref: placed.ref, ...stored.value, ...(crd === undefined ? {} : { crd }), ...(keep ? { keep } : {}) });
  }
  const hooks: BundleHook[] = [];
  for (const { object, ...hook } of helm.value.hooks) {
    const placed = placeObject(object, namespace, scopes);
    const stored = await store(renderer.content, placed.object, `layer ${layer.name}`);
    if (!stored.ok) return stored;
    hooks.push({ ref: placed.ref, ...stored.value, ...hook });
  }
  const notes =
    helm.value.notes.trim() === '' ? undefined : { digest: await renderer.content.put(helm.value.notes), size: Buffer.byteLength(helm.value.notes) };
  return ok({ objects, hooks, ...(notes === undefined ? {} : { notes }) });
};

const textBlob = async (content: ContentStore, text: string): Promise<{ digest: Digest; size: number }> => ({
  digest: await content.put(text),
  size: Buffer.byteLength(text),
});

const renderOs = async (renderer: LayerRenderer, input: ResolvedLayer): Promise<Pick<BundleLayer, 'os'>> => {
  const os = input.layer.os;
  if (os === undefined) return {};
  const files = [];
  for (const file of os.files)
    files.push({
      path: file.path,
      ...(await textBlob(renderer.content, file.content)),
      mode: file.mode.padStart(4, '0'),
      owner: file.owner,
      group: file.group,
    });
  const units = [];
  for (const unit of os.units) {
    const dropIns = [];
    for (const dropIn of unit.dropIns) dropIns.push({ name: dropIn.name, ...(await textBlob(renderer.content, dropIn.content)) });
    units.push({
      name: unit.name,
      ...(unit.content === undefined ? {} : { file: await textBlob(renderer.content, unit.content) }),
      enabled: unit.enabled,
      active: unit.active,
      dropIns,
    });
  }
  const sysctls = Object.fromEntries(
    Object.entries(os.sysctls).map(([key, value]) => [key.replaceAll('/', '.'), String(value).trim().replaceAll(/\s+/g, ' ')]),
  );
  return { os: { files, sysctls, units } };
};

/** What people call what runs in a layer, and where it came from. */
const packOf = (input: ResolvedLayer): BundleLayer['pack'] => {
  const { layer, profile } = input;
  const source = layer.kind === 'os' ? 'os' : layer.kind === 'kubernetes' ? 'kubernetes' : layer.helm === undefined ? 'manifest' : 'helm';
  const chart = layer.helm?.chart;
  const named =
    layer.pack ??
    (chart === undefined
      ? { name: layer.kind === 'kubernetes' ? (layer.kubernetes?.distribution ?? layer.name) : layer.name, version: profile.version }
      : { name: chart.name, version: chart.version });
  return { ...named, source, digest: digestOf(layer) };
};

/** Turns one resolved layer into its bundle form; every object, file and note goes into the content store by digest. */
export const renderLayer = async (renderer: LayerRenderer, input: ResolvedLayer, context: LayerContext): Promise<Result<BundleLayer>> => {
  const { layer } = input;
  const isPack = layer.kind !== 'os' && layer.kind !== 'kubernetes';
  const rendered = isPack ? await renderObjects(renderer, input, context) : ok({ objects: [], hooks: [] });
  if (!rendered.ok) return rendered;
  return ok({
    name: layer.name,
    kind: layer.kind,
    priority: layer.priority,
    profile: input.profile,
    pack: packOf(input),
    ...(layer.namespace === undefined ? {} : { namespace: layer.namespace }),
    ...(layer.replaces === undefined ? {} : { replaces: layer.replaces }),
    adopt: layer.adopt,
    readinessTimeoutMs: layer.readiness.timeoutSeconds * 1000,
    ...(await renderOs(renderer, input)),
    ...(layer.kubernetes === undefined
      ? {}
      : {
          kubernetes: {
            distribution: layer.kubernetes.distribution,
            ...(layer.kubernetes.version === undefined ? {} : { version: layer.kubernetes.version }),
            ...(layer.kubernetes.kubeconfigPath === undefined ? {} : { kubeconfigPath: layer.kubernetes.kubeconfigPath }),
          },
        }),
    ...rendered.value,
  });
};
