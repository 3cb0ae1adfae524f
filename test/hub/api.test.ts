import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { permissions, roleNames, roles, type Permission } from '@groundplane/protocol/access';
import { apiBase, rawRoutes, routes, type RouteName } from '@groundplane/protocol/api/routes';
import type { Route } from '@groundplane/protocol/api/route';
import { digestBytes } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { applyCluster, applyProfile, codeOf, enrolledHost, makeTenant, makeTicket, openHub, value, type HubWorld } from './world.ts';

const table = Object.entries(routes) as [RouteName, Route][];
let hub: HubWorld;

/** One of each thing, in tenant A, in its projects `default` and `private`. */
const furnish = async (): Promise<void> => {
  value(await hub.admin.call('createProject', { body: { name: 'private' } }));
  for (const project of ['default', 'private']) {
    await applyProfile(hub.admin, 'web', '1.0.0', 'x', project);
    await enrolledHost(hub, 'edge', hub.admin, project);
    await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['edge'], project);
    await makeTicket(hub.admin, { name: 'ticket', project });
    value(await hub.admin.call('setMacro', { params: { project, name: 'site' }, body: { value: `of ${project}` } }));
  }
  value(await hub.admin.call('createApiKey', { body: { name: 'ci', role: 'Viewer' } }));
};

beforeAll(async () => {
  hub = await openHub();
  await furnish();
});
afterAll(async () => hub.close());

const filled: Record<string, string> = { project: 'default', pool: 'workers', version: '1.0.0', digest: digestBytes('x') };
const names: Partial<Record<RouteName, string>> = {
  getCluster: 'shop',
  applyCluster: 'shop',
  planCluster: 'shop',
  retryCluster: 'shop',
  deleteCluster: 'shop',
  getHost: 'edge',
  approveHost: 'edge',
  revokeHost: 'edge',
  deleteTicket: 'ticket',
  setMacro: 'site',
  deleteMacro: 'site',
  setTenantMacro: 'site',
  deleteTenantMacro: 'site',
  setRegistry: 'charts',
  deleteRegistry: 'charts',
  setTenantRegistry: 'charts',
  deleteTenantRegistry: 'charts',
  validateTenantRegistry: 'charts',
  validateRegistry: 'charts',
  listVersions: 'charts',
  importArtifact: 'charts',
  cloneProfile: 'store',
  deleteApiKey: 'ci',
};
const pathOf = (name: RouteName, given: Record<string, string> = {}): string =>
  apiBase +
  routes[name].path.replaceAll(/\{([a-z]+)\}/g, (_, key: string) =>
    encodeURIComponent(given[key] ?? (key === 'name' ? (names[name] ?? 'web') : (filled[key] ?? ''))),
  );

const spec = { profiles: [{ name: 'web', version: '1.0.0' }], hosts: [] };
const profileSpec = { type: 'addon', layers: [{ name: 'l', kind: 'addon', manifests: [{ name: 'm', content: '' }] }] };
/** A body that each route takes, so that nothing but the credential can be the reason of a refusal. */
const bodies: Partial<Record<RouteName, unknown>> = {
  setup: { token: 't', name: 'n', password: 'p'.repeat(12) },
  login: { name: 'n', password: 'p' },
  createTenant: { name: 'new' },
  createProject: { name: 'new' },
  applyProfile: { spec: profileSpec },
  applyCluster: { spec },
  planCluster: { spec },
  approveHost: {},
  createTicket: { name: 'new' },
  setMacro: { value: 'v' },
  setTenantMacro: { value: 'v' },
  compareProfiles: { from: { name: 'store', version: '1.0.0' }, to: { name: 'store', version: '1.0.0' } },
  previewProfile: { spec: profileSpec },
  cloneProfile: {},
  setRegistry: { kind: 'oci', url: 'oci://registry.example' },
  setTenantRegistry: { kind: 'oci', url: 'oci://registry.example' },
  importArtifact: { artifact: 'web' },
  setAccount: { kind: 'maas', settings: { url: 'https://maas.example' }, secret: { type: 'key', key: 'a:b:c' } },
  setTenantAccount: { kind: 'maas', settings: { url: 'https://maas.example' }, secret: { type: 'key', key: 'a:b:c' } },
  accountOffers: { environment: 'maas' },
  accountOrphans: { environment: 'maas' },
  scalePool: { count: 1 },
  setPrices: { source: 's', prices: {} },
  setCatalogue: { source: 's', images: {}, kubernetes: {} },
  createApiKey: { name: 'new', role: 'Viewer' },
};
const queries: Partial<Record<RouteName, string>> = {
  diffProfile: '?from=1.0.0&to=1.0.0',
  setAccount: '?validate=false',
  setTenantAccount: '?validate=false',
};

