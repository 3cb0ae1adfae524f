import type { Finding } from '../finding.ts';
import { packLimits } from './limits.ts';
import { isPlainMap, own, placeOf, type PackSource } from './source.ts';

/** The `pack:` map at the top of values.yaml: everything about installing that is no value of a chart. */
export interface PackHeader {
  namespace?: string;
  additionalNamespaces: string[];
  /** By namespace. */
  namespaceLabels: Record<string, Record<string, string>>;
  namespaceAnnotations: Record<string, Record<string, string>>;
  /** By chart name. */
  releaseNameOverride: Record<string, string>;
  content: { images: string[]; charts: { name: string; version?: string; repo?: string }[] };
  /** Lowest first. Absent means 0. */
  priority?: number;
  displayName?: string;
  /** Other keys of the map: packs keep settings of their own there, and macros refer to them. */
  others: string[];
}

export const emptyHeader = (): PackHeader => ({
  additionalNamespaces: [],
  namespaceLabels: {},
  namespaceAnnotations: {},
  releaseNameOverride: {},
  content: { images: [], charts: [] },
  others: [],
});

const priorityKey = 'spectrocloud.com/install-priority';
const displayKey = 'spectrocloud.com/display-name';
const knownKeys = new Set([
  'namespace',
  'additionalNamespaces',
  'namespaceLabels',
  'namespaceAnnotations',
  'releaseNameOverride',
  'content',
  priorityKey,
  displayKey,
]);

interface Reading {
  source: PackSource;
  findings: Finding[];
}

const report = (reading: Reading, severity: Finding['severity'], code: string, path: readonly (string | number)[], message: string): void =>
  void reading.findings.push({ severity, code, file: reading.source.file, ...placeOf(reading.source, path), message });

const scalarText = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.trim() : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;

/** References are replaced before anything is installed; until then a name with one is only a text. */
const isName = (name: string): boolean => name.includes('{{') || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);

const namespaceName = (reading: Reading, value: unknown, path: readonly (string | number)[]): string | undefined => {
  if (value === undefined || value === null || value === '') return undefined;
  const name = scalarText(value);
  if (name !== undefined && isName(name)) return name;
  report(
    reading,
    'error',
    'namespace-invalid',
    path,
    `${String(path.at(-1))} is not the name of a namespace (lower-case letters, digits and dashes, at most 63)`,
  );
  return undefined;
};

/** A list of names, a list of `{name}`, a map by name, or names with commas: all of them are written. */
const namespacesOf = (reading: Reading, value: unknown): string[] => {
  const path = ['pack', 'additionalNamespaces'];
  if (value === undefined || value === null || value === '') return [];
  const items: unknown[] = Array.isArray(value)
    ? value.map((item: unknown) => own(item, 'name') ?? item)
    : typeof value === 'string'
      ? value.split(',')
      : isPlainMap(value)
        ? Object.keys(value).map((key) => (typeof value[key] === 'string' && value[key] !== '' ? value[key] : key))
        : [value];
  if (items.length > packLimits.namespaces)
    report(reading, 'error', 'namespace-invalid', path, `additionalNamespaces has more than ${packLimits.namespaces} entries`);
  return [...new Set(items.slice(0, packLimits.namespaces).flatMap((item) => namespaceName(reading, item, path) ?? []))];
};

/** Splits at commas that are not inside of a template action. */
const commaParts = (text: string): string[] => (text.match(/(?:\{\{[^{}]*\}\}|[^,])+/g) ?? []).map((part) => part.trim()).filter((part) => part !== '');

const labelName = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

