import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import { parseHeader, type PackHeader } from '@groundplane/protocol/pack/header';
import { planLayout, unusedChartValues, valuesOfChart, type ChosenManifest, type PackLayout } from '@groundplane/protocol/pack/layout';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { parsePackJson, type PackFacts } from '@groundplane/protocol/pack/pack-json';
import { parseReadiness, type PackReadiness } from '@groundplane/protocol/pack/readiness';
import { checkValues, misplacedRules, parseSchema } from '@groundplane/protocol/pack/schema';
import { isPlainMap, own, readSource, type PackSource } from '@groundplane/protocol/pack/source';
import { parseUpstream, upstreamFile } from '@groundplane/protocol/pack/upstream';
import type { ChartPart, ManifestPart, NamespacePart, SourceParts } from '../render/parts.ts';
import { archiveOf, readCharts } from './charts.ts';
import { textOf, type PackFiles } from './read.ts';

export interface PackPartsOptions {
  /** For messages. */
  layerName: string;
  /** values.yaml as the profile edited it, with references replaced. Absent: as the pack has it. */
  values?: string;
  /** The layer's own namespace: wins over the one of the header, since somebody wrote it for this profile. */
  namespace?: string;
  /** Manifests that the profile adds to the pack, taken literally. */
  manifests?: readonly { name: string; content: string }[];
}

export interface PackParts extends Omit<SourceParts, 'readiness'> {
  facts: PackFacts;
  header: PackHeader;
  /** Of the header; 0 when it says nothing. */
  priority: number;
  displayName: string;
  namespace: string;
  readiness?: PackReadiness;
}

interface Making {
  pack: PackFiles;
  options: PackPartsOptions;
  element: string;
  facts: PackFacts;
  values: PackSource;
  header: PackHeader;
  namespace: string;
  warnings: Finding[];
}

/** The first error as a failure; what is no error is kept. */
const sift = (element: string, findings: readonly Finding[], warnings: Finding[]): Result<void> => {
  const error = findings.find((finding) => finding.severity === 'error');
  warnings.push(...findings.filter((finding) => finding.severity !== 'error'));
  if (error === undefined) return ok(undefined);
  const place = `${error.file}${error.line === undefined ? '' : `:${error.line}`}`;
  return fail('fatal', error.code, `${element}, ${place}`, `${error.message}. See all of it: gp pack lint`);
};

const dnsSafe = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');

/**
 * `<pack>-<chart>` as Palette names releases, or `<display name>-<chart>`: with a display name, the same pack can be in a profile twice. It does not depend on
 * what else is in the profile, since a release that changes its name is another release. Longer ones are cut and end in a digest of the whole.
 */
export const releaseNameOf = (facts: Pick<PackFacts, 'name'>, header: PackHeader, chart: string): string => {
  const override = own(header.releaseNameOverride, chart);
  if (typeof override === 'string') return override;
  const whole = dnsSafe(`${header.displayName ?? facts.name}-${chart}`) || 'release';
  if (whole.length <= packLimits.releaseName) return whole;
  const mark = digestOf(whole).slice('sha256:'.length, 'sha256:'.length + 8);
  return `${whole.slice(0, packLimits.releaseName - mark.length - 1).replace(/-+$/, '')}-${mark}`;
};

const chartParts = (making: Making, layout: PackLayout): Result<ChartPart[]> => {
  const parts: ChartPart[] = [];
  for (const chart of layout.charts) {
    const archive = archiveOf(making.pack, chart);
    const { facts } = chart;
    if (archive === undefined || facts === undefined)
      return fail('fatal', 'chart-missing', `${making.element}, ${chart.file}`, 'cannot be read as a chart. See why: gp pack lint');
    const found = valuesOfChart(making.values.plain, chart, layout);
    const sifted = sift(making.element, found.findings, making.warnings);
    if (!sifted.ok) return sifted;
    const releaseName = releaseNameOf(making.facts, making.header, facts.name);
    const other = parts.find((part) => part.releaseName === releaseName);
    if (other !== undefined)
      return fail(
        'fatal',
        'release-name-twice',
        making.element,
        `the charts ${other.name} and ${facts.name} would both be the release ${releaseName}; set pack.releaseNameOverride`,
      );
    const values = isPlainMap(found.values) && Object.keys(found.values).length > 0 ? [JSON.stringify(found.values)] : [];
    parts.push({ name: facts.name, version: facts.version, archive, values, releaseName, namespace: making.namespace });
  }
  for (const key of unusedChartValues(making.values.plain, layout))
    making.warnings.push({
      severity: 'warning',
      code: 'chart-values-unused',
      file: 'values.yaml',
      message: `charts.${key} belongs to no chart of this pack; its values do nothing`,
    });
  return ok(parts);
};

/** A file is a template over its own values. `contents` in the values replaces it, unless it is what the template puts in. */
const manifestPart = (making: Making, { name, file }: ChosenManifest): ManifestPart => {
  const { namespace } = making;
  const held = own(own(making.values.plain, 'manifests'), name);
  const contents = own(held, 'contents');
  const text = file === undefined ? '' : (textOf(making.pack, file) ?? '');
  if (typeof contents === 'string' && !/\.Values\.contents\b/.test(text)) {
    if (text.trim() !== '')
      making.warnings.push({
        severity: 'warning',
        code: 'manifest-replaced',
        file: file ?? name,
        message: `manifests.${name}.contents of the values replaces this file`,
      });
    return { name, content: contents, namespace };
  }
  if (!text.includes('{{')) return { name, content: text, namespace };
  return { name, content: text, namespace, values: isPlainMap(held) ? held : {} };
};

/** Always there, and never a layer's to make or to take away. Packs put drivers into kube-system. */
const ofKubernetes = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

