import { parseAllDocuments } from 'yaml';
import type { Finding } from '../finding.ts';
import { parseHeader, type PackHeader } from './header.ts';
import { planLayout, unusedChartValues, valuesOfChart, type PackChartFacts, type PackLayout } from './layout.ts';
import { packLimits } from './limits.ts';
import { parsePackJson, type PackFacts } from './pack-json.ts';
import { findPath } from './path.ts';
import { leavesOf } from './plain.ts';
import { choiceText, detectPresets, enabledPresets, parsePresets, type Preset } from './presets.ts';
import { parseReadiness } from './readiness.ts';
import { checkValues, misplacedRules, parseSchema } from './schema.ts';
import { isPlainMap, own, placeOf, readSource, type PackSource } from './source.ts';
import { parseUpstream, unlistedUpstream, upstreamFile, type UpstreamChart } from './upstream.ts';

/** One file of a pack. Archives and pictures come with their size only. */
export interface LintFile {
  name: string;
  text?: string;
  size?: number;
}

export interface LintInput {
  files: readonly LintFile[];
  /** What the charts say of themselves; without it, names are taken from files, and unpacked charts are read from `files`. */
  charts?: readonly PackChartFacts[];
}

interface Linting {
  files: ReadonlyMap<string, LintFile>;
  findings: Finding[];
}

const told = (severity: Finding['severity'], code: string, file: string, message: string, place: { line?: number; column?: number } = {}): Finding => ({
  severity,
  code,
  file,
  ...place,
  message,
});

/** Chart.yaml and values.yaml of charts that lie there unpacked. */
export const chartsOfFolders = (files: readonly LintFile[]): PackChartFacts[] => {
  const byName = new Map(files.map((file) => [file.name, file]));
  return files.flatMap((file): PackChartFacts[] => {
    const folder = /^(charts\/[^/]+)\/Chart\.yaml$/.exec(file.name)?.[1];
    const plain = folder === undefined ? undefined : readSource(file.text ?? '', file.name).source?.plain;
    const [name, version] = [own(plain, 'name'), own(plain, 'version')];
    if (folder === undefined || typeof name !== 'string') return [];
    const values = readSource(byName.get(`${folder}/values.yaml`)?.text ?? '', 'values.yaml').source?.plain;
    const shown = typeof version === 'string' || typeof version === 'number' ? String(version) : '';
    return [{ file: folder, name, version: shown, valueKeys: isPlainMap(values) ? Object.keys(values) : [] }];
  });
};

const lintCharts = (linting: Linting, values: PackSource, layout: PackLayout): void => {
  const names = new Map<string, string>();
  for (const chart of layout.charts) {
    const found = valuesOfChart(values.plain, chart, layout);
    // A pack without any values says so already.
    if (values.plain !== null) linting.findings.push(...found.findings.map((finding) => ({ ...finding, ...placeOf(values, ['charts']) })));
    const { facts } = chart;
    if (facts === undefined) continue;
    const other = names.get(facts.name);
    if (other !== undefined)
      linting.findings.push(
        told('error', 'chart-name-twice', chart.file, `has the same name, ${facts.name}, as ${other}; their values and releases cannot be told apart`),
      );
    names.set(facts.name, chart.file);
    const expected = `charts/${facts.name}-${facts.version}.tgz`;
    if (!chart.isFolder && facts.version !== '' && chart.file !== expected && chart.file !== `charts/${facts.name}.tgz`)
      linting.findings.push(
        told('info', 'chart-file-name', chart.file, `holds the chart ${facts.name} ${facts.version}; its file is usually named ${expected}`),
      );
  }
  for (const key of unusedChartValues(values.plain, layout))
    linting.findings.push(
      told(
        'warning',
        'chart-values-unused',
        values.file,
        `charts.${key} belongs to no chart of this pack; its values do nothing`,
        placeOf(values, ['charts', key]),
      ),
    );
};

const lintManifests = (linting: Linting, values: PackSource, layout: PackLayout): void => {
  for (const { name, file } of layout.manifests) {
    const text = file === undefined ? undefined : linting.files.get(file)?.text;
    if (file === undefined || text === undefined) continue;
    if (text.trim() === '') linting.findings.push(told('warning', 'manifest-empty', file, 'is empty'));
    const hasValues = isPlainMap(own(own(values.plain, 'manifests'), name));
    if (text.includes('{{')) {
      if (!hasValues && /\.Values\b/.test(text))
        linting.findings.push(told('warning', 'manifest-values-missing', file, `is a template over .Values, and values.yaml has no manifests.${name}`));
      continue;
    }
    if (hasValues && own(own(own(values.plain, 'manifests'), name), 'contents') === undefined)
      linting.findings.push(
        told(
          'warning',
          'manifest-values-unused',
          values.file,
          `${file} holds no template; manifests.${name} does nothing`,
          placeOf(values, ['manifests', name]),
        ),
      );
    if (text.length > packLimits.textBytes) continue;
    try {
      const documents = parseAllDocuments(text, { version: '1.1', uniqueKeys: false, logLevel: 'silent' });
      const error = Array.isArray(documents) ? documents.flatMap((document) => document.errors)[0] : undefined;
      if (error !== undefined)
        linting.findings.push(told('error', 'manifest-malformed', file, error.message.split('\n')[0] ?? '', { line: error.linePos?.[0].line ?? 1 }));
    } catch (error) {
      linting.findings.push(told('error', 'manifest-malformed', file, error instanceof RangeError ? 'is nested too deeply' : String(error)));
    }
  }
};

