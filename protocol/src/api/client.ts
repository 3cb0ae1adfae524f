import type { z } from 'zod';
import { fail, ok, type Failure, type Result } from '../failure.ts';
import { apiBase, routes, type RouteName, type Routes } from './routes.ts';
import type { Route } from './route.ts';

type IsEmpty<T> = string extends keyof T ? true : false;
type Input<N extends RouteName> = (IsEmpty<z.input<Routes[N]['params']>> extends true ? { params?: undefined } : { params: z.input<Routes[N]['params']> }) &
  (IsEmpty<z.input<Routes[N]['query']>> extends true ? { query?: undefined } : { query?: z.input<Routes[N]['query']> }) &
  (Routes[N]['body'] extends z.ZodType ? { body: z.input<Routes[N]['body']> } : { body?: undefined });
export type Output<N extends RouteName> = z.output<Routes[N]['response']>;

export interface ApiError extends Failure {
  /** HTTP status; 0 when no answer came. */
  status: number;
}

export type ApiResult<T> = { ok: true; value: T } | { ok: false; failure: ApiError };

export interface Client {
  call<N extends RouteName>(name: N, input: Input<N>): Promise<ApiResult<Output<N>>>;
}

export interface ClientOptions {
  /** `http://127.0.0.1:7600`, without path. Empty in the browser. */
  baseUrl: string;
  fetch: typeof fetch;
  headers?: () => Record<string, string>;
}

/** Path of a route with its parameters encoded. Throws when one is missing: a bug of the caller. */
export const routePath = (route: Pick<Route, 'path'>, params: Readonly<Record<string, unknown>>): string =>
  apiBase +
  route.path.replaceAll(/\{([a-z]+)\}/g, (_, key: string) => {
    const value = params[key];
    if (typeof value !== 'string') throw new TypeError(`route ${route.path}: parameter ${key} is missing`);
    return encodeURIComponent(value);
  });

const readFailure = (status: number, body: unknown): ApiError => {
  const error = (typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined) as Partial<Failure> | undefined;
  return {
    kind: error?.kind ?? (status >= 500 || status === 429 ? 'retry' : 'fatal'),
    code: error?.code ?? `http-${status}`,
    element: error?.element ?? 'hub',
    message: error?.message ?? `the hub answered ${status}`,
    status,
  };
};

/** Typed client over `fetch`, derived from the route table. Network trouble is a value (`status` 0), not an exception. */
export const createClient = (options: ClientOptions): Client => ({
  call: async (name, input) => {
    const route: Route = routes[name];
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(input.query ?? {})) if (value !== undefined) query.set(key, `${value as string | number}`);
    const path = routePath(route, input.params ?? {});
    const url = `${options.baseUrl}${path}${query.size === 0 ? '' : `?${query.toString()}`}`;
    const body: unknown = input.body;
    let response: Response;
    let text: string;
    try {
      response = await options.fetch(url, {
        method: route.method,
        headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers?.() },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      const cause = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
      return { ok: false, failure: { ...fail('retry', 'hub-unreachable', `hub ${options.baseUrl}`, `cannot be reached: ${cause}`).failure, status: 0 } };
    }
    const parsed = parseBody(text);
    if (!response.ok) return { ok: false, failure: readFailure(response.status, parsed.ok ? parsed.value : undefined) };
    return parsed.ok ? { ok: true, value: parsed.value as Output<typeof name> } : { ok: false, failure: { ...parsed.failure, status: response.status } };
  },
});

const parseBody = (text: string): Result<unknown> => {
  if (text === '') return ok(undefined);
  try {
    return ok(JSON.parse(text) as unknown);
  } catch {
    return fail('retry', 'answer-malformed', 'hub', 'the answer is not JSON; is this the hub?');
  }
};
