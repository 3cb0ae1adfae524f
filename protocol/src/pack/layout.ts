import type { Finding } from '../finding.ts';
import { packLimits } from './limits.ts';
import type { PackFacts } from './pack-json.ts';
import { isPlainMap, own } from './source.ts';
import type { UpstreamChart } from './upstream.ts';

/** What Chart.yaml of a chart in the pack says. */
export interface PackChartFacts {
  /** The archive, `charts/web-1.2.3.tgz`, or the folder, `charts/web`. */
  file: string;
  name: string;
  version: string;
  /** Top-level keys of the chart's own values.yaml; tells old packs apart that put chart values into other places. */
  valueKeys: string[];
}

/** A chart that the pack installs. */
export interface ChosenChart {
  /** As pack.json lists it, or the file when it lists none. */
  listed: string;
  file: string;
  isFolder: boolean;
  facts?: PackChartFacts;
}

export interface ChosenManifest {
  /** Base name of the file: the key below `manifests:` in values.yaml. */
  name: string;
  /** Absent when only the values hold it, as `manifests.<name>.contents`. */
  file?: string;
}

export interface PackLayout {
  charts: ChosenChart[];
  manifests: ChosenManifest[];
  findings: Finding[];
}

const archivePattern = /^charts\/[^/]+\.(tgz|tar\.gz)$/;
const manifestPattern = /^manifests\/.+\.(ya?ml|json)$/i;

const baseName = (file: string): string => (file.split('/').at(-1) ?? file).replace(/\.(tgz|tar\.gz|ya?ml|json)$/i, '');
/** `web` of `web-1.2.3` and of `weka-operator-v1.12.0`. */
const withoutVersion = (stem: string): string => stem.replace(/-v?\d[\w.+-]*$/, '');

interface Laying {
  facts: PackFacts;
  files: ReadonlySet<string>;
  charts: ReadonlyMap<string, PackChartFacts>;
  /** By file. */
  upstream: ReadonlyMap<string, UpstreamChart>;
  findings: Finding[];
}

const report = (laying: Laying, severity: Finding['severity'], code: string, file: string, message: string): void =>
  void laying.findings.push({ severity, code, file, message });

const folders = (files: ReadonlySet<string>): string[] => [...files].flatMap((file) => /^(charts\/[^/]+)\/Chart\.yaml$/.exec(file)?.[1] ?? []);

const isInside = (path: string): boolean => path !== '' && !path.startsWith('/') && !path.includes('\\') && !path.split('/').includes('..');

/** An unpacked chart for a listed archive that is not there: `charts/web` for `charts/web-1.2.3.tgz`. */
const folderFor = (laying: Laying, listed: string): string | undefined => {
  const stem = baseName(listed);
  return [`charts/${stem}`, `charts/${withoutVersion(stem)}`].find((folder) => laying.files.has(`${folder}/Chart.yaml`));
};

const chosen = (laying: Laying, listed: string, file: string, isFolder: boolean): ChosenChart => {
  const facts = laying.charts.get(file);
  if (isFolder && facts === undefined) report(laying, 'error', 'chart-unreadable', `${file}/Chart.yaml`, 'has no name, or cannot be read');
  return { listed, file, isFolder, ...(facts === undefined ? {} : { facts }) };
};

const chooseListed = (laying: Laying, listed: string): ChosenChart | undefined => {
  const path = listed.replace(/\/+$/, '');
  if (!isInside(path)) {
    report(laying, 'error', 'path-outside', 'pack.json', `the chart ${listed.slice(0, 200)} leads out of the pack`);
    return undefined;
  }
  if (laying.files.has(path)) return chosen(laying, listed, path, false);
  if (laying.files.has(`${path}/Chart.yaml`)) return chosen(laying, listed, path, true);
  const folder = folderFor(laying, path);
  const upstream = laying.upstream.get(path);
  if (folder === undefined && upstream !== undefined) {
    const { name, version, repository } = upstream;
    report(laying, 'error', 'chart-not-fetched', 'pack.json', `${listed} is not in the pack; it is ${name} ${version} of ${repository}. Get it: gp pack fetch`);
    return { listed, file: path, isFolder: false, facts: { file: path, name, version, valueKeys: [] } };
  }
  if (folder === undefined) {
    report(laying, 'error', 'chart-missing', 'pack.json', `lists the chart ${listed}, which is not in the pack`);
    return undefined;
  }
  report(laying, 'warning', 'chart-folder-used', 'pack.json', `lists the chart ${listed}, which is not in the pack; the unpacked chart ${folder} is used`);
  return chosen(laying, listed, folder, true);
};

