import { isDeepStrictEqual } from 'node:util';
import type { FieldsV1, KubeObject } from '@groundplane/protocol/kubernetes';

/**
 * Paths of fields in the notation of Kubernetes' managedFields: elements `f:name`, `k:{"name":"x"}`, `v:"x"`. A set holds them joined by newlines,
 * which no element contains.
 */
export type FieldSet = Set<string>;
export type Json = null | boolean | number | string | Json[] | { [field: string]: Json };
type JsonMap = { [field: string]: Json };

const join = (elements: readonly string[]): string => elements.join('\n');
const split = (path: string): string[] => path.split('\n');

export const isMap = (value: unknown): value is JsonMap => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Merge keys of lists, by `parent.field` or `field`; from the `+listMapKey` markers in k8s.io/api. A key with a default may be absent. */
const listKeys: Record<string, readonly (readonly [key: string, byDefault?: string])[]> = {
  containers: [['name']],
  initContainers: [['name']],
  ephemeralContainers: [['name']],
  'containers.ports': [['containerPort'], ['protocol', 'TCP']],
  'initContainers.ports': [['containerPort'], ['protocol', 'TCP']],
  'spec.ports': [['port'], ['protocol', 'TCP']],
  env: [['name']],
  volumeMounts: [['mountPath']],
  volumeDevices: [['devicePath']],
  volumes: [['name']],
  imagePullSecrets: [['name']],
  secrets: [['name']],
  hostAliases: [['ip']],
  topologySpreadConstraints: [['topologyKey'], ['whenUnsatisfiable']],
  schedulingGates: [['name']],
  resourceClaims: [['name']],
  conditions: [['type']],
  'status.addresses': [['type']],
  podIPs: [['ip']],
  webhooks: [['name']],
};

/** Maps that change as one value (`+structType=atomic`, `+mapType=atomic`). */
const atomicMaps = new Set([
  'selector',
  'labelSelector',
  'podSelector',
  'namespaceSelector',
  'nodeSelector',
  'secretKeyRef',
  'configMapKeyRef',
  'fieldRef',
  'resourceFieldRef',
]);
const atomicMapsElsewhere = new Set(['roleRef', 'scaleTargetRef', 'targetRef', 'secretRef', 'claimRef']);

/** Rules differ for custom resources: without a schema their maps are granular and their lists atomic. */
export const isBuiltIn = (apiVersion: string): boolean =>
  !apiVersion.includes('/') || /^(apps|batch|autoscaling|policy)\//.test(apiVersion) || /\.k8s\.io\//.test(apiVersion);

type ListRule = { type: 'atomic' } | { type: 'set' } | { type: 'map'; keys: readonly (readonly [string, string?])[] };

const listRule = (names: readonly string[], builtIn: boolean): ListRule => {
  const field = names.at(-1) ?? '';
  const parent = names.at(-2) ?? '';
  if (parent === 'metadata' && field === 'finalizers') return { type: 'set' };
  if (parent === 'metadata' && field === 'ownerReferences') return { type: 'map', keys: [['uid']] };
  if (!builtIn) return { type: 'atomic' };
  // The ports of a NetworkPolicy or a StatefulSet's claims share names with keyed lists, but sit deeper in the spec.
  const keys = listKeys[`${parent}.${field}`] ?? listKeys[field];
  return keys === undefined ? { type: 'atomic' } : { type: 'map', keys };
};

const isAtomicMap = (names: readonly string[], builtIn: boolean): boolean => {
  const field = names.at(-1) ?? '';
  return builtIn && names.length > 1 && (atomicMaps.has(field) || atomicMapsElsewhere.has(field));
};

/** `k:{...}` of an item; undefined when a key is missing, which makes the list invalid. */
const itemKey = (item: Json, keys: readonly (readonly [string, string?])[]): string | undefined => {
  if (!isMap(item)) return undefined;
  const key: JsonMap = {};
  for (const [name, byDefault] of [...keys].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const value = item[name] ?? byDefault;
    if (value === undefined || value === null) return undefined;
    key[name] = value;
  }
  return `k:${JSON.stringify(key)}`;
};

