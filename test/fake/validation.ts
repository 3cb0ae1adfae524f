import { isDeepStrictEqual } from 'node:util';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { refText, type KubeObject } from '@groundplane/protocol/kubernetes';

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
const at = (object: unknown, ...path: string[]): unknown => path.reduce<unknown>((value, field) => record(value)[field], object);

export const elementOf = (object: KubeObject): string =>
  refText({
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name ?? '',
    ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
  });

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dnsLabel = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
/** RBAC names only have to fit into a path. */
const freeNames = new Set(['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);

/** etcd refuses requests above 1.5 MiB; a ConfigMap or Secret may hold 1 MiB of values. */
const objectBytesMax = 1.5 * 1024 * 1024;
const dataBytesMax = 1024 * 1024;

const invalid = (object: KubeObject, field: string, message: string): ReturnType<typeof fail> =>
  fail(
    'fatal',
    'object-invalid',
    elementOf(object),
    `The API server answered 422: ${object.kind} "${object.metadata.name ?? ''}" is invalid: ${field}: ${message}`,
  );

const checkName = (object: KubeObject): Result<void> => {
  const name = object.metadata.name ?? '';
  if (name === '' || name === '.' || name === '..' || /[/%]/.test(name) || name.length > 253)
    return invalid(object, 'metadata.name', `Invalid value: ${JSON.stringify(name.slice(0, 100))}`);
  if (freeNames.has(object.kind)) return ok(undefined);
  const pattern = object.kind === 'Service' || object.kind === 'Namespace' ? dnsLabel : subdomain;
  return pattern.test(name) ? ok(undefined) : invalid(object, 'metadata.name', `Invalid value: ${JSON.stringify(name)}: must be a lower-case DNS name`);
};

const checkLabels = (object: KubeObject): Result<void> => {
  for (const [name, value] of Object.entries(object.metadata.labels ?? {})) {
    if (typeof value !== 'string' || !/^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/.test(value))
      return invalid(object, 'metadata.labels', `Invalid value: ${JSON.stringify(value)} of ${name}`);
  }
  return ok(undefined);
};

const checkContainers = (object: KubeObject, path: string, containers: unknown): Result<void> => {
  if (!Array.isArray(containers) || containers.length === 0) return invalid(object, path, 'Required value');
  for (const [index, container] of containers.entries()) {
    for (const field of ['name', 'image']) {
      if (typeof at(container, field) !== 'string' || at(container, field) === '') return invalid(object, `${path}[${index}].${field}`, 'Required value');
    }
  }
  return ok(undefined);
};

const selecting = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet']);

const checkWorkload = (object: KubeObject): Result<void> => {
  if (object.kind === 'Pod') return checkContainers(object, 'spec.containers', at(object, 'spec', 'containers'));
  if (!selecting.has(object.kind) && object.kind !== 'Job') return ok(undefined);
  if (selecting.has(object.kind)) {
    const wanted = record(at(object, 'spec', 'selector', 'matchLabels'));
    const given = record(at(object, 'spec', 'template', 'metadata', 'labels'));
    if (at(object, 'spec', 'selector') === undefined) return invalid(object, 'spec.selector', 'Required value');
    if (Object.entries(wanted).some(([name, value]) => given[name] !== value))
      return invalid(object, 'spec.template.metadata.labels', '`selector` does not match template `labels`');
    const replicas = at(object, 'spec', 'replicas');
    if (replicas !== undefined && (typeof replicas !== 'number' || replicas < 0)) return invalid(object, 'spec.replicas', 'must be greater than or equal to 0');
  }
  return checkContainers(object, 'spec.template.spec.containers', at(object, 'spec', 'template', 'spec', 'containers'));
};

const checkSize = (object: KubeObject): Result<void> => {
  if (object.kind === 'ConfigMap' || object.kind === 'Secret') {
    const values = [...Object.values(record(object['data'])), ...Object.values(record(object['binaryData']))];
    if (values.some((value) => typeof value !== 'string')) return invalid(object, 'data', 'values must be strings');
    const bytes = values.reduce<number>((sum, value) => sum + Buffer.byteLength(value as string), 0);
    if (bytes > dataBytesMax) return invalid(object, '[]', `Too long: may not be more than ${dataBytesMax} bytes`);
  }
  const isTooLarge = Buffer.byteLength(JSON.stringify(object)) > objectBytesMax;
  return isTooLarge ? fail('fatal', 'object-invalid', elementOf(object), 'The API server answered 500: etcdserver: request is too large') : ok(undefined);
};

/** As little of Kubernetes' validation as makes wrong manifests fail like they do for real. */
export const validate = (object: KubeObject): Result<void> => {
  for (const check of [checkName, checkLabels, checkWorkload, checkSize]) {
    const checked = check(object);
    if (!checked.ok) return checked;
  }
  return ok(undefined);
};

/** Fields that are fixed once the object exists, per kind, as paths below the object. */
const fixedFields: Record<string, readonly string[][]> = {
  Deployment: [['spec', 'selector']],
  DaemonSet: [['spec', 'selector']],
  ReplicaSet: [['spec', 'selector']],
  Job: [
    ['spec', 'selector'],
    ['spec', 'template'],
    ['spec', 'completions'],
  ],
  RoleBinding: [['roleRef']],
  ClusterRoleBinding: [['roleRef']],
  Secret: [['type']],
  StorageClass: [['provisioner'], ['parameters'], ['reclaimPolicy']],
  CustomResourceDefinition: [
    ['spec', 'scope'],
    ['spec', 'names', 'kind'],
    ['spec', 'names', 'plural'],
  ],
};

const changeableOfStatefulSet = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
  'revisionHistoryLimit',
]);

const immutable = (object: KubeObject, field: string, message: string = 'field is immutable'): ReturnType<typeof fail> =>
  fail(
    'fatal',
    'immutable-field',
    elementOf(object),
    `The API server answered 422: ${object.kind} "${object.metadata.name ?? ''}" is invalid: ${field}: Invalid value: ${message}`,
  );

/** Refuses changes that Kubernetes never allows. */
export const checkImmutable = (live: KubeObject, next: KubeObject): Result<void> => {
  for (const path of fixedFields[next.kind] ?? []) {
    if (at(live, ...path) !== undefined && !isDeepStrictEqual(at(live, ...path), at(next, ...path))) return immutable(next, path.join('.'));
  }
  if (next.kind === 'StatefulSet') {
    const [before, after] = [record(live['spec']), record(next['spec'])];
    const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].find(
      (field) => !changeableOfStatefulSet.has(field) && !isDeepStrictEqual(before[field], after[field]),
    );
    if (changed !== undefined)
      return immutable(next, 'spec', "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' and a few others are forbidden");
  }
  if (
    (next.kind === 'ConfigMap' || next.kind === 'Secret') &&
    live['immutable'] === true &&
    !isDeepStrictEqual([live['data'], live['binaryData']], [next['data'], next['binaryData']])
  ) {
    return immutable(next, 'data', 'field is immutable when `immutable` is set');
  }
  return ok(undefined);
};
