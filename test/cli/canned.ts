import { apiBase, routes, type RouteName, type Routes } from '@groundplane/protocol/api/routes';
import type { Route } from '@groundplane/protocol/api/route';
import type { z } from 'zod';
import type { FakeOptions } from './fake-io.ts';

export type Views = {
  [N in RouteName]?:
    | z.input<Routes[N]['response']>
    | ((call: { params: Record<string, string>; query: URLSearchParams; count: number }) => z.input<Routes[N]['response']> | Response);
};

const patterns = (Object.entries(routes) as [RouteName, Route][]).map(([name, route]) => ({
  name,
  method: route.method,
  expression: new RegExp(`^${apiBase}${route.path.replaceAll(/\{([a-z]+)\}/g, '(?<$1>[^/]+)')}$`),
}));

export const refusal = (status: number, code: string, message: string): Response =>
  Response.json({ error: { kind: status >= 500 ? 'retry' : 'fatal', code, element: 'thing', message } }, { status });

/** A hub that answers what a test wrote down, checked against the route's own view; anything else is 404. */
const cannedFetch = (views: Views): typeof fetch => {
  const counts = new Map<string, number>();
  return (input, init) => {
    const url = new URL(input as string);
    for (const { name, method, expression } of patterns) {
      const match = method === (init?.method ?? 'GET') ? expression.exec(url.pathname) : null;
      const view = views[name] as object | ((call: object) => object) | undefined;
      if (match === null || view === undefined) continue;
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      const params = Object.fromEntries(Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]));
      const answer = typeof view === 'function' ? view({ params, query: url.searchParams, count }) : view;
      if (answer instanceof Response) return Promise.resolve(answer);
      const route: Route = routes[name];
      return Promise.resolve(
        route.status === 204 ? new Response(null, { status: 204 }) : Response.json(route.response.parse(answer), { status: route.status }),
      );
    }
    return Promise.resolve(refusal(404, 'not-found', 'there is no such thing here'));
  };
};

export const canned = (views: Views, options: FakeOptions = {}): FakeOptions => ({
  fetch: cannedFetch(views),
  isTTY: true,
  ...options,
  env: { GP_HUB: 'http://127.0.0.1:7600', GP_TOKEN: 'gpk_test', NO_COLOR: '1', ...options.env },
});

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const stamp = { id: 'clu_00000000000000000000', createdAtMs: Date.UTC(2026, 0, 1, 12), updatedAtMs: Date.UTC(2026, 0, 1, 12), rowVersion: 1 };
const drift = { healed: 0 };

type ClusterInput = z.input<Routes['getCluster']['response']>;

/** A cluster with one layer of each interesting kind: current, drifted, changing, not begun, leaving. */
export const cluster = (more: Partial<ClusterInput> = {}): ClusterInput => ({
  ...stamp,
  name: 'store-1',
  project: 'default',
  labels: { site: 'a' },
  state: 'applying',
  message: 'A change is on its way to its hosts.',
  profiles: [{ name: 'retail', version: '1.1.0' }],
  layersReady: 2,
  layersTotal: 5,
  drifted: 3,
  simulated: true,
  spec: { profiles: [{ name: 'retail', version: '1.1.0' }], variables: { storeName: 'A' }, hosts: ['store-1'] },
  bundle: digest('f'),
  kubernetesVersion: 'v1.34.2',
  conditions: [{ type: 'Ready', status: 'False', reason: 'applying', message: 'a change is on its way' }],
  deleting: false,
  layers: [
    {
      name: 'base-os',
      kind: 'os',
      profile: { name: 'retail', version: '1.1.0' },
      desired: { pack: { name: 'debian', version: '13.1.0' }, digest: digest('1') },
      observed: {
        name: 'base-os',
        kind: 'os',
        pack: { name: 'debian', version: '13.1.0' },
        digest: digest('1'),
        state: 'ready',
        objects: { total: 0, ready: 0 },
        drift: { healed: 3, lastAtMs: 1, last: '/etc/motd' },
      },
      isCurrent: true,
    },
    {
      name: 'shop',
      kind: 'addon',
      desired: { pack: { name: 'shop', version: '2.0.0' }, digest: digest('2') },
      observed: {
        name: 'shop',
        kind: 'addon',
        pack: { name: 'shop', version: '1.0.0' },
        digest: digest('3'),
        state: 'applying',
        message: 'Deployment web: 1 of 2 pods ready',
        objects: { total: 4, ready: 3 },
        drift,
      },
      isCurrent: false,
    },
    { name: 'metrics', kind: 'addon', desired: { pack: { name: 'metrics', version: '3.0.0' }, digest: digest('4') }, isCurrent: false },
    {
      name: 'telemetry',
      kind: 'addon',
      observed: {
        name: 'telemetry',
        kind: 'addon',
        pack: { name: 'telemetry', version: '2.1.0' },
        digest: digest('5'),
        state: 'removing',
        objects: { total: 1, ready: 1 },
        drift,
      },
      isCurrent: false,
    },
  ],
  hosts: [
    {
      id: 'hos_1',
      name: 'store-1',
      project: 'default',
      state: 'approved',
      online: false,
      lastSeenMs: Date.UTC(2026, 0, 2, 9),
      simulated: true,
      cluster: 'store-1',
      phase: 'applying',
      generation: 4,
      reportedGeneration: 3,
      drifted: 3,
      labels: {},
    },
  ],
  ...more,
});

export const readyCluster = (): ClusterInput => {
  const view = cluster({ state: 'ready', message: 'Every layer runs as desired.' });
  return { ...view, layers: view.layers.slice(0, 1), layersTotal: 1, layersReady: 1 };
};

export const plan = (changes: boolean) => ({ bundle: digest('f'), changes, layers: [], steps: [], hosts: 1, warnings: [] });
