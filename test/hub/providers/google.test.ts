import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { failureOf, operationFailure } from '@groundplane/hub/providers/google/failures';
import { readKey } from '@groundplane/hub/providers/google/login';
import { baseName, machineName } from '@groundplane/hub/providers/google/names';
import { machinePermissions, managedPermissions } from '@groundplane/hub/providers/google/permissions';
import { clusterName, isVersion } from '@groundplane/hub/providers/gke/names';
import { fixedDifferences, nextChange, roundingNote, spread, poolSchema } from '@groundplane/hub/providers/gke/pool-body';
import { openGoogle } from '@groundplane/hub/providers/google/provider';
import type { ManagedPoolWant } from '@groundplane/hub/port/provider';
import { googleHttp, keyFile } from '../../counterparts/google/http.ts';
import { gkeRig } from '../../counterparts/google/managed-rig.ts';
import { googleDeps, googleRig, said } from '../../counterparts/google/rig.ts';
import { answeringHttp } from '../../conformance/providers/cut-http.ts';

test.each([
  [403, 'quotaExceeded', "Quota 'CPUS' exceeded.  Limit: 24.0 in region europe-west1.", 'blocked', 'quota-reached'],
  [429, 'RESOURCE_EXHAUSTED', "Quota 'CPUS_ALL_REGIONS' exceeded.", 'blocked', 'quota-reached'],
  [403, 'rateLimitExceeded', 'Rate Limit Exceeded', 'retry', 'throttled'],
  [429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).', 'retry', 'throttled'],
  [403, 'forbidden', "Required 'compute.instances.create' permission for 'projects/p/zones/z/instances/i'", 'blocked', 'permission-missing'],
  [403, 'accessNotConfigured', 'Compute Engine API has not been used in project 1 before or it is disabled.', 'blocked', 'permission-missing'],
  [400, 'resourceInUseByAnotherResource', 'The network resource is already being used by', 'retry', 'cloud-conflict'],
  [400, 'FAILED_PRECONDITION', 'Cluster is running incompatible operation operation-1.', 'retry', 'cloud-conflict'],
  [409, 'alreadyExists', 'already exists', 'retry', 'cloud-conflict'],
  [401, 'authError', 'Request had invalid authentication credentials.', 'blocked', 'credentials-refused'],
  [400, 'invalid', "Invalid value for field 'resource.name'", 'fatal', 'cloud-refused'],
  [503, 'backendError', 'Backend Error', 'retry', 'cloud-failed'],
] as const)('Google says %i %s: "%s"', (status, reason, message, kind, code) => {
  expect(failureOf('x', said(status, reason, message))).toMatchObject({ ok: false, failure: { kind, code } });
});

test('an operation that found no room is a missing capacity', () => {
  expect(operationFailure('x', [{ code: 'ZONE_RESOURCE_POOL_EXHAUSTED', message: 'no room' }])).toMatchObject({
    failure: { kind: 'retry', code: 'capacity-missing' },
  });
  expect(operationFailure('x', [{ code: 'QUOTA_EXCEEDED', message: "Quota 'CPUS' exceeded." }])).toMatchObject({ failure: { code: 'quota-reached' } });
});

test('a missing permission is named', () => {
  const answer = failureOf('x', said(403, 'forbidden', "Required 'compute.instances.create' permission for 'projects/p'"));
  expect(answer.failure.message).toBe('this account lacks "compute.instances.create" on projects/p');
});

const federation = {
  type: 'external_account',
  audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  token_url: 'https://sts.googleapis.com/v1/token',
  credential_source: { file: '/var/run/secrets/tokens/gcp' },
};

