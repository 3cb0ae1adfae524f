import { describe, expect, test } from 'vitest';
import type { AccountSecret } from '@groundplane/protocol/environment/account';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';
import { failureOf, wordsOf } from '@groundplane/hub/providers/openstack/answer';
import { listAll } from '@groundplane/hub/providers/openstack/list';
import { openStackLimits } from '@groundplane/hub/providers/openstack/limits';
import { oldestFirst, shapes } from '@groundplane/hub/providers/openstack/network';
import { openStack } from '@groundplane/hub/providers/openstack/provider';
import { createSession, endpointOf } from '@groundplane/hub/providers/openstack/session';
import { fakeClock } from '../../fake/clock.ts';
import { seededRandom } from '../../fake/random.ts';

const json = (status: number, body: unknown, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers,
  body: Buffer.from(JSON.stringify(body)),
});
const settings = { authUrl: 'https://keystone.test', interface: 'public', projectDomain: 'Default', userDomain: 'Default', insecure: false } as const;
const secret: AccountSecret<'openstack'> = { type: 'application-credential', id: 'an-id', secret: 'a-secret' };

const endpoint = (url: string, region = 'one', face = 'public') => ({ interface: face, region_id: region, url });
const catalog = [
  { type: 'network', endpoints: [endpoint('https://neutron.test/'), endpoint('https://inside.test', 'one', 'internal')] },
  { type: 'compute', endpoints: [endpoint('https://nova.test/v2.1')] },
  { type: 'image', endpoints: [endpoint('https://glance.test/v2/')] },
];
const tokenBody = (overrides: Record<string, unknown> = {}) => ({
  token: {
    issued_at: '2020-01-01T00:00:00.000000Z',
    expires_at: '2020-01-01T01:00:00.000000Z',
    user: { name: 'somebody' },
    project: { id: 'p1', name: 'shop' },
    roles: [{ name: 'member' }],
    catalog,
    ...overrides,
  },
});

/** Answers from a table of `METHOD host/path`, in order; the last one of each stays. Everything else is a 404 of a proxy. */
const scripted = (answers: Record<string, HttpResponse | HttpResponse[]>) => {
  const asked: HttpRequest[] = [];
  let logins = 0;
  const http: Http = async (request) => {
    asked.push(request);
    const url = new URL(request.url);
    const key = `${request.method} ${url.host}${url.pathname}`;
    const scriptedAnswers = answers[key];
    if (scriptedAnswers !== undefined) {
      const list = Array.isArray(scriptedAnswers) ? scriptedAnswers : [scriptedAnswers];
      const answer = list.length > 1 ? list.shift() : list[0];
      if (answer !== undefined) return { ok: true, value: answer };
    }
    if (key === 'POST keystone.test/v3/auth/tokens') return { ok: true, value: json(201, tokenBody(), { 'x-subject-token': `t${(logins += 1)}` }) };
    return { ok: true, value: { status: 404, headers: {}, body: Buffer.from('<html><title>404</title><body>Not <b>Found</b></body></html>') } };
  };
  return { http, asked, logins: () => logins };
};
const sessionOf = (cloud: { http: Http }, clock = fakeClock(), own: AccountSecret<'openstack'> = secret) =>
  createSession({ settings, secret: own, http: cloud.http, clock });
const networks = (session: ReturnType<typeof createSession>) => listAll(session, { service: 'network', path: '/networks' }, 'networks', shapes.network);
const neutronNetworks = 'GET neutron.test/v2.0/networks';

