import { fail, type Failure } from '@groundplane/protocol/failure';

/** The part of Kubernetes' `Status` (meta/v1) that decides what happened. */
export interface ApiStatus {
  reason: string;
  message: string;
  /** Kind (plural resource) and name the status is about; empty when the whole path is unknown. */
  detailsKind: string;
  detailsName: string;
  causes: { reason: string; message: string; field: string }[];
  retryAfterMs?: number;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
const word = (value: unknown): string => (typeof value === 'string' ? value : '');

const causesMax = 20;
const messageCharsMax = 2000;

const parseJson = (body: string): Record<string, unknown> => {
  try {
    return record(JSON.parse(body));
  } catch {
    return {};
  }
};

/** Reads a Status; proxies and old paths answer plain text, which then is the message. Long texts are cut. */
export const parseStatus = (body: string, retryAfter?: string): ApiStatus => {
  const json = parseJson(body);
  const isStatus = json['kind'] === 'Status';
  const details = record(json['details']);
  const causes = Array.isArray(details['causes']) ? details['causes'].slice(0, causesMax).map(record) : [];
  const seconds = typeof details['retryAfterSeconds'] === 'number' ? details['retryAfterSeconds'] : /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) : 0;
  return {
    reason: word(json['reason']),
    message: (isStatus ? word(json['message']) : body.trim()).slice(0, messageCharsMax),
    detailsKind: word(details['kind']),
    detailsName: word(details['name']),
    causes: causes.map((cause) => ({ reason: word(cause['reason']), message: word(cause['message']), field: word(cause['field']) })),
    ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
  };
};

/** The words API machinery and the workload types use for "this field is fixed after creation". */
const immutableWords =
  /field is immutable|is immutable after creation|may not change once set|for fields other than|may not change fields other than|Immutable/;

type Verdict = [kind: Failure['kind'], code: string];

const decideNotFound = (status: ApiStatus, resource: string): Verdict => {
  if (status.detailsKind === 'namespaces' && resource !== 'namespaces') return ['retry', 'namespace-missing'];
  return status.detailsName === '' ? ['retry', 'kind-unknown'] : ['retry', 'not-found'];
};

const decideConflict = (status: ApiStatus): Verdict => {
  if (status.reason === 'AlreadyExists') return ['blocked', 'exists'];
  if (status.causes.some((cause) => cause.reason === 'FieldManagerConflict')) return ['blocked', 'field-conflict'];
  if (/UID in (the )?precondition/i.test(status.message)) return ['blocked', 'object-replaced'];
  return ['retry', 'conflict'];
};

const decideInvalid = (status: ApiStatus): Verdict =>
  status.causes.some((cause) => immutableWords.test(cause.message)) || (status.causes.length === 0 && immutableWords.test(status.message))
    ? ['fatal', 'immutable-field']
    : ['fatal', 'object-invalid'];

const decideForbidden = (status: ApiStatus): Verdict =>
  // The namespace is on its way out; a later one of the same name will take the object.
  status.causes.some((cause) => cause.reason === 'NamespaceTerminating') ? ['retry', 'namespace-missing'] : ['blocked', 'denied'];

const decideServerError = (status: ApiStatus): Verdict =>
  // Two things no retry can heal, which API machinery nevertheless reports as its own error: a value beyond etcd's request
  // limit, and an object that does not fit the schema of its kind.
  /request is too large|failed to create typed patch object|failed to create manager for existing fields/.test(status.message)
    ? ['fatal', 'object-invalid']
    : ['retry', 'api-error'];

/** Which failure an HTTP answer outside 2xx is; `resource` is the plural name that was asked for (empty for discovery). */
export const decideStatus = (httpStatus: number, status: ApiStatus, resource: string): Verdict => {
  switch (httpStatus) {
    case 401:
      return ['blocked', 'denied'];
    case 403:
      return decideForbidden(status);
    case 404:
      return decideNotFound(status, resource);
    case 408:
      return ['retry', 'api-unreachable'];
    case 409:
      return decideConflict(status);
    case 410:
      return ['retry', 'history-gone'];
    case 422:
      return decideInvalid(status);
    case 429:
      return ['retry', 'api-throttled'];
    default:
      if (httpStatus >= 500) return decideServerError(status);
      // 400, 405, 406, 413, 415: the server will not take this request, however often it is sent.
      return httpStatus >= 400 ? ['fatal', 'object-invalid'] : ['retry', 'api-error'];
  }
};

/** Builds the failure with the server's own words. */
export const statusFailure = (httpStatus: number, status: ApiStatus, resource: string, element: string): ReturnType<typeof fail> => {
  const [kind, code] = decideStatus(httpStatus, status, resource);
  const said = status.message === '' ? `HTTP ${httpStatus}` : status.message;
  // Invalid and Conflict statuses repeat their causes in the message; others do not.
  const extra = status.causes.filter((cause) => cause.message !== '' && !said.includes(cause.message)).map((cause) => `${cause.field}: ${cause.message}`);
  return fail(kind, code, element, [`The API server answered ${httpStatus}: ${said}`, ...extra].join('\n'));
};
