import { collectionPath, objectPath } from '@groundplane/agent/cluster/path';
import type { Clock } from '@groundplane/agent/port/clock';
import type { ApiResource, Cluster, ListQuery, PageQuery, WatchEvent } from '@groundplane/agent/port/cluster';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { isEstablished, type KindFacts } from './kinds.ts';
import { parseLabelSelector } from './label-selector.ts';
import { objectStore, refOf, type Change, type FakeClusterState, type ObjectStore } from './object-store.ts';
import { elementOf } from './validation.ts';
import { workloads, type WorkloadOptions } from './workloads.ts';
import { writes, type Writes } from './writes.ts';

export type { FakeClusterState } from './object-store.ts';

type Operation = Exclude<keyof Cluster, 'watch' | 'close'>;
export type FakeIdentity = 'admin' | 'viewer' | 'stranger';

export interface FakeClusterOptions {
  clock: Clock;
  /** Default `v1.37.2`. */
  version?: string;
  /** How long a CustomResourceDefinition takes until its kinds are served; default 0 (the next turn of the clock). */
  establishMs?: number;
  /** Continue from a snapshot. */
  state?: FakeClusterState;
}

/** A Kubernetes cluster in memory. */
export interface FakeCluster extends Cluster {
  /** The same cluster as somebody else sees it: `viewer` reads all but secrets, `stranger` may do nothing. */
  as(identity: FakeIdentity): Cluster;
  /** Makes workloads become ready by themselves; `false` stops that. Off at first. */
  controllers(options: WorkloadOptions | false): void;
  /** The next `times` calls of this operation fail like this. */
  failNext(operation: Operation, failure: Failure, times?: number): void;
  /** Every operation fails with `api-unreachable` until `resume`; watches break. */
  pause(): void;
  resume(): void;
  setPodLog(namespace: string, pod: string, text: string): void;
  /** What controllers and kubelets write. */
  setStatus(ref: ObjectRef, status: Record<string, unknown>): void;
  /** All objects, for assertions. */
  objects(): KubeObject[];
  snapshot(): FakeClusterState;
  restore(state: FakeClusterState): void;
}

interface Watcher {
  onEvent: (event: WatchEvent) => void;
}

interface Simulation {
  clock: Clock;
  version: string;
  store: ObjectStore;
  writes: Writes;
  faults: Map<Operation, Failure[]>;
  watchers: Set<Watcher>;
  isPaused: boolean;
}

const unreachable = (element: string): Failure => ({ kind: 'retry', code: 'api-unreachable', element, message: 'The simulated API server is paused.' });

const readingOperations = new Set<Operation>(['version', 'resource', 'resources', 'get', 'list', 'page', 'podLog']);

const mayDo = (identity: FakeIdentity, operation: Operation, kind: string): boolean => {
  if (identity === 'admin' || operation === 'version' || operation === 'resource' || operation === 'resources') return true;
  return identity === 'viewer' && readingOperations.has(operation) && kind !== 'Secret';
};

/** Why this call fails before anything is looked at: an injected fault, an outage, missing rights. */
const obstacle = (simulation: Simulation, identity: FakeIdentity, operation: Operation, element: string, kind: string): Failure | undefined => {
  if (simulation.isPaused) return unreachable(element);
  const injected = simulation.faults.get(operation)?.shift();
  if (injected !== undefined) return injected;
  if (mayDo(identity, operation, kind)) return undefined;
  return { kind: 'blocked', code: 'denied', element, message: `The API server answered 403: User "${identity}" cannot ${operation} ${kind}` };
};