describe('login', () => {
  test('an application credential names no user and no scope', async () => {
    const cloud = scripted({ [neutronNetworks]: json(200, { networks: [] }) });
    expect(await networks(sessionOf(cloud))).toEqual({ ok: true, value: [] });
    expect(JSON.parse(String(cloud.asked[0]?.body))).toEqual({
      auth: { identity: { methods: ['application_credential'], application_credential: { id: 'an-id', secret: 'a-secret' } } },
    });
    expect(cloud.asked[1]).toMatchObject({ url: 'https://neutron.test/v2.0/networks', headers: { 'x-auth-token': 't1' } });
  });

  test('a password comes with its domains and project', async () => {
    const cloud = scripted({});
    const clock = fakeClock();
    const own = { ...settings, authUrl: 'https://keystone.test/v3/', project: 'shop', projectDomain: 'Sales' };
    await createSession({ settings: own, secret: { type: 'password', username: 'u', password: 'p' }, http: cloud.http, clock }).token();
    expect(JSON.parse(String(cloud.asked[0]?.body))).toEqual({
      auth: {
        identity: { methods: ['password'], password: { user: { name: 'u', password: 'p', domain: { id: 'default' } } } },
        scope: { project: { name: 'shop', domain: { name: 'Sales' } } },
      },
    });
  });

  test('one login for many calls at once, a new one shortly before the token ends', async () => {
    const cloud = scripted({ [neutronNetworks]: json(200, { networks: [] }) });
    const clock = fakeClock();
    const session = sessionOf(cloud, clock);
    await Promise.all([networks(session), networks(session), networks(session)]);
    await clock.advance(3_600_000 - openStackLimits.tokenRenewMs - 1);
    await networks(session);
    expect(cloud.logins()).toBe(1);
    await clock.advance(1);
    await networks(session);
    expect(cloud.logins()).toBe(2);
  });

  test('a refused token is renewed once; then the account is refused', async () => {
    const refused = json(401, { error: { message: 'The request you have made requires authentication.' } });
    const cloud = scripted({ [neutronNetworks]: [refused, json(200, { networks: [] }), refused] });
    const session = sessionOf(cloud);
    expect(await networks(session)).toEqual({ ok: true, value: [] });
    expect(cloud.logins()).toBe(2);
    expect(await networks(session)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'credentials-refused' } });
    expect(cloud.logins()).toBe(3);
  });

  test('something else than keystone, and a token without a project, are told as such', async () => {
    const login = 'POST keystone.test/v3/auth/tokens';
    const page = { status: 200, headers: {}, body: Buffer.from('<html>Welcome</html>') };
    expect(await sessionOf(scripted({ [login]: page })).token()).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'cloud-failed' } });
    const unscoped = json(201, tokenBody({ project: undefined }), { 'x-subject-token': 't' });
    expect(await sessionOf(scripted({ [login]: unscoped })).token()).toMatchObject({ ok: false, failure: { code: 'credentials-refused' } });
  });
});

describe('catalogue', () => {
  const token = { ...tokenBody().token, roles: [], catalog };
  test('versions are added where the catalogue has none', () => {
    expect(endpointOf(token, 'network', undefined, 'public')).toEqual({ ok: true, value: 'https://neutron.test/v2.0' });
    expect(endpointOf(token, 'image', 'one', 'public')).toEqual({ ok: true, value: 'https://glance.test/v2' });
    expect(endpointOf(token, 'compute', 'one', 'public')).toEqual({ ok: true, value: 'https://nova.test/v2.1' });
    expect(endpointOf(token, 'network', 'one', 'internal')).toEqual({ ok: true, value: 'https://inside.test/v2.0' });
  });
  test('a missing service names the regions it has; several regions have to be chosen from', () => {
    expect(endpointOf(token, 'compute', 'two', 'public')).toMatchObject({ failure: { code: 'service-missing', message: expect.stringContaining('one') } });
    const two = { ...token, catalog: [{ type: 'compute', endpoints: [endpoint('https://a.test'), endpoint('https://b.test', 'two')] }] };
    expect(endpointOf(two, 'compute', undefined, 'public')).toMatchObject({ failure: { code: 'region-ambiguous', kind: 'blocked' } });
    expect(endpointOf(two, 'compute', 'two', 'public')).toEqual({ ok: true, value: 'https://b.test' });
  });
});

