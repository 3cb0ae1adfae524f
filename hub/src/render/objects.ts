import { isRecord } from '@groundplane/protocol/record';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { refKey, refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { limits } from '@groundplane/protocol/limits';
import { parseAllDocuments } from 'yaml';
import { groupKind, isClusterScoped } from './kinds.ts';
import { kubernetesYaml } from './yaml.ts';

/**
 * Reads the documents of one YAML text as plain data. YAML 1.1 booleans and numbers are read the way Kubernetes reads them (YAML to JSON by the 1.1 core rules
 * that `sigs.k8s.io/yaml` keeps: `yes` and `on` are booleans there). Duplicate keys, too many aliases and broken YAML are failures with a line.
 */
const parseYaml = (text: string, element: string): Result<unknown[]> => {
  if (text.length > limits.yamlBytes) return fail('fatal', 'manifest-too-large', element, `has more than ${limits.yamlBytes} bytes`);
  const documents = parseAllDocuments(text, kubernetesYaml);
  if (!Array.isArray(documents)) return ok([]);
  const values: unknown[] = [];
  for (const document of documents) {
    const error = document.errors[0];
    if (error !== undefined) return fail('fatal', 'manifest-malformed', element, error.message.split('\n')[0] ?? error.message);
    try {
      values.push(document.toJS({ maxAliasCount: limits.yamlAliases }));
    } catch (problem) {
      return fail('fatal', 'manifest-malformed', element, problem instanceof Error ? problem.message : String(problem));
    }
  }
  return ok(values);
};

const checkObject = (value: unknown, element: string, number: number): Result<KubeObject> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'manifest-invalid', element, `document ${number}: ${why}`);
  if (!isRecord(value)) return wrong('is not an object with apiVersion, kind and metadata');
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== 'string' || apiVersion === '') return wrong('has no apiVersion');
  if (typeof kind !== 'string' || kind === '') return wrong('has no kind');
  if (!isRecord(metadata)) return wrong(`${kind} has no metadata`);
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '')
    return wrong(
      metadata['generateName'] === undefined
        ? `${kind} has no metadata.name`
        : `${kind} uses generateName; give it a name, since a desired object needs an identity`,
    );
  if (name.length > 253 || !/^[A-Za-z0-9]([-A-Za-z0-9_.:]*[A-Za-z0-9])?$/.test(name))
    return wrong(`${kind} has the name "${name.slice(0, 64)}", which Kubernetes does not take`);
  if (namespace !== undefined && (typeof namespace !== 'string' || !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)))
    return wrong(`${kind} ${name} has a namespace that Kubernetes does not take`);
  const { status: _status, ...rest } = value;
  const { creationTimestamp: _time, managedFields: _managed, resourceVersion: _version, uid: _uid, ...kept } = metadata;
  return ok({ ...rest, apiVersion, kind, metadata: { ...kept, name } });
};

/** Kubernetes objects of a YAML text; lists are taken apart, empty documents skipped. */
export const parseObjects = (text: string, element: string): Result<KubeObject[]> => {
  const values = parseYaml(text, element);
  if (!values.ok) return values;
  const objects: KubeObject[] = [];
  for (const [index, value] of values.value.entries()) {
    if (value === null || value === undefined) continue;
    const isList = isRecord(value) && typeof value['kind'] === 'string' && value['kind'].endsWith('List') && Array.isArray(value['items']);
    for (const item of isList ? (value['items'] as unknown[]) : [value]) {
      const object = checkObject(item, element, index + 1);
      if (!object.ok) return object;
      objects.push(object.value);
    }
  }
  return objects.length > limits.objectsPerLayer
    ? fail('fatal', 'layer-too-large', element, `makes ${objects.length} objects; a layer has at most ${limits.objectsPerLayer}`)
    : ok(objects);
};

/** What CRDs say about the scope of their kinds. */
export const customScopes = (objects: readonly KubeObject[]): Map<string, boolean> => {
  const scopes = new Map<string, boolean>();
  for (const object of objects) {
    const spec = object['spec'];
    if (object.kind !== 'CustomResourceDefinition' || !isRecord(spec) || !isRecord(spec['names'])) continue;
    const { kind } = spec['names'];
    if (typeof kind === 'string' && typeof spec['group'] === 'string') scopes.set(groupKind(`${spec['group']}/v1`, kind), spec['scope'] === 'Cluster');
  }
  return scopes;
};

/** `group/version` and `group/version/Kind` of everything that CRDs define, as `.Capabilities.APIVersions` spells it. */
export const customApis = (objects: readonly KubeObject[]): string[] => {
  const apis = new Set<string>();
  for (const object of objects) {
    const spec = object['spec'];
    if (object.kind !== 'CustomResourceDefinition' || !isRecord(spec) || !isRecord(spec['names']) || !Array.isArray(spec['versions'])) continue;
    for (const version of spec['versions'] as unknown[]) {
      if (!isRecord(version) || version['served'] === false || typeof version['name'] !== 'string' || typeof spec['group'] !== 'string') continue;
      apis.add(`${spec['group']}/${version['name']}`);
      if (typeof spec['names']['kind'] === 'string') apis.add(`${spec['group']}/${version['name']}/${spec['names']['kind']}`);
    }
  }
  return [...apis].toSorted();
};

/** Gives every namespaced object a namespace and takes it from cluster-scoped ones, as `kubectl apply -n` does. */
export const placeObject = (object: KubeObject, namespace: string, scopes: ReadonlyMap<string, boolean>): { object: KubeObject; ref: ObjectRef } => {
  const { namespace: own, ...metadata } = object.metadata;
  const isCluster = isClusterScoped(object.apiVersion, object.kind, scopes);
  const placed = isCluster ? { ...object, metadata } : { ...object, metadata: { ...metadata, namespace: own ?? namespace } };
  const ref: ObjectRef = {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name ?? '',
    ...(isCluster ? {} : { namespace: own ?? namespace }),
  };
  return { object: placed, ref };
};

/** The first object that stands in a bundle twice; two layers would fight over it for ever. */
export const findTwice = (layers: readonly { name: string; objects: readonly { ref: ObjectRef }[] }[]): Result<void> => {
  const seen = new Map<string, string>();
  for (const layer of layers) {
    for (const { ref } of layer.objects) {
      const other = seen.get(refKey(ref));
      if (other !== undefined)
        return fail(
          'fatal',
          'object-twice',
          `layer ${layer.name}`,
          `${refText(ref)} is ${other === layer.name ? 'in this layer twice' : `in layer ${other} too`}; only one layer can own it`,
        );
      seen.set(refKey(ref), layer.name);
    }
  }
  return ok(undefined);
};