/** Items of a list by path element; undefined when the list is one value (atomic, or not keyed as its kind demands). */
const itemsByElement = (list: readonly Json[], rule: ListRule): Map<string, Json> | undefined => {
  if (rule.type === 'atomic') return undefined;
  const items = new Map<string, Json>();
  for (const item of list) {
    const element = rule.type === 'set' ? `v:${JSON.stringify(item)}` : itemKey(item, rule.keys);
    if (element === undefined || items.has(element)) return undefined;
    items.set(element, item);
  }
  return items;
};

const collect = (value: Json, path: string[], names: string[], builtIn: boolean, into: FieldSet): void => {
  if (isMap(value) && Object.keys(value).length > 0 && !isAtomicMap(names, builtIn)) {
    for (const [field, inner] of Object.entries(value)) if (inner !== null) collect(inner, [...path, `f:${field}`], [...names, field], builtIn, into);
    return;
  }
  const items = Array.isArray(value) && value.length > 0 ? itemsByElement(value, listRule(names, builtIn)) : undefined;
  if (items === undefined) {
    into.add(join(path));
    return;
  }
  for (const [element, item] of items) {
    into.add(join([...path, element]));
    if (isMap(item)) collect(item, [...path, element], names, builtIn, into);
  }
};

const serverFields = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
  'name',
  'namespace',
];

/** Fields somebody can own: everything but the identity and what only the server writes. */
export const ownableFields = (object: KubeObject): FieldSet => {
  const { apiVersion, kind: _kind, metadata, ...rest } = object;
  const kept = Object.fromEntries(Object.entries(metadata).filter(([field]) => !serverFields.includes(field)));
  const fields: FieldSet = new Set();
  const content = { ...rest, ...(Object.keys(kept).length > 0 ? { metadata: kept } : {}) } as JsonMap;
  for (const [field, value] of Object.entries(content))
    if (value !== null && value !== undefined) collect(value, [`f:${field}`], [field], isBuiltIn(apiVersion), fields);
  return fields;
};

/** A list item's rule depends on the names above it, which `k:` elements do not add to. */
const namesOf = (elements: readonly string[]): string[] => elements.filter((element) => element.startsWith('f:')).map((element) => element.slice(2));

/** Value at a path; undefined when absent. */
export const valueAt = (object: KubeObject, path: string): Json | undefined => {
  const builtIn = isBuiltIn(object.apiVersion);
  let value: Json | undefined = object as unknown as Json;
  const elements = split(path);
  for (const [depth, element] of elements.entries()) {
    if (element.startsWith('f:')) value = isMap(value) ? value[element.slice(2)] : undefined;
    else value = Array.isArray(value) ? itemsByElement(value, listRule(namesOf(elements.slice(0, depth)), builtIn))?.get(element) : undefined;
    if (value === undefined) return undefined;
  }
  return value;
};

/** Removes what is at a path, and the maps and lists that this leaves empty, except the top-level ones. Changes the object. */
export const removeAt = (object: KubeObject, path: string): void => {
  const elements = split(path);
  const last = elements.at(-1) ?? '';
  const parentPath = join(elements.slice(0, -1));
  const parent = elements.length === 1 ? (object as unknown as Json) : valueAt(object, parentPath);
  if (isMap(parent)) delete parent[last.slice(2)];
  else if (Array.isArray(parent)) {
    const item = valueAt(object, path);
    const index = parent.indexOf(item as Json);
    if (index >= 0) parent.splice(index, 1);
  }
  const isEmpty = Array.isArray(parent) ? parent.length === 0 : isMap(parent) && Object.keys(parent).length === 0;
  if (isEmpty && elements.length > 1 && (elements.at(-2) ?? '').startsWith('f:') && parentPath !== 'f:metadata' && parentPath !== 'f:spec')
    removeAt(object, parentPath);
};

