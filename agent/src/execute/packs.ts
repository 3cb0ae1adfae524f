import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import type { Digest } from '@groundplane/protocol/digest';
import type { StepArgs } from '@groundplane/protocol/plan/steps';
import { fieldManager, layerLabel, managedLabel } from '../observe/packs.ts';
import { ownedFields, projectionDigest } from '../observe/projection.ts';
import type { Cluster } from '../port/cluster.ts';
import type { AgentWrite } from '../port/store.ts';
import { intendedRecord, isIntended, writes, type ObjectRecord } from '../store/state.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { isDrift, noteHealed } from './drift.ts';

export const clusterOf = (context: ExecuteContext, element: string): Result<Cluster> =>
  context.cluster === undefined ? fail('retry', 'api-unreachable', element, 'there is no connection to a Kubernetes API server') : ok(context.cluster);

/** The object as stored in the bundle. It was written by the hub and its digest was checked, so its form is trusted. */
export const contentObject = (context: ExecuteContext, digest: Digest, element: string): Result<KubeObject> => {
  const text = context.state.content(digest);
  return text === undefined ? fail('retry', 'content-missing', element, `the content ${digest} is not here`) : ok(JSON.parse(text) as KubeObject);
};

/** Our labels are put on here and not when rendering, so that clusters with equal inputs share one blob. */
export const labelled = (object: KubeObject, layer: string): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, labels: { ...object.metadata.labels, [managedLabel]: 'true', [layerLabel]: layer } },
});

export const ensureNamespace: Executor<'ensureNamespace'> = async (args, context) => {
  const namespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: args.namespace } };
  const ref: ObjectRef = { apiVersion: 'v1', kind: 'Namespace', name: args.namespace };
  const found = clusterOf(context, args.namespace);
  if (!found.ok) return found;
  const there = await found.value.get(ref);
  if (there.ok && context.state.object(ref) === undefined) return ok([]);
  if (!there.ok && there.failure.code !== 'not-found') return there;
  return applyTo(context, found.value, { layer: args.layer, ref, object: namespace, digest: 'sha256:namespace', force: true, adopted: false, keep: false });
};

interface Application {
  layer: string;
  ref: ObjectRef;
  object: KubeObject;
  digest: Digest;
  force: boolean;
  adopted: boolean;
  keep: boolean;
}

/** Applies, and notes what we own now: the fields as the server wrote them down, and a digest of their values. */
const applyTo = async (context: ExecuteContext, cluster: Cluster, application: Application): Promise<Result<AgentWrite[]>> => {
  const { layer, ref, digest, adopted, keep } = application;
  const applied = await cluster.apply(labelled(application.object, layer), { fieldManager, force: application.force });
  if (!applied.ok) return applied;
  const fields = ownedFields(applied.value, fieldManager);
  const record: ObjectRecord = {
    ref,
    layer,
    digest,
    adopted,
    keep,
    uid: applied.value.metadata.uid ?? '',
    fields,
    projection: projectionDigest(applied.value, fields),
  };
  context.view?.noteApplied(applied.value, record);
  return ok([writes.object(record)]);
};

/** Whether an object that we have no record of was ours once (we lost our memory) or belongs to somebody. */
const origin = async (cluster: Cluster, ref: ObjectRef): Promise<Result<'new' | 'ours' | 'foreign'>> => {
  const live = await cluster.get(ref);
  if (live.ok) return ok(live.value.metadata.labels?.[managedLabel] === 'true' ? 'ours' : 'foreign');
  return ['not-found', 'kind-unknown', 'namespace-missing'].includes(live.failure.code) ? ok('new') : live;
};

