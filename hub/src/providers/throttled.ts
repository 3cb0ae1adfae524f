import { fail, type Failure } from '@groundplane/protocol/failure';
import { isThrottled } from '../cloud/budget.ts';
import type { HttpResponse } from '../port/http.ts';
import { cleanWords } from './words.ts';

/** An answer that asks us to be quieter, as a failure in the port's words; undefined for every other one. The account's budget keeps the wait. */
export const throttledBy = ({ status, headers, body }: HttpResponse, element: string): { ok: false; failure: Failure } | undefined => {
  if (!isThrottled({ status, headers, body })) return undefined;
  const wait = headers['retry-after'];
  const asked = wait === undefined ? '' : `; asked to wait ${cleanWords(40)(wait)} s`;
  return fail('retry', 'throttled', element, `too many requests${asked}`);
};