test('keys that would send tokens elsewhere, run programs or read the disk of the hub are refused', () => {
  expect(readKey(keyFile()).ok).toBe(true);
  expect(readKey(JSON.stringify(federation)).ok).toBe(true);
  const wrong = [
    { ...federation, token_url: 'https://sts.googleapis.com.evil.example/v1/token' },
    { ...federation, token_url: 'http://sts.googleapis.com/v1/token' },
    { ...federation, service_account_impersonation_url: 'https://evil.example/' },
    { ...federation, universe_domain: 'evil.example' },
    { ...federation, credential_source: { file: '/etc/shadow' } },
    { ...federation, credential_source: { file: '/var/run/secrets/../../../etc/shadow' } },
    { ...federation, credential_source: { executable: { command: 'id' } } },
    { ...federation, credential_source: { environment_id: 'aws1', region_url: 'http://169.254.169.254/' } },
    { ...federation, type: 'authorized_user' },
  ];
  for (const key of wrong) expect(readKey(JSON.stringify(key))).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'credentials-refused' } });
  expect(readKey('{')).toMatchObject({ ok: false, failure: { code: 'credentials-refused' } });
});

test('names stay within what Google allows, and differ between clusters', () => {
  const long = '9'.repeat(63);
  for (const name of [`${baseName({ id: 'clu_0123456789abcdef', name: long })}-inside`, machineName({ id: 'clu_1' }, long)])
    expect(name).toMatch(/^[a-z][-a-z0-9]{0,62}$/);
  expect(clusterName({ id: 'clu_0123456789abcdef', name: long })).toMatch(/^[a-z][-a-z0-9]{0,39}$/);
  expect(machineName({ id: 'clu_1' }, 'web-1')).not.toBe(machineName({ id: 'clu_2' }, 'web-1'));
});

test('the permissions beside the READMEs are those that the code asks for', () => {
  const linesOf = (provider: string): string[] =>
    readFileSync(new URL(`../../../hub/src/providers/${provider}/permissions.txt`, import.meta.url), 'utf8')
      .trim()
      .split('\n');
  expect(linesOf('google')).toEqual(machinePermissions);
  expect(linesOf('gke')).toEqual(managedPermissions);
});

test('why a machine never came to be is told in the next round', async () => {
  const rig = await googleRig();
  const { http, store } = googleHttp();
  const provider = await openGoogle(googleDeps(http));
  const scope = rig.scope('clu_00000000000000000001', 'full') as never;
  await expect
    .poll(async () => (await provider.ensureNetwork(scope)) as unknown, { interval: 1, timeout: 20_000 })
    .toMatchObject({ ok: true, value: { state: 'ready' } });
  const want = rig.want('full-1', 'workers', 'g1');
  expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: true, value: { state: 'starting' } });
  const [path, operation] = [...store.operations].findLast(([, item]) => item.body['operationType'] === 'insert') ?? [];
  if (path === undefined || operation === undefined) throw new Error('no operation');
  // Google takes the instance away again, and says why in the operation.
  for (const at of store.things.keys()) if (at.includes('/instances/')) store.things.delete(at);
  Object.assign(operation.body, { status: 'DONE', error: { errors: [{ code: 'ZONE_RESOURCE_POOL_EXHAUSTED', message: 'no room in this zone' }] } });
  expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'capacity-missing' } });
  expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: true });
});

test('a token that was refused is asked for once more', async () => {
  const { http } = googleHttp();
  let left = 1;
  const provider = await openGoogle(
    googleDeps(answeringHttp(http, (request) => (request.url.includes('/regions') && (left -= 1) >= 0 ? said(401, 'authError', 'expired') : undefined))),
  );
  expect(await provider.offers({ project: 'shop-1' })).toMatchObject({ ok: true });
});

const want: ManagedPoolWant = {
  pool: 'p',
  name: 'web',
  size: 'n2-standard-2',
  count: 4,
  zones: [],
  spot: false,
  labels: { tier: 'web' },
  taints: [{ key: 'only', effect: 'NoSchedule' }],
  update: { maxSurge: 1, maxUnavailable: 0 },
};
const pool = poolSchema.parse({
  name: 'web',
  status: 'RUNNING',
  version: '1.34.1-gke.1',
  locations: ['a', 'b', 'c'],
  config: { machineType: 'n2-standard-2', labels: { tier: 'web' }, taints: [{ key: 'only', effect: 'NO_SCHEDULE' }] },
  upgradeSettings: { maxSurge: 1 },
});

