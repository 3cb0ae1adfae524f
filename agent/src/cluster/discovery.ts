import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { ApiResource } from '../port/cluster.ts';
import type { Transport } from './http.ts';
import { checkKind, groupVersionPath } from './path.ts';

export interface Discovery {
  resource(apiVersion: string, kind: string): Promise<Result<ApiResource>>;
  /** The server no longer knows a path we were told of: look again next time. */
  forget(apiVersion: string): void;
}

/** An unknown kind is looked for again at most this often; a CRD takes about as long to be served. */
const refreshMsMin = 500;
/** Group versions remembered; a cluster serves a few dozen, hostile bundles may name any number. */
const remembered = 500;

interface Entry {
  atMs: number;
  kinds: Map<string, ApiResource>;
}

interface ResourceListJson {
  resources?: { name?: string; kind?: string; namespaced?: boolean; verbs?: string[]; group?: string; version?: string }[];
}

/** Reads an APIResourceList, by kind. */
export const parseResources = (body: string, apiVersion: string, element: string): Result<Map<string, ApiResource>> => {
  try {
    const list = JSON.parse(body) as ResourceListJson;
    const kinds = new Map<string, ApiResource>();
    for (const { name, kind, namespaced, verbs } of list.resources ?? []) {
      // Names with a slash are subresources (deployments/scale), which have other kinds.
      if (name === undefined || kind === undefined || name.includes('/') || kinds.has(kind)) continue;
      kinds.set(kind, { apiVersion, kind, resource: name, namespaced: namespaced === true, verbs: verbs ?? [] });
    }
    return ok(kinds);
  } catch {
    return fail('retry', 'api-error', element, 'The API server answered discovery with something that is not JSON.');
  }
};

/**
 * Asks one group version at a time, and only those that are used: one small request, which also works when some aggregated API of another
 * group is broken (that makes whole-server discovery incomplete).
 */
export const discovery = (deps: { transport: Transport; clock: Clock }): Discovery => {
  const entries = new Map<string, Entry>();
  const running = new Map<string, Promise<Result<Entry>>>();

  const fetchEntry = async (apiVersion: string, element: string): Promise<Result<Entry>> => {
    const path = groupVersionPath(apiVersion, element);
    if (!path.ok) return path;
    const body = await deps.transport.send({ method: 'GET', path: path.value, element, resource: '' });
    if (!body.ok && body.failure.code !== 'kind-unknown') return body;
    const kinds = body.ok ? parseResources(body.value, apiVersion, element) : ok(new Map<string, ApiResource>());
    if (!kinds.ok) return kinds;
    const entry = { atMs: deps.clock.monotonicMs(), kinds: kinds.value };
    entries.delete(apiVersion);
    entries.set(apiVersion, entry);
    const oldest = entries.keys().next();
    if (entries.size > remembered && oldest.done !== true) entries.delete(oldest.value);
    return ok(entry);
  };

  /** Callers that ask for the same group version meanwhile share one request. */
  const refresh = async (apiVersion: string, element: string): Promise<Result<Entry>> => {
    const known = running.get(apiVersion);
    if (known !== undefined) return await known;
    const started = fetchEntry(apiVersion, element).finally(() => running.delete(apiVersion));
    running.set(apiVersion, started);
    return await started;
  };

  return {
    resource: async (apiVersion, kind) => {
      const element = `${kind} (${apiVersion})`;
      const checked = checkKind(kind, element);
      if (!checked.ok) return checked;
      const entry = entries.get(apiVersion);
      const found = entry?.kinds.get(kind);
      if (found !== undefined) return ok(found);
      const isFresh = entry !== undefined && deps.clock.monotonicMs() - entry.atMs < refreshMsMin;
      const looked = isFresh ? ok(entry) : await refresh(apiVersion, element);
      if (!looked.ok) return looked;
      const resource = looked.value.kinds.get(kind);
      return resource === undefined
        ? fail(
            'retry',
            'kind-unknown',
            element,
            `The API server does not serve ${kind} in ${apiVersion}. Apply its CustomResourceDefinition first, or correct apiVersion and kind.`,
          )
        : ok(resource);
    },
    forget: (apiVersion) => void entries.delete(apiVersion),
  };
};
