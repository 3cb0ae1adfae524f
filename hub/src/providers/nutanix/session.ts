import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf, failureOfTask, jsonOf } from './failures.ts';
import { nutanixLimits } from './limits.ts';

type Deps = Pick<ProviderDeps<'nutanix'>, 'settings' | 'secret' | 'http' | 'random' | 'clock'>;

/** Every release since 2024.3 speaks 4.0 of these, and later ones keep it. */
export const apis = {
  vms: 'vmm/v4.0/ahv/config/vms',
  images: 'vmm/v4.0/content/images',
  tasks: 'prism/v4.0/config/tasks',
  categories: 'prism/v4.0/config/categories',
  subnets: 'networking/v4.0/config/subnets',
  clusters: 'clustermgmt/v4.0/config/clusters',
} as const;
export type Api = keyof typeof apis;

export interface Ask {
  method: 'GET' | 'POST' | 'DELETE';
  api: Api;
  /** Below the API, with its slash at the beginning: `/<extId>/$actions/power-on`. */
  path?: string;
  query?: Readonly<Record<string, string>>;
  body?: unknown;
  /** Prism Central answers a second call with the same id as it did the first one. */
  requestId?: string;
  /** The version of the thing that is changed. */
  etag?: string | undefined;
}
export interface Answer {
  body: Record<string, unknown>;
  etag: string | undefined;
}

const taskSchema = z.object({
  extId: z.string(),
  status: z.string(),
  createdTime: z.string().nullish(),
  entitiesAffected: z.array(z.object({ extId: z.string(), rel: z.string().nullish() })).nullish(),
  errorMessages: z.array(z.object({ code: z.string().nullish(), message: z.string().nullish() })).nullish(),
});
export type Task = z.infer<typeof taskSchema>;

/** A UUID that is the same for the same words. */
export const uuidOf = (...words: readonly string[]): string => {
  const hex = createHash('sha256').update(words.join('\0')).digest('hex');
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};

export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
/** A text in a filter: OData doubles its quote. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const authorization = ({ secret }: Deps): Record<string, string> =>
  secret.type === 'api-key'
    ? { 'x-ntnx-api-key': secret.key }
    : { authorization: `Basic ${Buffer.from(`${secret.username}:${secret.password}`).toString('base64')}` };

/** Calls of one Prism Central, v4. Each carries its credentials; there is no session to lose. */
export const createSession = (deps: Deps) => {
  const base = `${deps.settings.url.replace(/\/+$/, '').replace(/\/api$/, '')}/api`;

  const call = async ({ method, api, path = '', query, body, requestId, etag }: Ask): Promise<Result<Answer>> => {
    const asked = `${method} ${apis[api]}${path}`;
    const search = query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
    const sent = await deps.http({
      method,
      url: `${base}/${apis[api]}${path}${search}`,
      headers: {
        accept: 'application/json',
        ...authorization(deps),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'ntnx-request-id': requestId ?? uuidOf(Buffer.from(deps.random.bytes(16)).toString('hex')) }),
        ...(etag === undefined ? {} : { 'if-match': etag }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!sent.ok) return sent;
    if (sent.value.status < 200 || sent.value.status >= 300) return failureOf(asked, sent.value);
    const parsed = jsonOf(asked, sent.value);
    return parsed.ok ? ok({ body: parsed.value, etag: sent.value.headers['etag'] }) : parsed;
  };

  const read = async <S extends z.ZodType>(ask: Ask, schema: S): Promise<Result<{ value: z.infer<S>; etag: string | undefined }>> => {
    const answer = await call(ask);
    if (!answer.ok) return answer;
    const parsed = schema.safeParse(answer.value.body['data']);
    if (parsed.success) return ok({ value: parsed.data, etag: answer.value.etag });
    return fail(
      'retry',
      'cloud-failed',
      `Nutanix ${ask.method} ${apis[ask.api]}`,
      `the answer is not understood: ${z.prettifyError(parsed.error).slice(0, 300)}`,
    );
  };

  /** A whole list, however many pages. Half a list would make things twice, so whatever is not understood is a failure. */
  const list = async <S extends z.ZodType>(api: Api, schema: S, filter?: string): Promise<Result<z.infer<S>[]>> => {
    const found: z.infer<S>[] = [];
    for (let page = 0; page < nutanixLimits.pages; page += 1) {
      const query = { $page: String(page), $limit: String(nutanixLimits.pageItems), ...(filter === undefined ? {} : { $filter: filter }) };
      // An empty list has no `data` at all.
      const part = await read({ method: 'GET', api, query }, z.array(schema).nullish());
      if (!part.ok) return part;
      const items = part.value.value ?? [];
      found.push(...items);
      if (items.length < nutanixLimits.pageItems) return ok(found);
    }
    return fail('fatal', 'answer-too-large', `Nutanix ${apis[api]}`, `there are more than ${nutanixLimits.pages} pages`);
  };

  const startTask = async (ask: Ask): Promise<Result<string>> => {
    const task = await read(ask, z.object({ extId: z.string().min(1) }));
    return task.ok ? ok(task.value.value.extId) : task;
  };
  const task = async (id: string): Promise<Result<Task>> => {
    const found = await read({ method: 'GET', api: 'tasks', path: `/${encodeURIComponent(id)}` }, taskSchema);
    return found.ok ? ok(found.value.value) : found;
  };
  /** One look: `running`, `done`, or the failure that it ended with. */
  const look = async (id: string, what: string): Promise<Result<'running' | 'done'>> => {
    const found = await task(id);
    if (!found.ok) return found;
    if (isRunning(found.value)) return ok('running');
    return found.value.status === 'SUCCEEDED' ? ok('done') : failureOfTask(what, found.value.errorMessages ?? [], found.value.status);
  };
  return { call, read, list, startTask, task, look };
};
export type Session = ReturnType<typeof createSession>;
export const isRunning = (task: Task): boolean => ['QUEUED', 'RUNNING', 'CANCELING', 'SUSPENDED'].includes(task.status);
