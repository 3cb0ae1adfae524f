import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ApiResource } from '../port/cluster.ts';
import { parseResources } from './discovery.ts';
import type { Transport } from './http.ts';
import { groupVersionPath } from './path.ts';

const element = 'API discovery';

/** Aggregated discovery (Kubernetes 1.30 and later): every group in two answers. Older servers ignore it and answer the plain lists. */
const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** A group has a handful of versions; more is no API server. */
const groupVersionsMax = 2000;

interface AggregatedResource {
  resource?: string;
  responseKind?: { kind?: string };
  scope?: string;
  verbs?: string[];
}

interface DiscoveryJson {
  kind?: string;
  /** Aggregated form. */
  items?: { metadata?: { name?: string }; versions?: { version?: string; freshness?: string; resources?: AggregatedResource[] }[] }[];
  /** Plain form of /api. */
  versions?: string[];
  /** Plain form of /apis. */
  groups?: { name?: string; versions?: { groupVersion?: string }[]; preferredVersion?: { groupVersion?: string } }[];
}

const ask = async (transport: Transport, path: string): Promise<Result<DiscoveryJson>> => {
  const body = await transport.send({ method: 'GET', path, element, resource: '', accept });
  if (!body.ok) return body;
  try {
    return ok(JSON.parse(body.value) as DiscoveryJson);
  } catch {
    return fail('retry', 'api-error', element, 'The API server answered discovery with something that is not JSON.');
  }
};

/** Keeps the first version that serves a resource, which is the preferred one when the order is the server's. */
const preferred = (all: readonly ApiResource[]): ApiResource[] => {
  const byName = new Map<string, ApiResource>();
  for (const one of all) {
    const slash = one.apiVersion.indexOf('/');
    const key = `${slash < 0 ? '' : one.apiVersion.slice(0, slash)}/${one.resource}`;
    if (!byName.has(key)) byName.set(key, one);
  }
  return [...byName.values()];
};

const fromAggregated = (json: DiscoveryJson): Result<ApiResource[]> => {
  const all: ApiResource[] = [];
  for (const group of json.items ?? []) {
    const name = group.metadata?.name ?? '';
    for (const { version = '', freshness, resources = [] } of group.versions ?? []) {
      const apiVersion = name === '' ? version : `${name}/${version}`;
      // Whoever asks for everything decides about deleting; half an answer would look like nothing is there.
      if (freshness === 'Stale')
        return fail(
          'retry',
          'api-error',
          element,
          `The API service behind ${apiVersion} does not answer, so what it serves is unknown. Repair or remove that APIService.`,
        );
      for (const { resource, responseKind, scope, verbs = [] } of resources) {
        if (resource === undefined || responseKind?.kind === undefined) continue;
        all.push({ apiVersion, kind: responseKind.kind, resource, namespaced: scope === 'Namespaced', verbs });
      }
    }
  }
  return ok(all);
};

/** Group versions in the server's order of preference. */
const plainVersions = (json: DiscoveryJson): string[] => [
  ...(json.versions ?? []),
  ...(json.groups ?? []).flatMap(({ versions = [], preferredVersion }) => {
    const all = versions.map((version) => version.groupVersion ?? '');
    const first = preferredVersion?.groupVersion;
    return first === undefined ? all : [first, ...all.filter((version) => version !== first)];
  }),
];

const fromPlain = async (transport: Transport, json: DiscoveryJson): Promise<Result<ApiResource[]>> => {
  const all: ApiResource[] = [];
  for (const apiVersion of plainVersions(json).slice(0, groupVersionsMax)) {
    const path = groupVersionPath(apiVersion, element);
    if (!path.ok) return path;
    const body = await transport.send({ method: 'GET', path: path.value, element, resource: '' });
    // A group that went away between the two questions serves nothing.
    if (!body.ok && body.failure.code === 'kind-unknown') continue;
    if (!body.ok) return body;
    const kinds = parseResources(body.value, apiVersion, element);
    if (!kinds.ok) return kinds;
    all.push(...kinds.value.values());
  }
  return ok(all);
};

/**
 * Everything the server serves, each resource in its preferred version (or the first other version that has it). All or nothing: when one group cannot
 * be asked, this is the failure `api-error` (retry).
 */
export const servedResources = async (transport: Transport): Promise<Result<ApiResource[]>> => {
  const all: ApiResource[] = [];
  for (const path of ['/api', '/apis']) {
    const json = await ask(transport, path);
    if (!json.ok) return json;
    const found = json.value.kind === 'APIGroupDiscoveryList' ? fromAggregated(json.value) : await fromPlain(transport, json.value);
    if (!found.ok) return found;
    all.push(...found.value);
  }
  return ok(preferred(all));
};
