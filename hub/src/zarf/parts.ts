import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import type { ZarfSpec } from '@groundplane/protocol/layer';
import { limits } from '@groundplane/protocol/limits';
import type { ZarfAction, ZarfChart, ZarfComponent, ZarfHealthCheck, ZarfManifest, ZarfPackage } from '@groundplane/protocol/zarf/package';
import { selectComponents } from '@groundplane/protocol/zarf/select';
import { chartOverrides, mergeValues } from '@groundplane/protocol/zarf/values';
import { replaceMarkers, resolveTexts, type ZarfTexts } from '@groundplane/protocol/zarf/variables';
import { parseDocument, stringify } from 'yaml';
import type { ContentStore } from '../port/content.ts';
import type { ChartPart, ManifestPart, SourceParts } from '../render/parts.ts';
import { kubernetesYaml } from '../render/yaml.ts';
import { prepareChart } from './chart.ts';
import { chartFiles, readComponent, unmentioned, type ComponentFiles } from './component.ts';
import { hostFiles, type ZarfHostFile } from './host-files.ts';
import { imagesOfComponents, readImageIndex, type ZarfImage } from './images.ts';
import { firstError } from './read.ts';
import { openZarf, type OpenedZarf } from './stored.ts';

export interface ZarfPartsOptions {
  layerName: string;
  /** Puts everything into this namespace; only for packages that use a single one. */
  namespace?: string;
  /** Of the hosts: amd64, arm64. Absent: that of the package. */
  architecture?: string;
  /** The site's registry, like `registry.site:5000` or `registry.site/mirror`. Without it images stay where they are. */
  registry?: string;
}

export interface ZarfParts extends SourceParts {
  components: string[];
  imageRewrites: ReadonlyMap<string, string>;
  /** Images of the chosen components with the digests that the package carries. */
  packageImages: ZarfImage[];
  /** Shell of the author, by component. Opt-in: nothing of it may run unless the owner of the host allows it. */
  actions: (ZarfAction & { component: string; optIn: true })[];
  /** Files for hosts, as blobs of the content store. Opt-in as well. */
  files: ZarfHostFile[];
  healthChecks: ZarfHealthCheck[];
  /** Charts and manifests whose author does not want to be waited for. */
  noWait: string[];
}

type Plain = Record<string, unknown>;

interface Work {
  content: ContentStore;
  zarf: ZarfPackage;
  texts: ZarfTexts;
  values: Plain;
  namespace: string | undefined;
  element: string;
  warnings: Finding[];
}

