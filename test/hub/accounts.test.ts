import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fail, ok } from '@groundplane/protocol/failure';
import type { Http, HttpRequest } from '@groundplane/hub/port/http';
import { providerTable } from '@groundplane/hub/providers/table';
import { openHub, value, type HubWorld } from './world.ts';

let hub: HubWorld;
/** What environments say, instead of nothing. */
let answer: (request: HttpRequest) => Awaited<ReturnType<Http>> | undefined = () => undefined;
beforeEach(async () => {
  answer = () => undefined;
  hub = await openHub({
    cloud: {
      table: providerTable,
      httpFor: () => (request) => Promise.resolve(answer(request) ?? fail('retry', 'cloud-unreachable', 'cloud', 'is not there.')),
      addresses: () => ({ links: [], content: '' }),
      egress: { private: [] },
    },
  });
});
afterEach(async () => {
  expect(hub.log).toEqual([]);
  await hub.close();
});

const project = { project: 'default' };
type Body = Record<string, unknown>;
const set = (name: string, body: Body, validate: 'true' | 'false' = 'false') =>
  hub.admin.call('setAccount', { params: { ...project, name }, query: { validate }, body: body as never });
const setShared = (name: string, body: Body) => hub.admin.call('setTenantAccount', { params: { name }, query: { validate: 'false' }, body: body as never });
const names = async (): Promise<string[]> => value(await hub.admin.call('listAccounts', { params: project, query: {} })).items.map((item) => item.name);

const keys = { type: 'keys', accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'abc/+=' };
const aws = (secret: object = {}, settings: object = {}): Body => ({ kind: 'aws', settings, secret: { ...keys, ...secret } });
const nutanix = (secret: object, settings: object = {}): Body => ({ kind: 'nutanix', settings: { url: 'https://prism.example', ...settings }, secret });
const azure = (secret: object): Body => ({ kind: 'azure', settings: { tenantId: '11111111-1111-4111-8111-111111111111' }, secret });
const password = { type: 'password', username: 'u', password: 'p' };

describe('what can never work is told when it is given, with what is wrong where, and is not kept', () => {
  test.each<[string, Body, string, RegExp]>([
    ['a key that is empty', aws({ accessKeyId: '' }), 'secret.accessKeyId', /is empty/],
    ['blanks as a key', aws({ accessKeyId: '   ' }), 'secret.accessKeyId', /a blank, a line break/],
    ['a line break behind a key', aws({ secretAccessKey: 'abc\n' }), 'secret.secretAccessKey', /a line break/],
    ['a header in a key', aws({ sessionToken: 'abc\r\nHost: evil.example' }), 'secret.sessionToken', /a line break/],
    ['letters that no header takes', aws({ accessKeyId: 'AKIÄ' }), 'secret.accessKeyId', /a letter that no key has/],
    ['an endless key', aws({ secretAccessKey: 'a'.repeat(4_097) }), 'secret.secretAccessKey', /4096/],
    ['a key that is missing', { kind: 'aws', settings: {}, secret: { type: 'keys', accessKeyId: 'a' } }, 'secret.secretAccessKey', /is missing/],
    ['a region that is an address', aws({}, { region: 'evil.example/#' }), 'settings.region', /not the name of a region/],
    ['a password with a line break', nutanix({ ...password, password: 'p\n' }), 'secret.password', /a line break/],
    ['an API key with a line break', nutanix({ type: 'api-key', key: 'a\nb' }), 'secret.key', /a line break/],
    ['an address with a password', nutanix(password, { url: 'https://u:p@prism.example' }), 'settings.url', /belong into the secret/],
    ['an address with a query', nutanix(password, { url: 'https://prism.example/?x=1' }), 'settings.url', /ends before/],
    ['an address of a file', nutanix(password, { url: 'file:///etc/passwd' }), 'settings.url', /begins with https/],
    ['an address that is missing', { kind: 'nutanix', settings: {}, secret: password }, 'settings.url', /begins with https|is missing/],
    ['a path for a certificate', azure({ type: 'client-certificate', certificate: '/etc/hub/key.pem' }), 'secret.certificate', /in PEM, both in this text/],
    [
      'a certificate without its key',
      azure({ type: 'client-certificate', certificate: '-----BEGIN CERTIFICATE-----' }),
      'secret.certificate',
      /its private key/,
    ],
    ['an empty kubeconfig', { kind: 'kubeconfig', settings: {}, secret: { type: 'kubeconfig', kubeconfig: '' } }, 'secret.kubeconfig', /is empty/],
    ['an empty key of Google', { kind: 'google', settings: {}, secret: { type: 'key', json: '' } }, 'secret.json', /is empty/],
  ])('%s', async (_, body, where, message) => {
    const done = await set('a', body);
    expect(done).toMatchObject({ ok: false, failure: { code: 'request-invalid', element: expect.stringContaining(where), message: expect.stringMatching(message) } }); // prettier-ignore
    expect(await names()).toEqual([]);
  });

  test('what a provider says is one sentence, and a password may have blanks and letters of any alphabet', async () => {
    const done = await set('a', nutanix({ ...password, password: 'pass wörd ✓' }), 'true');
    expect(done).toMatchObject({ ok: false, failure: { message: 'is not there. Nothing was kept; to keep it without a look: --no-validate' } });
    value(await set('a', nutanix({ ...password, password: 'pass wörd ✓' })));
  });
});