const mergeLists = (live: Json[], config: Json[], names: string[], builtIn: boolean): Json[] => {
  const rule = listRule(names, builtIn);
  const left = itemsByElement(live, rule);
  const right = itemsByElement(config, rule);
  if (left === undefined || right === undefined) return config;
  // The order of the applied list wins; items only the live list has stay before the next item both have.
  const merged: Json[] = [];
  const taken = new Set<string>();
  const leftOver = [...left];
  for (const [element, item] of right) {
    if (left.has(element)) {
      while (leftOver.length > 0) {
        const [other, value] = leftOver.shift() as [string, Json];
        if (other === element) break;
        if (!right.has(other) && !taken.has(other)) merged.push(value);
        taken.add(other);
      }
    }
    const mine = left.get(element);
    merged.push(mine === undefined ? item : mergeValues(mine, item, names, builtIn, true));
    taken.add(element);
  }
  for (const [element, value] of leftOver) if (!right.has(element) && !taken.has(element)) merged.push(value);
  return merged;
};

const mergeValues = (live: Json, config: Json, names: string[], builtIn: boolean, isItem: boolean = false): Json => {
  if (Array.isArray(live) && Array.isArray(config)) return mergeLists(live, config, names, builtIn);
  if (!isMap(live) || !isMap(config) || (!isItem && isAtomicMap(names, builtIn))) return config;
  const merged: JsonMap = { ...live };
  for (const [field, value] of Object.entries(config)) {
    if (value === null) continue;
    const mine = live[field];
    merged[field] = mine === undefined || mine === null ? value : mergeValues(mine, value, [...names, field], builtIn);
  }
  return merged;
};

/** Live object with everything of the applied configuration in it. */
export const mergeObjects = (live: KubeObject, config: KubeObject): KubeObject =>
  structuredClone(mergeValues(live as unknown as Json, config as unknown as Json, [], isBuiltIn(config.apiVersion))) as unknown as KubeObject;

/** Fields of either object whose value differs; `removed` are those only the first has. */
export const compareFields = (before: KubeObject, after: KubeObject): { changed: FieldSet; removed: FieldSet } => {
  const old = ownableFields(before);
  const fresh = ownableFields(after);
  return {
    changed: new Set([...fresh].filter((path) => !isSame(valueAt(before, path), valueAt(after, path), path))),
    removed: new Set([...old].filter((path) => valueAt(after, path) === undefined)),
  };
};

/** A list item itself is only there or not; its fields have paths of their own. */
export const isSame = (a: Json | undefined, b: Json | undefined, path: string): boolean => {
  const last = path.slice(path.lastIndexOf('\n') + 1);
  return last.startsWith('k:') ? (a === undefined) === (b === undefined) : isDeepStrictEqual(a, b);
};

/** The tree form of managedFields. */
export const toFieldsV1 = (fields: FieldSet): FieldsV1 => {
  const root: FieldsV1 = {};
  const all = [...fields].sort();
  for (const path of all) {
    let node = root;
    for (const element of split(path)) node = node[element] ??= {};
  }
  // An item that is owned itself and has owned fields below says so with a dot.
  for (const path of all) {
    const elements = split(path);
    const node = elements.reduce<FieldsV1>((at, element) => at[element] ?? {}, root);
    if (Object.keys(node).length > 0) node['.'] = {};
  }
  return root;
};

export const fromFieldsV1 = (tree: FieldsV1, path: string[] = [], into: FieldSet = new Set()): FieldSet => {
  const keys = Object.keys(tree);
  if (path.length > 0 && (keys.length === 0 || keys.includes('.'))) into.add(join(path));
  for (const key of keys) if (key !== '.') fromFieldsV1(tree[key] ?? {}, [...path, key], into);
  return into;
};

/** `.spec.containers[name="web"].image`, as the API server writes paths in conflicts. */
export const pathText = (path: string): string =>
  split(path)
    .map((element) => {
      if (element.startsWith('f:')) return `.${element.slice(2)}`;
      if (element.startsWith('v:')) return `[${element.slice(2)}]`;
      const key = JSON.parse(element.slice(2)) as Record<string, Json>;
      return `[${Object.entries(key)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(',')}]`;
    })
    .join('');
