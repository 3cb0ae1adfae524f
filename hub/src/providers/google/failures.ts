import { z } from 'zod';
import { fail, type Failure } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import { googleLimits } from './limits.ts';
import { cleanWords } from '../words.ts';

type Failed = { ok: false; failure: Failure };

interface Refusal {
  status: number;
  /** `quotaExceeded`, `RESOURCE_EXHAUSTED`: each API tells its own, and some two. */
  reasons: string[];
  words: string;
}

const errorSchema = z.object({
  error: z.object({
    message: z.string().default(''),
    status: z.string().optional(),
    errors: z.array(z.object({ reason: z.string().optional() })).optional(),
    details: z.array(z.looseObject({ reason: z.string().optional() })).optional(),
  }),
});

const clean = cleanWords(googleLimits.wordsLength);

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const refusalOf = (response: HttpResponse): Refusal => {
  const text = response.body.toString('utf8', 0, 65_536);
  const parsed = errorSchema.safeParse(parse(text));
  if (!parsed.success) return { status: response.status, reasons: [], words: clean(text.replaceAll(/<[^>]*>/g, ' ')) };
  const { message, status, errors = [], details = [] } = parsed.data.error;
  const reasons = [status, ...errors.map((item) => item.reason), ...details.map((item) => item.reason)].filter((item) => item !== undefined);
  return { status: response.status, reasons, words: clean(message) };
};

const says = (refusal: Refusal, pattern: RegExp): boolean => refusal.reasons.some((reason) => pattern.test(reason));

/** GKE tells a full quota as 403 with words; throttling has reasons of its own, at 403 as at 429. */
const isThrottled = (refusal: Refusal): boolean =>
  says(refusal, /^(rateLimitExceeded|userRateLimitExceeded|RATE_LIMIT_EXCEEDED)$/) ||
  (refusal.status === 429 && !/quota '[A-Z_]+' exceeded/i.test(refusal.words));
const isQuota = (refusal: Refusal): boolean =>
  says(refusal, /^(quotaExceeded|limitExceeded|QUOTA_EXCEEDED|QUOTA_FOR_INSTANCES)$/) ||
  /quota '[A-Z_]+' exceeded|insufficient (regional|project) quota/i.test(refusal.words);
const capacity = /^(ZONE_RESOURCE_POOL_EXHAUSTED(_WITH_DETAILS)?|RESOURCE_POOL_EXHAUSTED|STOCKOUT|GCE_STOCKOUT)$/;
/** Something else is at work on it, still holds it, or is not there yet. */
const conflict =
  /^(resourceInUseByAnotherResource|RESOURCE_IN_USE_BY_ANOTHER_RESOURCE|resourceNotReady|RESOURCE_NOT_READY|alreadyExists|ALREADY_EXISTS|RESOURCE_ALREADY_EXISTS|conditionNotMet|FAILED_PRECONDITION|ABORTED|notFound|NOT_FOUND|RESOURCE_NOT_FOUND|RESOURCE_OPERATION_RATE_EXCEEDED)$/;

const permissionWords = (words: string): string => {
  const permission =
    /Required '([\w.]{1,100})' permission for '([^']{1,200})'/.exec(words) ?? /required "([\w.]{1,100})" permission\(s\) for "([^"]{1,200})"/.exec(words);
  return permission === null ? words : `this account lacks "${permission[1]}" on ${permission[2]}`;
};

const failureFrom = (element: string, refusal: Refusal, retryAfter: string | undefined): Failed => {
  const { status, words } = refusal;
  const said = `${words === '' ? 'no words' : words} (${status})`;
  if (isThrottled(refusal))
    return fail('retry', 'throttled', element, `${said}${retryAfter === undefined ? '' : `; asked to wait ${clean(retryAfter).slice(0, 40)} s`}`);
  if (isQuota(refusal))
    return fail('blocked', 'quota-reached', element, `${said}. Ask for more in the console under IAM & Admin, Quotas, or use a smaller size`);
  if (says(refusal, capacity)) return fail('retry', 'capacity-missing', element, said);
  if (says(refusal, /^(accessNotConfigured|SERVICE_DISABLED)$/))
    return fail('blocked', 'permission-missing', element, `${said}. Switch it on: gcloud services enable`);
  if (status === 401) return fail('blocked', 'credentials-refused', element, `${said}. Check the key of the account, and whether it was deleted`);
  if (status === 403) return fail('blocked', 'permission-missing', element, permissionWords(said));
  if (says(refusal, conflict) || [404, 409, 412].includes(status)) return fail('retry', 'cloud-conflict', element, said);
  if (status === 408 || status >= 500) return fail('retry', 'cloud-failed', element, said);
  return fail('fatal', 'cloud-refused', element, said);
};

export const failureOf = (element: string, response: HttpResponse): Failed => failureFrom(element, refusalOf(response), response.headers['retry-after']);

/** Of an operation that ended badly: `error.errors` with a code each. */
export const operationFailure = (element: string, errors: readonly { code?: string | undefined; message?: string | undefined }[], status = 400): Failed =>
  failureFrom(element, { status, reasons: errors.flatMap((item) => item.code ?? []), words: clean(errors.map((item) => item.message ?? item.code ?? '').join('; ')) }, undefined); // prettier-ignore
