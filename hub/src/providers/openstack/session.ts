import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf, jsonOf, type Asked } from './answer.ts';
import { openStackLimits } from './limits.ts';

const endpointSchema = z.object({ interface: z.string(), region_id: z.string().nullish(), region: z.string().nullish(), url: z.string() });
const tokenSchema = z.object({
  token: z.object({
    expires_at: z.string(),
    issued_at: z.string(),
    user: z.object({ name: z.string() }),
    project: z.object({ id: z.string(), name: z.string() }).optional(),
    roles: z.array(z.object({ name: z.string() })).default([]),
    catalog: z
      .array(z.object({ type: z.string(), endpoints: z.array(endpointSchema) }))
      .max(openStackLimits.catalogue)
      .default([]),
  }),
});
export type Token = z.infer<typeof tokenSchema>['token'];

export interface Ask {
  service: Service;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Readonly<Record<string, string>> | undefined;
  body?: unknown;
  /** `2.52`; without it nova speaks the dialect of 2013. */
  microversion?: string | undefined;
  /** Statuses that are no failure besides 2xx. */
  takes?: readonly number[] | undefined;
}
export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Service types of the catalogue, and what older clouds call them. */
const serviceTypes = {
  network: ['network'],
  compute: ['compute'],
  image: ['image'],
  'load-balancer': ['load-balancer'],
} as const;
export type Service = keyof typeof serviceTypes;

/** Catalogues name neutron and glance without their version, nova with it; some operators do the contrary. */
const versionPaths: Record<Service, { path: string; pattern: RegExp }> = {
  network: { path: '/v2.0', pattern: /\/v2(\.0)?$/ },
  compute: { path: '', pattern: /$/ },
  image: { path: '/v2', pattern: /\/v2$/ },
  'load-balancer': { path: '/v2', pattern: /\/v2(\.0)?$/ },
};

type Deps = Pick<ProviderDeps<'openstack'>, 'settings' | 'secret' | 'http' | 'clock'>;

const authBody = ({ settings, secret }: Deps): unknown => {
  if (secret.type === 'application-credential')
    return { auth: { identity: { methods: ['application_credential'], application_credential: { id: secret.id, secret: secret.secret } } } };
  const domain = (name: string): unknown => (name.toLowerCase() === 'default' ? { id: 'default' } : { name });
  const user = { name: secret.username, password: secret.password, domain: domain(settings.userDomain) };
  const scope = settings.project === undefined ? {} : { scope: { project: { name: settings.project, domain: domain(settings.projectDomain) } } };
  return { auth: { identity: { methods: ['password'], password: { user } }, ...scope } };
};

const trimmed = (url: string): string => url.replace(/\/+$/, '');
const keystoneOf = (authUrl: string): string => (trimmed(authUrl).endsWith('/v3') ? trimmed(authUrl) : `${trimmed(authUrl)}/v3`);

/** Address of a service in the catalogue. Failures: `service-missing` (blocked), `region-ambiguous` (blocked). */
export const endpointOf = (token: Token, service: Service, region: string | undefined, face: string): Result<string> => {
  const element = `OpenStack catalogue, ${service}`;
  const types: readonly string[] = serviceTypes[service];
  const all = token.catalog.filter((entry) => types.includes(entry.type)).flatMap((entry) => entry.endpoints.filter((item) => item.interface === face));
  const regionOf = (item: z.infer<typeof endpointSchema>): string => item.region_id ?? item.region ?? '';
  const fitting = region === undefined ? all : all.filter((item) => regionOf(item) === region);
  const regions = [...new Set(all.map(regionOf))].sort();
  const [first] = fitting;
  if (first === undefined)
    return fail(
      'blocked',
      'service-missing',
      element,
      `there is no ${face} endpoint${region === undefined ? '' : ` in region ${region}; there are: ${regions.join(', ') || 'none'}`}`,
    );
  if (new Set(fitting.map(regionOf)).size > 1)
    return fail('blocked', 'region-ambiguous', element, `it is in ${regions.join(', ')}; name one of them as "region" of the account or the placement`);
  const { path, pattern } = versionPaths[service];
  const base = trimmed(first.url);
  return URL.canParse(base) ? ok(pattern.test(base) ? base : `${base}${path}`) : fail('blocked', 'service-missing', element, `its address ${base} is none`);
};

