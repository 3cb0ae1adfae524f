import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Layer } from '@groundplane/protocol/layer';
import type { ContentStore } from '../port/content.ts';
import { zarfParts } from '../zarf/parts.ts';
import type { SourceParts } from './parts.ts';

const empty = (): SourceParts => ({ charts: [], manifests: [], namespaces: [], images: [], warnings: [] });

/** The manifests that a profile attaches to a layer itself: literal, whatever braces they hold. */
const manifestParts = (layer: Layer, namespace: string): SourceParts => ({
  ...empty(),
  manifests: (layer.manifests ?? []).map(({ name, content }) => ({ name, content, namespace })),
});

const helmParts = async (content: ContentStore, layer: Layer, namespace: string, element: string): Promise<Result<SourceParts>> => {
  const helm = layer.helm;
  if (helm === undefined) return ok(empty());
  const archive = await content.read(helm.chart.digest);
  if (archive === undefined)
    return fail(
      'blocked',
      'chart-missing',
      `${element}, chart ${helm.chart.name} ${helm.chart.version}`,
      `the chart archive ${helm.chart.digest} is not in the content store. Run gp apply with the chart's folder or archive again`,
    );
  const { name, version, digest } = helm.chart;
  const values = [helm.values, ...(helm.valuesLayers ?? [])];
  return ok({ ...empty(), charts: [{ name, version, digest, archive, values, releaseName: helm.releaseName ?? layer.name, namespace }] });
};

const join = (parts: readonly SourceParts[]): SourceParts => ({
  charts: parts.flatMap((part) => part.charts),
  manifests: parts.flatMap((part) => part.manifests),
  namespaces: parts.flatMap((part) => part.namespaces),
  images: [...new Set(parts.flatMap((part) => part.images))],
  imageRewrites: new Map(parts.flatMap((part) => [...(part.imageRewrites ?? [])])),
  warnings: parts.flatMap((part) => part.warnings),
});

const ownParts = (content: ContentStore, layer: Layer, element: string): Promise<Result<SourceParts>> | Result<SourceParts> => {
  const { helm, zarf, namespace } = layer;
  if (helm !== undefined) return helmParts(content, layer, namespace ?? 'default', element);
  if (zarf !== undefined) return zarfParts(content, zarf, { layerName: layer.name, ...(namespace === undefined ? {} : { namespace }) });
  return ok(empty());
};

/** What a layer consists of before rendering, whatever its source is. Reads the content store; decides nothing about the cluster. */
export const sourceParts = async (
  content: ContentStore,
  layer: Layer,
): Promise<Result<SourceParts & { namespace: string | undefined; priority: number | undefined }>> => {
  const element = `layer ${layer.name}`;
  const namespace = layer.namespace;
  const source = await ownParts(content, layer, element);
  if (!source.ok) return source;
  return ok({ ...join([source.value, manifestParts(layer, namespace ?? 'default')]), namespace, priority: undefined });
};
