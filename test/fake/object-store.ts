import { refKey, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import type { WatchEvent } from '@groundplane/agent/port/cluster';

/** Everything a simulated cluster remembers; plain JSON. */
export interface FakeClusterState {
  resourceVersion: number;
  uids: number;
  objects: KubeObject[];
  /** Text by `namespace/pod`. */
  podLogs: Record<string, string>;
}

export type Change = Exclude<WatchEvent, { type: 'reset' }> & { before?: KubeObject };

export interface ObjectStore {
  read(ref: ObjectRef): KubeObject | undefined;
  all(): KubeObject[];
  /** Stores with the next resourceVersion and tells the listeners. */
  put(object: KubeObject): KubeObject;
  remove(ref: ObjectRef): void;
  nextUid(): string;
  resourceVersion(): number;
  /** Listeners run synchronously, in order of subscription. Returns the way out. */
  subscribe(listener: (change: Change) => void): () => void;
  snapshot(): FakeClusterState;
  restore(state: FakeClusterState): void;
  podLogs: Map<string, string>;
}

export const refOf = (object: KubeObject): ObjectRef => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name ?? '',
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

/** Objects in memory, keyed by group and kind so that all versions of a kind are one object. What goes in or out is a copy. */
export const objectStore = (): ObjectStore => {
  let objects = new Map<string, KubeObject>();
  let resourceVersion = 1;
  let uids = 0;
  const podLogs = new Map<string, string>();
  const listeners = new Set<(change: Change) => void>();
  const tell = (change: Change): void => {
    for (const listener of listeners) listener(change);
  };
  return {
    podLogs,
    read: (ref) => {
      const found = objects.get(refKey(ref));
      return found === undefined ? undefined : { ...structuredClone(found), apiVersion: ref.apiVersion };
    },
    all: () => [...objects.values()].map((object) => structuredClone(object)),
    put: (object) => {
      resourceVersion += 1;
      const key = refKey(refOf(object));
      const before = objects.get(key);
      const stored = structuredClone(object);
      stored.metadata.resourceVersion = String(resourceVersion);
      objects.set(key, stored);
      tell(before === undefined ? { type: 'added', object: structuredClone(stored) } : { type: 'modified', object: structuredClone(stored), before });
      return structuredClone(stored);
    },
    remove: (ref) => {
      const key = refKey(ref);
      const gone = objects.get(key);
      if (gone === undefined) return;
      objects.delete(key);
      resourceVersion += 1;
      tell({ type: 'deleted', object: { ...gone, metadata: { ...gone.metadata, resourceVersion: String(resourceVersion) } }, before: gone });
    },
    nextUid: () => {
      uids += 1;
      return `00000000-0000-4000-8000-${String(uids).padStart(12, '0')}`;
    },
    resourceVersion: () => resourceVersion,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    snapshot: () => structuredClone({ resourceVersion, uids, objects: [...objects.values()], podLogs: Object.fromEntries(podLogs) }),
    restore: (state) => {
      resourceVersion = state.resourceVersion;
      uids = state.uids;
      objects = new Map(state.objects.map((object) => [refKey(refOf(object)), structuredClone(object)]));
      podLogs.clear();
      for (const [pod, text] of Object.entries(state.podLogs)) podLogs.set(pod, text);
    },
  };
};