const pairsOf = (reading: Reading, value: unknown, path: readonly (string | number)[], isLabel: boolean): Record<string, string> => {
  const pairs: [string, string][] = [];
  const add = (key: string, text: string): void => {
    const isGood = (labelName.test(key) || key.includes('{{')) && (!isLabel || labelValue.test(text) || text.includes('{{'));
    if (isGood) pairs.push([key, text]);
    else
      report(
        reading,
        'error',
        'namespace-label-invalid',
        path,
        `${key.slice(0, 100)}=${text.slice(0, 100)} is not a ${isLabel ? 'label' : 'annotation'} that Kubernetes takes`,
      );
  };
  if (isPlainMap(value)) for (const key of Object.keys(value)) add(key, scalarText(value[key]) ?? '');
  else
    for (const part of commaParts(scalarText(value) ?? '')) {
      const equals = part.indexOf('=');
      if (equals < 1) report(reading, 'error', 'namespace-label-invalid', path, `${part.slice(0, 100)} is not key=value`);
      else add(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
    }
  return Object.fromEntries(pairs);
};

/** `"ns": "k=v,k2=v2"`; a map of keys below the namespace is taken too. */
const byNamespace = (reading: Reading, holder: unknown, key: 'namespaceLabels' | 'namespaceAnnotations'): Record<string, Record<string, string>> => {
  const value = own(holder, key);
  const path = ['pack', key];
  if (value === undefined || value === null || value === '') return {};
  if (!isPlainMap(value)) {
    report(
      reading,
      'error',
      'namespace-label-invalid',
      path,
      `${key} must be a map of namespaces, like "${key === 'namespaceLabels' ? 'web": "env=prod,team=a' : 'web": "note=x'}"`,
    );
    return {};
  }
  return Object.fromEntries(
    Object.keys(value)
      .slice(0, packLimits.namespaces)
      .flatMap((name): [string, Record<string, string>][] => {
        const namespace = namespaceName(reading, name, [...path, name]);
        return namespace === undefined ? [] : [[namespace, pairsOf(reading, value[name], [...path, name], key === 'namespaceLabels')]];
      }),
  );
};

const priorityOf = (reading: Reading, value: unknown): number | undefined => {
  if (value === undefined || value === null || value === '') return undefined;
  const text = scalarText(value) ?? '';
  if (/^[+-]?\d+$/.test(text) && Math.abs(Number(text)) <= 1_000_000) return Number(text);
  report(
    reading,
    'error',
    'priority-invalid',
    ['pack', priorityKey],
    `install-priority must be a whole number in quotes, from "-1000000" to "1000000"; taken as 0`,
  );
  return undefined;
};

const imageOf = (reading: Reading, item: unknown, index: number): string[] => {
  const path = ['pack', 'content', 'images', index];
  const text = scalarText(own(item, 'image'));
  if (text !== undefined && text !== '') return [text];
  if (typeof item === 'string' && item !== '') {
    report(reading, 'warning', 'content-image-form', path, `write it as - image: ${item.slice(0, 200)}`);
    return [item.trim()];
  }
  const keys = isPlainMap(item) ? Object.keys(item) : [];
  const only = keys.length === 1 ? scalarText(own(item, keys[0] ?? '')) : undefined;
  if (only !== undefined && /^[\w.-]+(:\d+)?\/[\w./-]+([:@][\w.:-]+)?$/.test(only)) {
    report(reading, 'warning', 'content-image-form', path, `has the key ${keys[0] ?? ''} instead of image; tools that make bundles leave ${only} out`);
    return [only];
  }
  report(reading, 'warning', 'content-image-form', path, 'is no image reference; left out');
  return [];
};

const contentOf = (reading: Reading, holder: unknown): PackHeader['content'] => {
  const content = own(holder, 'content');
  if (content === undefined || content === null) return { images: [], charts: [] };
  const list = (key: string): unknown[] => {
    const value = own(content, key);
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    report(reading, 'warning', 'content-form', ['pack', 'content', key], `pack.content.${key} should be a list; left out`);
    return [];
  };
  if (!isPlainMap(content)) report(reading, 'warning', 'content-form', ['pack', 'content'], 'pack.content should be a map of images and charts; left out');
  const images = list('images');
  if (images.length > packLimits.images) report(reading, 'error', 'content-form', ['pack', 'content', 'images'], `lists more than ${packLimits.images} images`);
  const charts = list('charts').flatMap((item) => {
    const name = scalarText(own(item, 'name'));
    const [version, repo] = [scalarText(own(item, 'version')), scalarText(own(item, 'repo'))];
    return name === undefined ? [] : [{ name, ...(version === undefined ? {} : { version }), ...(repo === undefined ? {} : { repo }) }];
  });
  return { images: [...new Set(images.slice(0, packLimits.images).flatMap((item, index) => imageOf(reading, item, index)))], charts };
};

const overridesOf = (reading: Reading, holder: unknown): Record<string, string> => {
  const value = own(holder, 'releaseNameOverride');
  if (value === undefined || value === null || value === '') return {};
  if (!isPlainMap(value)) {
    report(reading, 'error', 'release-name-invalid', ['pack', 'releaseNameOverride'], 'releaseNameOverride must be a map of chart names to release names');
    return {};
  }
  return Object.fromEntries(
    Object.keys(value).flatMap((chart): [string, string][] => {
      const name = scalarText(value[chart]) ?? '';
      if (name === '') return [];
      if (name.includes('{{') || (name.length <= packLimits.releaseName && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name))) return [[chart, name]];
      report(
        reading,
        'error',
        'release-name-invalid',
        ['pack', 'releaseNameOverride', chart],
        `${name.slice(0, 100)} is not a Helm release name (lower-case letters, digits and dashes, at most ${packLimits.releaseName})`,
      );
      return [];
    }),
  );
};

/** Reads the header. A missing one and values without anything in them are legal; 15 of 220 public packs are so. */
export const parseHeader = (source: PackSource): { header: PackHeader; findings: Finding[] } => {
  const reading: Reading = { source, findings: [] };
  const { plain } = source;
  if (plain === null) {
    report(reading, 'info', 'values-empty', [], 'holds no values');
    return { header: emptyHeader(), findings: reading.findings };
  }
  const holder = own(plain, 'pack');
  if (!isPlainMap(plain)) report(reading, 'error', 'values-malformed', [], 'must be a map with pack:, charts: and manifests:');
  else if (holder === undefined || holder === null)
    report(reading, 'warning', 'pack-header-missing', [], 'has no pack: header, so no namespace, priority or images');
  else if (!isPlainMap(holder)) report(reading, 'error', 'pack-header-invalid', ['pack'], 'pack: must be a map');
  if (!isPlainMap(holder)) return { header: emptyHeader(), findings: reading.findings };
  const namespace = namespaceName(reading, own(holder, 'namespace'), ['pack', 'namespace']);
  const priority = priorityOf(reading, own(holder, priorityKey));
  const displayName = scalarText(own(holder, displayKey));
  return {
    header: {
      ...(namespace === undefined ? {} : { namespace }),
      additionalNamespaces: namespacesOf(reading, own(holder, 'additionalNamespaces')),
      namespaceLabels: byNamespace(reading, holder, 'namespaceLabels'),
      namespaceAnnotations: byNamespace(reading, holder, 'namespaceAnnotations'),
      releaseNameOverride: overridesOf(reading, holder),
      content: contentOf(reading, holder),
      ...(priority === undefined ? {} : { priority }),
      ...(displayName === undefined || displayName === '' ? {} : { displayName }),
      others: Object.keys(holder).filter((key) => !knownKeys.has(key)),
    },
    findings: reading.findings,
  };
};
