import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { HttpRequest } from '@groundplane/hub/port/http';
import type { MachineProvider } from '@groundplane/hub/port/provider';
import { openNutanix } from '@groundplane/hub/providers/nutanix/provider';
import { uuidOf } from '@groundplane/hub/providers/nutanix/session';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { cutHttp } from '../../conformance/providers/cut-http.ts';
import { createDrive } from '../../conformance/providers/drive.ts';
import { prismNames, startPrism, type FakePrism } from '../../counterparts/nutanix/fake.ts';
import { openOn, scopeOn, wantOn } from '../../counterparts/nutanix/rig.ts';
import { plainHttp } from '../../counterparts/plain-http.ts';
import { runVendorClient } from '../../counterparts/vendor-client.ts';

let running: FakePrism | undefined;
const start = async (): Promise<{ prism: FakePrism; provider: MachineProvider<'nutanix'> }> => {
  running = await startPrism();
  return { prism: running, provider: await openOn(running) };
};
afterEach(async () => {
  await running?.close();
  running = undefined;
});
const scope = scopeOn('clu_00000000000000000001', 'shop');
const want = wantOn('shop-a', 'workers', 'g1');
const drive = createDrive(() => false, 5);

test("Nutanix's own clients create, start and delete against the fake", { timeout: 600_000 }, async ({ skip }) => {
  const { prism } = await start();
  const folder = join(import.meta.dirname, '../../counterparts/nutanix');
  const { cluster, subnet, image } = prism.ids();
  const ran = await runVendorClient('nutanix-python-client', folder, 'sdk_check.py', [String(prism.port), cluster, subnet, image]);
  if (!ran.ok && ran.failure.code === 'counterpart-unavailable') skip(ran.failure.message);
  expect(ran).toEqual({
    ok: true,
    value: { sameTask: true, status: 'SUCCEEDED', listed: ['Vm'], power: 'ON', addresses: ['10.7.0.11'], stale: 412, gone: true, categories: ['clu_check'], images: ['ubuntu-24.04'] }, // prettier-ignore
  });
});

test('ids of requests are UUIDs, the same for the same words and others for others', () => {
  expect(uuidOf('create', 'clu_1', 'a', '0')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuidOf('create', 'clu_1', 'a', '0')).toBe(uuidOf('create', 'clu_1', 'a', '0'));
  expect(uuidOf('create', 'clu_1', 'a1', '')).not.toBe(uuidOf('create', 'clu_1', 'a', '1'));
});

test('a create call whose answer was lost is one machine', async () => {
  const { prism, provider } = await start();
  await drive.until('network', () => provider.ensureNetwork(scope));
  // Calls: machines of the name, cluster, subnet, image, category, create.
  const cut = cutHttp(plainHttp, { at: 6, when: 'after' });
  expect(await (await openOn(prism, cut.http)).ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { kind: 'retry' } });
  // The lists do not know it yet; the request id does.
  await drive.once('machine', () => provider.ensureMachine(scope, want));
  await prism.underWay();
  expect(prism.vms().map((vm) => vm.powerState)).toEqual(['ON']);
});

test('what failed is told with the words of its task, and asked for anew', async () => {
  const { prism, provider } = await start();
  prism.failNext('Storage container default is offline');
  prism.hold();
  expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { code: 'machine-being-made' } });
  await prism.underWay();
  expect(await provider.ensureMachine(scope, want)).toMatchObject({
    ok: false,
    failure: { kind: 'retry', code: 'cloud-failed', message: expect.stringContaining('default is offline') },
  });
  await drive.once('machine', () => provider.ensureMachine(scope, want));
  expect(prism.vms()).toHaveLength(1);
});

test('a hub that started anew tells the last failure once, and goes on', async () => {
  const { prism, provider } = await start();
  prism.failNext('The quota of project default for vCPUs is exceeded');
  await provider.ensureMachine(scope, want);
  await prism.underWay();
  const other = await openOn(prism);
  expect(await other.ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'quota-reached' } });
  await drive.once('machine', () => other.ensureMachine(scope, want));
  expect(prism.vms()).toHaveLength(1);
});

test('a machine that somebody changes in between is read again', async () => {
  const { prism, provider } = await start();
  await drive.once('machine', () => provider.ensureMachine(scope, want));
  let isTouched = false;
  const racing = await openOn(prism, async (request: HttpRequest) => {
    if (request.method === 'DELETE' && !isTouched) {
      isTouched = true;
      prism.touch(prism.vms()[0]?.extId ?? '');
    }
    return plainHttp(request);
  });
  expect(await racing.deleteMachine(scope, 'shop-a')).toMatchObject({ ok: true, value: { state: 'pending' } });
  expect(isTouched).toBe(true);
  await prism.underWay();
  expect(prism.vms()).toEqual([]);
});

