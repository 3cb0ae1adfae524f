import { createClient, type ApiError, type Client, type Output } from '@groundplane/protocol/api/client';
import type { RouteName, Routes } from '@groundplane/protocol/api/routes';
import type { z } from 'zod';

declare module '@tanstack/react-query' {
  interface Register {
    defaultError: ApiError;
  }
}

const client: Client = createClient({ baseUrl: '', fetch: (input, init) => fetch(input, { ...init, credentials: 'same-origin', cache: 'no-store' }) });

type Shape<T extends z.ZodObject> = keyof T['shape'];
type Input<N extends RouteName> = (Shape<Routes[N]['params']> extends never ? { params?: undefined } : { params: z.input<Routes[N]['params']> }) &
  (Shape<Routes[N]['query']> extends never ? { query?: undefined } : { query?: z.input<Routes[N]['query']> }) &
  (Routes[N]['body'] extends z.ZodType ? { body: z.input<Routes[N]['body']> } : { body?: undefined });

/** Calls a route; what goes wrong is thrown as `ApiError`, which is how TanStack Query wants it. */
export const ask = async <N extends RouteName>(name: N, input: Input<N>): Promise<Output<N>> => {
  const result = await client.call(name, input as Parameters<typeof client.call<N>>[1]);
  if (result.ok) return result.value;
  throw Object.assign(new Error(result.failure.message), result.failure);
};

export type { ApiError };
