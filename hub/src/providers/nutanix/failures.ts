import { isRecord } from '@groundplane/protocol/record';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import { throttledBy } from '../throttled.ts';
import { nutanixLimits } from './limits.ts';
import { cleanWords } from '../words.ts';

const clean = cleanWords(nutanixLimits.wordsLength);

const parse = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
};

/** One message of v4: an AppMessage, or one of a list of what is wrong with a request. */
const messageOf = (value: unknown): string => {
  if (!isRecord(value)) return '';
  const { code, message, location, attributePath } = value;
  const where = [location, attributePath].find((item) => typeof item === 'string');
  return [typeof code === 'string' ? `[${code}]` : '', where === undefined ? '' : `${where}:`, typeof message === 'string' ? message : ''].join(' ').trim();
};

/** `{data: {error: [AppMessage…]}}`, or `{data: {error: {validationErrorMessages: […]}}}` for a request that does not fit its schema. */
export const wordsOf = (body: Buffer): string => {
  const parsed = parse(body);
  const data = isRecord(parsed) && isRecord(parsed['data']) ? parsed['data'] : parsed;
  const error = isRecord(data) ? data['error'] : undefined;
  const messages = Array.isArray(error)
    ? error
    : isRecord(error) && Array.isArray(error['validationErrorMessages'])
      ? error['validationErrorMessages']
      : [error];
  const words = messages.map(messageOf).filter((item) => item !== '');
  return clean(words.length > 0 ? words.join('; ') : body.toString('utf8', 0, 8_192).replaceAll(/<(style|title)[^>]*>.*?<\/\1>|<[^>]*>/gs, ' '));
};

const isQuota = (words: string): boolean => /quota|maximum (number|limit)|license/i.test(words);
const isCapacity = (words: string): boolean => /insufficient|not enough|no host|no available|out of (memory|space)/i.test(words);

export const failureOf = (asked: string, response: HttpResponse): { ok: false; failure: Failure } => {
  const { status } = response;
  const element = `Nutanix ${asked}`;
  const words = wordsOf(response.body);
  const said = words === '' ? `it answered ${status}` : `${words} (${status})`;
  const throttled = throttledBy(response, element);
  if (throttled !== undefined) return throttled;
  if (status === 401) return fail('blocked', 'credentials-refused', element, `${said}. Check user and password, or the API key, of the account`);
  if (isQuota(words) && status >= 400 && status < 500)
    return fail('blocked', 'quota-reached', element, `${said}. Raise the quota of the project, or free some`);
  if (status === 403) return fail('blocked', 'permission-missing', element, `${said}. The role of the account needs this operation; the whole list is in the README of the provider`); // prettier-ignore
  if (status === 404 || status === 409 || status === 412) return fail('retry', 'cloud-conflict', element, said);
  if (status === 408 || status >= 500) return fail('retry', 'cloud-failed', element, said);
  return fail('fatal', 'cloud-refused', element, said);
};

/** Of a task that ended without success. Nobody can tell from its words alone whether it would go well another time; what reads like a limit waits for people. */
export const failureOfTask = (what: string, messages: readonly { code?: string | null | undefined; message?: string | null | undefined }[], status: string) => {
  const words = clean(messages.map(messageOf).join('; ')) || `its task is ${status}`;
  if (isQuota(words)) return fail('blocked', 'quota-reached', what, `${words}. Raise the quota of the project, or free some`);
  return isCapacity(words) ? fail('retry', 'capacity-missing', what, words) : fail('retry', 'cloud-failed', what, words);
};

/** The JSON of a good answer; a page of a proxy in its stead is a failure, not an empty list. */
export const jsonOf = (asked: string, response: HttpResponse): Result<Record<string, unknown>> => {
  if (response.body.length === 0) return ok({});
  const parsed = parse(response.body);
  if (isRecord(parsed)) return ok(parsed);
  return fail('retry', 'cloud-failed', `Nutanix ${asked}`, `the answer is no JSON: ${wordsOf(response.body).slice(0, 200)}. Is the address right, or a proxy in between?`); // prettier-ignore
};
