import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Layer } from '@groundplane/protocol/layer';
import { merged } from '@groundplane/protocol/pack/plain';
import { readSource } from '@groundplane/protocol/pack/source';
import { packParts } from '../pack/parts.ts';
import { readPackArchive } from '../pack/read.ts';
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
  readiness: parts.flatMap((part) => part.readiness ?? []),
  ...(parts[0]?.readinessTimeoutSeconds === undefined ? {} : { readinessTimeoutSeconds: parts[0].readinessTimeoutSeconds }),
  warnings: parts.flatMap((part) => part.warnings),
});

/** One text of values out of several: maps merge, everything else is replaced, null stays and deletes what the chart has. */
const mergedValues = (values: string, layers: readonly string[], element: string): Result<string> => {
  if (layers.length === 0) return ok(values);
  let plain: unknown = {};
  for (const text of [values, ...layers]) {
    const { source, findings } = readSource(text, 'values.yaml');
    if (source === undefined) return fail('fatal', 'values-malformed', `${element}, values`, findings[0]?.message ?? 'cannot be read');
    if (source.plain !== null) plain = merged(plain, source.plain);
  }
  return ok(JSON.stringify(plain));
};

const packSource = async (content: ContentStore, layer: Layer, digest: string, element: string): Promise<Result<SourceParts & { namespace: string }>> => {
  const pack = layer.pack;
  const at = `${element}, pack ${pack?.name ?? ''} ${pack?.version ?? ''}`;
  const archive = await content.read(digest);
  if (archive === undefined)
    return fail('blocked', 'pack-missing', at, `the pack ${digest} is not in the content store. Run gp apply with the pack's folder or archive again`);
  const files = await readPackArchive(archive, at);
  if (!files.ok) return files;
  const own = pack?.values ?? files.value.files.find((file) => file.name === 'values.yaml')?.data.toString('utf8') ?? '';
  const values = mergedValues(own, pack?.valuesLayers ?? [], at);
  if (!values.ok) return values;
  const parts = await packParts(files.value, {
    layerName: layer.name,
    values: values.value,
    ...(layer.namespace === undefined ? {} : { namespace: layer.namespace }),
  });
  if (!parts.ok) return parts;
  const { readiness, ...rest } = parts.value;
  const timeout = readiness?.timeoutSeconds;
  return ok({ ...rest, readiness: readiness?.checks ?? [], ...(timeout === undefined ? {} : { readinessTimeoutSeconds: timeout }) });
};

const ownParts = (
  content: ContentStore,
  layer: Layer,
  element: string,
): Promise<Result<SourceParts & { namespace?: string }>> | Result<SourceParts & { namespace?: string }> => {
  const { helm, zarf, pack, namespace } = layer;
  if (pack?.digest !== undefined) return packSource(content, layer, pack.digest, element);
  if (helm !== undefined) return helmParts(content, layer, namespace ?? 'default', element);
  if (zarf !== undefined) return zarfParts(content, zarf, { layerName: layer.name, ...(namespace === undefined ? {} : { namespace }) });
  return ok(empty());
};

/** What a layer consists of before rendering, whatever its source is. Reads the content store; decides nothing about the cluster. */
export const sourceParts = async (content: ContentStore, layer: Layer): Promise<Result<SourceParts & { namespace: string | undefined }>> => {
  const element = `layer ${layer.name}`;
  const source = await ownParts(content, layer, element);
  if (!source.ok) return source;
  // A pack names its namespace itself, unless the layer does.
  const namespace = layer.namespace ?? source.value.namespace;
  return ok({ ...join([source.value, manifestParts(layer, namespace ?? 'default')]), namespace });
};