/** Everything that lies in charts/: archives, and folders of charts that no archive has. */
const present = (laying: Laying): { file: string; isFolder: boolean }[] => {
  const archives = [...laying.files].filter((file) => archivePattern.test(file)).toSorted();
  const names = new Set(archives.map((file) => laying.charts.get(file)?.name ?? withoutVersion(baseName(file))));
  const unpacked = folders(laying.files).filter((folder) => !names.has(laying.charts.get(folder)?.name ?? baseName(folder)));
  return [...archives.map((file) => ({ file, isFolder: false })), ...unpacked.toSorted().map((file) => ({ file, isFolder: true }))];
};

const chooseCharts = (laying: Laying, isListing: boolean): ChosenChart[] => {
  if (!isListing) {
    const all = present(laying).map(({ file, isFolder }) => chosen(laying, file, file, isFolder));
    for (const chart of all)
      report(laying, 'warning', 'chart-not-listed', 'pack.json', `lists no charts and no manifests; ${chart.file} is taken because it is there`);
    return all;
  }
  const charts: ChosenChart[] = [];
  for (const listed of laying.facts.charts) {
    const chart = chooseListed(laying, listed);
    if (chart === undefined) continue;
    if (charts.some((other) => other.file === chart.file))
      report(laying, 'warning', 'chart-twice', 'pack.json', `lists the chart ${listed} twice; installed once`);
    else charts.push(chart);
  }
  const names = new Set(charts.map((chart) => chart.facts?.name ?? withoutVersion(baseName(chart.file))));
  for (const { file, isFolder } of present(laying))
    if (!charts.some((other) => other.file === file) && !(isFolder && names.has(laying.charts.get(file)?.name ?? baseName(file))))
      report(laying, 'warning', 'chart-unreferenced', file, 'is in the pack, but pack.json does not list it; it is not installed');
  return charts;
};

const contentsOf = (values: unknown, name: string): string | undefined => {
  const contents = own(own(own(values, 'manifests'), name), 'contents');
  return typeof contents === 'string' ? contents : undefined;
};

const chooseManifests = (laying: Laying, isListing: boolean, values: unknown): ChosenManifest[] => {
  const lying = [...laying.files].filter((file) => manifestPattern.test(file)).toSorted();
  const manifests: ChosenManifest[] = [];
  for (const listed of isListing ? laying.facts.kubeManifests : lying) {
    const name = baseName(listed);
    if (!isInside(listed)) report(laying, 'error', 'path-outside', 'pack.json', `the manifest ${listed.slice(0, 200)} leads out of the pack`);
    else if (manifests.some((other) => other.file === listed || (other.file === undefined && other.name === name)))
      report(laying, 'warning', 'manifest-twice', 'pack.json', `lists the manifest ${listed} twice; installed once`);
    else if (laying.files.has(listed)) manifests.push({ name, file: listed });
    else if (contentsOf(values, name) === undefined)
      report(laying, 'error', 'manifest-missing', 'pack.json', `lists the manifest ${listed}, which is not in the pack`);
    else manifests.push({ name });
  }
  const taken = new Set(manifests.map((manifest) => manifest.file));
  for (const file of lying) {
    if (!isListing) report(laying, 'warning', 'manifest-not-listed', 'pack.json', `lists no charts and no manifests; ${file} is taken because it is there`);
    else if (!taken.has(file)) report(laying, 'warning', 'manifest-unreferenced', file, 'is in the pack, but pack.json does not list it; it is not installed');
  }
  const held = own(values, 'manifests');
  for (const name of isPlainMap(held) ? Object.keys(held) : []) {
    if (manifests.some((manifest) => manifest.name === name)) continue;
    if (contentsOf(values, name) !== undefined) manifests.push({ name });
    else report(laying, 'warning', 'manifest-values-unused', 'values.yaml', `manifests.${name} belongs to no manifest that is installed`);
  }
  return manifests;
};

/**
 * What a pack installs. The rule, from public packs: when pack.json lists any chart or manifest, exactly those; unpacked copies beside archives are for readers.
 * When it lists none, everything in charts/ and manifests/. Manifests that the values hold as `contents` count as listed. A listed chart that is not there and
 * that `upstream` knows keeps its place, with the error `chart-not-fetched`.
 */