const parseValues = (text: string, element: string, what: string): Result<Plain> => {
  const document = parseDocument(text, kubernetesYaml);
  const error = document.errors[0];
  if (error !== undefined) return fail('fatal', 'zarf-values-invalid', element, `${what}: ${error.message.split('\n')[0] ?? ''}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: limits.yamlAliases });
  } catch (problem) {
    return fail('fatal', 'zarf-values-invalid', element, `${what}: ${problem instanceof Error ? problem.message : String(problem)}`);
  }
  if (value === null || value === undefined) return ok({});
  return typeof value === 'object' && !Array.isArray(value) ? ok(value as Plain) : fail('fatal', 'zarf-values-invalid', element, `${what} is no map`);
};

const readText = async (work: Work, files: ComponentFiles, name: string, bytesMax: number, element: string): Promise<Result<string>> => {
  const file = files.get(name);
  const bytes = file === undefined ? undefined : file.size > bytesMax ? null : await work.content.read(file.digest);
  if (bytes === undefined) return fail('blocked', 'zarf-missing', element, `${name} is not in the content store`);
  if (bytes === null) return fail('fatal', 'zarf-text-too-large', element, `${name} has more than ${bytesMax} bytes`);
  const text = bytes.toString('utf8');
  return replaceMarkers(text, work.texts, `${element}, ${name}`, work.zarf);
};

const variableText =
  (texts: ZarfTexts) =>
  (name: string): string | undefined =>
    texts.get(`###ZARF_VAR_${name}###`)?.value;

const chartPart = async (work: Work, component: ZarfComponent, chart: ZarfChart, files: ComponentFiles, used: Set<string>): Promise<Result<ChartPart>> => {
  const element = `${work.element}, component ${component.name}, chart ${chart.name}`;
  const found = chartFiles(chart, files, element);
  if (!found.ok) return found;
  for (const name of [found.value.archive, ...found.value.values]) used.add(name);
  const archive = await work.content.read(files.get(found.value.archive)?.digest ?? '');
  if (archive === undefined) return fail('blocked', 'zarf-missing', element, `${found.value.archive} is not in the content store`);
  const prepared = await prepareChart(archive, { texts: work.texts, zarf: work.zarf, dropSchema: !chart.checksSchema }, element);
  if (!prepared.ok) return prepared;
  const values: string[] = [];
  for (const name of found.value.values) {
    const text = await readText(work, files, name, limits.yamlBytes, element);
    if (!text.ok) return text;
    values.push(text.value);
  }
  const mapped = chartOverrides(chart, variableText(work.texts), work.values, element);
  if (!mapped.ok) return mapped;
  if (mapped.value.absent.length > 0)
    work.warnings.push({
      severity: 'warning',
      code: 'zarf-value-absent',
      file: 'zarf.yaml',
      message: `component ${component.name}, chart ${chart.name}: nothing is set at ${mapped.value.absent.join(', ').slice(0, 500)}; the chart's own values stay`,
    });
  if (Object.keys(mapped.value.overrides).length > 0) values.push(stringify(mapped.value.overrides, { version: '1.1' }));
  const { bytes, name, version } = prepared.value;
  return ok({ name, version, archive: bytes, values, releaseName: chart.releaseName, namespace: work.namespace ?? chart.namespace });
};

/** Objects besides `.Values` that Zarf gives to templates. */
const foreignObject = /\{\{[^}]*\.(Metadata|Build|Constants|Variables|State)\b/;

const manifestParts = async (
  work: Work,
  component: ZarfComponent,
  manifest: ZarfManifest,
  files: ComponentFiles,
  used: Set<string>,
): Promise<Result<ManifestPart[]>> => {
  const element = `${work.element}, component ${component.name}, manifest ${manifest.name}`;
  const names = [
    ...Array.from({ length: manifest.files }, (_, index) => `manifests/${manifest.name}-${index}.yaml`),
    ...Array.from({ length: manifest.kustomizations }, (_, index) => `manifests/kustomization-${manifest.name}-${index}.yaml`),
  ];
  const parts: ManifestPart[] = [];
  for (const name of names) {
    if (!files.has(name)) return fail('fatal', 'zarf-manifest-missing', element, `${name} is not in the package; build it again`);
    used.add(name);
    const text = await readText(work, files, name, limits.yamlBytes, element);
    if (!text.ok) return text;
    const foreign = manifest.isTemplate ? foreignObject.exec(text.value)?.[1] : undefined;
    if (foreign !== undefined)
      return fail(
        'fatal',
        'zarf-template-object',
        `${element}, ${name}`,
        `its template uses .${foreign}; only .Values is there. Put what it needs into values, or use ###ZARF_VAR_…### and ###ZARF_CONST_…###`,
      );
    parts.push({
      name: `${component.name}/${name.slice('manifests/'.length)}`,
      content: text.value,
      namespace: work.namespace ?? manifest.namespace,
      ...(manifest.isTemplate ? { values: work.values } : {}),
    });
  }
  return ok(parts);
};

const checkNamespace = (zarf: ZarfPackage, components: readonly ZarfComponent[], namespace: string | undefined, element: string): Result<void> => {
  if (namespace === undefined) return ok(undefined);
  const used = new Set(components.flatMap((component) => [...component.charts, ...component.manifests].map((item) => item.namespace)));
  if (used.size <= 1 && (used.size === 0 || used.has(namespace))) return ok(undefined);
  if (!zarf.allowsNamespace)
    return fail('fatal', 'zarf-namespace', element, `the package forbids another namespace than its own; leave out "namespace: ${namespace}"`);
  if (used.size === 1) return ok(undefined);
  return fail(
    'fatal',
    'zarf-namespace',
    element,
    `the package uses the namespaces ${[...used].join(', ').slice(0, 500)}, so it cannot be put into ${namespace} as a whole; leave out "namespace"`,
  );
};

const systemNamespaces: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

const checkArchitecture = (zarf: ZarfPackage, architecture: string, element: string): Result<void> =>
  ['', 'multi', architecture].includes(zarf.architecture)
    ? ok(undefined)
    : fail(
        'fatal',
        'zarf-architecture',
        element,
        `the package is for ${zarf.architecture}, and the hosts are ${architecture}. Use the package for ${architecture}`,
      );

const valuesOf = async (opened: OpenedZarf, spec: ZarfSpec, element: string, warnings: Finding[]): Promise<Result<Plain>> => {
  const file = await opened.text('values.yaml');
  if (!file.ok) return file;
  const below = file.value === undefined ? ok({}) : parseValues(file.value.toString('utf8'), element, 'values.yaml of the package');
  if (!below.ok) return below;
  const above = parseValues(spec.values, element, 'values of the layer');
  if (!above.ok) return above;
  if (
    Object.keys(above.value).length > 0 &&
    !opened.parsed.package.components.some(
      (component) => component.charts.some((chart) => chart.values.length > 0) || component.manifests.some((manifest) => manifest.isTemplate),
    )
  )
    return fail(
      'fatal',
      'zarf-values-unused',
      element,
      'the package maps no values to charts or templates, so the values of the layer would be ignored. Use zarf.variables',
    );
  if (opened.files.has('values.schema.json'))
    warnings.push({
      severity: 'warning',
      code: 'zarf-values-schema',
      file: 'values.schema.json',
      message: 'the package has a schema for its values; it is not checked here',
    });
  return ok(mergeValues(below.value, above.value));
};

const optInWarning = (component: ZarfComponent): Finding[] => {
  const parts = [
    component.actions.length === 0 ? '' : `${component.actions.length} actions`,
    component.files.length === 0 ? '' : `${component.files.length} files for hosts`,
  ].filter((part) => part !== '');
  return parts.length === 0
    ? []
    : [
        {
          severity: 'warning',
          code: 'zarf-host-steps',
          file: 'zarf.yaml',
          message: `component ${component.name} has ${parts.join(' and ')}; they change hosts and do nothing unless that is allowed`,
        },
      ];
};

const collect = async (
  work: Work,
  opened: OpenedZarf,
  components: readonly ZarfComponent[],
): Promise<Result<Pick<ZarfParts, 'charts' | 'manifests' | 'files'>>> => {
  const charts: ChartPart[] = [];
  const manifests: ManifestPart[] = [];
  const files: ZarfHostFile[] = [];
  for (const component of components) {
    const own = await readComponent(work.content, opened, component, work.element);
    if (!own.ok) return own;
    const used = new Set<string>();
    for (const chart of component.charts) {
      const part = await chartPart(work, component, chart, own.value, used);
      if (!part.ok) return part;
      charts.push(part.value);
    }
    for (const manifest of component.manifests) {
      const parts = await manifestParts(work, component, manifest, own.value, used);
      if (!parts.ok) return parts;
      manifests.push(...parts.value);
    }
    const placed = hostFiles(component, own.value, work.element);
    if (!placed.ok) return placed;
    files.push(...placed.value);
    const rest = unmentioned(component, own.value, used);
    if (rest.length > 0)
      work.warnings.push({
        severity: 'warning',
        code: 'zarf-file-unmentioned',
        file: `components/${component.name}.tar`,
        message: `nothing in zarf.yaml mentions ${rest.slice(0, 5).join(', ')}; it is not used`,
      });
    work.warnings.push(...optInWarning(component));
  }
  return ok({ charts, manifests, files });
};

/**
 * What a layer with a Zarf package comes down to: charts, manifests, namespaces, images and their rewrites to the site's registry, and as data what concerns
 * hosts. The package is opened by digest and checked again. Every field of it has an effect, a finding, or is a failure.
 */
export const zarfParts = async (content: ContentStore, spec: ZarfSpec, options: ZarfPartsOptions): Promise<Result<ZarfParts>> => {
  const element = `layer ${options.layerName}, Zarf package ${spec.package.name} ${spec.package.version}`;
  const opened = await openZarf(content, spec.package.digest, element);
  if (!opened.ok) return opened;
  const { package: zarf, findings } = opened.value.parsed;
  const usable = firstError(findings, element);
  if (!usable.ok) return usable;
  const hosts = options.architecture ?? (['', 'multi'].includes(zarf.architecture) ? 'amd64' : zarf.architecture);
  const architecture = checkArchitecture(zarf, hosts, element);
  if (!architecture.ok) return architecture;
  const selected = selectComponents(zarf, spec.components, hosts, element);
  if (!selected.ok) return selected;
  const { components } = selected.value;
  const placed = checkNamespace(zarf, components, options.namespace, element);
  if (!placed.ok) return placed;
  const texts = resolveTexts(zarf, spec.variables, options.registry, element);
  if (!texts.ok) return texts;
  const warnings = [...findings, ...selected.value.findings];
  const values = await valuesOf(opened.value, spec, element, warnings);
  if (!values.ok) return values;
  const work: Work = { content, zarf, texts: texts.value, values: values.value, namespace: options.namespace, element, warnings };
  const collected = await collect(work, opened.value, components);
  if (!collected.ok) return collected;
  const indexFile = await opened.value.text('images/index.json');
  if (!indexFile.ok) return indexFile;
  const index = readImageIndex(indexFile.value, element);
  if (!index.ok) return index;
  const { images, rewrites } = imagesOfComponents(components, index.value, zarf.isOnline ? undefined : options.registry);
  const namespaces = new Set([...collected.value.charts, ...collected.value.manifests].map((part) => part.namespace));
  return ok({
    ...collected.value,
    components: components.map((component) => component.name),
    namespaces: [...namespaces].filter((name) => !systemNamespaces.has(name)).map((name) => ({ name, labels: {}, annotations: {} })),
    images: images.map((image) => image.reference),
    packageImages: images,
    imageRewrites: rewrites,
    actions: components.flatMap((component) => component.actions.map((action) => ({ ...action, component: component.name, optIn: true as const }))),
    healthChecks: components.flatMap((component) => component.healthChecks),
    noWait: components.flatMap((component) =>
      [...component.charts, ...component.manifests].filter((item) => !item.waits).map((item) => `${component.name}/${item.name}`),
    ),
    warnings,
  });
};
