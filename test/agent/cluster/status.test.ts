import { describe, expect, test } from 'vitest';
import { chooseContainer } from '@groundplane/agent/cluster/pod-log';
import { decideStatus, parseStatus, statusFailure } from '@groundplane/agent/cluster/status';

interface Case {
  what: string;
  http: number;
  body: string;
  resource?: string;
  expected: string;
}

const status = (reason: string, message: string, details: object = {}): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, details });
const cause = (reason: string, message: string, field: string = 'f'): object => ({ reason, message, field });

const cases: Case[] = [
  { what: 'wrong token', http: 401, body: status('Unauthorized', 'Unauthorized'), expected: 'blocked denied' },
  { what: 'no rights', http: 403, body: status('Forbidden', 'cannot get'), expected: 'blocked denied' },
  {
    what: 'namespace that is being deleted',
    http: 403,
    body: status('Forbidden', 'x', { causes: [cause('NamespaceTerminating', 'being terminated')] }),
    expected: 'retry namespace-missing',
  },
  { what: 'missing object', http: 404, body: status('NotFound', 'x', { name: 'a', kind: 'configmaps' }), expected: 'retry not-found' },
  { what: 'missing namespace of an object', http: 404, body: status('NotFound', 'x', { name: 'a', kind: 'namespaces' }), expected: 'retry namespace-missing' },
  {
    what: 'missing namespace itself',
    http: 404,
    body: status('NotFound', 'x', { name: 'a', kind: 'namespaces' }),
    resource: 'namespaces',
    expected: 'retry not-found',
  },
  { what: 'path nobody serves', http: 404, body: '404 page not found\n', expected: 'retry kind-unknown' },
  { what: 'resource nobody serves', http: 404, body: status('NotFound', 'the server could not find the requested resource'), expected: 'retry kind-unknown' },
  { what: 'existing object', http: 409, body: status('AlreadyExists', 'x'), expected: 'blocked exists' },
  {
    what: 'field of another manager',
    http: 409,
    body: status('Conflict', 'x', { causes: [cause('FieldManagerConflict', 'conflict with "a"', '.spec')] }),
    expected: 'blocked field-conflict',
  },
  {
    what: 'another incarnation',
    http: 409,
    body: status('Conflict', 'the UID in the precondition (a) does not match the UID in record (b)'),
    expected: 'blocked object-replaced',
  },
  {
    what: 'another incarnation, older words',
    http: 409,
    body: status('Conflict', 'Precondition failed: UID in precondition: a, UID in object meta: b'),
    expected: 'blocked object-replaced',
  },
  { what: 'stale resourceVersion', http: 409, body: status('Conflict', 'the object has been modified'), expected: 'retry conflict' },
  { what: 'compacted history', http: 410, body: status('Expired', 'x'), expected: 'retry history-gone' },
  { what: 'bad request', http: 400, body: status('BadRequest', 'x'), expected: 'fatal object-invalid' },
  { what: 'too large request', http: 413, body: status('RequestEntityTooLarge', 'x'), expected: 'fatal object-invalid' },
  {
    what: 'invalid object',
    http: 422,
    body: status('Invalid', 'x', { causes: [cause('FieldValueRequired', 'Required value')] }),
    expected: 'fatal object-invalid',
  },
  {
    what: 'immutable field',
    http: 422,
    body: status('Invalid', 'x', { causes: [cause('FieldValueInvalid', 'Invalid value: field is immutable')] }),
    expected: 'fatal immutable-field',
  },
  {
    what: 'fixed field of a StatefulSet',
    http: 422,
    body: status('Invalid', 'x', {
      causes: [cause('FieldValueForbidden', "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden")],
    }),
    expected: 'fatal immutable-field',
  },
  { what: 'throttling', http: 429, body: status('TooManyRequests', 'x'), expected: 'retry api-throttled' },
  { what: 'internal error', http: 500, body: status('InternalError', 'failed calling webhook'), expected: 'retry api-error' },
  { what: 'etcd limit', http: 500, body: status('', 'etcdserver: request is too large'), expected: 'fatal object-invalid' },
  {
    what: 'unknown field',
    http: 500,
    body: status('', 'failed to create typed patch object (a/b; v1, Kind=ConfigMap): .x: field not declared in schema'),
    expected: 'fatal object-invalid',
  },
  { what: 'gateway', http: 502, body: '<html>Bad Gateway</html>', expected: 'retry api-error' },
  { what: 'overload', http: 503, body: '', expected: 'retry api-error' },
  { what: 'redirect', http: 302, body: '', expected: 'retry api-error' },
];

describe('failures of HTTP answers', () => {
  test.each(cases)('$http $what is $expected', ({ http, body, resource, expected }) => {
    expect(decideStatus(http, parseStatus(body), resource ?? 'configmaps').join(' ')).toBe(expected);
  });

  test("carries the server's words and the causes it does not repeat", () => {
    const parsed = parseStatus(
      status('Invalid', 'ConfigMap "a" is invalid', { causes: [cause('FieldValueRequired', 'Required value', 'data'), cause('X', 'is invalid', 'y')] }),
    );
    expect(statusFailure(422, parsed, 'configmaps', 'ConfigMap a').failure).toEqual({
      kind: 'fatal',
      code: 'object-invalid',
      element: 'ConfigMap a',
      message: 'The API server answered 422: ConfigMap "a" is invalid\ndata: Required value',
    });
  });

  test('reads how long to wait from the details or from the header', () => {
    expect(parseStatus(status('', '', { retryAfterSeconds: 3 }), '9').retryAfterMs).toBe(3000);
    expect(parseStatus('', '2').retryAfterMs).toBe(2000);
    expect(parseStatus('', 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBe(undefined);
    expect(parseStatus('not json').message).toBe('not json');
    expect(parseStatus(JSON.stringify({ kind: 'Status', details: { causes: 'x' } })).causes).toEqual([]);
  });
});

describe('the container whose log explains most', () => {
  const pod = (statuses: object, annotations: Record<string, string> = {}): Parameters<typeof chooseContainer>[0] => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', annotations },
    spec: { containers: [{ name: 'first' }, { name: 'second' }] },
    status: statuses,
  });
  test.each([
    ['the first by default', pod({}), { container: 'first', isPrevious: false }],
    ['the one the pod names', pod({}, { 'kubectl.kubernetes.io/default-container': 'second' }), { container: 'second', isPrevious: false }],
    [
      'the one that failed',
      pod({
        containerStatuses: [
          { name: 'first', state: { running: {} } },
          { name: 'second', state: { terminated: { exitCode: 2 } } },
        ],
      }),
      { container: 'second', isPrevious: false },
    ],
    [
      'a failed init container',
      pod({ initContainerStatuses: [{ name: 'init', state: { terminated: { exitCode: 1 } } }] }),
      { container: 'init', isPrevious: false },
    ],
    [
      'the previous run of a crash loop',
      pod({ containerStatuses: [{ name: 'second', state: { waiting: {} }, lastState: { terminated: { exitCode: 1 } } }] }),
      { container: 'second', isPrevious: true },
    ],
    [
      'not one that ended well',
      pod({ containerStatuses: [{ name: 'second', state: { terminated: { exitCode: 0 } } }] }),
      { container: 'first', isPrevious: false },
    ],
  ])('%s', (_what, object, expected) => {
    expect(chooseContainer(object)).toEqual(expected);
  });
});