test.each([
  [403, { forbidden: { code: 403, message: 'Quota exceeded for cores: Requested 2' } }, {}, 'blocked', 'quota-reached'],
  [409, { NeutronError: { type: 'OverQuota', message: "Quota exceeded for resources: ['network'].", detail: '' } }, {}, 'blocked', 'quota-reached'],
  [413, { overLimit: { code: 413, message: 'VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded' } }, {}, 'blocked', 'quota-reached'],
  [413, { overLimit: { code: 413, message: 'This request was rate-limited.' } }, { 'retry-after': '7' }, 'retry', 'throttled'],
  [429, {}, { 'retry-after': '7' }, 'retry', 'throttled'],
  [403, { forbidden: { message: "Policy doesn't allow os_compute_api:servers:create to be performed." } }, {}, 'blocked', 'permission-missing'],
  [404, { NeutronError: { type: 'NetworkNotFound', message: 'Network x could not be found.' } }, {}, 'retry', 'cloud-conflict'],
  [409, { NeutronError: { type: 'NetworkInUse', message: 'Unable to complete operation on network x.' } }, {}, 'retry', 'cloud-conflict'],
  [400, { badRequest: { code: 400, message: 'Invalid imageRef provided.' } }, {}, 'fatal', 'cloud-refused'],
  [400, { faultcode: 'Client', faultstring: 'Invalid input for field', debuginfo: null }, {}, 'fatal', 'cloud-refused'],
  [503, {}, {}, 'retry', 'cloud-failed'],
])('%d %j %j is %s %s', (status, body, headers, kind, code) => {
  const { failure } = failureOf({ service: 'compute', method: 'POST', path: '/servers' }, json(status, body, headers));
  expect(failure).toMatchObject({ kind, code, element: 'OpenStack compute POST /servers' });
});

test('words are those of the service, without the markup of pages, and bounded', () => {
  expect(wordsOf(Buffer.from('<html><head><title>403 Forbidden</title></head><body><h1>You  are\nnot <b>allowed</b></h1></body></html>')).message).toBe(
    'You are not allowed',
  );
  expect(wordsOf(Buffer.from(JSON.stringify({ error: { message: 'x'.repeat(10_000) } }))).message).toHaveLength(openStackLimits.wordsLength);
  expect(wordsOf(Buffer.from('[1]')).message).toBe('[1]');
});

describe('lists', () => {
  const network = (id: string) => ({ id, name: id });
  test('pages are followed with the query of the link only: the token goes to no other host', async () => {
    const linked = json(200, { networks: [network('a')], networks_links: [{ rel: 'next', href: 'http://evil.test/steal?marker=a&limit=1' }] });
    const cloud = scripted({ [neutronNetworks]: [linked, json(200, { networks: [network('b')] })] });
    expect(await networks(sessionOf(cloud))).toMatchObject({ ok: true, value: [{ id: 'a' }, { id: 'b' }] });
    expect(cloud.asked.map((request) => new URL(request.url).host)).not.toContain('evil.test');
    expect(cloud.asked.at(-1)?.url).toBe('https://neutron.test/v2.0/networks?marker=a&limit=1');
  });
  test('pages in a circle end', async () => {
    const round = json(200, { networks: [network('a')], networks_links: [{ rel: 'next', href: 'https://neutron.test/v2.0/networks?marker=a' }] });
    expect(await networks(sessionOf(scripted({ [neutronNetworks]: round })))).toMatchObject({ ok: false, failure: { code: 'cloud-failed' } });
  });
  test('half a list is a failure: what was not seen would be made twice', async () => {
    const half = json(200, { networks: [network('a'), { id: 7 }] });
    expect(await networks(sessionOf(scripted({ [neutronNetworks]: half })))).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'cloud-failed' } });
    const page = { status: 200, headers: {}, body: Buffer.from('<html>proxy</html>') };
    expect(await networks(sessionOf(scripted({ [neutronNetworks]: page })))).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'cloud-failed' } });
  });
});

