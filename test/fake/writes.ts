import { isDeepStrictEqual } from 'node:util';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject, ObjectRef } from '@groundplane/protocol/kubernetes';
import type { ApplyOptions, DeleteOptions } from '@groundplane/agent/port/cluster';
import type { Clock } from '@groundplane/agent/port/clock';
import { allKinds, findKind, type KindFacts } from './kinds.ts';
import { applyFields, updateFields } from './managed-fields.ts';
import { refOf, type ObjectStore } from './object-store.ts';
import { checkImmutable, elementOf, validate } from './validation.ts';

/** What changes a simulated cluster; all of it happens at once, as in one etcd transaction. */
export interface Writes {
  kind(apiVersion: string, kind: string): Result<KindFacts>;
  kinds(): KindFacts[];
  apply(object: KubeObject, options: ApplyOptions): Result<KubeObject>;
  create(object: KubeObject, manager: string): Result<KubeObject>;
  replace(object: KubeObject, manager: string): Result<KubeObject>;
  delete(ref: ObjectRef, options: DeleteOptions): Result<void>;
  /** For controllers: replaces the status alone. */
  writeStatus(ref: ObjectRef, status: Record<string, unknown>): void;
}

const isTerminating = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;

const comparable = (object: KubeObject): unknown => {
  const { resourceVersion: _version, managedFields, ...metadata } = object.metadata;
  // The time of an entry alone is no change.
  return { ...object, metadata: { ...metadata, managedFields: (managedFields ?? []).map(({ time: _time, ...entry }) => entry) } };
};

const isSpecChanged = (before: KubeObject, after: KubeObject): boolean => {
  const content = ({ metadata: _metadata, status: _status, ...rest }: KubeObject): unknown => rest;
  return !isDeepStrictEqual(content(before), content(after));
};

interface World {
  store: ObjectStore;
  clock: Clock;
}

const now = ({ clock }: World): string => new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
const definitions = ({ store }: World): KubeObject[] => store.all().filter((object) => object.kind === 'CustomResourceDefinition');

const kind = (world: World, apiVersion: string, name: string): Result<KindFacts> => {
  const known = findKind(apiVersion, name, []) ?? findKind(apiVersion, name, definitions(world));
  return known === undefined ? fail('retry', 'kind-unknown', `${name} (${apiVersion})`, `The API server does not serve ${name} in ${apiVersion}.`) : ok(known);
};

/** The rules about namespaces, and whether a new object may come into one. */
const checkPlace = ({ store }: World, object: KubeObject, facts: KindFacts, isNew: boolean): Result<void> => {
  const { namespace } = object.metadata;
  if (!facts.namespaced)
    return namespace === undefined ? ok(undefined) : fail('fatal', 'object-invalid', elementOf(object), `${object.kind} is not in any namespace.`);
  if (namespace === undefined) return fail('fatal', 'object-invalid', elementOf(object), `${object.kind} needs metadata.namespace.`);
  const home = store.read({ apiVersion: 'v1', kind: 'Namespace', name: namespace });
  if (isNew && (home === undefined || isTerminating(home)))
    return fail('retry', 'namespace-missing', elementOf(object), `The API server answered 404: namespaces "${namespace}" not found`);
  return ok(undefined);
};

/** Nobody who writes an object can change these. */
const keepServerFields = (live: KubeObject, object: KubeObject, facts: KindFacts): void => {
  for (const field of ['uid', 'creationTimestamp', 'deletionTimestamp', 'generation', 'resourceVersion'] as const) {
    delete object.metadata[field];
    if (live.metadata[field] !== undefined) Object.assign(object.metadata, { [field]: live.metadata[field] });
  }
  if (facts.hasStatus) {
    delete object['status'];
    if (live['status'] !== undefined) object['status'] = live['status'];
  }
  if (facts.hasGeneration && isSpecChanged(live, object)) object.metadata.generation = (live.metadata.generation ?? 0) + 1;
};

