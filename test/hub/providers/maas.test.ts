import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { HttpRequest } from '@groundplane/hub/port/http';
import type { MachineProvider } from '@groundplane/hub/port/provider';
import { openMaas } from '@groundplane/hub/providers/maas/provider';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { cutHttp } from '../../conformance/providers/cut-http.ts';
import { maasKey, startMaas, type FakeMaas, type MaasOptions } from '../../counterparts/maas/fake.ts';
import { openOn, scopeOn, wantOn } from '../../counterparts/maas/rig.ts';
import { plainHttp } from '../../counterparts/plain-http.ts';
import { runVendorClient } from '../../counterparts/vendor-client.ts';

let running: FakeMaas | undefined;
const start = async (options?: MaasOptions): Promise<{ maas: FakeMaas; provider: MachineProvider<'maas'> }> => {
  running = await startMaas(options);
  return { maas: running, provider: await openOn(running) };
};
afterEach(async () => {
  await running?.close();
  running = undefined;
});
const scope = scopeOn('clu_00000000000000000001', 'shop');

test("Canonical's own client lists, allocates, deploys and releases against the fake", { timeout: 600_000 }, async ({ skip }) => {
  const { maas } = await start();
  const folder = join(import.meta.dirname, '../../counterparts/maas');
  const ran = await runVendorClient('python-libmaas', folder, 'libmaas_check.py', [maas.url, maasKey]);
  if (!ran.ok && ran.failure.code === 'counterpart-unavailable') skip(ran.failure.message);
  expect(ran).toEqual({
    ok: true,
    value: expect.objectContaining({
      machines: 12,
      user: 'admin',
      zone: 'az1',
      cpus: 4,
      allocated: true,
      deployed: true,
      addresses: ['10.9.0.10'],
      released: true,
    }),
  });
});

test('a deployment that fails, and a machine that is broken, are told as failed with the words of MAAS', async () => {
  const { maas, provider } = await start();
  for (const machine of maas.machines()) maas.failDeployment(machine.system_id);
  expect(await provider.ensureMachine(scope, wantOn('shop-a', 'workers', 'g1'))).toMatchObject({ ok: true, value: { state: 'starting' } });
  await expect
    .poll(async () => {
      const listed = await provider.listMachines(scope);
      return listed.ok ? listed.value.map((machine) => [machine.name, machine.state, machine.message]) : [];
    })
    .toEqual([['shop-a', 'failed', 'Failed deployment: Failed deployment']]);
  maas.breakMachine(maas.machines().find((machine) => machine.agent_name !== '')?.system_id ?? '');
  expect(await provider.listMachines(scope)).toMatchObject({ ok: true, value: [{ state: 'failed', message: 'Broken: Broken' }] });
});

test('what cannot be deployed goes back to the free ones', async () => {
  const { maas, provider } = await start();
  const refused = await provider.ensureMachine(scope, { ...wantOn('shop-a', 'workers', 'g1'), image: 'ubuntu/warty' });
  expect(refused).toMatchObject({
    ok: false,
    failure: { kind: 'fatal', code: 'cloud-refused', message: expect.stringContaining('not a valid distro_series') },
  });
  await expect.poll(() => maas.machines().filter((machine) => machine.status_name !== 'Ready')).toEqual([]);
});

test('an allocation whose answer was lost is gone on with, not leaked', async () => {
  const { maas, provider } = await start();
  // Calls: who am I, own machines, allocate.
  const cut = cutHttp(plainHttp, { at: 3, when: 'after' });
  expect(await (await openOn(maas, cut.http)).ensureMachine(scope, wantOn('shop-a', 'workers', 'g1'))).toMatchObject({ ok: false, failure: { kind: 'retry' } });
  const lost = maas.machines().filter((machine) => machine.status_name === 'Allocated');
  expect(lost).toHaveLength(1);
  expect(await provider.ensureMachine(scope, wantOn('shop-b', 'workers', 'g1'))).toMatchObject({
    ok: true,
    value: { instance: lost[0]?.system_id, name: 'shop-b' },
  });
  expect(maas.machines().filter((machine) => machine.status_name !== 'Ready')).toHaveLength(1);
});