test('of several that were made at once every hub keeps the same one', () => {
  const items = [
    { id: 'c', created_at: '2026-01-02T00:00:00Z' },
    { id: 'b', created_at: '2026-01-01T00:00:00Z' },
    { id: 'a', created_at: '2026-01-02T00:00:00Z' },
  ];
  expect(oldestFirst(items).map((item) => item.id)).toEqual(['b', 'a', 'c']);
  expect(oldestFirst(items.toReversed()).map((item) => item.id)).toEqual(['b', 'a', 'c']);
});

describe('provider', () => {
  const scope = { id: 'clu_1', name: 'shop', zones: [], placement: placementSchemas.openstack.parse({}) };
  const providerOf = (cloud: { http: Http }) => openStack({ settings, secret, http: cloud.http, clock: fakeClock(), random: seededRandom(1) });

  test('things of others are neither taken over nor deleted, even where the cloud ignores filters', async () => {
    const foreign = { id: 'n1', name: 'shop-1', description: 'mine' };
    const cloud = scripted({
      'GET nova.test/v2.1/servers/detail': json(200, { servers: [{ id: 's1', name: 'shop', status: 'ACTIVE', tags: ['other'] }] }),
      'GET nova.test/v2.1/os-server-groups': json(200, { server_groups: [{ id: 'g', name: 'theirs' }] }),
      'GET neutron.test/v2.0/floatingips': json(200, { floatingips: [{ id: 'f', description: '', floating_ip_address: '1.2.3.4' }] }),
      'GET neutron.test/v2.0/ports': json(200, { ports: [{ ...foreign, network_id: 'n1' }] }),
      'GET neutron.test/v2.0/routers': json(200, { routers: [foreign] }),
      'GET neutron.test/v2.0/subnets': json(200, { subnets: [{ ...foreign, network_id: 'n1', cidr: '10.0.0.0/24', ip_version: 4 }] }),
      [neutronNetworks]: json(200, { networks: [foreign] }),
      'GET neutron.test/v2.0/security-groups': json(200, { security_groups: [foreign] }),
    });
    expect(await (await providerOf(cloud)).ensureNothingLeft(scope)).toEqual({ ok: true, value: { state: 'ready', value: undefined } });
    expect(cloud.asked.filter((request) => request.method === 'DELETE')).toEqual([]);
  });

  test('two servers of one name: the older one stays', async () => {
    const server = (id: string, created: string) => ({ id, name: 'm', created, status: 'ACTIVE', tags: ['groundplane-cluster=clu_1'], metadata: {} });
    const cloud = scripted({
      'GET nova.test/v2.1/servers/detail': json(200, { servers: [server('young', '2026-01-02'), server('old', '2026-01-01')] }),
      'DELETE nova.test/v2.1/servers/young': { status: 204, headers: {}, body: Buffer.alloc(0) },
    });
    const want = { name: 'm', pool: 'p', role: 'worker', size: 's', spot: false, userData: '', generation: 'g' } as const;
    expect(await (await providerOf(cloud)).ensureMachine(scope, want)).toMatchObject({ ok: true, value: { instance: 'old' } });
    expect(cloud.asked.filter((request) => request.method === 'DELETE').map((request) => request.url)).toEqual(['https://nova.test/v2.1/servers/young']);
    const large = { ...want, userData: 'x'.repeat(openStackLimits.userDataBytes + 1) };
    expect(await (await providerOf(cloud)).ensureMachine(scope, large)).toMatchObject({ failure: { kind: 'fatal' } });
    expect(await (await providerOf(cloud)).ensureMachine(scope, { ...want, userData: 'x'.repeat(openStackLimits.userDataBytes) })).toMatchObject({ ok: true });
  });

  test('several ways out have to be chosen from', async () => {
    const cloud = scripted({
      [neutronNetworks]: json(200, {
        networks: [
          { id: 'a', name: 'a' },
          { id: 'b', name: 'b' },
        ],
      }),
    });
    expect(await (await providerOf(cloud)).ensureNetwork(scope)).toMatchObject({ failure: { kind: 'blocked', code: 'choice-ambiguous' } });
  });
});