export const applyObject: Executor<'applyObject'> = async (args, context) => {
  const found = clusterOf(context, refText(args.ref));
  if (!found.ok) return found;
  const object = contentObject(context, args.digest, refText(args.ref));
  if (!object.ok) return object;
  const noted = context.state.object(args.ref);
  // Noted before it was made, and never since: whether it was made, and by whom, only the API server knows.
  const record = noted === undefined || isIntended(noted) ? undefined : noted;
  const from = record === undefined ? await origin(found.value, args.ref) : ok('ours' as const);
  if (!from.ok) return from;
  // Left alone, also when it moves to another layer; only our record of it moves along.
  if (args.createOnly && from.value !== 'new' && args.reason !== 'missing')
    return ok(record === undefined ? [] : [writes.object({ ...record, layer: args.layer })]);
  const adopted = record?.adopted ?? from.value === 'foreign';
  if (from.value === 'new') {
    const intended = context.state.commit([writes.object(intendedRecord(args))]);
    if (!intended.ok) return intended;
  }
  const applied = await applyTo(context, found.value, {
    layer: args.layer,
    ref: args.ref,
    object: object.value,
    digest: args.digest,
    force: from.value !== 'foreign' || args.adopt,
    adopted,
    keep: args.keep,
  });
  if (!applied.ok && applied.failure.code === 'immutable-field' && record !== undefined && !adopted && !args.keep)
    return replaceObject(args, context, found.value);
  if (!applied.ok && from.value === 'new' && applied.failure.code !== 'api-unreachable') context.state.commit([writes.noObject(args.ref)]);
  if (applied.ok && isDrift(args.reason) && (noted === undefined || record !== undefined))
    return ok([...applied.value, ...noteHealed(context, args.layer, refText(args.ref), args.reason === 'missing')]);
  return applied;
};

/** A field that Kubernetes will not change (a Job's template, a Deployment's selector): the object is ours, so it is made anew. */
const replaceObject = async (args: StepArgs['applyObject'], context: ExecuteContext, cluster: Cluster): Promise<Result<AgentWrite[]>> => {
  const stateful = ['PersistentVolumeClaim', 'PersistentVolume', 'Namespace', 'CustomResourceDefinition', 'StatefulSet'].includes(args.ref.kind);
  if (stateful) {
    return fail(
      'fatal',
      'immutable-field',
      `layer ${args.layer}, ${refText(args.ref)}`,
      'a field changed that Kubernetes does not let change, and making it anew would lose data. Give the new one another name',
    );
  }
  const gone = await deleteOurs(context, cluster, args.ref);
  if (!gone.ok) return gone;
  context.event({
    type: 'normal',
    reason: 'ObjectReplaced',
    layer: args.layer,
    message: `${refText(args.ref)} was made anew, since an immutable field changed`,
  });
  return fail('retry', 'replacing', `layer ${args.layer}, ${refText(args.ref)}`, 'was deleted and is made anew');
};

/**
 * Deletes the object that we noted, and no other of its name; except that we may have made it anew ourselves and died before that was noted. Labels alone do not
 * say so, since people copy objects with them: the fields have to be ours too.
 */
const deleteOurs = async (context: ExecuteContext, cluster: Cluster, ref: ObjectRef): Promise<Result<void>> => {
  const record = context.state.object(ref);
  const gone =
    record !== undefined && isIntended(record)
      ? fail('blocked', 'object-replaced', refText(ref), 'was made by somebody else')
      : await cluster.delete(ref, { propagation: 'Background', ...(record === undefined ? {} : { uid: record.uid }) });
  if (gone.ok || gone.failure.code !== 'object-replaced') return gone;
  const live = await cluster.get(ref);
  if (!live.ok) return live.failure.code === 'not-found' ? ok(undefined) : live;
  const { uid, labels } = live.value.metadata;
  const isOurs = labels?.[managedLabel] === 'true' && Object.keys(ownedFields(live.value, fieldManager)).length > 0;
  return isOurs && uid !== undefined ? await cluster.delete(ref, { propagation: 'Background', uid }) : gone;
};