const lintContent = (linting: Linting, values: PackSource, header: PackHeader, layout: PackLayout): void => {
  const hasAny = layout.charts.length > 0 || layout.manifests.length > 0;
  if (hasAny && header.content.images.length === 0 && isPlainMap(values.plain))
    linting.findings.push(
      told(
        'warning',
        'content-images-missing',
        values.file,
        'pack.content.images names no image; bundles for places without a network are made from it',
        placeOf(values, ['pack', 'content', 'images']),
      ),
    );
  for (const image of header.content.images)
    if (!/[:@][^/]+$/.test(image) && !image.includes('{{'))
      linting.findings.push(
        told(
          'info',
          'content-image-tag',
          values.file,
          `the image ${image} has no tag and no digest, so it can change`,
          placeOf(values, ['pack', 'content', 'images']),
        ),
      );
  for (const chart of Object.keys(header.releaseNameOverride))
    if (!layout.charts.some((item) => item.facts === undefined || item.facts.name === chart))
      linting.findings.push(
        told(
          'warning',
          'release-name-unused',
          values.file,
          `releaseNameOverride names ${chart}, which is no chart of this pack`,
          placeOf(values, ['pack', 'releaseNameOverride', chart]),
        ),
      );
};

const lintPresets = (linting: Linting, values: PackSource, presets: readonly Preset[], layout: PackLayout): void => {
  const chartNames = layout.charts.map((chart) => chart.facts?.name);
  for (const preset of presets) {
    const at = { line: preset.line };
    for (const removed of preset.remove) {
      const isSomewhere = [values.plain, ...presets.map((item) => item.added)].some((plain) => {
        const found = findPath(plain, removed);
        return found.ok && found.value.isThere;
      });
      if (!isSomewhere)
        linting.findings.push(
          told('warning', 'preset-path-unknown', 'presets.yaml', `${choiceText(preset)} removes ${removed}, which is nowhere in the values`, at),
        );
    }
    const charts = own(preset.added, 'charts');
    if (!chartNames.includes(undefined))
      for (const key of isPlainMap(charts) ? Object.keys(charts) : [])
        if (!chartNames.includes(key) && own(own(values.plain, 'charts'), key) === undefined)
          linting.findings.push(
            told('warning', 'preset-path-unknown', 'presets.yaml', `${choiceText(preset)} adds charts.${key}, which is no chart of this pack`, at),
          );
    for (const { path } of leavesOf(preset.added).slice(0, 1))
      if (own(values.plain, String(path[0])) === undefined && !['pack', 'charts', 'manifests', 'readinessCheck'].includes(String(path[0])))
        linting.findings.push(
          told('warning', 'preset-path-unknown', 'presets.yaml', `${choiceText(preset)} adds ${String(path[0])} at the top, which the values do not have`, at),
        );
  }
  const enabled = enabledPresets(values.text) ?? [];
  for (const [index, choice] of enabled.entries())
    if (enabled.findIndex((other) => other.group === choice.group) !== index)
      linting.findings.push(told('error', 'preset-group-twice', values.file, `the comment enables two presets of the group ${choice.group}`));
  const detected = detectPresets(values.text, presets);
  for (const item of detected.ok ? detected.value.filter((found) => found.by === 'comment') : [])
    if (!item.isKnown)
      linting.findings.push(told('warning', 'preset-unknown', values.file, `the comment enables ${choiceText(item)}, which presets.yaml does not have`));
    else if (!item.isUnchanged)
      linting.findings.push(told('info', 'preset-differs', values.file, `the comment enables ${choiceText(item)}, and the values differ from what it sets`));
};

const lintSchema = (linting: Linting, values: PackSource): void => {
  const file = linting.files.get('schema.yaml');
  if (file?.text === undefined) return;
  const { rules, findings } = parseSchema(file.text);
  linting.findings.push(...findings);
  for (const rule of misplacedRules(values, rules))
    linting.findings.push(
      told('warning', 'rule-path-unknown', 'schema.yaml', `${rule.path} is not in values.yaml, so nobody will find it there`, { line: rule.line }),
    );
  // A value that has to be filled in is rightly missing in the pack itself.
  for (const finding of checkValues(values, rules)) linting.findings.push({ ...finding, severity: finding.code === 'value-missing' ? 'info' : 'warning' });
};

