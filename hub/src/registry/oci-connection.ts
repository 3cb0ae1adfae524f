import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import { isLoopbackHost, readAnswer, type Egress, type EgressAnswer, type EgressRequest } from './egress.ts';
import { registryLimits } from './limits.ts';
import type { Authorizer, Endpoint } from './oci-auth.ts';

export interface RegistryRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** `/v2/…`, or the whole address of an upload that the registry told us. */
  to: string | URL;
  /** `repository:name:pull`, what a token must be good for. */
  scope: string;
  /** The thing, for messages. */
  element: string;
  headers?: Readonly<Record<string, string>>;
  body?: EgressRequest['body'];
  /** Answers that are no failure besides 2xx. */
  takes?: readonly number[];
}

export const pause = (clock: Pick<Clock, 'after'>, ms: number): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.after(ms, resolve);
  return promise;
};

/** Waiting time that a server asks for: seconds or a date (RFC 9110, section 10.2.3); bounded, since a server may say a year. */
export const retryAfterMs = (header: string | undefined, nowMs: number): number | undefined => {
  if (header === undefined) return undefined;
  const ms = /^\s*\d+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(registryLimits.retryAfterMs, Math.max(0, ms));
};

const backoffMs = (attempt: number): number => Math.min(30_000, 125 * 2 ** attempt);
const redirectStatuses = new Set([301, 302, 303, 307, 308]);
const busyStatuses = new Set([429, 500, 502, 503, 504]);

/** The first of a registry's own error messages, cut and without line breaks; it is somebody else's text. */
const errorText = (body: Buffer): string => {
  try {
    const parsed = JSON.parse(body.toString('utf8')) as { errors?: { code?: unknown; message?: unknown }[] };
    const first = parsed.errors?.[0];
    const words = [first?.code, first?.message].filter((word): word is string => typeof word === 'string').join(': ');
    return words === '' ? '' : ` (${words.replaceAll(/\s+/g, ' ').slice(0, 300)})`;
  } catch {
    return '';
  }
};

const statusFailure = (status: number, said: string, request: RegistryRequest, host: string): { ok: false; failure: Failure } => {
  const { element } = request;
  if (status === 401 || status === 403)
    return fail(
      'blocked',
      'registry-denied',
      element,
      `${host} does not let us ${request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write'} it${said}`,
    );
  if (status === 404) return fail('blocked', 'artifact-missing', element, `${host} does not have it${said}`);
  if (busyStatuses.has(status)) return fail('retry', 'registry-busy', element, `${host} is busy (it answered ${status}). Try again later${said}`);
  if (status === 405 || status === 501) return fail('blocked', 'registry-unsupported', element, `${host} does not offer this (${status})${said}`);
  return fail('fatal', 'registry-refused', element, `${host} answered ${status}${said}`);
};

/** Where a redirect leads, or why it is not followed. Unencrypted places are for whoever speaks unencrypted already. */
const redirectTarget = (from: URL, location: string | undefined, endpoint: Endpoint, element: string): Result<URL> => {
  const next = location === undefined ? null : URL.parse(location, from);
  if (next === null) return fail('fatal', 'registry-malformed', element, `${from.host} redirects to nowhere`);
  if (next.protocol !== 'https:' && !(next.protocol === 'http:' && from.protocol === 'http:' && (endpoint.insecure === true || isLoopbackHost(next.hostname))))
    return fail('blocked', 'registry-insecure', element, `${from.host} redirects to ${next.origin}, which is not encrypted`);
  return ok(next);
};

/** Plain http is for this machine, or was asked for. */
export const checkEndpoint = (endpoint: Endpoint): Result<URL> => {
  const url = URL.parse(endpoint.origin);
  const element = `registry ${endpoint.origin.replace(/\/\/[^@/]*@/, '//').slice(0, 200)}`;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return fail('fatal', 'registry-malformed', element, 'is no address of a registry; write https://host[:port]');
  if (url.protocol === 'http:' && endpoint.insecure !== true && !isLoopbackHost(url.hostname))
    return fail('blocked', 'registry-insecure', element, 'is not encrypted, and passwords would be seen by others. If that is fine here, say --insecure');
  return ok(url);
};