test('a GKE pool is changed one kind at a time, and left alone when it is as wanted', () => {
  const zones = ['a', 'b', 'c'];
  expect(nextChange(pool, want, false, 6, zones)).toBeUndefined();
  expect(nextChange(pool, want, false, 3, zones)).toMatchObject({ act: ':setSize', body: { nodeCount: 2 } });
  expect(nextChange(pool, { ...want, min: 1, max: 9 }, false, 3, zones)).toMatchObject({
    act: ':setAutoscaling',
    body: { autoscaling: { totalMinNodeCount: 1, totalMaxNodeCount: 9 } },
  });
  expect(nextChange(pool, { ...want, version: '1.35' }, true, 6, zones)).toMatchObject({ method: 'PUT', body: { nodeVersion: '1.35' } });
  expect(nextChange(pool, { ...want, taints: [] }, false, 6, zones)).toMatchObject({ body: { taints: { taints: [] } } });
  expect(fixedDifferences(pool, { ...want, size: 'e2-medium', spot: true, zones: ['a'] })).toEqual(['size', 'zones', 'spot']);
  expect(fixedDifferences(pool, { ...want, zones: ['a', 'b', 'c', 'd'] })).toEqual([]);
  expect(isVersion('1.34.1-gke.1', '1.34')).toBe(true);
  expect(isVersion('1.34.10-gke.1', '1.34.1')).toBe(false);
});

test('a count is of the whole pool: fewer nodes than zones use fewer zones, others are rounded up, and that is told', () => {
  const zones = ['a', 'b', 'c'];
  const of = (count: number, more: object = {}) => ({ ...want, count, ...more });
  const table = [
    [0, ['a'], 0],
    [1, ['a'], 1],
    [2, ['a', 'b'], 1],
    [3, zones, 1],
    [4, zones, 2],
    [6, zones, 2],
  ] as const;
  for (const [count, used, perZone] of table) expect(spread(of(count), zones), String(count)).toEqual({ zones: used, perZone });
  expect([1, 2, 3, 6].map((count) => roundingNote(of(count), zones))).toEqual([undefined, undefined, undefined, undefined]);
  expect(roundingNote(of(4), zones)).toMatch(/4 in 3 zones are 6/);
  // Totals of an autoscaler are exact; it begins with no more than wanted, except for one in each zone.
  expect(spread(of(4, { min: 1, max: 9 }), zones)).toEqual({ zones, perZone: 1 });
  expect(spread(of(2, { min: 1, max: 2 }), zones)).toEqual({ zones: ['a', 'b'], perZone: 1 });
  // Which zones a region's cluster has is not known before it is there.
  expect(spread(of(4), [])).toEqual({ zones: [], perZone: 2 });
  // Fewer zones first, then fewer nodes; more zones first, then more nodes.
  const six = { ...pool, locations: zones };
  expect(nextChange(six, of(2), false, 6, zones)).toMatchObject({ method: 'PUT', body: { locations: ['a', 'b'] } });
  expect(nextChange({ ...six, locations: ['a', 'b'] }, of(2), false, 4, zones)).toMatchObject({ act: ':setSize', body: { nodeCount: 1 } });
  expect(nextChange({ ...six, locations: ['a', 'b'] }, of(6), false, 2, zones)).toMatchObject({ body: { locations: zones } });
  // One that is to be replaced stays where it is.
  expect(nextChange({ ...six, locations: ['x'] }, of(2), false, 2, zones)).toBeUndefined();
});

