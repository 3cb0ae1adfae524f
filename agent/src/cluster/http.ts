import * as http from 'node:http';
import * as https from 'node:https';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { sleep, type Clock } from '../port/clock.ts';
import type { Connection } from './connection.ts';
import { parseStatus, statusFailure } from './status.ts';

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Encoded path and query, from the server's root: `/api/v1/namespaces?limit=500`. */
  path: string;
  /** What a failure names. */
  element: string;
  /** Plural name of the resource asked for; empty for discovery. */
  resource: string;
  body?: string;
  contentType?: string;
  /** Default `application/json`. */
  accept?: string;
  timeoutMs?: number;
}

/** One connection pool to one API server. */
export interface Transport {
  /** The body of a 2xx answer; everything else is a Failure as the Cluster port lists them (plus `history-gone` for 410, which callers resolve). */
  send(request: ApiRequest): Promise<Result<string>>;
  /** A 2xx answer whose body is read as it arrives. It uses a connection of its own; the signal closes it. */
  stream(request: ApiRequest, signal: AbortSignal): Promise<Result<http.IncomingMessage>>;
  close(): void;
}

export interface TransportLimits {
  /** Whole request, from connect to the last byte. */
  timeoutMs: number;
  bodyBytesMax: number;
  /** The server asked to come back later (429, 503 with Retry-After): how often and how long we wait inside one call. */
  throttledRetriesMax: number;
  throttledWaitMsMax: number;
  socketsMax: number;
}

export const transportLimits: TransportLimits = {
  timeoutMs: 30_000,
  bodyBytesMax: 64 * 1024 * 1024,
  throttledRetriesMax: 2,
  throttledWaitMsMax: 5000,
  socketsMax: 16,
};

const errorBodyBytesMax = 256 * 1024;
const tcpKeepAliveMs = 30_000;

interface Deps {
  connection: Connection;
  clock: Clock;
  /** Names us in the API server's audit log, and is the field manager of plain create and replace. */
  userAgent: string;
  limits?: Partial<TransportLimits>;
}

/** Words for the operator; Node's codes first, since its messages change between versions. */
const unreachable = (element: string, server: string, error: NodeJS.ErrnoException): ReturnType<typeof fail> => {
  const code = error.code ?? '';
  const isTls = /^(CERT_|ERR_TLS|ERR_SSL|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(code);
  const advice = isTls
    ? 'Check the certificate authority in the kubeconfig and the clock of this machine.'
    : 'Check that the API server runs and is reachable from here.';
  return fail('retry', 'api-unreachable', element, `${server} cannot be reached (${code === '' ? error.message : `${code}: ${error.message}`}). ${advice}`);
};

const readBody = async (response: http.IncomingMessage, bytesMax: number): Promise<{ text: string; isCut: boolean }> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      response.destroy();
      return { text: Buffer.concat(chunks).toString('utf8'), isCut: true };
    }
    chunks.push(chunk);
  }
  return { text: Buffer.concat(chunks).toString('utf8'), isCut: false };
};

const tlsOptions = (connection: Connection): https.AgentOptions => ({
  minVersion: 'TLSv1.2',
  rejectUnauthorized: !connection.insecure,
  ...(connection.ca === undefined ? {} : { ca: connection.ca }),
  ...(connection.clientCertificate === undefined ? {} : { cert: connection.clientCertificate }),
  ...(connection.clientKey === undefined ? {} : { key: connection.clientKey }),
  ...(connection.serverName === undefined ? {} : { servername: connection.serverName }),
});

type Opened = { response: http.IncomingMessage } | { error: NodeJS.ErrnoException; isStale: boolean };

interface OpenOptions {
  connection: Connection;
  userAgent: string;
  agent: http.Agent;
  token: string | undefined;
  signal: AbortSignal;
}

const headersFor = (request: ApiRequest, options: OpenOptions): http.OutgoingHttpHeaders => ({
  accept: request.accept ?? 'application/json',
  'user-agent': options.userAgent,
  ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
  ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json', 'content-length': Buffer.byteLength(request.body) }),
});

