import type { BundleLayer, ReadyCheck } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import { refKey, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import type { ObservedObject } from '@groundplane/protocol/plan/facts';
import { readinessOf, type Readiness } from '@groundplane/protocol/readiness';
import type { Cluster } from '../port/cluster.ts';
import type { ObjectRecord, State } from '../store/state.ts';
import { projectionDigest } from './projection.ts';

export const managedLabel = 'groundplane.dev/managed';
export const layerLabel = 'groundplane.dev/layer';
export const fieldManager = 'groundplane';

/** What we remember of a live object: enough to judge it, and no more, since thousands may live here. */
interface Seen {
  uid: string;
  ours: boolean;
  projection: Digest | undefined;
  ready: Readiness;
}

interface WatchedKind {
  apiVersion: string;
  kind: string;
  /** False until the list was read again after the watch (re)started. */
  fresh: boolean;
  stop: AbortController;
}

const refOf = (object: KubeObject): ObjectRef => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name ?? '',
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

/**
 * Keeps an eye on the objects that we own or want. One watch per kind, on our label only; a reset of the watch means listing again. An object that is not in
 * the list is asked for by name, because somebody may have taken our label off, or it may have been there before us.
 */
export const createObjectView = (cluster: Cluster, state: State, onChange: () => void) => {
  const seen = new Map<string, Seen | 'missing'>();
  /** What packs wait for, by object; of the layers looked at last. */
  const checks = new Map<string, readonly ReadyCheck[]>();
  const kinds = new Map<string, WatchedKind>();
  const selector = `${managedLabel}=true`;

  const look = (object: KubeObject, record: ObjectRecord | undefined): Seen => ({
    uid: object.metadata.uid ?? '',
    ours: object.metadata.labels?.[managedLabel] === 'true',
    projection: record === undefined ? undefined : projectionDigest(object, record.fields),
    ready: readinessOf(object, checks.get(refKey(refOf(object)))),
  });

  const note = (object: KubeObject, gone: boolean): void => {
    const ref = refOf(object);
    const key = refKey(ref);
    const before = seen.get(key);
    const next = gone ? 'missing' : look(object, state.object(ref));
    seen.set(key, next);
    if (JSON.stringify(before) !== JSON.stringify(next)) onChange();
  };

  const watchKind = (apiVersion: string, kind: string): WatchedKind => {
    const watched: WatchedKind = { apiVersion, kind, fresh: false, stop: new AbortController() };
    cluster.watch(
      { apiVersion, kind, labelSelector: selector },
      (event) => {
        if (event.type === 'reset') {
          const wasFresh = watched.fresh;
          watched.fresh = false;
          if (wasFresh) onChange();
        } else note({ ...event.object, apiVersion, kind }, event.type === 'deleted');
      },
      watched.stop.signal,
    );
    return watched;
  };

  const refresh = async (watched: WatchedKind): Promise<Result<void>> => {
    watched.fresh = true;
    const listed = await cluster.list({ apiVersion: watched.apiVersion, kind: watched.kind, labelSelector: selector });
    if (!listed.ok) {
      watched.fresh = false;
      return listed.failure.code === 'kind-unknown' ? ok(undefined) : listed;
    }
    const prefix = refKey({ apiVersion: watched.apiVersion, kind: watched.kind, name: '' }).replace(/\/\/$/, '/');
    for (const key of seen.keys()) if (key.startsWith(prefix)) seen.delete(key);
    for (const object of listed.value.items) {
      const full = { ...object, apiVersion: watched.apiVersion, kind: watched.kind };
      seen.set(refKey(refOf(full)), look(full, state.object(refOf(full))));
    }
    return ok(undefined);
  };

  const judge = (ref: ObjectRef, record: ObjectRecord | undefined): ObservedObject => {
    const item = seen.get(refKey(ref)) ?? 'missing';
    if (item === 'missing') return { state: 'missing', ready: { state: 'progressing', message: 'does not exist' } };
    if (record === undefined) return { state: item.ours ? 'drifted' : 'foreign', ready: item.ready };
    const same = item.uid === record.uid && item.projection === record.projection;
    return { state: same ? 'same' : 'drifted', ready: item.ready };
  };

  /** An object whose checks changed is looked at anew. */
  const noteChecks = (layers: readonly BundleLayer[]): void => {
    const wanted = new Map(
      layers.flatMap((layer) => layer.objects.flatMap((object) => (object.ready === undefined ? [] : [[refKey(object.ref), object.ready] as const]))),
    );
    for (const key of new Set([...checks.keys(), ...wanted.keys()])) {
      const next = wanted.get(key);
      if (JSON.stringify(checks.get(key)) === JSON.stringify(next)) continue;
      if (next === undefined) checks.delete(key);
      else checks.set(key, next);
      seen.delete(key);
    }
  };

  /** Starts watches for new kinds, reads what is not fresh, and asks by name for what no list showed. */
  const observe = async (layers: readonly BundleLayer[]): Promise<Result<Map<string, ObservedObject>>> => {
    noteChecks(layers);
    const records = state.objects();
    const refs = new Map<string, ObjectRef>(records.map((record) => [refKey(record.ref), record.ref]));
    for (const layer of layers) {
      for (const object of layer.objects) refs.set(refKey(object.ref), object.ref);
      if (layer.namespace !== undefined)
        refs.set(refKey({ apiVersion: 'v1', kind: 'Namespace', name: layer.namespace }), { apiVersion: 'v1', kind: 'Namespace', name: layer.namespace });
    }
    for (const ref of refs.values()) {
      const kindKey = `${ref.apiVersion} ${ref.kind}`;
      if (kinds.has(kindKey)) continue;
      const known = await cluster.resource(ref.apiVersion, ref.kind);
      if (known.ok) kinds.set(kindKey, watchKind(ref.apiVersion, ref.kind));
      else if (known.failure.code !== 'kind-unknown') return known;
    }
    for (const watched of kinds.values()) {
      if (watched.fresh) continue;
      const read = await refresh(watched);
      if (!read.ok) return read;
    }
    for (const ref of refs.values()) {
      const known = seen.get(refKey(ref));
      // What has our label is kept up to date by the watch; what has it not (any more) is asked for each time.
      if (known !== undefined && known !== 'missing' && known.ours) continue;
      const got = await cluster.get(ref);
      if (got.ok) seen.set(refKey(ref), look({ ...got.value, apiVersion: ref.apiVersion, kind: ref.kind }, state.object(ref)));
      else if (got.failure.code === 'not-found' || got.failure.code === 'kind-unknown' || got.failure.code === 'namespace-missing')
        seen.set(refKey(ref), 'missing');
      else return got;
    }
    const recordByKey = new Map(records.map((record) => [refKey(record.ref), record]));
    return ok(new Map([...refs].map(([key, ref]) => [key, judge(ref, recordByKey.get(key))])));
  };

  return {
    observe,
    /** Right after we applied: the answer is newer than any event. */
    noteApplied: (object: KubeObject, record: ObjectRecord): void => void seen.set(refKey(record.ref), look(object, record)),
    noteGone: (ref: ObjectRef): void => void seen.set(refKey(ref), 'missing'),
    /** Readiness from memory; the watch keeps it current. */
    readiness: (ref: ObjectRef): Readiness => {
      const item = seen.get(refKey(ref));
      return item === undefined || item === 'missing' ? { state: 'progressing', message: 'does not exist' } : item.ready;
    },
    /** Distrust everything: used at the periodic resync. */
    forget: (): void => {
      for (const watched of kinds.values()) watched.fresh = false;
      seen.clear();
    },
    close: (): void => {
      for (const watched of kinds.values()) watched.stop.abort();
      kinds.clear();
    },
  };
};
export type ObjectView = ReturnType<typeof createObjectView>;
