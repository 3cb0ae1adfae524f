import type { BundleHook, HookEvent } from '@groundplane/protocol/bundle';
import { hookEvents } from '@groundplane/protocol/bundle';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { sha256 } from '../content/digest.ts';
import type { HelmRendered, HelmRenderer, HelmRequest } from './helm/index.ts';
import { parseObjects } from './objects.ts';
import type { ChartPart, ManifestPart } from './parts.ts';

/** What rendering needs to know about the cluster. */
export interface RenderContext {
  /** Id of the cluster; random values of charts are derived from it. */
  cluster: string;
  kubeVersion: string;
  /** `.Capabilities.APIVersions` beyond the built-in ones: what CRDs of earlier layers bring. */
  apiVersions: readonly string[];
  lookup: readonly KubeObject[];
}

export interface Collected {
  /** `namespace`: where an object goes that names none. */
  objects: { object: KubeObject; namespace?: string; crd?: 'apply' | 'createOnly' }[];
  hooks: { object: KubeObject; namespace?: string; events: HookEvent[]; weight: number; deletePolicies: BundleHook['deletePolicies'] }[];
  notes: string;
  usedRandom: boolean;
}

export const nothing = (): Collected => ({ objects: [], hooks: [], notes: '', usedRandom: false });

const isHookEvent = (event: string): event is HookEvent => (hookEvents as readonly string[]).includes(event);
const policies = ['before-hook-creation', 'hook-succeeded', 'hook-failed'] as const;

const collect = (rendered: HelmRendered, crds: 'apply' | 'createOnly' | 'skip', element: string): Result<Collected> => {
  const collected: Collected = { ...nothing(), notes: rendered.notes, usedRandom: rendered.usedRandom };
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

export interface ChartRenderer {
  helm: HelmRenderer;
  /** Derives the seed of a cluster's random values: no values and no revision in it, or passwords would change with each edit. */
  seed: (cluster: string, release: string) => string;
  /** By chart and values: whether its templates used random bytes. The others are rendered once for all clusters. */
  usesRandom: Map<string, boolean>;
}

type Job = Omit<HelmRequest, 'seed' | 'nowMs' | 'apiVersions' | 'lookup' | 'kubeVersion'>;

/** Renders with a common seed first; only a chart that asks for random bytes is rendered again for this cluster. */
const renderSeeded = async (renderer: ChartRenderer, job: Job, key: string, context: RenderContext, element: string): Promise<Result<HelmRendered>> => {
  const request = { ...job, kubeVersion: context.kubeVersion, apiVersions: context.apiVersions, lookup: context.lookup, nowMs: 0 };
  const named = (failed: Awaited<ReturnType<HelmRenderer['render']>> & { ok: false }): Result<never> =>
    fail(failed.failure.kind, failed.failure.code, `${element}: ${failed.failure.element}`, failed.failure.message);
  if (renderer.usesRandom.get(key) !== true) {
    const shared = await renderer.helm.render({ ...request, seed: '' });
    if (!shared.ok) return named(shared);
    renderer.usesRandom.set(key, shared.value.usedRandom);
    if (!shared.value.usedRandom) return shared;
  }
  const own = await renderer.helm.render({ ...request, seed: renderer.seed(context.cluster, job.release.name) });
  return own.ok ? own : named(own);
};

export const renderChart = async (
  renderer: ChartRenderer,
  part: ChartPart,
  crds: 'apply' | 'createOnly' | 'skip',
  context: RenderContext,
  element: string,
): Promise<Result<Collected>> => {
  const at = `${element}, chart ${part.name} ${part.version}`;
  const job: Job = {
    chart: { kind: 'archive', bytes: part.archive },
    values: part.values,
    release: { name: part.releaseName, namespace: part.namespace },
  };
  const rendered = await renderSeeded(renderer, job, `${part.digest ?? sha256(part.archive)} ${sha256(part.values.join('\0'))}`, context, at);
  return rendered.ok ? collect(rendered.value, crds, at) : rendered;
};

/** A chart with this one template: the way to a Go template is the same engine. */
const templateChart = (part: ManifestPart): HelmRequest['chart'] => ({
  kind: 'files',
  files: [
    { name: 'Chart.yaml', data: `apiVersion: v2\nname: manifest\nversion: 0.0.0\n` },
    { name: 'values.yaml', data: '' },
    { name: `templates/${part.name.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[._]+/, '')}.yaml`, data: part.content },
  ],
});

/** Objects of a manifest. A template is rendered by the Helm engine over its values; hooks in it are objects like the others. */
export const renderManifest = async (renderer: ChartRenderer, part: ManifestPart, context: RenderContext, element: string): Promise<Result<Collected>> => {
  const at = `${element}, manifest ${part.name}`;
  if (part.values === undefined || !part.content.includes('{{')) {
    const objects = parseObjects(part.content, at);
    return objects.ok ? ok({ ...nothing(), objects: objects.value.map((object) => ({ object })) }) : objects;
  }
  const values = JSON.stringify(part.values);
  const job: Job = { chart: templateChart(part), values: [values], release: { name: 'manifest', namespace: part.namespace } };
  const rendered = await renderSeeded(renderer, job, `${sha256(part.content)} ${sha256(values)}`, context, at);
  return rendered.ok ? collect(rendered.value, 'apply', at) : rendered;
};
