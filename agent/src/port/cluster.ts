import type { KubeObject, ObjectRef } from '@groundplane/protocol/kubernetes';
import type { Result } from '@groundplane/protocol/failure';

/** One served resource, as discovery tells it. */
export interface ApiResource {
  /** `v1`, `apps/v1` */
  apiVersion: string;
  kind: string;
  /** Plural name in paths: `deployments`. */
  resource: string;
  namespaced: boolean;
  verbs: readonly string[];
}

export interface ApplyOptions {
  fieldManager: string;
  /** Take over fields that another manager owns. Without it, a conflict is the failure `field-conflict` (blocked). */
  force: boolean;
  /** Ask the server what would happen; nothing is stored. */
  dryRun?: boolean;
}

export type WatchEvent =
  | { type: 'added' | 'modified' | 'deleted'; object: KubeObject }
  /** The stream broke or its history is gone: whoever watches must list again. Sent before each re-connect, and after the first connect. */
  | { type: 'reset' };

export interface ListQuery {
  apiVersion: string;
  kind: string;
  namespace?: string;
  /** Kubernetes label selector syntax. */
  labelSelector?: string;
}

export interface PageQuery extends ListQuery {
  /** Most objects of one page; a server may answer with fewer, also with none, and go on. */
  limit: number;
  /** `next` of the page before. */
  after?: string;
}

export interface DeleteOptions {
  propagation: 'Background' | 'Foreground' | 'Orphan';
  /** Delete only this incarnation; another one of the same name is left alone (failure `object-replaced`, blocked). */
  uid?: string;
}

/**
 * A Kubernetes API server, as little of it as the appliers need.
 *
 * Failures (codes): `api-unreachable` (retry: refused, reset, timeout, TLS not yet valid), `api-throttled` (retry), `api-error` (retry: 5xx),
 * `not-found` (retry: the object), `kind-unknown` (retry: no such kind is served yet; a CRD may still be on its way), `namespace-missing` (retry),
 * `field-conflict` (blocked), `object-replaced` (blocked), `conflict` (retry: resourceVersion), `denied` (blocked: 401, 403), `object-invalid` (fatal: 400, 422),
 * `history-gone` (retry: 410, the place in a list is too old; only of `page`), `immutable-field` (fatal: 422 whose causes say that a field is immutable), `exists` (blocked: create of something that exists).
 * Messages carry the API server's own words, without header or token contents.
 */
export interface Cluster {
  /** Server version like `v1.37.2`. */
  version(): Promise<Result<string>>;
  /** Resource for a kind; looked up by discovery, remembered, and looked up again when unknown. */
  resource(apiVersion: string, kind: string): Promise<Result<ApiResource>>;
  /** Everything that is served, preferred versions only; asked anew each time. */
  resources(): Promise<Result<ApiResource[]>>;
  get(ref: ObjectRef): Promise<Result<KubeObject>>;
  list(query: ListQuery): Promise<Result<{ items: KubeObject[]; resourceVersion: string }>>;
  /** One page of a list, for those who do not want to hold all of it. Without `next` it is the last one. */
  page(query: PageQuery): Promise<Result<{ items: KubeObject[]; next?: string }>>;
  /** Server-side apply. Returns the stored object with managedFields. */
  apply(object: KubeObject, options: ApplyOptions): Promise<Result<KubeObject>>;
  create(object: KubeObject): Promise<Result<KubeObject>>;
  /** Full replace guarded by metadata.resourceVersion. */
  replace(object: KubeObject): Promise<Result<KubeObject>>;
  /** Succeeds also when the object is already gone. */
  delete(ref: ObjectRef, options: DeleteOptions): Promise<Result<void>>;
  /** Watches until the signal aborts, reconnecting by itself with jittered back-off. `onEvent` must not throw. */
  watch(query: ListQuery, onEvent: (event: WatchEvent) => void, signal: AbortSignal): void;
  /** Last lines of a pod's container log; used to explain a failed hook. */
  podLog(namespace: string, pod: string, tailLines: number): Promise<Result<string>>;
  close(): void;
}
