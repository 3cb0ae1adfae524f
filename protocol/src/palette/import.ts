import semver from 'semver';
import { Document, isMap, isScalar } from 'yaml';
import type { z } from 'zod';
import type { Finding } from '../finding.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { LayerKind } from '../layer.ts';
import { emptyHeader, parseHeader, type PackHeader } from '../pack/header.ts';
import { readSource } from '../pack/source.ts';
import { unmask } from '../pack/template.ts';
import { apiVersion, type profileTypes, type variableSchema } from '../profile.ts';
import { layerNames, paletteProfile, typeNames, type PalettePack, type PaletteProfile, type PaletteVariable } from './format.ts';

/** Where the content of a pack or chart is to be found, for whoever turns the document into something that can be applied. */
export interface ImportedSource {
  layer: string;
  kind: 'pack' | 'helm' | 'zarf';
  name: string;
  version: string;
  registry: string;
}

export interface Imported {
  /** A profile document as people write it; layers of packs have no digest yet. */
  document: Record<string, unknown> & { metadata: { name: string; version: string } };
  sources: ImportedSource[];
  findings: Finding[];
}

type Report = (severity: Finding['severity'], code: string, message: string) => void;

/** Names of people (`Edge Retail (prod)`) as names that Kubernetes takes. */
export const plainName = (name: string): string => {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '');
  return plain === '' ? 'profile' : plain;
};

