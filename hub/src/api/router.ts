import { isAllowed } from '@groundplane/protocol/access';
import { fail, type Failure } from '@groundplane/protocol/failure';
import { jsonDepth } from '@groundplane/protocol/frame';
import { limits } from '@groundplane/protocol/limits';
import { apiBase, routes, type RouteName } from '@groundplane/protocol/api/routes';
import type { Route } from '@groundplane/protocol/api/route';
import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { z } from 'zod';
import * as access from './access.ts';
import type { Principal } from './auth.ts';
import * as clusters from './clusters.ts';
import { invalid, notFound, statusOf } from './errors.ts';
import * as events from './events.ts';
import type { ApiDeps, Handler } from './handler.ts';
import { hostJournal, hostVitals } from './host-heard.ts';
import * as hosts from './hosts.ts';
import * as macros from './macros.ts';
import { clusterValues } from './cluster-values.ts';
import { importReceipt } from './media-receipts.ts';
import { clusterImages, clusterMedia, clusterSbom, profileMedia } from './media.ts';
import { getPack, listPacks } from './packs.ts';
import { planCluster } from './plan.ts';
import * as profileTools from './profile-tools.ts';
import * as profiles from './profiles.ts';
import * as accounts from './accounts.ts';
import * as infrastructure from './infrastructure.ts';
import * as insides from './insides.ts';
import * as registries from './registries.ts';
import { getSite, listReceipts, listSites } from './sites.ts';
import * as tickets from './tickets.ts';

/** Routes that set or clear the cookie are answered here; all others have a handler, and the type asks for each. */
type Special = 'setup' | 'login' | 'logout';
const handlers: { [N in Exclude<RouteName, Special>]: Handler<N> } = {
  ...pick(access),
  ...pick(clusters),
  ...pick(events),
  ...pick(hosts),
  ...pick(macros),
  ...pick(profiles),
  ...pick(profileTools),
  getPack,
  listPacks,
  clusterValues,
  ...pick(accounts),
  ...pick(infrastructure),
  ...insides.handlers,
  ...pick(registries),
  ...pick(tickets),
  planCluster,
  clusterImages,
  clusterMedia,
  importReceipt,
  hostVitals,
  hostJournal,
  listSites,
  getSite,
  listReceipts,
  clusterSbom,
  profileMedia,
};

function pick<T extends object>(
  module: T,
): Omit<
  T,
  | 'who'
  | 'findCluster'
  | 'membersOf'
  | 'layerStack'
  | 'checkSpec'
  | 'hostSummary'
  | 'findProfile'
  | 'profileView'
  | 'saveProfile'
  | 'contentOf'
  | 'missingContent'
> {
  return module;
}

type App = Hono<{ Variables: { principal: Principal } }>;

export const failureResponse = (context: Context, failure: Failure): Response => {
  const status = statusOf(failure);
  if (status === 429 || status === 503) context.header('Retry-After', '5');
  if (status === 401) context.header('WWW-Authenticate', 'Bearer');
  return context.json({ error: failure }, status as 400);
};

/** `__Host-` needs https; on plain loopback http the cookie has another name and no Secure flag. */
const cookieName = (isSecure: boolean): string => (isSecure ? '__Host-gp' : 'gp-session');

const setSession = (context: Context, secret: string, secure: boolean): void => {
  setCookie(context, cookieName(secure), secret, { httpOnly: true, sameSite: 'Strict', path: '/', secure, maxAge: 12 * 3600 });
};

/** Finds out who calls: an API key as bearer, or the session cookie. */
export const authenticate = async (context: Context, { auth, isSecure }: Pick<ApiDeps, 'auth' | 'isSecure'>): Promise<Principal | undefined> => {
  const header = context.req.header('authorization');
  if (header !== undefined) return header.startsWith('Bearer ') ? auth.byBearer(header.slice('Bearer '.length)) : undefined;
  const cookie = getCookie(context, cookieName(isSecure));
  return cookie === undefined ? undefined : auth.byCookie(cookie);
};

/** A page of another origin must not use a visitor's cookie, nor log them in as somebody else. */
export const isForeign = (context: Context): boolean => {
  const origin = context.req.header('origin');
  if (origin === undefined) return context.req.header('sec-fetch-site') === 'cross-site';
  return URL.parse(origin)?.host !== context.req.header('host');
};

const issueText = (error: z.ZodError): string =>
  error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `}${issue.message}`)
    .join('; ');

