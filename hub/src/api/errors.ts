import type { Failure } from '@groundplane/protocol/failure';
import { fail } from '@groundplane/protocol/failure';

/** HTTP status for a failure's code; otherwise its kind decides. */
const byCode: Record<string, number> = {
  'not-found': 404,
  unauthenticated: 401,
  denied: 403,
  'request-invalid': 400,
  'body-too-large': 413,
  'content-too-large': 413,
  'content-wrong': 422,
  'name-taken': 409,
  'row-conflict': 409,
  'in-use': 409,
  immutable: 409,
  'too-many-tries': 429,
  'disk-full': 507,
};
const byKind: Record<Failure['kind'], number> = { retry: 503, blocked: 409, fatal: 422 };

export const statusOf = (failure: Failure): number => byCode[failure.code] ?? byKind[failure.kind];

/** A thing of somebody else and a missing thing look the same. */
export const notFound = (what: string, next: string): { ok: false; failure: Failure } =>
  fail('fatal', 'not-found', what, `there is no such thing here, or you may not see it. ${next}`);
export const invalid = (what: string, message: string): { ok: false; failure: Failure } => fail('fatal', 'request-invalid', what, message);
