import { serve } from '@hono/node-server';
import { dashboardApp } from '@groundplane/hub/web/dashboard';
import { permissions, type Grant } from '@groundplane/protocol/access';
import { apiBase, rawRoutes, routes, type RouteName } from '@groundplane/protocol/api/routes';
import type { Route } from '@groundplane/protocol/api/route';
import type { WhoView } from '@groundplane/protocol/api/views';
import { Hono, type Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { streamSSE } from 'hono/streaming';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { answersOf, fleetOf, no, type Answer, type Change, type Fixture } from './fixture-answers.ts';
import { makeWorld, newId, project, type WorldOptions } from './fixture-data.ts';

export interface FixtureOptions extends WorldOptions {
  assetsDir: string;
  /** What the user may do; everything by default. */
  grants?: Grant[];
  needsSetup?: boolean;
}

export interface FixtureServer {
  url: string;
  fixture: Fixture;
  setupToken: string;
  credentials: { name: string; password: string };
  /** Requests that were answered, as `METHOD /path`. */
  requests: string[];
  /** Ends every event stream; while `refused` new ones get 503. */
  dropStreams: (refused: boolean) => void;
  close: () => Promise<void>;
}

const session = '__Host-gp';
const userOf = (grants: Grant[]): WhoView => ({
  subject: newId('usr', 1),
  name: 'admin',
  tenant: { id: newId('ten', 1), name: 'acme' },
  grants,
  permissions: [...permissions],
});

/** `{name}` of the table as Hono's `:name`. */
const honoPath = (path: string): string => apiBase + path.replaceAll(/\{([a-z]+)\}/g, ':$1');

const readBody = async (context: Context): Promise<unknown> => {
  const text = await context.req.text();
  return text === '' ? undefined : (JSON.parse(text) as unknown);
};

const check = (schema: z.ZodType, value: unknown, what: string): Answer<unknown> => {
  const parsed = schema.safeParse(value);
  return parsed.success
    ? { ok: true, value: parsed.data }
    : no(400, 'request-invalid', what, parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
};

const reply = (context: Context, route: Route, isStrict: boolean, answer: Answer<unknown>): Response => {
  if (!answer.ok) return context.json({ error: answer.failure }, answer.status);
  if (answer.value === undefined) return context.body(null, 204);
  // The double is held to the same views as the hub, except where hostile names are the very thing that is tested.
  if (isStrict) route.response.parse(answer.value);
  return context.json(answer.value as object, route.status === 204 ? 200 : route.status);
};

const mountApi = (app: Hono, fixture: Fixture, isIn: (context: Context) => boolean, requests: string[], isStrict: boolean): void => {
  const answers = answersOf(fixture) as Partial<Record<RouteName, (asked: unknown) => Answer<unknown>>>;
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    const answer = answers[name];
    if (answer === undefined) continue;
    app.on(route.method, honoPath(route.path), async (context) => {
      requests.push(`${route.method} ${context.req.path}`);
      if (!isIn(context)) return reply(context, route, isStrict, no(401, 'unauthenticated', 'session', 'has ended; log in again'));
      const query = check(route.query, context.req.query(), 'query');
      const body = route.body === undefined ? ({ ok: true, value: undefined } as const) : check(route.body, await readBody(context), 'body');
      if (!query.ok) return reply(context, route, isStrict, query);
      if (!body.ok) return reply(context, route, isStrict, body);
      return reply(context, route, isStrict, answer({ params: context.req.param(), query: query.value, body: body.value }));
    });
  }
};

interface Streams {
  listeners: Set<(frame: string | undefined) => void>;
  isRefused: boolean;
  seq: number;
}

const mountStream = (app: Hono, fixture: Fixture, isIn: (context: Context) => boolean, streams: Streams): void => {
  app.get(rawRoutes.stream, (context) => {
    if (!isIn(context)) return context.json({ error: no(401, 'unauthenticated', 'session', 'has ended').failure }, 401);
    if (streams.isRefused) return context.text('restarting', 503);
    return streamSSE(context, async (stream) => {
      const end = Promise.withResolvers<void>();
      const send = (frame: string | undefined): void => {
        if (frame === undefined) end.resolve();
        else void stream.writeSSE({ event: 'change', id: String((streams.seq += 1)), data: frame });
      };
      streams.listeners.add(send);
      stream.onAbort(() => end.resolve());
      send(JSON.stringify({ changes: [], events: false, fleet: fleetOf(fixture.world) }));
      await end.promise;
      streams.listeners.delete(send);
    });
  });
};

/** Set-up, login and logout; answers whether a request has a session. */
const mountSession = (
  app: Hono,
  fixture: Fixture,
  credentials: { name: string; password: string },
  setupToken: string | undefined,
): ((context: Context) => boolean) => {
  const sessions = new Set<string>();
  let unusedToken = setupToken;
  const isIn = (context: Context): boolean => sessions.has(getCookie(context, session) ?? '');
  const enter = (context: Context): Response => {
    const id = `s${sessions.size + 1}`;
    sessions.add(id);
    setCookie(context, session, id, { secure: true, httpOnly: true, sameSite: 'Strict', path: '/' });
    return context.json(fixture.who);
  };
  app.post(`${apiBase}/login`, async (context) => {
    const body = check(routes.login.body, await readBody(context), 'body');
    const given = body.ok ? (body.value as typeof credentials) : undefined;
    if (given?.name !== credentials.name || given.password !== credentials.password)
      return context.json({ error: no(401, 'login-refused', 'login', 'name or password is wrong').failure }, 401);
    return enter(context);
  });
  app.post(`${apiBase}/setup`, async (context) => {
    const body = check(routes.setup.body, await readBody(context), 'body');
    if (!body.ok) return context.json({ error: body.failure }, 400);
    const { token, name, password } = body.value as { token: string; name: string; password: string };
    if (token !== unusedToken)
      return context.json({ error: no(403, 'setup-token-used', 'set-up link', 'is not valid any more; restart the hub for a new one').failure }, 403);
    unusedToken = undefined;
    Object.assign(credentials, { name, password });
    fixture.who.name = name;
    return enter(context);
  });
  app.post(`${apiBase}/logout`, (context) => {
    sessions.delete(getCookie(context, session) ?? '');
    return context.body(null, 204);
  });
  return isIn;
};

/** A hub made of data: the route table, a session, a stream, and the real serving of the page around them. */
export const startFixture = async (options: FixtureOptions): Promise<FixtureServer> => {
  const streams: Streams = { listeners: new Set(), isRefused: false, seq: 0 };
  const credentials = { name: 'admin', password: 'correct horse battery' };
  const setupToken = 'once-only-token-1';
  const requests: string[] = [];
  const world = makeWorld(options, Date.now());
  const changed = (...changes: Change[]): void => {
    const frame = JSON.stringify({ changes: changes.map((change) => ({ ...change, project })), events: true, fleet: fleetOf(world) });
    for (const listener of streams.listeners) listener(frame);
  };
  const fixture: Fixture = {
    world,
    who: userOf(options.grants ?? [{ role: 'TenantAdmin' }]),
    nowMs: () => Date.now(),
    changed,
    projects: options.needsSetup === true ? [] : [project, 'lab'],
  };
  const app = new Hono();
  const isIn = mountSession(app, fixture, credentials, options.needsSetup === true ? setupToken : undefined);
  mountApi(app, fixture, isIn, requests, options.isHostile !== true);
  mountStream(app, fixture, isIn, streams);
  app.route('/', dashboardApp({ assetsDir: () => Promise.resolve(options.assetsDir) }));
  // The page is loaded in the background; tests begin when it is there.
  for (let tries = 0; tries < 200 && (await app.request('/')).status !== 200; tries += 1) await sleep(10);
  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  const { port } = server.address() as AddressInfo;
  const endStreams = (): void => streams.listeners.forEach((listener) => listener(undefined));
  return {
    url: `http://127.0.0.1:${port}`,
    fixture,
    setupToken,
    credentials,
    requests,
    dropStreams: (refused) => {
      streams.isRefused = refused;
      endStreams();
    },
    close: async () => {
      endStreams();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
