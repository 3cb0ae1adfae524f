import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import { throttledBy } from '../throttled.ts';
import { maasLimits } from './limits.ts';
import { cleanWords } from '../words.ts';

const clean = cleanWords(maasLimits.wordsLength);

/** MAAS answers with a sentence, or with the fields of a form and what is wrong with each: `{"zone": ["No such zone: 'x'."]}`. */
export const wordsOf = (body: Buffer): string => {
  const text = body.toString('utf8', 0, 16_384);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'string') return clean(parsed);
    if (typeof parsed === 'object' && parsed !== null)
      return clean(
        Object.entries(parsed)
          .map(([field, words]) => `${field}: ${Array.isArray(words) ? words.join(' ') : JSON.stringify(words)}`)
          .join('; '),
      );
  } catch {
    // A sentence, or the page of a proxy.
  }
  return clean(text.replaceAll(/<(style|title|script)[^>]*>.*?<\/\1>|<[^>]*>/gs, ' '));
};

export const failureOf = (asked: string, response: HttpResponse): { ok: false; failure: Failure } => {
  const { status } = response;
  const element = `MAAS ${asked}`;
  const words = wordsOf(response.body);
  const said = words === '' ? `it answered ${status}` : `${words} (${status})`;
  const throttled = throttledBy(response, element);
  if (throttled !== undefined) return throttled;
  if (status === 401)
    return fail('blocked', 'credentials-refused', element, `${said}. Make a new key (MAAS: user preferences, API keys), and put it into the account. A wrong clock on either side has the same answer`); // prettier-ignore
  if (status === 403) return fail('blocked', 'permission-missing', element, `${said}. The user needs the role "user" and, with roles in use, the permission to deploy in the resource pool`); // prettier-ignore
  if (status === 409 && asked.endsWith('op=allocate'))
    return fail('blocked', 'quota-reached', element, `${said}. Machines only come from those that are Ready: add some, release some, or take off constraints (pool, zone, tags, size)`); // prettier-ignore
  if (status === 404 || status === 409) return fail('retry', 'cloud-conflict', element, said);
  if (status === 408 || status >= 500) return fail('retry', 'cloud-failed', element, said);
  return fail('fatal', 'cloud-refused', element, said);
};

/** The JSON of a good answer; a page of a proxy in its stead is a failure. */
export const jsonOf = (asked: string, response: HttpResponse): Result<unknown> => {
  if (response.body.length === 0) return ok(undefined);
  try {
    return ok(JSON.parse(response.body.toString('utf8')) as unknown);
  } catch {
    return fail('retry', 'cloud-failed', `MAAS ${asked}`, `the answer is no JSON: ${wordsOf(response.body).slice(0, 200)}. Is the address right, or a proxy in between?`); // prettier-ignore
  }
};
