import { valid } from 'semver';
import type { Finding } from '../finding.ts';
import type { LayerKind } from '../layer.ts';
import { isPlainMap, own, placeOf, readSource, type PackSource } from './source.ts';

/** Layers as packs name them, and ours. A kernel is part of the OS layer. */
export const packLayers: Readonly<Record<string, LayerKind>> = { kernel: 'os', os: 'os', k8s: 'kubernetes', cni: 'network', csi: 'storage', addon: 'addon' };

/** Environments that are known by name in packs. Others are kept. */
const cloudTypes: ReadonlySet<string> = new Set(
  'all aws azure gcp vsphere openstack baremetal maas aks eks tencent tke edge libvirt edge-native coxedge custom gke nutanix apache-cloudstack'.split(' '),
);

export const dependencyTypes = ['required', 'optional', 'notSupported', 'upgrade'] as const;
export type DependencyType = (typeof dependencyTypes)[number];

export interface PackDependency {
  packName: string;
  /** As written; `kind` is ours. */
  layer: string;
  kind?: LayerKind;
  /** Empty when there is no bound. */
  minVersion: string;
  maxVersion: string;
  type: DependencyType;
}

export interface PackResource {
  type: 'cpu' | 'memory' | 'diskSize';
  /** Thousandths of a CPU, MiB, or GiB. */
  minLimit?: number;
  components: { scheduleType: 'all' | 'control-plane' | 'worker'; resourceRequestParamRef?: string; replicaCountParamRef?: string }[];
}

export interface PackFacts {
  name: string;
  displayName: string;
  version: string;
  /** As written, `k8s`; `kind` is ours, and absent when the layer is unknown. */
  layer: string;
  kind?: LayerKind;
  cloudTypes: string[];
  addonType?: string;
  addonSubType?: string;
  group?: string;
  eol?: string;
  annotations: Record<string, string>;
  /** Paths inside of the pack, without leading `./`. */
  charts: string[];
  kubeManifests: string[];
  ansibleRoles: string[];
  constraints: { dependencies: PackDependency[]; resources: PackResource[] };
  /** Fields that nobody documented: kept by name so that they can be shown. */
  unknown: string[];
}

const documented = new Set([
  'name',
  'displayName',
  'version',
  'layer',
  'cloudTypes',
  'cloudType',
  'addonType',
  'addonSubType',
  'group',
  'eol',
  'annotations',
  'charts',
  'kubeManifests',
  'ansibleRoles',
  'constraints',
]);

interface Reading {
  source: PackSource;
  findings: Finding[];
}

type Path = readonly (string | number)[];

const report = (reading: Reading, severity: Finding['severity'], code: string, path: Path, message: string): void =>
  void reading.findings.push({ severity, code, file: reading.source.file, ...placeOf(reading.source, path), message });