const open = async (request: ApiRequest, options: OpenOptions): Promise<Opened> => {
  const url = new URL(options.connection.server + request.path);
  const { promise, resolve } = Promise.withResolvers<Opened>();
  const call = url.protocol === 'https:' ? https.request : http.request;
  const sent = call(url, { method: request.method, agent: options.agent, headers: headersFor(request, options), signal: options.signal });
  sent.once('socket', (socket) => socket.setKeepAlive(true, tcpKeepAliveMs));
  sent.once('response', (response) => resolve({ response }));
  // A pooled connection that the server closed meanwhile fails before anything was processed; that is no news about the server.
  sent.on('error', (error: NodeJS.ErrnoException) => resolve({ error, isStale: sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE') }));
  sent.end(request.body);
  return await promise;
};

interface Answer {
  status: number;
  text: string;
  retryAfter: string | undefined;
  isCut: boolean;
}

interface Wire {
  connection: Connection;
  clock: Clock;
  userAgent: string;
  limits: TransportLimits;
  /** Fires when the transport closes. */
  closed: AbortSignal;
  /** Kept open between requests. */
  pool: http.Agent;
  /** One connection per watch, so that watches never use up the pool. */
  streams: http.Agent;
}

const failedToOpen = (wire: Wire, request: ApiRequest, error: NodeJS.ErrnoException, isLate: boolean): ReturnType<typeof fail> => {
  if (wire.closed.aborted) return fail('retry', 'api-unreachable', request.element, 'The connection to the API server was closed by this process.');
  if (!isLate) return unreachable(request.element, wire.connection.server, error);
  const timeoutMs = request.timeoutMs ?? wire.limits.timeoutMs;
  return fail(
    'retry',
    'api-unreachable',
    request.element,
    `${wire.connection.server} did not answer within ${timeoutMs} ms. Check the network and the load of the API server.`,
  );
};

/** One attempt, from connect to the last byte, under one deadline. */
const attempt = async (
  wire: Wire,
  request: ApiRequest,
  token: string | undefined,
): Promise<{ answer: Answer } | (Extract<Opened, { isStale: boolean }> & { isLate: boolean })> => {
  const deadline = new AbortController();
  const cancel = wire.clock.after(request.timeoutMs ?? wire.limits.timeoutMs, () => deadline.abort());
  const { connection, userAgent, pool, closed, limits } = wire;
  try {
    const opened = await open(request, { connection, userAgent, agent: pool, token, signal: AbortSignal.any([deadline.signal, closed]) });
    if ('error' in opened) return { ...opened, isLate: deadline.signal.aborted };
    const { response } = opened;
    const status = response.statusCode ?? 0;
    const body = await readBody(response, status < 400 ? limits.bodyBytesMax : errorBodyBytesMax);
    return { answer: { status, retryAfter: response.headers['retry-after'], ...body } };
  } catch (error) {
    return { error: error as NodeJS.ErrnoException, isStale: false, isLate: deadline.signal.aborted };
  } finally {
    cancel();
  }
};

const exchange = async (wire: Wire, request: ApiRequest, token: string | undefined): Promise<Result<Answer>> => {
  const first = await attempt(wire, request, token);
  if ('answer' in first) return ok(first.answer);
  // POST is not repeated: it may have been processed, and would then fail as "exists".
  if (!first.isStale || request.method === 'POST') return failedToOpen(wire, request, first.error, first.isLate);
  const second = await attempt(wire, request, token);
  return 'answer' in second ? ok(second.answer) : failedToOpen(wire, request, second.error, second.isLate);
};

const send = async (wire: Wire, request: ApiRequest): Promise<Result<string>> => {
  const { limits, connection } = wire;
  let mayRefreshToken = true;
  let throttledRetries = 0;
  for (;;) {
    const token = await connection.token.current();
    if (!token.ok) return token;
    const answer = await exchange(wire, request, token.value);
    if (!answer.ok) return answer;
    const { status, text, isCut, retryAfter } = answer.value;
    if (status >= 200 && status < 300) {
      return isCut
        ? fail('retry', 'api-error', request.element, `The API server's answer is larger than ${limits.bodyBytesMax} bytes; ask for less at once.`)
        : ok(text);
    }
    const parsed = parseStatus(text, retryAfter);
    if (status === 401 && mayRefreshToken && connection.token.forget()) {
      mayRefreshToken = false;
      continue;
    }
    const waitMs = status === 429 || status === 503 ? parsed.retryAfterMs : undefined;
    if (waitMs === undefined || waitMs > limits.throttledWaitMsMax || throttledRetries >= limits.throttledRetriesMax || wire.closed.aborted) {
      return statusFailure(status, parsed, request.resource, request.element);
    }
    throttledRetries += 1;
    await sleep(wire.clock, waitMs, wire.closed);
  }
};

const stream = async (wire: Wire, request: ApiRequest, signal: AbortSignal): Promise<Result<http.IncomingMessage>> => {
  const { connection, userAgent, closed } = wire;
  const token = await connection.token.current();
  if (!token.ok) return token;
  const deadline = new AbortController();
  // The deadline covers the headers only; the body may take hours.
  const cancel = wire.clock.after(request.timeoutMs ?? wire.limits.timeoutMs, () => deadline.abort());
  try {
    const opened = await open(request, {
      connection,
      userAgent,
      agent: wire.streams,
      token: token.value,
      signal: AbortSignal.any([signal, closed, deadline.signal]),
    });
    if ('error' in opened) return failedToOpen(wire, request, opened.error, deadline.signal.aborted);
    const status = opened.response.statusCode ?? 0;
    if (status >= 200 && status < 300) return ok(opened.response);
    const body = await readBody(opened.response, errorBodyBytesMax).catch(() => ({ text: '' }));
    if (status === 401) connection.token.forget();
    return statusFailure(status, parseStatus(body.text, opened.response.headers['retry-after']), request.resource, request.element);
  } finally {
    cancel();
  }
};

export const transport = (deps: Deps): Transport => {
  const { connection } = deps;
  const limits = { ...transportLimits, ...deps.limits };
  const closed = new AbortController();
  const isTls = connection.server.startsWith('https:');
  const newAgent = (given: http.AgentOptions): http.Agent => {
    const options = { ...given, ...(connection.lookup === undefined ? {} : { lookup: connection.lookup }) };
    return isTls ? new https.Agent({ ...options, ...tlsOptions(connection) }) : new http.Agent(options);
  };
  const wire: Wire = {
    connection,
    clock: deps.clock,
    userAgent: deps.userAgent,
    limits,
    closed: closed.signal,
    pool: newAgent({ keepAlive: true, keepAliveMsecs: tcpKeepAliveMs, maxSockets: limits.socketsMax, maxFreeSockets: 4 }),
    streams: newAgent({ keepAlive: false }),
  };
  return {
    send: async (request) => await send(wire, request),
    stream: async (request, signal) => await stream(wire, request, signal),
    close: () => {
      closed.abort();
      wire.pool.destroy();
      wire.streams.destroy();
    },
  };
};