const readBody = async (context: Context, route: Route): Promise<{ ok: true; value: unknown } | { ok: false; failure: Failure }> => {
  if (route.body === undefined) return { ok: true, value: undefined };
  const text = await context.req.text();
  if (jsonDepth(text, limits.jsonDepth) > limits.jsonDepth) return invalid('request body', `is nested deeper than ${limits.jsonDepth} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return invalid('request body', text === '' ? 'is empty; this route wants JSON' : `is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
  const parsed = route.body.safeParse(value);
  return parsed.success ? { ok: true, value: parsed.data } : invalid('request body', issueText(parsed.error));
};

const denied = (route: Route, why: string): Failure => fail('fatal', 'denied', `${route.method} ${route.path}`, why).failure;
const unauthenticated = fail('fatal', 'unauthenticated', 'request', 'needs an API key or a session. Run: gp login').failure;

/** Project ids never come from a request; a project that is missing and one that may not be seen look the same. */
const projectOf = async (context: Context, route: Route, principal: Principal, deps: ApiDeps): Promise<string | Failure> => {
  if (route.auth.access !== 'permission') return '';
  const { permission, scope } = route.auth;
  if (scope === 'tenant') {
    const anywhere =
      permission === 'host.get'
        ? principal.grants.some((grant) => isAllowed([grant], permission, grant.project))
        : isAllowed(principal.grants, permission, undefined);
    return anywhere ? '' : denied(route, `needs the permission ${permission} for the whole tenant`);
  }
  const name = context.req.param('project') ?? '';
  const row = await deps.store.byName('project', principal.tenant, '', name);
  const mayEnter = row !== undefined && principal.grants.some((grant) => grant.project === undefined || grant.project === row.id);
  if (row === undefined || !mayEnter) return notFound(`project ${name}`, 'See: gp get projects').failure;
  return isAllowed(principal.grants, permission, row.id) ? row.id : denied(route, `needs the permission ${permission} in project ${name}`);
};

const serve = async (context: Context, name: Exclude<RouteName, Special>, route: Route, deps: ApiDeps): Promise<Response> => {
  const principal = await authenticate(context, deps);
  if (principal === undefined) return failureResponse(context, unauthenticated);
  if (principal.byCookie && route.method !== 'GET' && isForeign(context)) return failureResponse(context, denied(route, 'the request comes from another site'));
  const project = await projectOf(context, route, principal, deps);
  if (typeof project !== 'string') return failureResponse(context, project);
  const params = route.params.safeParse(context.req.param());
  if (!params.success) return failureResponse(context, invalid('path', issueText(params.error)).failure);
  const query = route.query.safeParse(context.req.query());
  if (!query.success) return failureResponse(context, invalid('query', issueText(query.error)).failure);
  const body = await readBody(context, route);
  if (!body.ok) return failureResponse(context, body.failure);
  const handler = handlers[name] as (request: object, deps: ApiDeps) => ReturnType<Handler<'getCluster'>>;
  const result = await handler({ principal, params: params.data, query: query.data, body: body.value, project }, deps);
  if (!result.ok) return failureResponse(context, result.failure);
  // Views are allow-lists: what the schema does not name does not leave.
  return route.status === 204 ? context.body(null, 204) : context.json(route.response.parse(result.value) as object, route.status);
};

const serveLogin = async (context: Context, name: 'setup' | 'login', deps: ApiDeps): Promise<Response> => {
  const route = routes[name];
  if (isForeign(context)) return failureResponse(context, denied(route, 'the request comes from another site'));
  const body = await readBody(context, route);
  if (!body.ok) return failureResponse(context, body.failure);
  const given = body.value as { token?: string; name: string; password: string };
  const opened = name === 'setup' ? await deps.auth.setup(given.token ?? '', given.name, given.password) : await deps.auth.login(given.name, given.password);
  if (!opened.ok) return failureResponse(context, opened.failure);
  setSession(context, opened.value.secret, deps.isSecure);
  return context.json(route.response.parse(await access.who(opened.value.principal, deps)));
};

const serveLogout = async (context: Context, deps: ApiDeps): Promise<Response> => {
  if (isForeign(context)) return failureResponse(context, denied(routes.logout, 'the request comes from another site'));
  const cookie = getCookie(context, cookieName(deps.isSecure));
  if (cookie !== undefined) await deps.auth.logout(cookie);
  deleteCookie(context, cookieName(deps.isSecure), { path: '/', secure: deps.isSecure });
  return context.body(null, 204);
};

/** Binds the route table to its handlers. Whatever the table does not name does not exist. */
export const apiRouter = (deps: ApiDeps, log: (text: string) => void): App => {
  const app: App = new Hono();
  const limited = bodyLimit({
    maxSize: limits.apiBodyBytes,
    onError: (context) => failureResponse(context, fail('fatal', 'body-too-large', 'request body', `has more than ${limits.apiBodyBytes} bytes`).failure),
  });
  app.onError((error, context) => {
    log(`api: ${context.req.method} ${context.req.path}: ${error.stack ?? error.message}`);
    return context.json({ error: fail('retry', 'internal', 'hub', 'a fault of the hub; its log says more').failure }, 500);
  });
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    const path = `${apiBase}${route.path.replaceAll(/\{([a-z]+)\}/g, ':$1')}`;
    app.on(route.method, path, limited, (context) => {
      context.header('Cache-Control', 'no-store');
      if (name === 'setup' || name === 'login') return serveLogin(context, name, deps);
      if (name === 'logout') return serveLogout(context, deps);
      return serve(context, name, route, deps);
    });
  }
  return app;
};
