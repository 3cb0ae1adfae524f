import { isRecord } from '@groundplane/protocol/record';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import type { Clock } from '../port/clock.ts';
import type { ApiResource, ApplyOptions, Cluster, DeleteOptions, ListQuery } from '../port/cluster.ts';
import type { Random } from '../port/random.ts';
import type { Connection } from './connection.ts';
import { discovery, type Discovery } from './discovery.ts';
import { transport, type ApiRequest, type Transport, type TransportLimits } from './http.ts';
import { collectionPath, objectPath, queryText } from './path.ts';
import { podLog } from './pod-log.ts';
import { servedResources } from './served.ts';
import { watchLoop } from './watch.ts';

export interface ClusterDeps {
  connection: Connection;
  clock: Clock;
  random: Random;
  /** Default `groundplane-agent`; also the field manager of `create` and `replace`. */
  userAgent?: string;
  limits?: Partial<TransportLimits>;
}

/** Of a server's version, as far as it is told. */
const versionChars = 128;
const pageItems = 500;
/** Half a million objects of one kind; beyond that something else is wrong. */
const pagesMax = 1000;
/** A list whose history is compacted between two pages starts again this often. */
const listRestartsMax = 3;

/** As far as a server may be believed. */
interface ListJson {
  items?: unknown;
  metadata?: { resourceVersion?: unknown; continue?: unknown } | null;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

const parseJson = <T>(body: string, element: string): Result<T> => {
  try {
    return ok(JSON.parse(body) as T);
  } catch {
    return fail('retry', 'api-error', element, 'The API server answered with something that is not JSON.');
  }
};

/** Identity of an object as failures name it; a missing name is found later, when the path is made. */
const refOf = (object: KubeObject): ObjectRef => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name ?? '',
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

/** Server-side apply refuses an object that says who manages it. */
const withoutManagedFields = (object: KubeObject): KubeObject => {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
};

interface Api {
  wire: Transport;
  kinds: Discovery;
}

type Verb = Partial<ApiRequest> & Pick<ApiRequest, 'method'>;
type Query = Record<string, string | number | undefined>;
type Listed = Result<{ items: KubeObject[]; resourceVersion: string }>;

interface Question {
  /** What is asked for. */
  of: { apiVersion: string; kind: string };
  element: string;
  verb: Verb;
  query?: Query;
  /** Decides the path once the resource is discovered. */
  path: (resource: ApiResource) => Result<string>;
}

const ask = async ({ wire, kinds }: Api, question: Question): Promise<Result<string>> => {
  const { of, element } = question;
  const resource = await kinds.resource(of.apiVersion, of.kind);
  if (!resource.ok) return fail(resource.failure.kind, resource.failure.code, element, resource.failure.message);
  const path = question.path(resource.value);
  if (!path.ok) return path;
  const answer = await wire.send({ element, resource: resource.value.resource, ...question.verb, path: path.value + queryText(question.query ?? {}) });
  // The path was discovered, but is not served any more: the CRD is gone or another version took over.
  if (!answer.ok && answer.failure.code === 'kind-unknown') kinds.forget(of.apiVersion);
  return answer;
};

const askObject = async (api: Api, ref: ObjectRef, verb: Verb, query: Query = {}): Promise<Result<KubeObject>> => {
  const element = refText(ref);
  const body = await ask(api, { of: ref, element, verb, query, path: (resource) => objectPath(resource, ref.namespace, ref.name, element) });
  return body.ok ? parseJson<KubeObject>(body.value, element) : body;
};

interface OnePage {
  items: KubeObject[];
  resourceVersion: string;
  next?: string;
}

const onePage = async (api: Api, query: ListQuery, element: string, limit: number, after: string | undefined): Promise<Result<OnePage>> => {
  const body = await ask(api, {
    of: query,
    element,
    verb: { method: 'GET' },
    query: { limit, labelSelector: query.labelSelector, continue: after },
    path: (resource) => collectionPath(resource, query.namespace, element, true),
  });
  if (!body.ok) return body;
  const list = parseJson<ListJson | null>(body.value, element);
  if (!list.ok) return list;
  const given = list.value?.items ?? [];
  if (!Array.isArray(given) || !given.every(isRecord)) return fail('retry', 'api-error', element, 'The API server answered with something that is no list.');
  // Items of a list do not repeat what they are.
  const items = given.map((item): KubeObject => {
    const metadata = isRecord(item['metadata']) ? item['metadata'] : {};
    return { ...item, apiVersion: query.apiVersion, kind: query.kind, metadata };
  });
  const next = textOf(list.value?.metadata?.continue);
  return ok({ items, resourceVersion: textOf(list.value?.metadata?.resourceVersion), ...(next === '' ? {} : { next }) });
};

const listElement = (query: ListQuery): string => `${query.kind} list${query.namespace === undefined ? '' : ` in ${query.namespace}`}`;

/** All pages of one list, or the first item only with `limit` 1. */
const listOnce = async (api: Api, query: ListQuery, element: string, limit: number): Promise<Listed> => {
  const items: KubeObject[] = [];
  let next: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const read = await onePage(api, query, element, limit, next);
    if (!read.ok) return read;
    for (const item of read.value.items) items.push(item);
    next = read.value.next;
    if (next === undefined || limit === 1) return ok({ items, resourceVersion: read.value.resourceVersion });
  }
  return fail('blocked', 'api-error', element, `The list has more than ${pagesMax * pageItems} objects; this is beyond what is read.`);
};