const send = async (name: RouteName, options: { headers?: Record<string, string>; body?: string; given?: Record<string, string> } = {}): Promise<Response> => {
  const route: Route = routes[name];
  const body = route.body === undefined ? undefined : (options.body ?? JSON.stringify(bodies[name] ?? {}));
  return hub.fetch(pathOf(name, options.given) + (queries[name] ?? ''), {
    method: route.method,
    headers: { 'content-type': 'application/json', ...options.headers },
    ...(body === undefined ? {} : { body }),
  });
};
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
const failureOf = async (response: Response): Promise<{ code: string; element: string; message: string }> =>
  ((await response.json()) as { error: { code: string; element: string; message: string } }).error;
const isAlive = async (): Promise<void> => expect((await send('whoami', { headers: bearer(hub.admin.key) })).status).toBe(200);

describe('without a valid credential', () => {
  const wrong: [string, Record<string, string>][] = [
    ['nothing', {}],
    ['an unknown key', bearer('gpk_unknown')],
    ['an empty bearer', { authorization: 'Bearer ' }],
    ['basic credentials', { authorization: 'Basic YTpi' }],
    ['a huge bearer', bearer('x'.repeat(100_000))],
    ['an unknown cookie', { cookie: 'gp-session=gps_unknown' }],
    ['a cookie of odd signs', { cookie: "gp-session=' OR 1=1; gp-session=%00" }],
    ['an empty cookie', { cookie: 'gp-session=' }],
  ];
  for (const [name, route] of table) {
    if (route.auth.access === 'public' || name === 'logout') continue;
    test(`${route.method} ${route.path}`, async () => {
      for (const [what, headers] of wrong) {
        const response = await send(name, { headers });
        expect(response.status, what).toBe(401);
        expect((await failureOf(response)).code).toBe('unauthenticated');
      }
    });
  }
  test('content and stream ask too; the description is public', async () => {
    for (const path of [rawRoutes.content.replace('{digest}', filled['digest'] ?? ''), rawRoutes.stream]) expect((await hub.fetch(path)).status).toBe(401);
    expect((await hub.fetch(rawRoutes.content.replace('{digest}', filled['digest'] ?? ''), { method: 'PUT', body: 'x' })).status).toBe(401);
  });
  test('what the table does not name does not exist', async () => {
    for (const path of ['/api/v1', '/api/v1/', '/api/v1/nothing', '/api/v2/whoami', '/api/v1/projects/default/secrets', '/api/v1/users'])
      expect((await hub.fetch(path, { headers: bearer(hub.admin.key) })).status).toBe(404);
    for (const method of ['PATCH', 'OPTIONS', 'TRACE', 'POST'].filter((item) => item !== 'TRACE'))
      expect((await hub.fetch('/api/v1/whoami', { method, headers: bearer(hub.admin.key) })).status).toBe(404);
  });
});

describe('bodies that are none', () => {
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const odd: [string, string, boolean][] = [
    ['empty object', '{}', false],
    ['null', 'null', true],
    ['list', '[]', true],
    ['text', '"x"', true],
    ['number', '1', true],
    ['nothing', '', true],
    ['cut off', '{"name":', true],
    ['no JSON', 'name=x', true],
    ['deep', nested(limits.jsonDepth + 1), true],
    ['very deep', '['.repeat(1_000_000), true],
    ['huge', JSON.stringify({ name: 'x'.repeat(limits.apiBodyBytes) }), true],
    ['foreign fields', '{"__proto__":{"admin":true},"constructor":1,"tenant":"other"}', true],
  ];
  for (const [name, route] of table.filter(([, item]) => item.body !== undefined)) {
    test(`${route.method} ${route.path}`, async () => {
      for (const [what, body, isAlwaysWrong] of odd) {
        const response = await send(name, { headers: bearer(hub.admin.key), body, given: { name: 'odd-name' } });
        const isRefused = response.status >= 400 && response.status < 500;
        if (isAlwaysWrong || name !== 'approveHost') expect(isRefused, `${what}: ${response.status}`).toBe(true);
        if (isRefused) expect((await failureOf(response)).message.length).toBeGreaterThan(0);
      }
      await isAlive();
    });
  }

  test('a body over the limit is refused by its announcement and by its bytes', async () => {
    const over = JSON.stringify({ value: 'x'.repeat(limits.apiBodyBytes) });
    expect((await send('setMacro', { headers: bearer(hub.admin.key), body: over })).status).toBe(413);
    const bytes = new TextEncoder().encode(over);
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => (controller.enqueue(bytes.subarray(0, 1_000)), controller.enqueue(bytes.subarray(1_000)), controller.close()),
    });
    const response = await hub.fetch(pathOf('setMacro'), { method: 'PUT', headers: bearer(hub.admin.key), body: stream, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(413);
  });

  test('paths and queries of odd form are 4xx', async () => {
    const headers = bearer(hub.admin.key);
    for (const name of ['..', '%2e%2e', 'A', 'a b', 'a'.repeat(64), '\u0000', "'", 'ä', '.', 'a/b']) {
      for (const route of ['getCluster', 'getHost', 'deleteTicket'] as const) {
        const response = await send(route, { headers, given: { name } });
        expect(response.status, `${route} ${JSON.stringify(name)}`).toBeGreaterThanOrEqual(400);
        expect(response.status).toBeLessThan(500);
      }
    }
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'limit=-1', 'limit=1.5', `after=${'a'.repeat(257)}`, 'state=any'])
      expect((await hub.fetch(`${apiBase}/projects/default/hosts?${query}`, { headers })).status, query).toBe(400);
    expect((await hub.fetch(`${apiBase}/projects/default/hosts?limit=500&after=${encodeURIComponent("' OR 1=1 --")}`, { headers })).status).toBe(200);
    await isAlive();
  });
});