/** One registry server: requests with its login, waiting when it is busy, redirects without credentials. */
export const createConnection = (deps: { egress: Egress; clock: Clock; authorizer: Authorizer; waitMaxMs?: number }) => {
  const { egress, clock, authorizer } = deps;

  /** Follows a redirect chain; the login travels as long as the origin stays the same, and never comes back after it left. */
  const follow = async (
    endpoint: Endpoint,
    request: RegistryRequest,
    first: URL,
    authorization: string | undefined,
  ): Promise<Result<{ answer: EgressAnswer; atHome: boolean }>> => {
    let url = first;
    let atHome = url.origin === new URL(endpoint.origin).origin;
    for (let hop = 0; hop <= registryLimits.redirects; hop += 1) {
      const headers = { 'user-agent': 'groundplane', ...request.headers, ...(authorization !== undefined && atHome ? { authorization } : {}) };
      const sent = await egress.send({ method: request.method, url, headers, body: request.body, ca: endpoint.ca });
      if (!sent.ok) return sent;
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      if (!isRead || !redirectStatuses.has(sent.value.status)) return ok({ answer: sent.value, atHome });
      sent.value.body.resume();
      const next = redirectTarget(url, sent.value.header('location'), endpoint, request.element);
      if (!next.ok) return next;
      atHome &&= next.value.origin === url.origin;
      url = next.value;
    }
    return fail('fatal', 'registry-malformed', request.element, `${first.host} redirects more than ${registryLimits.redirects} times`);
  };

  /** One try, with a login when the registry asks for it. */
  const once = async (endpoint: Endpoint, request: RegistryRequest, url: URL): Promise<Result<EgressAnswer>> => {
    const { scope } = request;
    const sent = await follow(endpoint, request, url, authorizer.known(endpoint, scope));
    if (!sent.ok) return sent;
    if (sent.value.answer.status !== 401 || !sent.value.atHome) return ok(sent.value.answer);
    authorizer.forget(endpoint, scope);
    const challenge = sent.value.answer.header('www-authenticate') ?? '';
    sent.value.answer.body.resume();
    const authorization = await authorizer.answer(endpoint, challenge, scope);
    if (!authorization.ok) return authorization;
    const again = await follow(endpoint, request, url, authorization.value);
    if (!again.ok) return again;
    if (again.value.answer.status === 401) authorizer.forget(endpoint, scope);
    return ok(again.value.answer);
  };

  const send = async (endpoint: Endpoint, request: RegistryRequest): Promise<Result<EgressAnswer>> => {
    const home = checkEndpoint(endpoint);
    if (!home.ok) return home;
    const url = typeof request.to === 'string' ? new URL(request.to, home.value) : request.to;
    // A POST or PATCH that broke may have happened; its caller knows how to find out.
    const mayRepeat = request.method !== 'POST' && request.method !== 'PATCH';
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt >= registryLimits.tries;
      const sent = await once(endpoint, request, url);
      if (!sent.ok) {
        if (sent.failure.kind !== 'retry' || isLast || !mayRepeat) return sent;
        await pause(clock, backoffMs(attempt));
        continue;
      }
      const { status } = sent.value;
      if ((status >= 200 && status < 300) || request.takes?.includes(status) === true) return sent;
      const waitMs = retryAfterMs(sent.value.header('retry-after'), clock.wallMs());
      const isShort = (waitMs ?? 0) <= (deps.waitMaxMs ?? registryLimits.retryAfterMs);
      const isBusy = status === 429 || status === 503 || (busyStatuses.has(status) && mayRepeat);
      if (isBusy && !isLast && isShort) {
        sent.value.body.resume();
        await pause(clock, waitMs ?? backoffMs(attempt));
        continue;
      }
      const said = await readAnswer(sent.value, registryLimits.errorBytes, request.element);
      return statusFailure(status, said.ok ? errorText(said.value) : '', request, home.value.host);
    }
  };

  return {
    send,
    /** A whole small answer in memory; a cut one is asked for again. Only for reading. */
    read: async (endpoint: Endpoint, request: RegistryRequest, bytesMax: number): Promise<Result<{ answer: EgressAnswer; bytes: Buffer }>> => {
      for (let attempt = 1; ; attempt += 1) {
        const answer = await send(endpoint, request);
        if (!answer.ok) return answer;
        const bytes = await readAnswer(answer.value, bytesMax, request.element);
        if (bytes.ok) return ok({ answer: answer.value, bytes: bytes.value });
        if (bytes.failure.kind !== 'retry' || attempt >= registryLimits.tries) return bytes;
        await pause(clock, backoffMs(attempt));
      }
    },
  };
};
export type Connection = ReturnType<typeof createConnection>;