const list = async (api: Api, query: ListQuery, limit: number = pageItems): Promise<Listed> => {
  const element = listElement(query);
  for (let restart = 0; ; restart += 1) {
    const listed = await listOnce(api, query, element, limit);
    if (listed.ok || listed.failure.code !== 'history-gone') return listed;
    if (restart >= listRestartsMax) return fail('retry', 'api-error', element, listed.failure.message);
  }
};

const apply = async (api: Api, object: KubeObject, options: ApplyOptions): Promise<Result<KubeObject>> =>
  await askObject(
    api,
    refOf(object),
    // JSON is YAML, so every server that knows server-side apply takes it.
    { method: 'PATCH', contentType: 'application/apply-patch+yaml', body: JSON.stringify(withoutManagedFields(object)) },
    { fieldManager: options.fieldManager, force: String(options.force), dryRun: options.dryRun === true ? 'All' : undefined },
  );

const create = async (api: Api, object: KubeObject): Promise<Result<KubeObject>> => {
  const element = refText(refOf(object));
  const { name, generateName, namespace } = object.metadata;
  const path = (resource: ApiResource): Result<string> => {
    // The name is in the body here, but checked as for every other verb: the failure is then the same.
    const named = name === undefined && generateName !== undefined ? ok('') : objectPath(resource, namespace, name ?? '', element);
    return named.ok ? collectionPath(resource, namespace, element, false) : named;
  };
  const body = await ask(api, { of: object, element, verb: { method: 'POST', body: JSON.stringify(object) }, path });
  return body.ok ? parseJson<KubeObject>(body.value, element) : body;
};

const replace = async (api: Api, object: KubeObject): Promise<Result<KubeObject>> => {
  const ref = refOf(object);
  // Without it the server overwrites whatever is there.
  if (object.metadata.resourceVersion === undefined)
    return fail('fatal', 'object-invalid', refText(ref), 'A replace needs metadata.resourceVersion of the object that was read.');
  return await askObject(api, ref, { method: 'PUT', body: JSON.stringify(object) });
};

const remove = async (api: Api, ref: ObjectRef, options: DeleteOptions): Promise<Result<void>> => {
  const preconditions = options.uid === undefined ? {} : { preconditions: { uid: options.uid } };
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: options.propagation, ...preconditions });
  const answer = await askObject(api, ref, { method: 'DELETE', body });
  return answer.ok || answer.failure.code === 'not-found' ? ok(undefined) : answer;
};

const version = async ({ wire }: Api): Promise<Result<string>> => {
  const element = 'API server version';
  const body = await wire.send({ method: 'GET', path: '/version', element, resource: '' });
  if (!body.ok) return body;
  const parsed = parseJson<{ gitVersion?: unknown } | null>(body.value, element);
  if (!parsed.ok) return parsed;
  const gitVersion = textOf(parsed.value?.gitVersion).slice(0, versionChars);
  return gitVersion === '' ? fail('retry', 'api-error', element, 'The answer has no gitVersion.') : ok(gitVersion);
};

/** The Kubernetes API server behind a connection, as the Cluster port describes it. */
export const kubernetesCluster = (deps: ClusterDeps): Cluster => {
  const { connection, clock, random, limits } = deps;
  const wire = transport({ connection, clock, userAgent: deps.userAgent ?? 'groundplane-agent', ...(limits === undefined ? {} : { limits }) });
  const kinds = discovery({ transport: wire, clock });
  const api: Api = { wire, kinds };
  const get: Cluster['get'] = async (ref) => await askObject(api, ref, { method: 'GET' });
  return {
    version: async () => await version(api),
    resource: kinds.resource,
    resources: async () => await servedResources(wire),
    get,
    list: async (query) => await list(api, query),
    page: async ({ limit, after, ...query }) => {
      const read = await onePage(api, query, listElement(query), limit, after);
      if (!read.ok) return read;
      const { items, next } = read.value;
      return ok({ items, ...(next === undefined ? {} : { next }) });
    },
    apply: async (object, options) => await apply(api, object, options),
    create: async (object) => await create(api, object),
    replace: async (object) => await replace(api, object),
    delete: async (ref, options) => await remove(api, ref, options),
    watch: (query, onEvent, signal) =>
      void watchLoop({ transport: wire, clock, random, resource: kinds.resource, probe: async () => await list(api, query, 1) }, query, onEvent, signal),
    podLog: async (namespace, pod, tailLines) => await podLog({ get, transport: wire }, namespace, pod, tailLines),
    close: wire.close,
  };
};