const unique = (wanted: string, taken: Set<string>): string => {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted.slice(0, 58)}-${number}`;
  taken.add(name);
  return name;
};

const kindOf = (pack: PalettePack, report: Report): LayerKind => {
  const theirs = (pack.layer ?? 'addon').toLowerCase();
  const found = (Object.keys(layerNames) as LayerKind[]).find((kind) => layerNames[kind] === theirs || kind === theirs);
  if (found !== undefined) return found;
  if (theirs === 'kernel') return 'os';
  report('warning', 'layer-unknown', `pack ${pack.name}: the layer "${theirs}" is not known and becomes an add-on`);
  return 'addon';
};

const versionOf = (pack: PalettePack): string => [pack.version, pack.tag].find((text) => text !== undefined && text !== null && text !== '') ?? '0.0.0';

const manifestsOf = (pack: PalettePack): { name: string; content: string }[] =>
  (pack.manifests ?? []).flatMap(({ name, content }) => (content === undefined || content === null || content.trim() === '' ? [] : [{ name, content }]));

/** The pieces that only an OS or Kubernetes layer has. Palette's own packs for them are programs of its agent, so they cannot run here. */
const machineLayer = (pack: PalettePack, kind: LayerKind, report: Report): Record<string, unknown> => {
  const version = versionOf(pack);
  const label = { name: pack.name, version, ...(pack.values === undefined || pack.values === null || pack.values === '' ? {} : { values: pack.values }) };
  if (kind === 'os') {
    report('warning', 'os-pack', `pack ${pack.name}: its values are kept for references; say under os: what the hosts get (files, sysctls, units)`);
    return { pack: label, os: {} };
  }
  const minor = /^v?([1-9]\d*\.\d+)/.exec(version)?.[1];
  report(
    'warning',
    'kubernetes-pack',
    `pack ${pack.name}: becomes distribution "existing"${minor === undefined ? '' : ` with Kubernetes ${minor}`}; its values are kept for references`,
  );
  return { pack: label, kubernetes: { distribution: 'existing', ...(minor === undefined ? {} : { version: `~${minor}` }) } };
};

const sourceKind = (pack: PalettePack): 'pack' | 'helm' | 'zarf' | 'manifest' => {
  const type = (pack.type ?? '').toLowerCase();
  if (type === 'manifest') return 'manifest';
  if (type === 'helm') return 'helm';
  if (type === 'zarf' || (type === 'oci' && (pack.registry?.metadata?.kind ?? '').toLowerCase() === 'zarf')) return 'zarf';
  return 'pack';
};

/** What tells two layers of one pack apart. */
const displayName = (pack: PalettePack): string | undefined => {
  if (pack.values?.includes('display-name') !== true) return undefined;
  const { source } = readSource(pack.values, 'values.yaml');
  return source === undefined ? undefined : parseHeader(source).header.displayName;
};

/** Palette writes `pack:` and `charts:` around the values of charts and manifests too. */
const headerOf = (pack: PalettePack, report: Report): PackHeader => {
  const read = readSource(pack.values ?? '', `${pack.name}/values.yaml`);
  const parsed = read.source === undefined ? { header: emptyHeader(), findings: read.findings } : parseHeader(read.source);
  for (const finding of parsed.findings) if (finding.severity === 'error') report('warning', finding.code, `pack ${pack.name}, values: ${finding.message}`);
  return parsed.header;
};

/** The values of the one chart, comments and all: what stands under `charts.<name>`, or everything besides the header. */
const chartValues = (pack: PalettePack): string => {
  const source = readSource(pack.values ?? '', 'values.yaml').source;
  const root = source?.document.contents;
  if (!isMap(root)) return pack.values ?? '';
  const charts = root.get('charts', true);
  const inner = isMap(charts) ? (charts.get(pack.name, true) ?? (charts.items.length === 1 ? charts.items[0]?.value : undefined)) : undefined;
  if (isMap(inner)) return unmask(new Document(inner).toString({ lineWidth: 0 }));
  if (isScalar(inner) || isMap(charts)) return '';
  root.items = root.items.filter((pair) => !isScalar(pair.key) || pair.key.value !== 'pack');
  return root.items.length === 0 ? '' : unmask(new Document(root).toString({ lineWidth: 0 }));
};

const settings = (header: PackHeader): Record<string, unknown> => ({
  ...(header.namespace === undefined ? {} : { namespace: header.namespace }),
  ...(header.priority === undefined || header.priority === 0 ? {} : { priority: header.priority }),
});

const layerOf = (pack: PalettePack, name: string, report: Report, sources: ImportedSource[]): Record<string, unknown> => {
  const kind = kindOf(pack, report);
  const manifests = manifestsOf(pack);
  const attached = manifests.length === 0 ? {} : { manifests };
  if (kind === 'os' || kind === 'kubernetes') {
    if (manifests.length > 0)
      report(
        'warning',
        'manifests-left',
        `pack ${pack.name}: ${manifests.length} manifests cannot be part of a layer of kind ${kind}; put them into an add-on layer`,
      );
    return { name, kind, ...machineLayer(pack, kind, report) };
  }
  const version = versionOf(pack);
  const registry = pack.registry?.metadata?.name ?? '';
  const source = sourceKind(pack);
  const values = pack.values ?? '';
  if (source === 'manifest') {
    if (manifests.length === 0) report('error', 'manifest-empty', `pack ${pack.name} is of type manifest and has none`);
    return { name, kind, ...settings(headerOf(pack, report)), pack: { name: pack.name, version }, ...attached };
  }
  sources.push({ layer: name, kind: source, name: pack.name, version, registry });
  if (source === 'helm') {
    const header = headerOf(pack, report);
    const releaseName = Object.values(header.releaseNameOverride)[0];
    const own = chartValues(pack);
    const helm = { chart: { name: pack.name, version }, ...(releaseName === undefined ? {} : { releaseName }), ...(own === '' ? {} : { values: own }) };
    return { name, kind, ...settings(header), helm, ...attached };
  }
  if (source === 'zarf') return { name, kind, ...settings(headerOf(pack, report)), zarf: { package: { name: pack.name, version } }, ...attached };
  return { name, kind, pack: { name: pack.name, version, ...(registry === '' ? {} : { registry }), ...(values === '' ? {} : { values }) }, ...attached };
};

const inputTypes = ['text', 'dropdown', 'multiline'] as const;
const formats = ['string', 'number', 'boolean', 'ipv4', 'ipv4cidr', 'ipv6', 'version', 'base64'] as const;
const pick = <T extends string>(given: string | null | undefined, known: readonly T[], otherwise: T, report: (given: string) => void): T => {
  const found = known.find((item) => item === (given ?? otherwise).toLowerCase());
  if (found === undefined) report(given ?? '');
  return found ?? otherwise;
};

const variableOf = (variable: PaletteVariable, report: Report): z.input<typeof variableSchema> => {
  const { name } = variable;
  const unknown = (what: string) => (given: string) =>
    report('warning', 'variable-odd', `variable ${name}: the ${what} "${given}" is not known and is taken as the usual one`);
  const value = variable.defaultValue;
  const isMasked = variable.isSensitive === true && (typeof value !== 'string' || /^\**$/.test(value));
  if (isMasked) report('warning', 'variable-masked', `variable ${name} is sensitive: exports hide its value, so give it again, for each cluster or as default`);
  const isLocked = variable.immutable === true && (isMasked || value === undefined || value === null);
  if (isLocked) report('warning', 'variable-locked', `variable ${name} is read-only and has no value; it can be set until a default is written`);
  return {
    name,
    ...(variable.displayName ? { displayName: variable.displayName } : {}),
    ...(variable.description ? { description: variable.description.slice(0, 1024) } : {}),
    inputType: pick(variable.inputType, inputTypes, 'text', unknown('input type')),
    format: pick(variable.format, formats, 'string', unknown('format')),
    ...(value === undefined || value === null || isMasked ? {} : { default: String(value) }),
    ...(variable.required === true ? { required: true } : {}),
    ...(variable.regex ? { regex: variable.regex } : {}),
    ...(variable.immutable === true && !isLocked ? { immutable: true } : {}),
    ...(variable.hidden === true && !(variable.required === true && (isMasked || value === undefined || value === null)) ? { hidden: true } : {}),
    ...(variable.isSensitive === true ? { sensitive: true } : {}),
    ...(variable.options === undefined || variable.options === null || variable.options.length === 0
      ? {}
      : {
          options: variable.options.map((option) => ({
            value: String(option.value),
            ...(option.label ? { label: option.label } : {}),
            ...(option.description ? { description: option.description } : {}),
          })),
        }),
  };
};

const versionFor = (text: string | null | undefined, report: Report): string => {
  if (text === undefined || text === null || text === '') return '1.0.0';
  const version = semver.valid(text) ?? semver.coerce(text, { includePrerelease: true })?.version;
  if (version === undefined) {
    report('warning', 'version-odd', `the version "${text}" is not like 1.2.3; the profile becomes 1.0.0`);
    return '1.0.0';
  }
  if (version !== text) report('info', 'version-odd', `the version "${text}" is written ${version}`);
  return version;
};

const labelsOf = (profile: PaletteProfile, report: Report): Record<string, string> => {
  const labels: [string, string][] = [];
  for (const [key, value] of Object.entries(profile.metadata.labels ?? {})) {
    const isFine =
      /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(key) &&
      /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/.test(value ?? '');
    if (isFine) labels.push([key, value ?? '']);
    else report('warning', 'label-odd', `the tag "${key}" cannot be a label and is left out`);
  }
  return Object.fromEntries(labels);
};

/**
 * Reads a profile that Palette exported and writes it as a document of ours. Nothing is dropped in silence: what cannot be kept is a finding. `fatal` when
 * it is no such export.
 */
export const importPaletteProfile = (value: unknown, file: string): Result<Imported> => {
  const parsed = paletteProfile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return fail('fatal', 'profile-invalid', file, `is no profile exported by Palette: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const profile = parsed.data;
  const { template } = profile.spec;
  const findings: Finding[] = [];
  const report: Report = (severity, code, message) => void findings.push({ severity, code, file, message });
  const types = Object.entries(typeNames) as [(typeof profileTypes)[number], string][];
  const type = types.find(([ours, theirs]) => theirs === template.type || ours === template.type)?.[0];
  if (type === undefined) report('warning', 'type-odd', `the type "${template.type ?? ''}" is not known; the profile becomes an add-on profile`);
  const sources: ImportedSource[] = [];
  const taken = new Set<string>();
  const layers = (template.packs ?? []).map((pack) => layerOf(pack, unique(plainName(displayName(pack) ?? pack.name), taken), report, sources));
  if (layers.length === 0) report('error', 'profile-empty', 'it has no packs');
  const name = plainName(profile.metadata.name);
  if (name !== profile.metadata.name) report('info', 'name-odd', `the profile is called ${name} here`);
  const labels = labelsOf(profile, report);
  const description = profile.metadata.description ?? '';
  const variables = (profile.spec.variables ?? []).map((variable) => variableOf(variable, report));
  return ok({
    document: {
      apiVersion,
      kind: 'Profile',
      metadata: { name, version: versionFor(profile.spec.version, report), ...(Object.keys(labels).length === 0 ? {} : { labels }) },
      spec: {
        type: type ?? 'addon',
        ...(description === '' ? {} : { description: description.slice(0, 1024) }),
        ...(variables.length === 0 ? {} : { variables }),
        layers,
      },
    },
    sources,
    findings,
  });
};