describe('permissions', () => {
  test('each role may call exactly the routes of its permissions', async () => {
    for (const role of roleNames) {
      const { key } = await hub.client([{ role }]);
      for (const [name, route] of table) {
        if (route.auth.access !== 'permission') continue;
        const status = (
          await send(name, {
            headers: bearer(key),
            given: { name: 'nobody', version: '9.9.9', project: route.auth.scope === 'tenant' ? 'never-was' : 'default' },
            body: JSON.stringify({ wrong: true }),
          })
        ).status;
        const may = (roles[role] as readonly Permission[]).includes(route.auth.permission);
        expect(status === 403, `${role} ${name}: ${status}`).toBe(!may);
      }
    }
  });

  test('a Viewer writes nothing', async () => {
    const { key } = await hub.client([{ role: 'Viewer' }]);
    const rows = async (): Promise<string> => {
      const all: string[] = [];
      for (const kind of ['cluster', 'profile', 'host', 'ticket', 'macro', 'apiKey', 'project', 'tenant', 'blob'] as const)
        for await (const row of hub.store.scan(kind)) all.push(`${kind} ${row.id} ${row.version}`);
      return all.join('\n');
    };
    const before = await rows();
    for (const [name, route] of table) {
      if (
        route.method === 'GET' ||
        ['planCluster', 'compareProfiles', 'validateRegistry', 'validateTenantRegistry', 'accountOffers', 'accountOrphans'].includes(name) ||
        route.auth.access !== 'permission'
      )
        continue;
      expect((await send(name, { headers: bearer(key) })).status, name).toBe(403);
    }
    expect((await hub.fetch(rawRoutes.content.replace('{digest}', digestBytes('y')), { method: 'PUT', body: 'y', headers: bearer(key) })).status).toBe(403);
    expect(await rows()).toBe(before);
  });

  test('nobody gives more than they have, and a key of a project opens that project only', async () => {
    const projects = value(await hub.admin.call('listProjects', {})).items;
    const mine = projects.find((project) => project.name === 'default')?.id ?? '';
    const keeper = await hub.client([{ role: 'TenantAdmin', project: mine }]);
    expect(codeOf(await keeper.call('createApiKey', { body: { name: 'more', role: 'TenantAdmin' } }))).toBe('denied');
    expect(codeOf(await keeper.call('createProject', { body: { name: 'more' } }))).toBe('denied');
    expect(codeOf(await keeper.call('createTenant', { body: { name: 'more' } }))).toBe('denied');
    expect(value(await keeper.call('listProjects', {})).items.map((project) => project.name)).toEqual(['default']);
    for (const [name, route] of table) {
      if (!route.path.includes('{project}') || route.auth.access !== 'permission') continue;
      const other = await send(name, { headers: bearer(keeper.key), given: { project: 'private' } });
      const missing = await send(name, { headers: bearer(keeper.key), given: { project: 'never-was' } });
      const expected = route.auth.scope === 'tenant' ? 403 : 404;
      expect([other.status, missing.status], name).toEqual([expected, expected]);
      if (expected === 404) expect((await other.text()).replaceAll('private', 'X')).toBe((await missing.text()).replaceAll('never-was', 'X'));
    }
    expect(value(await keeper.call('getCluster', { params: { project: 'default', name: 'shop' } })).name).toBe('shop');
    const counters = value(await keeper.call('fleet', {}));
    expect(counters.hosts, 'the counters are those of its own project').toBe(1);
    expect(counters.clusters).toBe(1);
    expect((await send('fleet', { headers: bearer(keeper.key) })).status).toBe(200);
    expect((await hub.fetch(`${apiBase}/fleet?project=private`, { headers: bearer(keeper.key) })).status).toBe(404);
    expect(value(await keeper.call('fleet', { query: { project: 'default' } })).hosts).toBe(1);
    expect(value(await hub.admin.call('fleet', {})).hosts).toBe(2);
  });
});