const listNow = ({ store, writes: { kind } }: Simulation, query: ListQuery): Result<{ items: KubeObject[]; resourceVersion: string }> => {
  const facts = kind(query.apiVersion, query.kind);
  if (!facts.ok) return facts;
  const path = collectionPath(facts.value, query.namespace, `${query.kind} list`, true);
  if (!path.ok) return path;
  const matches = parseLabelSelector(query.labelSelector);
  if (!matches.ok) return matches;
  const isWanted = isInQuery(query, matches.value);
  const order = (object: KubeObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
  const items = store
    .all()
    .filter(isWanted)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  return ok({ items: items.map((item) => ({ ...item, apiVersion: query.apiVersion })), resourceVersion: String(store.resourceVersion()) });
};

/** A place in a list is where the page before ended, and the state of the cluster that it is of: after a change, the fake has no history, as a server that compacted it. */
const pageNow = (simulation: Simulation, { limit, after, ...query }: PageQuery): Result<{ items: KubeObject[]; next?: string }> => {
  const listed = listNow(simulation, query);
  if (!listed.ok) return listed;
  const { items, resourceVersion } = listed.value;
  const [version = '', from = '0'] = after?.split('/') ?? [resourceVersion];
  if (version !== resourceVersion)
    return fail('retry', 'history-gone', `${query.kind} list`, 'The API server answered 410: The provided continue parameter is too old');
  const end = Number(from) + limit;
  return ok({ items: items.slice(Number(from), end), ...(end < items.length ? { next: `${version}/${end}` } : {}) });
};

const groupOf = (apiVersion: string): string => (apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '');

const isInQuery =
  (query: ListQuery, matches: (labels: Record<string, string>) => boolean) =>
  (object: KubeObject): boolean =>
    object.kind === query.kind &&
    groupOf(object.apiVersion) === groupOf(query.apiVersion) &&
    (query.namespace === undefined || object.metadata.namespace === query.namespace) &&
    matches(object.metadata.labels ?? {});

/** An object whose labels begin or cease to match comes and goes, as in a real watch. */
const eventFor = (change: Change, isWanted: (object: KubeObject) => boolean): Exclude<WatchEvent, { type: 'reset' }> | undefined => {
  const { type, object, before } = change;
  const was = before !== undefined && isWanted(before);
  const is = type !== 'deleted' && isWanted(object);
  if (is) return { type: was ? 'modified' : 'added', object };
  return was ? { type: 'deleted', object } : undefined;
};

const watchNow = (simulation: Simulation, query: ListQuery, onEvent: (event: WatchEvent) => void, signal: AbortSignal): void => {
  const matches = parseLabelSelector(query.labelSelector);
  if (signal.aborted || !matches.ok) return;
  const isWanted = isInQuery(query, matches.value);
  // Events arrive after the call that caused them has returned, in order.
  const send = (event: WatchEvent): void => queueMicrotask(() => !signal.aborted && onEvent(event));
  const watcher: Watcher = { onEvent: send };
  simulation.watchers.add(watcher);
  const unsubscribe = simulation.store.subscribe((change) => {
    const event = simulation.isPaused ? undefined : eventFor(change, isWanted);
    if (event !== undefined) send({ ...event, object: structuredClone({ ...event.object, apiVersion: query.apiVersion }) });
  });
  signal.addEventListener(
    'abort',
    () => {
      unsubscribe();
      simulation.watchers.delete(watcher);
    },
    { once: true },
  );
  if (!simulation.isPaused) send({ type: 'reset' });
};

/** The checks that the real client makes before it sends anything. */
const checkPath = ({ writes: { kind } }: Simulation, ref: ObjectRef): Result<string> => {
  const facts = kind(ref.apiVersion, ref.kind);
  return facts.ok ? objectPath(facts.value, ref.namespace, ref.name, refText(ref)) : { ok: false, failure: { ...facts.failure, element: refText(ref) } };
};

const resourceOf = ({ apiVersion, kind, resource, namespaced, verbs }: KindFacts): ApiResource => ({ apiVersion, kind, resource, namespaced, verbs });

const resourceNow = ({ writes: { kind } }: Simulation, apiVersion: string, name: string): Result<ApiResource> => {
  const facts = kind(apiVersion, name);
  return facts.ok ? ok(resourceOf(facts.value)) : facts;
};

const getNow = (simulation: Simulation, ref: ObjectRef): Result<KubeObject> => {
  const path = checkPath(simulation, ref);
  if (!path.ok) return path;
  const found = simulation.store.read(ref);
  return found === undefined ? fail('retry', 'not-found', refText(ref), `The API server answered 404: ${ref.kind} "${ref.name}" not found`) : ok(found);
};

const podLogNow = (simulation: Simulation, namespace: string, pod: string, tailLines: number): Result<string> => {
  const found = getNow(simulation, { apiVersion: 'v1', kind: 'Pod', namespace, name: pod });
  if (!found.ok) return found;
  const text = simulation.store.podLogs.get(`${namespace}/${pod}`) ?? '';
  const lines = text.split('\n');
  return ok(lines.slice(Math.max(0, lines.length - tailLines - (text.endsWith('\n') ? 1 : 0))).join('\n'));
};

const clusterAs = (simulation: Simulation, identity: FakeIdentity): Cluster => {
  const guarded = async <T>(operation: Operation, element: string, kind: string, work: () => Result<T>): Promise<Result<T>> => {
    // A round trip: nothing of a real API happens before the caller's next turn.
    await Promise.resolve();
    const failure = obstacle(simulation, identity, operation, element, kind);
    return failure === undefined ? structuredClone(work()) : { ok: false, failure };
  };
  const checked = async (operation: 'apply' | 'create' | 'replace', object: KubeObject, work: () => Result<KubeObject>): Promise<Result<KubeObject>> =>
    await guarded(operation, elementOf(object), object.kind, () => {
      const isNamed = object.metadata.name !== undefined || operation !== 'create';
      const path = isNamed ? checkPath(simulation, refOf(object)) : ok('');
      return path.ok ? work() : path;
    });
  const manager = 'groundplane-agent';
  return {
    version: async () => await guarded('version', 'API server version', '', () => ok(simulation.version)),
    resource: async (apiVersion, kind) => await guarded('resource', kind, kind, () => resourceNow(simulation, apiVersion, kind)),
    resources: async () => await guarded('resources', 'API discovery', '', () => ok(simulation.writes.kinds().map(resourceOf))),
    get: async (ref) => await guarded('get', refText(ref), ref.kind, () => getNow(simulation, ref)),
    list: async (query) => await guarded('list', `${query.kind} list`, query.kind, () => listNow(simulation, query)),
    page: async (query) => await guarded('page', `${query.kind} list`, query.kind, () => pageNow(simulation, query)),
    apply: async (object, options) => await checked('apply', object, () => simulation.writes.apply(object, options)),
    create: async (object) => await checked('create', object, () => simulation.writes.create(object, manager)),
    replace: async (object) => await checked('replace', object, () => simulation.writes.replace(object, manager)),
    delete: async (ref, options) =>
      await guarded('delete', refText(ref), ref.kind, () => {
        const path = checkPath(simulation, ref);
        return path.ok ? simulation.writes.delete(ref, options) : path;
      }),
    watch: (query, onEvent, signal) => {
      if (mayDo(identity, 'list', query.kind)) watchNow(simulation, query, onEvent, signal);
    },
    podLog: async (namespace, pod, tailLines) =>
      await guarded('podLog', `pod ${namespace}/${pod}`, 'Pod', () => podLogNow(simulation, namespace, pod, tailLines)),
    close: () => {},
  };
};

const firstNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Kinds of a new definition are served a little later, as for real. */
const establishDefinitions = ({ store, writes: { writeStatus }, clock }: Simulation, establishMs: number): void => {
  const establish = (definition: KubeObject): void => {
    if (definition.kind !== 'CustomResourceDefinition' || isEstablished(definition)) return;
    const conditions = ['NamesAccepted', 'Established'].map((type) => ({
      type,
      status: 'True',
      reason: type,
      lastTransitionTime: new Date(clock.wallMs()).toISOString(),
    }));
    clock.after(establishMs, () =>
      writeStatus(refOf(definition), { conditions, acceptedNames: (definition['spec'] as { names?: object } | undefined)?.names ?? {} }),
    );
  };
  store.subscribe((change) => change.type !== 'deleted' && establish(change.object));
  for (const object of store.all()) establish(object);
};

/** Builds a simulated cluster. Everything runs on the given clock; there is no chance in it. */
export const fakeCluster = (options: FakeClusterOptions): FakeCluster => {
  const { clock } = options;
  const store = objectStore();
  const simulation: Simulation = {
    clock,
    version: options.version ?? 'v1.37.2',
    store,
    writes: writes({ store, clock }),
    faults: new Map(),
    watchers: new Set(),
    isPaused: false,
  };
  if (options.state !== undefined) store.restore(options.state);
  else for (const name of firstNamespaces) simulation.writes.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, 'kube-apiserver');
  establishDefinitions(simulation, options.establishMs ?? 0);
  let running: { stop(): void } | undefined;
  let workloadOptions: WorkloadOptions | false = false;
  const breakWatches = (): void => {
    for (const { onEvent } of simulation.watchers) onEvent({ type: 'reset' });
  };
  const restartWorkloads = (): void => {
    running?.stop();
    running = workloadOptions === false ? undefined : workloads({ store, writes: simulation.writes, clock }, workloadOptions);
  };
  return {
    ...clusterAs(simulation, 'admin'),
    as: (identity) => clusterAs(simulation, identity),
    controllers: (wanted) => {
      workloadOptions = wanted;
      restartWorkloads();
    },
    failNext: (operation, failure, times = 1) => {
      const queue = simulation.faults.get(operation) ?? [];
      simulation.faults.set(operation, [...queue, ...Array.from({ length: times }, () => failure)]);
    },
    pause: () => {
      simulation.isPaused = true;
      breakWatches();
    },
    resume: () => {
      simulation.isPaused = false;
      breakWatches();
    },
    setPodLog: (namespace, pod, text) => void store.podLogs.set(`${namespace}/${pod}`, text),
    setStatus: simulation.writes.writeStatus,
    objects: store.all,
    snapshot: store.snapshot,
    restore: (state) => {
      store.restore(state);
      restartWorkloads();
      breakWatches();
    },
    close: () => running?.stop(),
  };
};