test('machines of others are never taken over, listed or deleted, whatever they are called', async () => {
  const { prism, provider } = await start();
  const marked = `groundplane/cluster=${scope.id}\ngroundplane/name=shop-a\ngroundplane/pool=workers\ngroundplane/generation=g1`;
  prism.put('000000000001-shop-a', 'somebody wrote this');
  prism.put('000000000001-shop-a-copy', marked);
  expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
  expect(await provider.listMachines(scope)).toEqual({ ok: true, value: [] });
  expect(await provider.ensureNothingLeft(scope)).toEqual({ ok: true, value: { state: 'ready', value: undefined } });
  expect(prism.vms()).toHaveLength(2);
});

test('an image of the catalogue is found by its name, and named by its id', async () => {
  const { provider } = await start();
  const found = await provider.resolveImage?.(scope, '2x4', { name: 'any', amd64: `${prismNames.image.slice(0, 3)}*` });
  expect(found).toMatchObject({ ok: true, value: { exact: expect.stringMatching(/^[0-9a-f-]{36}$/), title: prismNames.image } });
  expect(await provider.resolveImage?.(scope, '2x4', { name: 'any', amd64: 'nothing*' })).toMatchObject({ ok: false, failure: { code: 'choice-missing' } });
});

test('lists are read to their end', async () => {
  const { prism, provider } = await start();
  for (let index = 0; index < 205; index += 1) {
    const name = `shop-${String(index).padStart(3, '0')}`;
    prism.put(`000000000001-${name}`, `groundplane/cluster=${scope.id}\ngroundplane/name=${name}\ngroundplane/pool=workers\ngroundplane/generation=g1`);
  }
  const listed = await provider.listMachines(scope);
  expect(listed.ok ? listed.value.length : 0).toBe(205);
});

test('what is asked for is in the call: size, image, the subnet of the cluster, a fixed address, user data', async () => {
  const { prism } = await start();
  const bodies: string[] = [];
  const seeing = await openOn(prism, async (request: HttpRequest) => {
    if (request.method === 'POST' && request.url.endsWith('/vms')) bodies.push(String(request.body));
    return plainHttp(request);
  });
  await seeing.ensureMachine(scope, { ...want, size: '4x16', diskGiB: 50, place: { address: '10.7.0.21/24', dns: [] } });
  const { cluster, subnet, image } = prism.ids();
  expect(JSON.parse(bodies[0] ?? '{}')).toMatchObject({
    name: '000000000001-shop-a',
    numSockets: 4,
    memorySizeBytes: 16 * 2 ** 30,
    cluster: { extId: cluster },
    nics: [{ networkInfo: { subnet: { extId: subnet }, ipv4Config: { shouldAssignIp: true, ipAddress: { value: '10.7.0.21' } } } }],
    disks: [{ backingInfo: { diskSizeBytes: 50 * 2 ** 30, dataSource: { reference: { imageExtId: image } } } }],
    guestCustomization: { config: { cloudInitScript: { value: Buffer.from('#cloud-config\n').toString('base64') } } },
  });
});

test('an API key goes in its own header', async () => {
  const seen: HttpRequest[] = [];
  const provider = await openNutanix({
    settings: { url: 'https://prism.test:9440/', insecure: false },
    secret: { type: 'api-key', key: 'key-1' },
    http: async (request) => {
      seen.push(request);
      return { ok: true, value: { status: 200, headers: {}, body: Buffer.from('{}') } };
    },
    clock: systemClock,
    random: systemRandom,
  });
  expect(await provider.check()).toMatchObject({ ok: true, value: { identity: 'API key', missing: [] } });
  expect(seen[0]).toMatchObject({ url: expect.stringMatching(/^https:\/\/prism\.test:9440\/api\/clustermgmt\//), headers: { 'x-ntnx-api-key': 'key-1' } });
  expect(seen[0]?.headers['authorization']).toBeUndefined();
});

test('sizes, places and names that cannot be had are told before anything is made', async () => {
  const { prism, provider } = await start();
  expect(await provider.ensureMachine(scope, { ...want, size: 'large' })).toMatchObject({ ok: false, failure: { code: 'size-unknown' } });
  expect(await provider.ensureMachine(scope, { ...want, image: 'none' })).toMatchObject({ ok: false, failure: { code: 'choice-missing' } });
  expect(await provider.ensureMachine(scope, { ...want, place: { host: 'h1', dns: [] } })).toMatchObject({ ok: false, failure: { code: 'choice-unfit' } });
  expect(await provider.ensureMachine(scope, { ...want, userData: 'x'.repeat(16 * 1_024 + 1) })).toMatchObject({ ok: false, failure: { kind: 'fatal' } });
  expect(prism.vms()).toEqual([]);
});