export const planLayout = (
  facts: PackFacts,
  files: readonly string[],
  charts: readonly PackChartFacts[],
  values: unknown,
  upstream: readonly UpstreamChart[] = [],
): PackLayout => {
  const laying: Laying = {
    facts,
    files: new Set(files),
    charts: new Map(charts.map((chart) => [chart.file, chart])),
    upstream: new Map(upstream.map((chart) => [chart.file, chart])),
    findings: [],
  };
  const isListing = facts.charts.length > 0 || facts.kubeManifests.length > 0;
  const layout = { charts: chooseCharts(laying, isListing), manifests: chooseManifests(laying, isListing, values), findings: laying.findings };
  if (layout.charts.length > packLimits.charts) report(laying, 'error', 'pack-too-large', 'pack.json', `has more than ${packLimits.charts} charts`);
  if (layout.manifests.length > packLimits.manifests) report(laying, 'error', 'pack-too-large', 'pack.json', `has more than ${packLimits.manifests} manifests`);
  return layout;
};

/** Keys at the top of values.yaml that are the pack's own. */
const packKeys = new Set(['pack', 'charts', 'manifests', 'readinessCheck']);

export interface ChartValues {
  /** `undefined`: the chart gets no values. */
  values: unknown;
  /** Where they are: `charts.web`. */
  at: string;
  findings: Finding[];
}

const someShared = (keys: readonly string[], known: readonly string[]): number => keys.filter((key) => known.includes(key)).length;

/** Values of a chart, by the name in its Chart.yaml, and in the places where some packs put them. */
export const valuesOfChart = (values: unknown, chart: ChosenChart, layout: Pick<PackLayout, 'charts'>): ChartValues => {
  const name = chart.facts?.name ?? withoutVersion(baseName(chart.file));
  const told = (at: string, found: unknown, code: string, message: string): ChartValues => ({
    values: found,
    at,
    findings: [{ severity: 'warning', code, file: 'values.yaml', message }],
  });
  const held = own(values, 'charts');
  if (isPlainMap(held) && Object.hasOwn(held, name)) {
    const found = held[name];
    if (found === null || isPlainMap(found)) return { values: found ?? {}, at: `charts.${name}`, findings: [] };
    return {
      values: undefined,
      at: '',
      findings: [{ severity: 'error', code: 'chart-values-invalid', file: 'values.yaml', message: `charts.${name} must be a map` }],
    };
  }
  const known = chart.facts?.valueKeys ?? [];
  const isAlone = layout.charts.length === 1;
  const stem = withoutVersion(baseName(chart.listed));
  const isOthers = layout.charts.some((other) => other.facts?.name === stem);
  if (isPlainMap(held) && !isOthers && isPlainMap(own(held, stem)))
    return told(
      `charts.${stem}`,
      held[stem],
      'chart-values-file-name',
      `charts.${stem} is named after the file of the chart; its name is ${name}. Rename the key`,
    );
  if (isPlainMap(held) && isAlone) {
    const keys = Object.keys(held);
    if (keys.length > 0 && someShared(keys, known) * 2 >= keys.length)
      return told('charts', held, 'chart-values-direct', `the values of the chart ${name} stand directly below charts:; put them below charts.${name}`);
  }
  if ((held === undefined || held === null) && isAlone && isPlainMap(values)) {
    const rest = Object.fromEntries(Object.entries(values).filter(([key]) => !packKeys.has(key)));
    if (someShared(Object.keys(rest), known) > 0)
      return told('', rest, 'chart-values-top', `the values of the chart ${name} stand at the top of values.yaml; put them below charts.${name}`);
  }
  return told('', undefined, 'chart-values-missing', `charts.${name} is missing; the chart ${name} gets its own defaults only`);
};

/** Keys below `charts:` that no chart reads: their values do nothing. */
export const unusedChartValues = (values: unknown, layout: PackLayout): string[] => {
  const held = own(values, 'charts');
  if (!isPlainMap(held)) return [];
  const used = new Set(layout.charts.map((chart) => valuesOfChart(values, chart, layout).at));
  return used.has('charts') ? [] : Object.keys(held).filter((key) => !used.has(`charts.${key}`));
};