/** Completes what only the server writes, and stores it unless nothing changed or it is a rehearsal. */
const commit = (world: World, live: KubeObject | undefined, next: KubeObject, facts: KindFacts, dryRun: boolean): Result<KubeObject> => {
  const object = structuredClone(next);
  const { metadata } = object;
  if (live === undefined) {
    metadata.uid = world.store.nextUid();
    metadata.creationTimestamp = now(world);
    if (facts.hasGeneration) metadata.generation = 1;
    if (facts.hasStatus) delete object['status'];
    if (object.kind === 'Namespace') object['status'] = { phase: 'Active' };
  } else {
    const allowed = checkImmutable(live, object);
    if (!allowed.ok) return allowed;
    keepServerFields(live, object, facts);
  }
  const valid = validate(object);
  if (!valid.ok) return valid;
  if (live !== undefined && isDeepStrictEqual(comparable(live), comparable(object))) return ok(live);
  if (dryRun) return ok(object);
  const isFreed = isTerminating(object) && (metadata.finalizers ?? []).length === 0;
  if (!isFreed) return ok(world.store.put(object));
  finishDelete(world, object, 'Background');
  return ok(object);
};

const apply = (world: World, object: KubeObject, options: ApplyOptions): Result<KubeObject> => {
  const facts = kind(world, object.apiVersion, object.kind);
  if (!facts.ok) return facts;
  const config = structuredClone(object);
  delete config.metadata.managedFields;
  if (facts.value.hasStatus) delete config['status'];
  const live = world.store.read(refOf(config));
  const placed = checkPlace(world, config, facts.value, live === undefined);
  if (!placed.ok) return placed;
  const { uid } = config.metadata;
  if (uid !== undefined && live === undefined)
    return fail('retry', 'conflict', elementOf(object), `The API server answered 409: uid mismatch: the provided object specified uid ${uid}, and no existing object was found`); // prettier-ignore
  if (uid !== undefined && uid !== live?.metadata.uid)
    return fail('fatal', 'immutable-field', elementOf(object), `The API server answered 422: metadata.uid: Invalid value: "${uid}": field is immutable`);
  const wanted = config.metadata.resourceVersion;
  if (wanted !== undefined && wanted !== live?.metadata.resourceVersion)
    return fail('retry', 'conflict', elementOf(object), 'The API server answered 409: the object has been modified');
  const applied = applyFields(live, config, { manager: options.fieldManager, force: options.force, time: now(world) });
  if ('object' in applied) return commit(world, live, applied.object, facts.value, options.dryRun === true);
  const lines = applied.conflicts.map(({ manager, path }) => `conflict with "${manager}": ${path}`);
  return fail(
    'blocked',
    'field-conflict',
    elementOf(object),
    `The API server answered 409: Apply failed with ${lines.length} conflict${lines.length === 1 ? '' : 's'}: ${lines.join(', ')}`,
  );
};

const create = (world: World, object: KubeObject, manager: string): Result<KubeObject> => {
  const facts = kind(world, object.apiVersion, object.kind);
  if (!facts.ok) return facts;
  const named = structuredClone(object);
  if (named.metadata.name === undefined && named.metadata.generateName !== undefined)
    named.metadata.name = `${named.metadata.generateName}${world.store.nextUid().slice(-5)}`;
  const live = world.store.read(refOf(named));
  const placed = checkPlace(world, named, facts.value, true);
  if (!placed.ok) return placed;
  if (live !== undefined)
    return fail('blocked', 'exists', elementOf(named), `The API server answered 409: ${facts.value.resource} "${named.metadata.name ?? ''}" already exists`);
  return commit(world, undefined, updateFields(undefined, named, { manager, time: now(world) }), facts.value, false);
};

