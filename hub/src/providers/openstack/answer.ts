import { isRecord } from '@groundplane/protocol/record';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import { openStackLimits } from './limits.ts';
import { cleanWords } from '../words.ts';

/** What was asked of which service, for messages: `compute POST /servers`. */
export interface Asked {
  service: string;
  method: string;
  path: string;
}

const parse = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
};

const clean = cleanWords(openStackLimits.wordsLength);

/**
 * The service's own words. Each wraps them in its way: nova `{forbidden: {message}}`, neutron `{NeutronError: {type, message}}`, keystone
 * `{error: {message}}`, octavia `{faultstring}`; glance and proxies answer with a page.
 */
export const wordsOf = (body: Buffer): { type: string; message: string } => {
  const parsed = parse(body);
  if (!isRecord(parsed)) return { type: '', message: clean(body.toString('utf8', 0, 8_192).replaceAll(/<(style|title)[^>]*>.*?<\/\1>|<[^>]*>/gs, ' ')) };
  const inner = Object.values(parsed).find(isRecord) ?? parsed;
  const from = typeof parsed['faultstring'] === 'string' ? parsed : inner;
  const message = [from['message'], from['faultstring'], from['detail']].find((item): item is string => typeof item === 'string' && item !== '');
  return { type: typeof from['type'] === 'string' ? from['type'] : (Object.keys(parsed)[0] ?? ''), message: clean(message ?? JSON.stringify(parsed)) };
};

/** Neutron tells a quota as 409 OverQuota, nova and octavia as 403, cinder as 413; the words are the only thing they share. */
const isQuota = (status: number, words: { type: string; message: string }): boolean =>
  [403, 409, 413].includes(status) &&
  (/^(OverQuota|overLimit)$/i.test(words.type) || /quota|maximum number of .* exceeded|limit exceeded/i.test(words.message));

/** Seconds, as nova and proxies tell it. */
const waitWords = (response: HttpResponse): string => {
  const seconds = response.headers['retry-after'];
  return seconds === undefined ? '' : `; asked to wait ${clean(seconds).slice(0, 40)} s`;
};

export const failureOf = (asked: Asked, response: HttpResponse): { ok: false; failure: Failure } => {
  const { status } = response;
  const words = wordsOf(response.body);
  const element = `OpenStack ${asked.service} ${asked.method} ${asked.path}`;
  const said = words.message === '' ? `it answered ${status}` : `${words.message} (${status})`;
  if (status === 429 || (status === 413 && response.headers['retry-after'] !== undefined))
    return fail('retry', 'throttled', element, `too many requests${waitWords(response)}`);
  if (isQuota(status, words))
    return fail('blocked', 'quota-reached', element, `${said}. Ask the cloud's operator for a larger quota, or free some: openstack quota show`);
  if (status === 401)
    return fail('blocked', 'credentials-refused', element, `${said}. Check user, password or application credential of the account, and whether it expired`);
  if (status === 403) return fail('blocked', 'permission-missing', element, `${said}. The account needs the role "member" in its project for this call`);
  if (status === 404) return fail('retry', 'cloud-conflict', element, `${said}. What it names is gone; the next round looks again`);
  if (status === 409) return fail('retry', 'cloud-conflict', element, said);
  if (status === 408 || status >= 500) return fail('retry', 'cloud-failed', element, `${said}${waitWords(response)}`);
  return fail('fatal', 'cloud-refused', element, said);
};

/** The JSON of a good answer; a page of a proxy in its stead is a failure, not an empty list. */
export const jsonOf = (asked: Asked, response: HttpResponse): Result<Record<string, unknown>> => {
  if (response.body.length === 0) return ok({});
  const parsed = parse(response.body);
  if (isRecord(parsed)) return ok(parsed);
  const element = `OpenStack ${asked.service} ${asked.method} ${asked.path}`;
  return fail(
    'retry',
    'cloud-failed',
    element,
    `the answer is no JSON: ${wordsOf(response.body).message.slice(0, 200)}. Is the address right, or a proxy in between?`,
  );
};