/** Logged in to one cloud: a token, renewed before it expires and when it is refused, and the way to each service. */
export const createSession = (deps: Deps) => {
  const { settings, http, clock } = deps;
  let current: { id: string; token: Token; untilMs: number } | undefined;
  let login: Promise<Result<{ id: string; token: Token }>> | undefined;

  const send = async (asked: Asked, url: string, headers: Record<string, string>, body: unknown): Promise<Result<HttpResponse>> => {
    const sent = await http({
      method: asked.method,
      url,
      headers: { accept: 'application/json', ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (sent.ok || sent.failure.code !== 'unreachable') return sent;
    return fail('retry', 'cloud-unreachable', `OpenStack ${asked.service} ${asked.method} ${asked.path}`, sent.failure.message);
  };

  const logIn = async (): Promise<Result<{ id: string; token: Token }>> => {
    const asked = { service: 'identity', method: 'POST', path: '/v3/auth/tokens' };
    const sent = await send(asked, `${keystoneOf(settings.authUrl)}/auth/tokens`, {}, authBody(deps));
    if (!sent.ok) return sent;
    if (sent.value.status !== 201 && sent.value.status !== 200) return failureOf(asked, sent.value);
    const body = jsonOf(asked, sent.value);
    if (!body.ok) return body;
    const parsed = tokenSchema.safeParse(body.value);
    const id = sent.value.headers['x-subject-token'];
    if (!parsed.success || id === undefined)
      return fail('retry', 'cloud-failed', 'OpenStack identity', `the answer is no token of keystone v3. Is ${settings.authUrl} its address?`);
    const { token } = parsed.data;
    if (token.project === undefined)
      return fail('blocked', 'credentials-refused', 'OpenStack identity', 'the login has no project; name one as "project" of the account');
    // The difference of two times of theirs: their clock need not be ours.
    const lifeMs = Date.parse(token.expires_at) - Date.parse(token.issued_at);
    current = { id, token, untilMs: clock.monotonicMs() + Math.max(0, (Number.isNaN(lifeMs) ? 0 : lifeMs) - openStackLimits.tokenRenewMs) };
    return ok({ id, token });
  };
  /** However many wait for a token: one login. */
  const token = async (): Promise<Result<{ id: string; token: Token }>> => {
    if (current !== undefined && clock.monotonicMs() < current.untilMs) return ok(current);
    login ??= logIn().finally(() => void (login = undefined));
    return login;
  };

  const call = async (ask: Ask, region = settings.region): Promise<Result<Answer>> => {
    for (let attempt = 1; ; attempt += 1) {
      const known = await token();
      if (!known.ok) return known;
      const base = endpointOf(known.value.token, ask.service, region, settings.interface);
      if (!base.ok) return base;
      const query = ask.query === undefined ? '' : `?${new URLSearchParams(ask.query).toString()}`;
      const headers = { 'x-auth-token': known.value.id, ...(ask.microversion === undefined ? {} : { 'openstack-api-version': `compute ${ask.microversion}` }) };
      const sent = await send(ask, `${base.value}${ask.path}${query}`, headers, ask.body);
      if (!sent.ok) return sent;
      const { status } = sent.value;
      if (status === 401 && attempt === 1) {
        // Revoked, or expired by their clock.
        if (current?.id === known.value.id) current = undefined;
        continue;
      }
      const isTaken = (status >= 200 && status < 300) || ask.takes?.includes(status) === true;
      if (!isTaken) return failureOf(ask, sent.value);
      if (status >= 300) return ok({ status, body: {} });
      const body = jsonOf(ask, sent.value);
      return body.ok ? ok({ status, body: body.value }) : body;
    }
  };
  return { token, call };
};
export type Session = ReturnType<typeof createSession>;