const namespaceParts = ({ header, namespace }: Making): NamespacePart[] => {
  const wanted = [namespace, ...header.additionalNamespaces, ...Object.keys(header.namespaceLabels), ...Object.keys(header.namespaceAnnotations)];
  const texts = (map: Record<string, Record<string, string>>, name: string): Record<string, string> => (Object.hasOwn(map, name) ? (map[name] ?? {}) : {});
  return [...new Set(wanted)]
    .map((name) => ({ name, labels: texts(header.namespaceLabels, name), annotations: texts(header.namespaceAnnotations, name) }))
    .filter(({ name, labels, annotations }) => !ofKubernetes.has(name) || Object.keys({ ...labels, ...annotations }).length > 0);
};

/** Values against the pack's rules. A rule about a place that the pack itself does not have is a slip of the pack, not of the values. */
const checkRules = (making: Making, own: PackSource | undefined): Result<void> => {
  const text = textOf(making.pack, 'schema.yaml');
  if (text === undefined) return ok(undefined);
  const { rules, findings } = parseSchema(text);
  making.warnings.push(...findings.map((finding) => ({ ...finding, severity: finding.severity === 'error' ? ('warning' as const) : finding.severity })));
  const misplaced = new Set(own === undefined ? [] : misplacedRules(own, rules).map((rule) => rule.path));
  const wrong = checkValues(
    making.values,
    rules.filter((rule) => !misplaced.has(rule.path)),
    own,
  );
  const [first] = wrong;
  if (first === undefined) return ok(undefined);
  return fail(
    'fatal',
    first.code,
    `${making.element}, values`,
    wrong
      .slice(0, 5)
      .map((finding) => finding.message)
      .join('; '),
  );
};

const unresolved = (making: Making, names: readonly string[]): Result<void> => {
  const open = names.find((name) => name.includes('{{'));
  return open === undefined ? ok(undefined) : fail('fatal', 'reference-unresolved', making.element, `the name ${open.slice(0, 200)} still holds a reference`);
};

const assemble = (making: Making, layout: PackLayout, readiness: PackReadiness | undefined): Result<PackParts> => {
  const charts = chartParts(making, layout);
  if (!charts.ok) return charts;
  const namespaces = namespaceParts(making);
  const named = unresolved(making, [...namespaces.map((item) => item.name), ...charts.value.map((part) => part.releaseName)]);
  if (!named.ok) return named;
  const added = (making.options.manifests ?? []).map((manifest): ManifestPart => ({ ...manifest, namespace: making.namespace }));
  return ok({
    charts: charts.value,
    manifests: [...layout.manifests.map((manifest) => manifestPart(making, manifest)), ...added],
    namespaces,
    images: making.header.content.images,
    warnings: making.warnings.slice(0, packLimits.findings),
    facts: making.facts,
    header: making.header,
    priority: making.header.priority ?? 0,
    displayName: making.header.displayName ?? making.facts.displayName,
    namespace: making.namespace,
    ...(readiness === undefined ? {} : { readiness }),
  });
};

/**
 * What a pack comes down to: charts with their values, manifests, namespaces, images. Where a pack of the wild is odd, there is a warning; where going on would
 * leave something out or install it wrongly, there is a failure.
 */
export const packParts = async (pack: PackFiles, options: PackPartsOptions): Promise<Result<PackParts>> => {
  const start = `layer ${options.layerName}, pack ${pack.from}`;
  const warnings: Finding[] = [];
  const json = parsePackJson(textOf(pack, 'pack.json') ?? '');
  const told = sift(start, json.facts === undefined ? json.findings : json.findings.map(softened), warnings);
  if (!told.ok) return told;
  const { facts } = json;
  if (facts === undefined) return fail('fatal', 'pack-invalid', start, 'holds no pack.json that can be read');
  const element = `layer ${options.layerName}, pack ${facts.name} ${facts.version}`;
  const ownText = textOf(pack, 'values.yaml') ?? '';
  const read = readSource(options.values ?? ownText, 'values.yaml');
  const isRead = sift(element, read.findings, warnings);
  if (!isRead.ok || read.source === undefined) return isRead.ok ? fail('fatal', 'values-malformed', element, 'the values cannot be read') : isRead;
  const header = parseHeader(read.source);
  const { charts, findings } = await readCharts(pack, facts.charts);
  const layout = planLayout(
    facts,
    pack.files.map((file) => file.name),
    charts,
    read.source.plain,
    parseUpstream(textOf(pack, upstreamFile) ?? 'charts: []').charts,
  );
  const readiness = parseReadiness(read.source);
  const sifted = sift(element, [...header.findings, ...findings, ...layout.findings, ...readiness.findings], warnings);
  if (!sifted.ok) return sifted;
  const namespace = options.namespace ?? header.header.namespace ?? 'default';
  if (header.header.namespace !== undefined && header.header.namespace !== namespace)
    warnings.push({
      severity: 'warning',
      code: 'namespace-differs',
      file: 'values.yaml',
      message: `pack.namespace is ${header.header.namespace}; the layer's own, ${namespace}, is used`,
    });
  const making: Making = { pack, options, element, facts, values: read.source, header: header.header, namespace, warnings };
  const checked = checkRules(making, options.values === undefined ? read.source : readSource(ownText, 'values.yaml').source);
  return checked.ok ? assemble(making, layout, readiness.readiness) : checked;
};

/** A layer or a dependency that is not understood does not change what is installed; the lint shows it as an error all the same. */
const softened = (finding: Finding): Finding =>
  finding.severity === 'error' && (finding.code === 'layer-unknown' || finding.code === 'constraint-invalid') ? { ...finding, severity: 'warning' } : finding;