const lintFacts = (linting: Linting, facts: PackFacts, header: PackHeader): void => {
  const annotation = facts.annotations['spectrocloud.com/install-priority'];
  if (annotation !== undefined && Number(annotation) !== (header.priority ?? 0))
    linting.findings.push(
      told(
        'warning',
        'priority-in-annotation',
        'pack.json',
        `the annotation says install-priority ${annotation}; the one of the pack: header counts, ${header.priority ?? 0}`,
      ),
    );
  if (facts.ansibleRoles.length > 0)
    linting.findings.push(
      told('warning', 'ansible-unsupported', 'pack.json', `lists Ansible roles (${facts.ansibleRoles.join(', ').slice(0, 200)}); they are not run`),
    );
  if (!linting.files.has('README.md')) linting.findings.push(told('info', 'readme-missing', 'README.md', 'is missing; people read it when they choose a pack'));
  if (![...linting.files.keys()].some((name) => /^logo\.(png|svg|jpe?g)$/i.test(name)))
    linting.findings.push(told('info', 'logo-missing', 'logo.png', 'is missing'));
};

/** A chart that is still at its upstream is no fault of the pack: only what needs it stops. */
const lintUpstream = (linting: Linting, facts: PackFacts): UpstreamChart[] => {
  const text = linting.files.get(upstreamFile)?.text;
  if (text === undefined) return [];
  const { charts, findings } = parseUpstream(text);
  linting.findings.push(...findings, ...unlistedUpstream(charts, facts.charts));
  return charts;
};

const lintValues = (linting: Linting, facts: PackFacts, charts: readonly PackChartFacts[]): void => {
  const file = linting.files.get('values.yaml');
  const read = readSource(file?.text ?? '', 'values.yaml');
  linting.findings.push(...read.findings);
  if (file === undefined) linting.findings.push(told('error', 'values-missing', 'values.yaml', 'is missing; an empty one will do'));
  const values = read.source ?? readSource('', 'values.yaml').source;
  if (values === undefined) return;
  const header = parseHeader(values);
  if (read.source !== undefined && file !== undefined) linting.findings.push(...header.findings, ...parseReadiness(values).findings);
  const layout = planLayout(facts, [...linting.files.keys()], charts, values.plain, lintUpstream(linting, facts));
  linting.findings.push(...layout.findings.map((finding) => (finding.code === 'chart-not-fetched' ? { ...finding, severity: 'warning' as const } : finding)));
  if (
    layout.charts.length === 0 &&
    layout.manifests.length === 0 &&
    facts.kind !== 'os' &&
    facts.kind !== 'kubernetes' &&
    facts.charts.length + facts.kubeManifests.length === 0
  )
    linting.findings.push(told('warning', 'pack-installs-nothing', 'pack.json', 'lists no charts and no manifests, and the pack has none'));
  lintFacts(linting, facts, header.header);
  const presets = linting.files.get('presets.yaml');
  const parsed = presets?.text === undefined ? { presets: [], findings: [] } : parsePresets(presets.text);
  linting.findings.push(...parsed.findings);
  if (read.source === undefined) return;
  lintCharts(linting, values, layout);
  lintManifests(linting, values, layout);
  lintContent(linting, values, header.header, layout);
  lintPresets(linting, values, parsed.presets, layout);
  lintSchema(linting, values);
};

const severities = { error: 0, warning: 1, info: 2 } as const;

/** Checks a whole pack. Errors first, then by file and line. Never throws; what a pack of the wild does and we put up with is a warning or an info. */
export const lintPack = ({ files, charts }: LintInput): Finding[] => {
  const linting: Linting = { files: new Map(files.map((file) => [file.name, file])), findings: [] };
  const json = linting.files.get('pack.json');
  if (json?.text === undefined) return [told('error', 'pack-json-missing', 'pack.json', 'is missing, so this is no pack')];
  const { facts, findings } = parsePackJson(json.text);
  linting.findings.push(...findings);
  if (facts !== undefined) lintValues(linting, facts, charts ?? chartsOfFolders(files));
  const sorted = linting.findings.toSorted(
    (a, b) => severities[a.severity] - severities[b.severity] || (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || (a.line ?? 0) - (b.line ?? 0),
  );
  const hidden = sorted.length - packLimits.findings;
  return hidden <= 0
    ? sorted
    : [...sorted.slice(0, packLimits.findings), told('warning', 'findings-cut', 'pack.json', `${hidden} more findings are not shown`)];
};