/** A namespace that another layer of ours still lives in goes to that layer; one that holds somebody else's things is theirs from now on. */
const keepNamespace = (args: StepArgs['pruneObject'], context: ExecuteContext, tenant: KubeObject): Result<AgentWrite[]> => {
  const layer = tenant.metadata.labels?.[managedLabel] === 'true' ? tenant.metadata.labels[layerLabel] : undefined;
  const record = context.state.object(args.ref);
  // A label alone makes no layer: one that is gone, or the very one that lets go, would be given the namespace again and again.
  const isOther = layer !== undefined && layer !== args.layer && context.state.layer(layer) !== undefined;
  if (isOther && record !== undefined) return ok([writes.object({ ...record, layer })]);
  context.event({
    type: 'normal',
    reason: 'NamespaceKept',
    layer: args.layer,
    message: `namespace ${args.ref.name} stays: it still holds ${tenant.kind} ${tenant.metadata.name ?? ''}`,
  });
  return ok([writes.noObject(args.ref)]);
};

export const pruneObject: Executor<'pruneObject'> = async (args, context) => {
  const found = clusterOf(context, refText(args.ref));
  if (!found.ok) return found;
  if (args.ref.kind === 'Namespace') {
    const others = await firstIn(found.value, args.ref.name);
    if (!others.ok) return others;
    if (others.value !== undefined) return keepNamespace(args, context, others.value);
  }
  const gone = await deleteOurs(context, found.value, args.ref);
  if (!gone.ok && gone.failure.code !== 'object-replaced' && gone.failure.code !== 'kind-unknown') return gone;
  if (!gone.ok)
    context.event({ type: 'normal', reason: 'ObjectKept', layer: args.layer, message: `${refText(args.ref)} stays: it was made anew by somebody else` });
  context.view?.noteGone(args.ref);
  return ok([writes.noObject(args.ref)]);
};

/** Made by Kubernetes itself in every namespace. */
const builtIn = (object: KubeObject): boolean =>
  (object.kind === 'ConfigMap' && object.metadata.name === 'kube-root-ca.crt') ||
  (object.kind === 'ServiceAccount' && object.metadata.name === 'default') ||
  object.kind === 'Event' ||
  object.kind === 'EndpointSlice' ||
  object.kind === 'Endpoints' ||
  object.kind === 'Lease';

/** The first object in a namespace that Kubernetes did not make by itself; deleting the namespace would take it along, whoever owns it. */
const firstIn = async (cluster: Cluster, namespace: string): Promise<Result<KubeObject | undefined>> => {
  const resources = await cluster.resources();
  if (!resources.ok) return resources;
  for (const { apiVersion, kind, namespaced, verbs } of resources.value) {
    if (!namespaced || !verbs.includes('list') || !verbs.includes('delete') || kind === 'Event') continue;
    const listed = await cluster.list({ apiVersion, kind, namespace });
    if (!listed.ok && (listed.failure.code === 'kind-unknown' || listed.failure.code === 'not-found')) continue;
    if (!listed.ok) return listed;
    const stranger = listed.value.items.find(
      (object) => !builtIn({ ...object, kind }) && object.metadata.ownerReferences === undefined && object.metadata.deletionTimestamp === undefined,
    );
    if (stranger !== undefined) return ok({ ...stranger, kind });
  }
  return ok(undefined);
};

/** We stop holding its fields, and our labels go with them; the object itself stays. */
export const releaseObject: Executor<'releaseObject'> = async (args, context) => {
  const found = clusterOf(context, refText(args.ref));
  if (!found.ok) return found;
  const live = await found.value.get(args.ref);
  if (live.ok) {
    const bare: KubeObject = {
      apiVersion: args.ref.apiVersion,
      kind: args.ref.kind,
      metadata: { name: args.ref.name, ...(args.ref.namespace === undefined ? {} : { namespace: args.ref.namespace }) },
    };
    const handOver = await found.value.apply(
      { ...live.value, metadata: { ...bare.metadata, labels: withoutOurs(live.value.metadata.labels) } },
      { fieldManager: 'groundplane-released', force: true },
    );
    const released = handOver.ok ? await found.value.apply(bare, { fieldManager, force: true }) : handOver;
    if (!released.ok && released.failure.kind === 'retry') return released;
  }
  context.event({ type: 'normal', reason: 'ObjectReleased', layer: args.layer, message: `${refText(args.ref)} is no longer owned and stays where it is` });
  return ok([writes.noObject(args.ref)]);
};

const withoutOurs = (labels: Record<string, string> | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => key !== managedLabel && key !== layerLabel));