test('a secret is not sent elsewhere by changing only the way: address, gateway, authority, or that any certificate will do', async () => {
  value(await set('site', nutanix(password)));
  const ca = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----';
  for (const change of [{ url: 'https://evil.example' }, { gateway: 'mine' }, { insecure: true }, { ca }]) {
    const body = nutanix(password, change);
    delete body['secret'];
    const [key] = Object.keys(change);
    expect(await set('site', body), key).toMatchObject({
      ok: false,
      failure: { code: 'secret-needed', message: expect.stringContaining(`settings.${key} changes`) },
    });
    value(await set('other', nutanix(password, change)));
  }
  const same = nutanix(password);
  delete same['secret'];
  value(await set('site', same));
});

test('a gateway is a host of a project, so that an account of the tenant has none', async () => {
  expect(await setShared('site', nutanix(password, { gateway: 'inside' }))).toMatchObject({ ok: false, failure: { code: 'gateway-missing' } });
});

const makeCluster = async (name: string, account: string): Promise<void> => {
  const layers = [{ name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'eks', version: '1.34' } }];
  value(await hub.admin.call('applyProfile', { params: { ...project, name: 'base', version: '1.0.0' }, body: { spec: { type: 'full', layers } } as never }));
  const pools = [{ name: 'workers', count: 1, size: 'm5.large' }];
  const infrastructure = { environment: 'eks', account, placement: { region: 'eu-central-1' }, pools };
  value(await hub.admin.call('applyCluster', { params: { ...project, name }, body: { spec: { profiles: [{ name: 'base', version: '1.0.0' }], infrastructure } } as never })); // prettier-ignore
};

test('credentials of another account of the cloud are not taken while clusters have things in the first one', async () => {
  /** An AWS that knows everybody, and lets them do everything. */
  const awsOf = (id: string): void => {
    answer = ({ body }) => {
      const action = /Action=(\w+)/.exec(typeof body === 'string' ? body : Buffer.from(body ?? []).toString())?.[1] ?? '';
      const result = action === 'GetCallerIdentity' ? `<Arn>arn:aws:iam::${id}:user/u</Arn><UserId>u</UserId><Account>${id}</Account>` : '';
      const text = `<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`;
      return ok({ status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(text) });
    };
  };
  awsOf('111111111111');
  value(await set('production', aws(), 'true'));
  awsOf('222222222222');
  // Nobody uses it yet.
  value(await set('production', aws(), 'true'));
  await makeCluster('shop', 'production');
  awsOf('111111111111');
  expect(await set('production', aws(), 'true')).toMatchObject({
    ok: false,
    failure: { code: 'account-moved', message: expect.stringMatching(/of AWS account 111111111111, and what shop has is in AWS account 222222222222/) },
  });
  awsOf('222222222222');
  value(await set('production', aws({ accessKeyId: 'NEWER' }), 'true'));
  awsOf('111111111111');
  value(await set('production', aws()));
});

test("clusters do not change the account by a new one of the project that has the name of the tenant's", async () => {
  value(await setShared('production', aws()));
  await makeCluster('shop', 'production');
  expect(await set('production', aws({ accessKeyId: 'OTHER' }))).toMatchObject({
    ok: false,
    failure: { kind: 'blocked', code: 'in-use', message: expect.stringMatching(/shop of this project uses it/) },
  });
  value(await set('staging', aws()));
  value(await hub.admin.call('createProject', { body: { name: 'second' } }));
  value(await hub.admin.call('setAccount', { params: { project: 'second', name: 'production' }, query: { validate: 'false' }, body: aws() as never }));
  // Nothing of it is made yet; a pool that stands in the document is not told as missing all the same.
  const repave = (pool: string) => hub.admin.call('repavePool', { params: { ...project, name: 'shop', pool } });
  expect(await repave('nope')).toMatchObject({ ok: false, failure: { code: 'not-found' } });
  expect(await repave('workers')).toMatchObject({ ok: false, failure: { code: 'nothing-to-approve', message: expect.stringContaining('gp cloud show shop') } });
});

test('one kubeconfig, one cluster that applies layers: two would take each other’s away; whoever only looks is free to', async () => {
  value(await set('theirs', { kind: 'kubeconfig', settings: {}, secret: { type: 'kubeconfig', kubeconfig: 'x' } }));
  value(await set('others', { kind: 'kubeconfig', settings: {}, secret: { type: 'kubeconfig', kubeconfig: 'x' } }));
  const layers = [{ name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing' } }];
  value(await hub.admin.call('applyProfile', { params: { ...project, name: 'extras', version: '1.0.0' }, body: { spec: { type: 'full', layers } } as never }));
  const apply = (name: string, account: string, mode: 'full' | 'read-only') => {
    const profiles = mode === 'full' ? [{ name: 'extras', version: '1.0.0' }] : [];
    const spec = { profiles, infrastructure: { environment: 'existing', account, placement: { mode } } };
    return hub.admin.call('applyCluster', { params: { ...project, name }, body: { spec } as never });
  };
  value(await apply('first', 'theirs', 'full'));
  value(await apply('first', 'theirs', 'full'));
  expect(await apply('second', 'theirs', 'full')).toMatchObject({ ok: false, failure: { code: 'in-use', message: expect.stringContaining('first looks after its layers') } }); // prettier-ignore
  value(await apply('second', 'theirs', 'read-only'));
  expect(await apply('second', 'theirs', 'full')).toMatchObject({ ok: false, failure: { code: 'in-use' } });
  value(await apply('second', 'others', 'full'));
});