test('one that does not fit what is wanted now is released, and another one is taken', async () => {
  const { maas, provider } = await start();
  const cut = cutHttp(plainHttp, { at: 3, when: 'after' });
  await (await openOn(maas, cut.http)).ensureMachine(scope, { ...wantOn('shop-a', 'workers', 'g1'), zone: 'az1' });
  expect(await provider.ensureMachine(scope, { ...wantOn('shop-b', 'workers', 'g1'), zone: 'az2' })).toMatchObject({ ok: true, value: { zone: 'az2' } });
  await expect.poll(() => maas.machines().filter((machine) => machine.status_name !== 'Ready').map((machine) => machine.zone)).toEqual(['az2']); // prettier-ignore
});

test('eight machines at once are eight machines', async () => {
  const { maas, provider } = await start({ machines: 24 });
  const names = Array.from({ length: 8 }, (_, index) => `shop-${index}`);
  const made = await Promise.all(names.map((name) => provider.ensureMachine(scope, wantOn(name, 'workers', 'g1'))));
  expect(new Set(made.map((machine) => (machine.ok ? machine.value.instance : '')))).toHaveLength(8);
  expect(maas.machines().filter((machine) => machine.agent_name === scope.id).map((machine) => machine.owner_data['groundplane-name']).toSorted()).toEqual(names); // prettier-ignore
});

test('none free is a quota; nothing of somebody else is taken or released', async () => {
  const { maas, provider } = await start({ machines: 1 });
  const other = scopeOn('clu_00000000000000000002', 'other');
  await provider.ensureMachine(other, wantOn('other-a', 'workers', 'g1'));
  expect(await provider.ensureMachine(scope, wantOn('shop-a', 'workers', 'g1'))).toMatchObject({
    ok: false,
    failure: { kind: 'blocked', code: 'quota-reached' },
  });
  expect(await provider.ensureNothingLeft(scope)).toEqual({ ok: true, value: { state: 'ready', value: undefined } });
  expect(maas.machines()[0]?.agent_name).toBe(other.id);
});

test('sizes, places and pools that cannot be had are told before anything is allocated', async () => {
  const { maas, provider } = await start();
  const want = wantOn('shop-a', 'workers', 'g1');
  expect(await provider.ensureMachine(scope, { ...want, size: 'large' })).toMatchObject({ ok: false, failure: { code: 'size-unknown' } });
  expect(await provider.ensureMachine(scope, { ...want, place: { address: '10.9.0.7/24', dns: [] } })).toMatchObject({
    ok: false,
    failure: { code: 'choice-unfit' },
  });
  expect(await provider.ensureMachine(scope, { ...want, userData: 'x'.repeat(16 * 1_024 + 1) })).toMatchObject({ ok: false, failure: { kind: 'fatal' } });
  const lost = { ...scope, placement: { ...scope.placement, resourcePool: 'nowhere' } };
  expect(await provider.ensureNetwork(lost)).toMatchObject({ ok: false, failure: { code: 'choice-missing', message: expect.stringContaining('kubernetes') } });
  expect(maas.machines().every((machine) => machine.status_name === 'Ready')).toBe(true);
});

test('calls are signed with PLAINTEXT, and go below /MAAS/api/2.0 whatever the address ends with', async () => {
  for (const url of ['https://maas.test:5240', 'https://maas.test:5240/MAAS/', 'https://maas.test:5240/MAAS/api/2.0/']) {
    const seen: HttpRequest[] = [];
    const provider = await openMaas({
      settings: { url, insecure: false },
      secret: { type: 'key', key: 'consumer:token:se"cret&' },
      http: async (request) => {
        seen.push(request);
        return { ok: true, value: { status: 401, headers: {}, body: Buffer.from('Authorization Error') } };
      },
      clock: { ...systemClock, wallMs: () => 1_700_000_000_999 },
      random: systemRandom,
    });
    expect(await provider.check()).toMatchObject({ ok: false, failure: { code: 'credentials-refused' } });
    expect(seen[0]?.url).toBe('https://maas.test:5240/MAAS/api/2.0/users/?op=whoami');
    expect(seen[0]?.headers['authorization']).toMatch(
      /^OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="consumer", oauth_token="token", oauth_signature="%26se%22cret%26", oauth_nonce="[0-9a-f]{32}", oauth_timestamp="1700000000"$/,
    );
  }
});