const replace = (world: World, object: KubeObject, manager: string): Result<KubeObject> => {
  const facts = kind(world, object.apiVersion, object.kind);
  if (!facts.ok) return facts;
  if (object.metadata.resourceVersion === undefined)
    return fail('fatal', 'object-invalid', elementOf(object), 'A replace needs metadata.resourceVersion of the object that was read.');
  const live = world.store.read(refOf(object));
  if (live === undefined)
    return fail('retry', 'not-found', elementOf(object), `The API server answered 404: ${facts.value.resource} "${object.metadata.name ?? ''}" not found`);
  if (object.metadata.resourceVersion !== live.metadata.resourceVersion)
    return fail(
      'retry',
      'conflict',
      elementOf(object),
      'The API server answered 409: the object has been modified; please apply your changes to the latest version and try again',
    );
  const next = structuredClone(object);
  if (facts.value.hasStatus) Object.assign(next, { status: live['status'] });
  if (next['status'] === undefined) delete next['status'];
  return commit(world, live, updateFields(live, next, { manager, time: now(world) }), facts.value, false);
};

const dependentsOf = ({ store }: World, uid: string): KubeObject[] => store.all().filter((object) => ownersOf(object).some((owner) => owner.uid === uid));

/** Removes an object and what belongs to it: dependents, the content of a namespace, the objects of a custom kind. */
const finishDelete = (world: World, object: KubeObject, propagation: DeleteOptions['propagation']): void => {
  world.store.remove(refOf(object));
  for (const dependent of dependentsOf(world, object.metadata.uid ?? '')) {
    const owners = ownersOf(dependent).filter((owner) => owner.uid !== object.metadata.uid);
    if (propagation !== 'Orphan' && owners.length === 0) remove(world, refOf(dependent), { propagation });
    else world.store.put({ ...dependent, metadata: { ...dependent.metadata, ownerReferences: owners } });
  }
  if (object.kind === 'Namespace')
    for (const inside of world.store.all()) if (inside.metadata.namespace === object.metadata.name) remove(world, refOf(inside), { propagation: 'Background' });
  if (object.kind === 'CustomResourceDefinition') {
    const spec = (object['spec'] ?? {}) as { group?: string; names?: { kind?: string } };
    for (const one of world.store.all()) if (one.kind === spec.names?.kind && one.apiVersion.startsWith(`${spec.group ?? ''}/`)) world.store.remove(refOf(one));
  }
};

const remove = (world: World, ref: ObjectRef, options: DeleteOptions): Result<void> => {
  const live = world.store.read(ref);
  if (live === undefined) return ok(undefined);
  if (options.uid !== undefined && options.uid !== live.metadata.uid) {
    return fail(
      'blocked',
      'object-replaced',
      elementOf(live),
      `The API server answered 409: Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${live.metadata.uid ?? ''}`,
    );
  }
  if ((live.metadata.finalizers ?? []).length === 0) finishDelete(world, live, options.propagation);
  else if (!isTerminating(live)) world.store.put({ ...live, metadata: { ...live.metadata, deletionTimestamp: now(world), deletionGracePeriodSeconds: 0 } });
  return ok(undefined);
};

const writeStatus = (world: World, ref: ObjectRef, status: Record<string, unknown>): void => {
  const live = world.store.read(ref);
  if (live === undefined || isDeepStrictEqual(live['status'], status)) return;
  world.store.put(updateFields(live, { ...live, status }, { manager: 'kube-controller-manager', subresource: 'status', time: now(world) }));
};

export const writes = (world: World): Writes => ({
  kind: (apiVersion, name) => kind(world, apiVersion, name),
  kinds: () => allKinds(definitions(world)),
  apply: (object, options) => apply(world, object, options),
  create: (object, manager) => create(world, object, manager),
  replace: (object, manager) => replace(world, object, manager),
  delete: (ref, options) => remove(world, ref, options),
  writeStatus: (ref, status) => writeStatus(world, ref, status),
});

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

export const ownersOf = (object: KubeObject): OwnerReference[] => (object.metadata['ownerReferences'] as OwnerReference[] | undefined) ?? [];
