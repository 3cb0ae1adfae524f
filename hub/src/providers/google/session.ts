import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf, operationFailure } from './failures.ts';
import { googleLimits } from './limits.ts';
import { createLogin, readKey } from './login.ts';

const services = {
  compute: 'https://compute.googleapis.com/compute/v1',
  container: 'https://container.googleapis.com/v1',
  projects: 'https://cloudresourcemanager.googleapis.com/v1',
} as const;
export type Service = keyof typeof services;

export interface Ask {
  service: Service;
  method: string;
  /** `/projects/p/zones/z/instances`; its parts are encoded by whoever builds it. */
  path: string;
  query?: Readonly<Record<string, string>>;
  body?: unknown;
}

const operationSchema = z.looseObject({
  name: z.string(),
  status: z.string(),
  selfLink: z.string().optional(),
  error: z
    .looseObject({ errors: z.array(z.looseObject({ code: z.string().optional(), message: z.string().optional() })).optional(), message: z.string().optional() })
    .optional(),
});

const pathOf = (link: string): string => link.replace(/^https:\/\/[^/]+\/(compute\/)?v1/, '');

export const createSession = (deps: ProviderDeps<'google'>) => {
  const { settings, http, random } = deps;
  const login = createLogin(deps);
  const baseOf = (service: Service): string => {
    const own = settings.endpoint?.replace(/\/+$/, '');
    return own === undefined || service === 'projects' ? services[service] : `${own}${URL.parse(services[service])?.pathname ?? ''}`;
  };

  const call = async (ask: Ask): Promise<Result<unknown>> => {
    for (let attempt = 1; ; attempt += 1) {
      const known = await login.token();
      if (!known.ok) return known;
      const query = ask.query === undefined ? '' : `?${new URLSearchParams(ask.query).toString()}`;
      const headers = {
        authorization: `Bearer ${known.value.token}`,
        accept: 'application/json',
        ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const body = ask.body === undefined ? {} : { body: JSON.stringify(ask.body) };
      const answer = await http({ method: ask.method, url: `${baseOf(ask.service)}${ask.path}${query}`, headers, ...body });
      if (!answer.ok) return answer;
      const element = `Google ${ask.service} ${ask.method} ${ask.path}`;
      if (answer.value.status === 401 && attempt === 1) {
        login.forget(known.value.token);
        continue;
      }
      if (answer.value.status < 200 || answer.value.status >= 300) return failureOf(element, answer.value);
      try {
        return ok(answer.value.body.length === 0 ? {} : (JSON.parse(answer.value.body.toString('utf8')) as unknown));
      } catch {
        return fail('retry', 'cloud-failed', element, 'the answer is no JSON. Is the address right, or a proxy in between?');
      }
    }
  };

  const read = async <T>(ask: Ask, schema: z.ZodType<T>): Promise<Result<T>> => {
    const answer = await call(ask);
    if (!answer.ok) return answer;
    const parsed = schema.safeParse(answer.value);
    const element = `Google ${ask.service} ${ask.method} ${ask.path}`;
    return parsed.success
      ? ok(parsed.data)
      : fail('retry', 'cloud-failed', element, `the answer has another shape: ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
  };

  /** Undefined for what is not there. */
  const find = async <T>(service: Service, path: string, schema: z.ZodType<T>): Promise<Result<T | undefined>> => {
    const found = await read({ service, method: 'GET', path }, schema);
    return !found.ok && found.failure.code === 'cloud-conflict' && found.failure.message.endsWith('(404)') ? ok(undefined) : found;
  };

  const listPages = async <T>(path: string, query: Readonly<Record<string, string>>, schema: z.ZodType<T>): Promise<Result<T[]>> => {
    const pages: T[] = [];
    const paged = z.looseObject({ nextPageToken: z.string().optional() });
    let pageToken = '';
    for (let page = 0; page < googleLimits.listPages; page += 1) {
      const next: Record<string, string> = pageToken === '' ? { ...query } : { ...query, pageToken };
      const answer = await call({ service: 'compute', method: 'GET', path, query: next });
      if (!answer.ok) return answer;
      const parsed = schema.safeParse(answer.value);
      if (!parsed.success)
        return fail('retry', 'cloud-failed', `Google compute GET ${path}`, `the answer has another shape: ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
      pages.push(parsed.data);
      pageToken = paged.parse(answer.value).nextPageToken ?? '';
      if (pageToken === '') return ok(pages);
    }
    return fail('blocked', 'cloud-refused', `Google compute GET ${path}`, `the list has more than ${googleLimits.listPages} pages`);
  };

  /**
   * What was started here and not seen to end. Only a memory aid: why something never came to be stands in its operation and nowhere else. A new life knows
   * none of it, and starts again by name.
   */
  const started = new Map<string, string>();

  /** Starts something long. `thing`: what it is about, for `outcome`. */
  const start = async (ask: Ask, thing: string): Promise<Result<void>> => {
    const requestId = [...random.bytes(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const uuid = requestId.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5');
    const query = ask.service === 'compute' ? { ...ask.query, requestId: uuid } : ask.query;
    const made = await read({ ...ask, ...(query === undefined ? {} : { query }) }, operationSchema);
    if (!made.ok) return made;
    const { status, error, selfLink } = made.value;
    if (status === 'DONE' && error?.errors !== undefined) return operationFailure(`Google ${thing}`, error.errors);
    if (status !== 'DONE' && selfLink !== undefined) started.set(thing, pathOf(selfLink));
    return ok(undefined);
  };

  /** How what was started for this thing ended; undefined when nothing is known of it. */
  const outcome = async (service: Service, thing: string): Promise<Result<'running' | 'done' | undefined>> => {
    const path = started.get(thing);
    if (path === undefined) return ok(undefined);
    const found = await find(service, path, operationSchema);
    if (!found.ok) return found;
    if (found.value !== undefined && found.value.status !== 'DONE') return ok('running');
    started.delete(thing);
    const { error } = found.value ?? {};
    if (error === undefined) return ok('done');
    return operationFailure(`Google ${thing}`, error.errors ?? [{ message: error.message }]);
  };

  const forgetStarted = (thing: string): void => void started.delete(thing);

  return {
    call,
    read,
    find,
    listPages,
    start,
    outcome,
    forgetStarted,
    token: login.token,
    forget: login.forget,
    settings,
    identity: (): string => identityOf(deps),
  };
};
export type Session = ReturnType<typeof createSession>;

const identityOf = ({ secret }: ProviderDeps<'google'>): string => {
  if (secret.type === 'identity') return "the identity of the hub's machine";
  const key = readKey(secret.json);
  if (!key.ok) return 'nobody';
  return key.value.type === 'service_account' ? key.value.client_email : key.value.audience;
};
