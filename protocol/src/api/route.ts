import { z } from 'zod';
import type { Permission } from '../access.ts';
import { nameSchema } from '../ids.ts';
import { limits } from '../limits.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Who may call: anybody, anybody who is logged in, or whoever has the permission in the route's scope. */
type Access = { access: 'public' } | { access: 'self' } | { access: 'permission'; permission: Permission; scope: 'tenant' | 'project' };

export interface Route {
  method: Method;
  /** Below `/api/v1`, with `{name}` parameters. */
  path: string;
  summary: string;
  auth: Access;
  params: z.ZodObject;
  query: z.ZodObject;
  body: z.ZodType | undefined;
  response: z.ZodType;
  status: 200 | 201 | 204;
}

const none = z.object({});
const empty = z.undefined();
export const project = { project: nameSchema };
export const page = { after: z.string().max(256).optional(), limit: z.coerce.number().int().min(1).max(limits.pageItems).optional() };

export const can = (permission: Permission, scope: 'tenant' | 'project' = 'project'): Access => ({ access: 'permission', permission, scope });

type Parts = { params?: z.ZodObject; query?: z.ZodObject; body?: z.ZodType; response?: z.ZodType; status?: Route['status'] };
type Filled<P extends Parts> = {
  params: P['params'] extends z.ZodObject ? P['params'] : typeof none;
  query: P['query'] extends z.ZodObject ? P['query'] : typeof none;
  body: P['body'] extends z.ZodType ? P['body'] : undefined;
  response: P['response'] extends z.ZodType ? P['response'] : typeof empty;
};

/** One row of the table. */
export const route = <const P extends Parts>(method: Method, path: string, auth: Access, summary: string, parts: P): Omit<Route, keyof Filled<P>> & Filled<P> =>
  ({
    method,
    path,
    summary,
    auth,
    params: parts.params ?? none,
    query: parts.query ?? none,
    body: parts.body,
    response: parts.response ?? empty,
    status: parts.status ?? (parts.response === undefined ? 204 : 200),
  }) as Omit<Route, keyof Filled<P>> & Filled<P>;