const fieldText = (path: Path): string => path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`)).join('');

/** A text; numbers and booleans are taken as they are written, with a warning, since JSON lets `"version": 1.5` lose a digit. */
const textAt = (reading: Reading, holder: unknown, path: Path): string | undefined => {
  const value = own(holder, String(path.at(-1)));
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value.trim();
  if (typeof value === 'number' || typeof value === 'boolean') {
    report(reading, 'warning', 'pack-json-type', path, `${fieldText(path)} should be a text; read as "${String(value)}". Put it in quotes`);
    return String(value);
  }
  report(reading, 'error', 'pack-json-type', path, `${fieldText(path)} must be a text`);
  return undefined;
};

const listAt = (reading: Reading, holder: unknown, path: Path): unknown[] => {
  const value = own(holder, String(path.at(-1)));
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') {
    report(reading, 'warning', 'pack-json-type', path, `${fieldText(path)} should be a list; read as a list of one`);
    return [value];
  }
  report(reading, 'error', 'pack-json-type', path, `${fieldText(path)} must be a list`);
  return [];
};

const textsAt = (reading: Reading, holder: unknown, path: Path): string[] =>
  listAt(reading, holder, path).flatMap((item, index) => {
    if (typeof item === 'string' && item.trim() !== '') return [item.trim()];
    report(reading, 'error', 'pack-json-type', [...path, index], `${fieldText([...path, index])} must be a text that is not empty`);
    return [];
  });

const filesAt = (reading: Reading, holder: unknown, path: Path): string[] =>
  textsAt(reading, holder, path).map((name) => name.replace(/^(\.\/)+/, '').replaceAll(/\/{2,}/g, '/'));

const annotationsOf = (reading: Reading, root: unknown): Record<string, string> => {
  const value = own(root, 'annotations');
  if (value === undefined || value === null) return {};
  if (!isPlainMap(value)) {
    report(reading, 'warning', 'pack-json-type', ['annotations'], 'annotations should be a map of texts; left out');
    return {};
  }
  const texts = Object.keys(value).flatMap((key): [string, string][] => {
    const text = textAt(reading, value, ['annotations', key]);
    return text === undefined ? [] : [[key, text]];
  });
  return Object.fromEntries(texts);
};

const dependencyAt = (reading: Reading, item: unknown, path: Path): PackDependency | undefined => {
  const packName = textAt(reading, item, [...path, 'packName']);
  const layer = textAt(reading, item, [...path, 'layer']);
  const type = textAt(reading, item, [...path, 'type']);
  const known = dependencyTypes.find((name) => name.toLowerCase() === type?.toLowerCase());
  if (packName === undefined || packName === '' || layer === undefined || known === undefined) {
    const missing = packName === undefined || packName === '' ? 'packName' : layer === undefined ? 'layer' : `type, one of ${dependencyTypes.join(', ')}`;
    report(reading, 'error', 'constraint-invalid', path, `${fieldText(path)} needs ${missing}; this dependency is not checked`);
    return undefined;
  }
  if (packLayers[layer] === undefined)
    report(reading, 'warning', 'layer-unknown', [...path, 'layer'], `the layer ${layer} is not one of ${Object.keys(packLayers).join(', ')}`);
  const kind = Object.hasOwn(packLayers, layer) ? packLayers[layer] : undefined;
  return {
    packName,
    layer,
    ...(kind === undefined ? {} : { kind }),
    minVersion: textAt(reading, item, [...path, 'minVersion']) ?? '',
    maxVersion: textAt(reading, item, [...path, 'maxVersion']) ?? '',
    type: known,
  };
};

const scheduleTypes: Readonly<Record<string, 'all' | 'control-plane' | 'worker'>> = {
  all: 'all',
  // The validator says master, the documentation control-plane.
  master: 'control-plane',
  'control-plane': 'control-plane',
  worker: 'worker',
};

const componentAt = (reading: Reading, item: unknown, path: Path): PackResource['components'] => {
  const schedule = textAt(reading, item, [...path, 'scheduleType']) ?? '';
  const scheduleType = Object.hasOwn(scheduleTypes, schedule) ? scheduleTypes[schedule] : undefined;
  if (scheduleType === undefined) {
    report(reading, 'warning', 'constraint-invalid', path, `${fieldText(path)}.scheduleType is not all, control-plane (or master) or worker; left out`);
    return [];
  }
  const request = textAt(reading, item, [...path, 'resourceRequestParamRef']);
  const replicas = textAt(reading, item, [...path, 'replicaCountParamRef']);
  return [
    {
      scheduleType,
      ...(request === undefined ? {} : { resourceRequestParamRef: request }),
      ...(replicas === undefined ? {} : { replicaCountParamRef: replicas }),
    },
  ];
};

const resourceAt = (reading: Reading, item: unknown, path: Path): PackResource | undefined => {
  const type = textAt(reading, item, [...path, 'type']);
  if (type !== 'cpu' && type !== 'memory' && type !== 'diskSize') {
    report(reading, 'warning', 'constraint-invalid', path, `${fieldText(path)}.type is not cpu, memory or diskSize; left out`);
    return undefined;
  }
  const limit = own(item, 'minLimit');
  const minLimit = typeof limit === 'string' && /^\d+(\.\d+)?$/.test(limit.trim()) ? Number(limit) : limit;
  if (minLimit !== undefined && (typeof minLimit !== 'number' || !Number.isFinite(minLimit) || minLimit < 0))
    report(reading, 'warning', 'constraint-invalid', [...path, 'minLimit'], `${fieldText(path)}.minLimit must be a number; left out`);
  return {
    type,
    ...(typeof minLimit === 'number' && Number.isFinite(minLimit) && minLimit >= 0 ? { minLimit } : {}),
    components: listAt(reading, item, [...path, 'components']).flatMap((part, index) => componentAt(reading, part, [...path, 'components', index])),
  };
};

const constraintsOf = (reading: Reading, root: unknown): PackFacts['constraints'] => {
  const holder = own(root, 'constraints');
  if (holder === undefined || holder === null) return { dependencies: [], resources: [] };
  if (!isPlainMap(holder)) {
    report(reading, 'error', 'constraint-invalid', ['constraints'], 'constraints must be a map of dependencies and resources');
    return { dependencies: [], resources: [] };
  }
  const at = ['constraints', 'dependencies'];
  const resourcesAt = ['constraints', 'resources'];
  return {
    dependencies: listAt(reading, holder, at)
      .map((item, index) => dependencyAt(reading, item, [...at, index]))
      .filter((item) => item !== undefined),
    resources: listAt(reading, holder, resourcesAt)
      .map((item, index) => resourceAt(reading, item, [...resourcesAt, index]))
      .filter((item) => item !== undefined),
  };
};

const checkWords = (reading: Reading, facts: PackFacts): void => {
  if (facts.version !== '' && valid(facts.version.replace(/^v/, '')) === null)
    report(reading, 'warning', 'version-not-semver', ['version'], `the version ${facts.version} is not semver (like 1.2.3); it is compared part by part`);
  else if (facts.version.startsWith('v'))
    report(reading, 'info', 'version-not-semver', ['version'], `the version ${facts.version} begins with v; it is compared without it`);
  if (facts.layer === '') report(reading, 'error', 'layer-unknown', [], `has no layer; it is one of ${Object.keys(packLayers).join(', ')}`);
  else if (facts.kind === undefined)
    report(reading, 'error', 'layer-unknown', ['layer'], `the layer ${facts.layer} is not one of ${Object.keys(packLayers).join(', ')}`);
  for (const [index, cloud] of facts.cloudTypes.entries())
    if (!cloudTypes.has(cloud)) report(reading, 'warning', 'cloud-type-unknown', ['cloudTypes', index], `the cloud type ${cloud} is not known`);
  for (const key of facts.unknown) report(reading, 'info', 'field-unknown', [key], `the field ${key} has no meaning here`);
};

/** JSON with a comma too many or with comments reads as YAML; tools that read packs strictly refuse it. */
const checkStrict = (reading: Reading, text: string): void => {
  try {
    JSON.parse(text);
  } catch (error) {
    const said = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    report(reading, 'warning', 'pack-json-loose', [], `is not strict JSON (${said.slice(0, 200)}); other tools may refuse it`);
  }
};

/** Names and versions become parts of references, paths and labels later on, so what could lead elsewhere there stops here. */
const checkName = (reading: Reading, key: 'name' | 'version', value: string): boolean => {
  if (value === '') {
    report(reading, 'error', 'pack-json-field', [], `has no ${key}`);
    return false;
  }
  const isGood = key === 'name' ? /^[A-Za-z0-9][\w. -]{0,127}$/.test(value) : /^[A-Za-z0-9][\w.+-]{0,127}$/.test(value);
  if (!isGood || value.includes('..')) {
    report(reading, 'error', 'pack-name-invalid', [key], `${key} may have letters, digits, dots, dashes and underscores, at most 128 of them`);
    return false;
  }
  if (key === 'name' && !/^[a-z0-9][a-z0-9.-]*$/.test(value))
    report(reading, 'warning', 'pack-name-odd', [key], `the name ${value} is usually written in lower-case letters, digits and dashes`);
  return true;
};

export interface ReadFacts {
  /** Absent when there is no name or version, or no JSON at all; the findings say why. */
  facts?: PackFacts;
  findings: Finding[];
}

/** Reads pack.json. Lenient where packs of the wild are; what it had to put up with is in the findings, each at its line. Never throws. */
export const parsePackJson = (given: string, file = 'pack.json'): ReadFacts => {
  const text = given.replace(/^\uFEFF/, '');
  const { source, findings } = readSource(text, file);
  if (source === undefined) return { findings: findings.map((finding) => ({ ...finding, code: 'pack-json-malformed' })) };
  const reading: Reading = { source, findings: [...findings] };
  const root = source.plain;
  if (!isPlainMap(root)) {
    report(reading, 'error', 'pack-json-malformed', [], 'must be an object with name, version and layer');
    return { findings: reading.findings };
  }
  checkStrict(reading, text);
  const name = textAt(reading, root, ['name']) ?? '';
  const version = textAt(reading, root, ['version']) ?? '';
  const isNamed = [checkName(reading, 'name', name), checkName(reading, 'version', version)].every(Boolean);
  const displayName = textAt(reading, root, ['displayName']) ?? '';
  if (displayName === '') report(reading, 'warning', 'pack-json-field', [], 'has no displayName; the name is shown instead');
  const layer = textAt(reading, root, ['layer']) ?? '';
  const kind = Object.hasOwn(packLayers, layer) ? packLayers[layer] : undefined;
  const single = textAt(reading, root, ['cloudType']);
  const optional = (key: 'addonType' | 'addonSubType' | 'group' | 'eol'): Record<string, string> => {
    const value = textAt(reading, root, [key]);
    return value === undefined || value === '' ? {} : { [key]: value };
  };
  const facts: PackFacts = {
    name,
    displayName: displayName === '' ? name : displayName,
    version,
    layer,
    ...(kind === undefined ? {} : { kind }),
    cloudTypes: [...new Set([...textsAt(reading, root, ['cloudTypes']), ...(single === undefined || single === '' ? [] : [single])])],
    ...optional('addonType'),
    ...optional('addonSubType'),
    ...optional('group'),
    ...optional('eol'),
    annotations: annotationsOf(reading, root),
    charts: filesAt(reading, root, ['charts']),
    kubeManifests: filesAt(reading, root, ['kubeManifests']),
    ansibleRoles: textsAt(reading, root, ['ansibleRoles']),
    constraints: constraintsOf(reading, root),
    unknown: Object.keys(root).filter((key) => !documented.has(key)),
  };
  checkWords(reading, facts);
  return isNamed ? { facts, findings: reading.findings } : { findings: reading.findings };
};
