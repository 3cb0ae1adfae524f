import { createClient, type ApiResult, type Client } from '@groundplane/protocol/api/client';
import { fail } from '@groundplane/protocol/failure';
import { checkSecure, parseHub } from './address.ts';
import type { Context, Globals, Io } from './io.ts';
import { readSettings, type Credential, type HubContext, type Settings } from './settings.ts';
import { done, trouble, type Attempt } from './trouble.ts';
import { version } from './version.ts';

export const defaultProject = 'default';
const requestMs = 60_000;

export interface Connection {
  client: Client;
  hub: string;
  project: string;
  /** For what the route table does not have: content and the OpenAPI document. A refusal is a failure, the answer's text is its message's base. */
  raw(method: string, path: string, body?: Uint8Array, headers?: Record<string, string>): Promise<ApiResult<{ status: number; text: string }>>;
  /** A download as a stream: whole, or with a range the rest. */
  open(path: string, headers: Record<string, string>): Promise<ApiResult<{ status: number; body: ReadableStream<Uint8Array> }>>;
}

interface Target {
  hub: string;
  credential: Credential | undefined;
  project: string;
  insecure: boolean;
  /** Name of the stored context that this came from. */
  context: string | undefined;
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

/** A stored key is sent to the hub that it belongs to and to no other, whatever flags and variables say. */
const storedFor = (settings: Settings, hub: string): [string, HubContext] | undefined => {
  const all = Object.entries(settings.contexts);
  return all.find(([name, item]) => item.hub === hub && name === settings.current) ?? all.find(([, item]) => item.hub === hub);
};

/** Flags win over the environment, which wins over the stored context. */
export const resolveTarget = (globals: Globals, env: Io['env'], settings: Settings): Attempt<Target> => {
  const current = settings.current === undefined ? undefined : settings.contexts[settings.current];
  const named = nonEmpty(globals.hub) ?? nonEmpty(env.GP_HUB) ?? current?.hub;
  if (named === undefined) return { ok: false, trouble: trouble('hub', 'no hub is known yet', 'gp login URL   (or set GP_HUB and GP_TOKEN)') };
  const hub = parseHub(named);
  if (!hub.ok) return hub;
  const stored = storedFor(settings, hub.value);
  const token = nonEmpty(globals.token) ?? nonEmpty(env.GP_TOKEN);
  const credential: Credential | undefined = token === undefined ? stored?.[1].credential : { kind: 'key', token };
  const insecure = globals.insecure || stored?.[1].insecure === true;
  const secure = checkSecure(hub.value, insecure);
  if (!secure.ok) return secure;
  return done({
    hub: hub.value,
    credential,
    project: nonEmpty(globals.project) ?? nonEmpty(env.GP_PROJECT) ?? stored?.[1].project ?? defaultProject,
    insecure,
    context: stored?.[0],
  });
};

/** Browsers say where a request comes from; a hub asks that of whoever shows a session cookie. */
export const credentialHeaders = (hub: string, credential: Credential | undefined): Record<string, string> => {
  const base = { 'user-agent': `gp/${version}` };
  if (credential === undefined) return base;
  return credential.kind === 'key'
    ? { ...base, authorization: `Bearer ${credential.token}` }
    : { ...base, cookie: credential.cookie, origin: hub, 'sec-fetch-site': 'same-origin' };
};

/** Errors of several addresses at once (a name with IPv4 and IPv6) have no message of their own. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time; --timeout gives it longer';
  const cause = error.cause;
  const inner = cause instanceof AggregateError ? (cause.errors as unknown[])[0] : cause;
  const text = inner instanceof Error && inner.message !== '' ? inner.message : error.message;
  return /certificate|self-signed/i.test(text) ? `${text}. Trust its authority with NODE_EXTRA_CA_CERTS=ca.pem` : text;
};

/** `fetch` with a time limit and without redirects: a key must not follow to another place. */
export const limitedFetch =
  (io: Io, timeoutMs: number): typeof fetch =>
  async (input, init) => {
    try {
      return await io.fetch(input, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      // Without its cause, since the client would show that one, which says less.
      return Promise.reject(new Error(reasonOf(error)));
    }
  };

/** A page of some other program at this address would otherwise be taken for an empty answer. */
const jsonOnly =
  (inner: typeof fetch): typeof fetch =>
  async (input, init) => {
    const response = await inner(input, init);
    const type = response.headers.get('content-type') ?? '';
    if (response.ok && response.status !== 204 && !type.includes('json'))
      throw new Error(`it answers with ${type === '' ? 'something' : type} instead of JSON. Is this the hub?`);
    return response;
  };

const rawFailure = async (response: Response): Promise<ApiResult<never>> => {
  const text = (await response.text()).slice(0, 16_384);
  let error: { code?: unknown; element?: unknown; message?: unknown } | undefined;
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error;
  } catch {
    error = undefined;
  }
  const word = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise);
  const { failure } = fail(
    response.status >= 500 ? 'retry' : 'fatal',
    word(error?.code, `http-${response.status}`),
    word(error?.element, 'hub'),
    word(error?.message, `the hub answered ${response.status}`),
  );
  return { ok: false, failure: { ...failure, status: response.status } };
};

/** Connects to a hub with a credential; nothing is sent before the first call. */
export const connectTo = (io: Io, target: Pick<Target, 'hub' | 'credential' | 'project'>, timeoutMs = requestMs): Connection => {
  const fetchLimited = limitedFetch(io, timeoutMs);
  const headers = (): Record<string, string> => credentialHeaders(target.hub, target.credential);
  return {
    client: createClient({ baseUrl: target.hub, fetch: jsonOnly(fetchLimited), headers }),
    hub: target.hub,
    project: target.project,
    open: async (path, more) => {
      try {
        const response = await fetchLimited(`${target.hub}${path}`, { headers: { ...headers(), ...more } });
        if (!response.ok || response.body === null) return await rawFailure(response);
        return { ok: true, value: { status: response.status, body: response.body } };
      } catch (error) {
        const { failure } = fail('retry', 'hub-unreachable', `hub ${target.hub}`, `cannot be reached: ${(error as Error).message}`);
        return { ok: false, failure: { ...failure, status: 0 } };
      }
    },
    raw: async (method, path, body, more) => {
      try {
        const response = await fetchLimited(`${target.hub}${path}`, {
          method,
          headers: { ...headers(), ...(body === undefined ? {} : { 'content-type': 'application/octet-stream' }), ...more },
          ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
        });
        if (!response.ok) return await rawFailure(response);
        return { ok: true, value: { status: response.status, text: (await response.text()).slice(0, 16_384) } };
      } catch (error) {
        return {
          ok: false,
          failure: { ...fail('retry', 'hub-unreachable', `hub ${target.hub}`, `cannot be reached: ${(error as Error).message}`).failure, status: 0 },
        };
      }
    },
  };
};

/** The hub that flags, environment and stored context name. Commands that wait use `--timeout` for the whole wait, so they pass `isWaiting`. */
export const connect = async (context: Context, options: { isWaiting?: boolean } = {}): Promise<Attempt<Connection>> => {
  const settings = await readSettings(context.io);
  if (!settings.ok) return settings;
  const target = resolveTarget(context.globals, context.io.env, settings.value);
  if (!target.ok) return target;
  if (target.value.credential === undefined)
    return { ok: false, trouble: trouble(`hub ${target.value.hub}`, 'you are not logged in', `gp login ${target.value.hub}`) };
  return done(connectTo(context.io, target.value, options.isWaiting === true ? requestMs : (context.globals.timeoutMs ?? requestMs)));
};
