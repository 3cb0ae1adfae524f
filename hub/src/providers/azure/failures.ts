import { fail, FailureError, type Failure } from '@groundplane/protocol/failure';
import { azureLimits } from './limits.ts';
import { cleanWords } from '../words.ts';

type Failed = { ok: false; failure: Failure };

interface Refusal {
  status: number | undefined;
  code: string;
  words: string;
  retryAfter: string | undefined;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

const clean = cleanWords(azureLimits.wordsLength);

/** Of the error that the SDKs throw (`RestError`), or of the one that a resource keeps after a failed operation. */
export const refusalOf = (error: unknown): Refusal => {
  if (!isRecord(error)) return { status: undefined, code: '', words: clean(String(error)), retryAfter: undefined };
  const details = isRecord(error['details']) ? error['details'] : {};
  const inner = isRecord(details['error']) ? details['error'] : {};
  const response = isRecord(error['response']) ? error['response'] : {};
  const headers = response['headers'];
  const header = isRecord(headers) && typeof headers['get'] === 'function' ? (headers as unknown as Headers).get('retry-after') : undefined;
  const status = Number(error['statusCode'] ?? response['status']);
  return {
    status: Number.isInteger(status) && status > 0 ? status : undefined,
    code: textOf(inner['code']) ?? textOf(error['code']) ?? '',
    words: clean(textOf(inner['message']) ?? textOf(error['message']) ?? ''),
    retryAfter: textOf(header),
  };
};

/** Azure tells a full quota by many codes, and by `OperationNotAllowed` together with many other things. */
const isQuota = ({ code, words }: Refusal): boolean =>
  /quota|CountLimitReached|LimitExceeded$|MaxStorageAccountsCountPerSubscription/i.test(code) ||
  (/^(OperationNotAllowed|BadRequest|Conflict)$/.test(code) && /quota|exceeding approved|core(s)? limit/i.test(words));

const capacityCodes =
  /^(AllocationFailed|ZonalAllocationFailed|OverconstrainedAllocationRequest|OverconstrainedZonalAllocationRequest|SkuNotAvailable|SpotPreempted.*|InsufficientCapacity|AKSCapacityError|AKSCapacityHeavyUsage)$/;
/** Something else is at work on it, or still holds it; the next round looks again. */
const conflictCodes =
  /^(AnotherOperationInProgress|RetryableError|RetryableErrorDueToAnotherOperation|ReferencedResourceNotProvisioned|OperationNotAllowed|OperationPreempted|EtagMismatch|PreconditionFailed|Conflict|ConflictingConcurrentWriteNotAllowed|ResourceGroupBeingDeleted|NicInUse|NicReservedForAnotherVm|.*InUse.*|.*CannotBeDeleted.*|ParentResourceNotFound|ResourceNotFound|ResourceGroupNotFound|NotFound|InvalidResourceReference)$/;

const waitWords = ({ retryAfter }: Refusal): string => (retryAfter === undefined ? '' : `; asked to wait ${clean(retryAfter).slice(0, 40)} s`);

const permissionWords = (words: string): string => {
  const action = /perform action '([^']{1,200})'/.exec(words)?.[1];
  const where = /over scope '([^']{1,300})'/.exec(words)?.[1];
  return action === undefined ? words : `the role of this account lacks "${action}"${where === undefined ? '' : ` on ${where}`}`;
};

/** What ARM refused, in the port's words. Order matters: a quota may come as 400, 403, 409 or 429. */
const armFailure = (element: string, refusal: Refusal): Failed => {
  const { status, code, words } = refusal;
  const said = `${words === '' ? `it answered ${status ?? 'nothing'}` : words}${code === '' ? '' : ` (${code})`}`;
  if (isQuota(refusal)) return fail('blocked', 'quota-reached', element, `${said}. Ask for more, or use a smaller size: az vm list-usage --location LOCATION`);
  if (capacityCodes.test(code)) return fail('retry', 'capacity-missing', element, said);
  if (status === 401) return fail('blocked', 'credentials-refused', element, `${said}. Check tenant, client and secret of the account`);
  if (code === 'MissingSubscriptionRegistration')
    return fail('blocked', 'permission-missing', element, `${said}. Register it once: az provider register --namespace NAMESPACE`);
  if (code === 'RequestDisallowedByPolicy') return fail('fatal', 'cloud-refused', element, `${said}. A policy of the subscription forbids it`);
  if (status === 403 || code === 'SubscriptionNotFound') return fail('blocked', 'permission-missing', element, permissionWords(said));
  if (conflictCodes.test(code) || status === 409 || status === 404 || status === 412) return fail('retry', 'cloud-conflict', element, said);
  if (status === 429) return fail('retry', 'throttled', element, `too many requests${waitWords(refusal)}`);
  if (status === 408 || (status !== undefined && status >= 500)) return fail('retry', 'cloud-failed', element, `${said}${waitWords(refusal)}`);
  return status === undefined ? fail('retry', 'cloud-failed', element, said) : fail('fatal', 'cloud-refused', element, said);
};

/** Errors of Entra that no second try mends. */
const entraRefusals =
  /invalid_client|unauthorized_client|invalid_grant|invalid_request|invalid_tenant|access_denied|AADSTS(7000\d*|700016|90002|50034|50049|900023|53003)|not found in the directory/;

const isAuthentication = (error: unknown): boolean =>
  error instanceof Error && /^(AuthenticationError|AuthenticationRequiredError|CredentialUnavailableError|AggregateAuthenticationError)$/.test(error.name);

/** What a credential of @azure/identity threw. It tells no status; the last one that came through the door is it. */
const entraFailure = (error: Error, status: number | undefined): Failed => {
  const words = clean(error.message);
  const element = 'Azure login';
  if (status === 429) return fail('retry', 'throttled', element, words);
  if (status !== undefined && status >= 500) return fail('retry', 'cloud-failed', element, words);
  if (entraRefusals.test(words) || status === 401 || status === 400)
    return fail('blocked', 'credentials-refused', element, `${words}. Check tenant, client and secret of the account, and whether the secret expired`);
  return error.name === 'CredentialUnavailableError'
    ? fail('blocked', 'credentials-refused', element, `${words}. The hub's machine has no identity of Azure`)
    : fail('retry', 'cloud-unreachable', element, words);
};

/** What the door behind `Http` answered during a call, which the SDK may have wrapped in something else. */
export interface Recorded {
  failure?: Failure;
  status?: number;
}

export const failureOf = (element: string, error: unknown, recorded: Recorded = {}): Failed => {
  if (recorded.failure !== undefined) return { ok: false, failure: recorded.failure };
  for (let cause: unknown = error, depth = 0; isRecord(cause) && depth < 5; cause = cause['cause'], depth += 1)
    if (cause instanceof FailureError) return { ok: false, failure: cause.failure };
  if (isAuthentication(error)) return entraFailure(error as Error, recorded.status);
  return armFailure(element, refusalOf(error));
};

/** Of an operation that ended badly. */
export const operationFailure = (element: string, error: unknown): Failed => armFailure(element, { ...refusalOf(error), status: undefined });