test('a family means its newest image, of the processor that the size has', async () => {
  const { http } = googleHttp();
  const provider = await openGoogle(googleDeps(http));
  const scope = (await googleRig()).scope('clu_1', 'shop') as never;
  const family = (name: string): string => `projects/debian-cloud/global/images/family/${name}`;
  const choice = { name: 'debian-13', amd64: family('debian-13'), arm64: family('debian-13-arm64') };
  const exact = async (size: string, given = choice) => provider.resolveImage?.(scope, size, given);
  expect(await exact('n2-standard-2')).toMatchObject({ ok: true, value: { exact: 'projects/debian-cloud/global/images/debian-13-v20260410' } });
  expect(await exact('c4a-standard-4')).toMatchObject({ ok: true, value: { exact: 'projects/debian-cloud/global/images/debian-13-arm64-v20260410' } });
  expect(await exact('n2-standard-2', { ...choice, amd64: 'projects/p/global/images/mine' })).toMatchObject({
    ok: true,
    value: { exact: 'projects/p/global/images/mine' },
  });
  expect(await exact('n2-standard-2', { ...choice, amd64: family('nothing') })).toMatchObject({ ok: false, failure: { code: 'choice-missing' } });
  expect(await provider.resolveImage?.(scope, 't2a-standard-1', { name: 'x', amd64: 'y' })).toMatchObject({ ok: false, failure: { code: 'choice-missing', message: expect.stringContaining('arm64') } }); // prettier-ignore
});

test('workload identity federation goes through the same door: subject token, exchange, impersonation', async () => {
  const asked: string[] = [];
  const json = (body: unknown) => ({
    ok: true as const,
    value: { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) },
  });
  const account = 'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/g@p.iam.gserviceaccount.com:generateAccessToken';
  const key = {
    ...federation,
    credential_source: { url: 'https://idp.example/token', format: { type: 'json', subject_token_field_name: 'jwt' } },
    service_account_impersonation_url: account,
  };
  const provider = await openGoogle(
    googleDeps(async ({ url, headers, body }) => {
      asked.push(url.split('?')[0] ?? '');
      if (url === 'https://idp.example/token') return json({ jwt: 'subject' });
      if (url.startsWith('https://sts.googleapis.com/')) {
        expect(new URLSearchParams(body as string).get('subject_token')).toBe('subject');
        return json({ access_token: 'federated', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: 3_600 });
      }
      if (url === account) return json({ accessToken: 'impersonated', expireTime: '2099-01-01T00:00:00Z' });
      expect(headers['authorization']).toBe('Bearer impersonated');
      return json({ items: [] });
    }, JSON.stringify(key)),
  );
  expect(await provider.offers({ project: 'shop-1' })).toMatchObject({ ok: true, value: { regions: [] } });
  expect(asked).toEqual([
    'https://idp.example/token',
    'https://sts.googleapis.com/v1/token',
    account,
    'https://compute.googleapis.com/compute/v1/projects/shop-1/regions',
  ]);
});

test("somebody else's pool with the name of a successor is left alone, and that is told", async () => {
  const rig = await gkeRig();
  const provider = await rig.open(rig.http);
  const at = rig.scope('clu_00000000000000000003', 'names') as never;
  const first = rig.pool('first', 1);
  await expect
    .poll(async () => (await provider.ensureCluster(at, '1.34', first)) as unknown, { interval: 1, timeout: 20_000 })
    .toMatchObject({ ok: true, value: { state: 'ready' } });
  rig.strangerIn?.(at, 'first-2');
  expect(await provider.listPools(at, [first])).toMatchObject({ ok: true, value: [{ name: 'first', pool: 'first' }] });
  const before = JSON.stringify(await rig.inventory());
  const successor = { ...first, name: 'first-2', size: rig.otherSize, count: 5 };
  expect(await provider.ensurePool(at, successor)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
  expect(JSON.stringify(await rig.inventory())).toBe(before);
});