describe('tenants', () => {
  test('the things of another tenant are not there, whatever is done to them', async () => {
    const second = await makeTenant(hub.store, 'second');
    const stranger = await hub.client([{ role: 'TenantAdmin' }], second);
    const digest = digestBytes('a chart of tenant A');
    expect(
      (await hub.fetch(rawRoutes.content.replace('{digest}', digest), { method: 'PUT', body: 'a chart of tenant A', headers: bearer(hub.admin.key) })).status,
    ).toBe(204);
    const count = async (): Promise<number> => {
      let rows = 0;
      for (const kind of ['cluster', 'profile', 'host', 'ticket', 'macro', 'apiKey', 'project'] as const)
        for await (const row of hub.store.scan(kind)) rows += row.tenant === hub.tenant ? row.version : 0;
      return rows;
    };
    const before = await count();
    const created: RouteName[] = [
      'createProject',
      'createTicket',
      'createApiKey',
      'setMacro',
      'setTenantMacro',
      'setRegistry',
      'setTenantRegistry',
      'setAccount',
      'setTenantAccount',
      'applyProfile',
      'applyCluster',
      'importCluster',
    ];
    for (const [name, route] of table) {
      if (!/\{(name|version|digest)\}/.test(route.path) || created.includes(name)) continue;
      const response = await send(name, { headers: bearer(stranger.key), given: { digest } });
      const isOwnPlan = name === 'planCluster';
      expect(isOwnPlan ? [404, 409].includes(response.status) : response.status === 404, `${name}: ${response.status}`).toBe(true);
      expect(await response.text()).not.toContain(hub.tenant);
    }
    expect((await hub.fetch(rawRoutes.content.replace('{digest}', digest), { headers: bearer(stranger.key) })).status).toBe(404);
    for (const list of ['listProfiles', 'listClusters', 'listHosts', 'listTickets', 'listMacros', 'listEvents'] as const)
      expect(value(await stranger.call(list, { params: { project: 'default' } })).items, list).toEqual([]);
    expect(codeOf(await stranger.call('createTenant', { body: { name: 'third' } }))).toBe('denied');
    expect(await count()).toBe(before);
  });

  test('a chart that another tenant uploaded cannot be used by naming its digest', async () => {
    const second = await makeTenant(hub.store, 'second');
    const stranger = await hub.client([{ role: 'TenantAdmin' }], second);
    const digest = digestBytes('a chart of tenant A');
    const spec = { type: 'addon' as const, layers: [{ name: 'l', kind: 'addon' as const, helm: { chart: { digest, name: 'c', version: '1.0.0' } } }] };
    expect(codeOf(await stranger.call('applyProfile', { params: { project: 'default', name: 'stolen', version: '1.0.0' }, body: { spec } }))).toBe(
      'chart-missing',
    );
    value(await hub.admin.call('applyProfile', { params: { project: 'default', name: 'mine', version: '1.0.0' }, body: { spec } }));
  });
});

test('answers hold nothing that their schema does not name', async () => {
  const strict = (schema: z.ZodType): z.ZodType => {
    const def = schema.def as { type: string; shape?: Record<string, z.ZodType>; element?: z.ZodType; innerType?: z.ZodType };
    if (def.type === 'object' && schema instanceof z.ZodObject)
      return z.strictObject(Object.fromEntries(Object.entries(schema.shape as Record<string, z.ZodType>).map(([key, item]) => [key, strict(item)])));
    if (def.type === 'array' && schema instanceof z.ZodArray) return z.array(strict(schema.element as z.ZodType));
    if (def.type === 'optional' && schema instanceof z.ZodOptional) return strict(schema.unwrap() as z.ZodType).optional();
    return schema;
  };
  let checked = 0;
  for (const [name, route] of table) {
    if (route.method !== 'GET') continue;
    const response = await send(name, { headers: bearer(hub.admin.key) });
    if (response.status !== 200) continue;
    const body: unknown = await response.json();
    const parsed = strict(route.response).safeParse(body);
    expect(parsed.success ? '' : `${name}: ${parsed.error.message.slice(0, 500)}`).toBe('');
    expect(JSON.stringify(body)).not.toMatch(/passwordHash|keyHash|"grants":\[\{"role":"\w+","project":"prj_/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    checked += 1;
  }
  expect(checked).toBeGreaterThan(14);
  expect(permissions.length).toBeGreaterThan(20);
  expect(hub.log.filter((line) => /TypeError|RangeError|ZodError/.test(line))).toEqual([]);
});
