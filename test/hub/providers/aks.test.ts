import { expect, test } from 'vitest';
import { ok } from '@groundplane/protocol/failure';
import { changed, fixedDifferences, isAsWanted, poolBody, poolName } from '@groundplane/hub/providers/aks/pool-body';
import { managedConnection } from '@groundplane/hub/resident/access';
import { systemClock } from '@groundplane/hub/system/clock';
import type { ManagedPoolWant } from '@groundplane/hub/port/provider';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import { azureAccount } from '../../counterparts/azure/http.ts';
import { aksRig } from '../../counterparts/azure/managed-rig.ts';

const want: ManagedPoolWant = {
  pool: 'p',
  name: 'web',
  size: 'Standard_D2s_v5',
  count: 2,
  zones: [],
  spot: false,
  labels: { tier: 'web' },
  taints: [{ key: 'only', effect: 'NoSchedule' }],
  update: { maxSurge: 1, maxUnavailable: 0 },
};
const scope = {
  id: 'clu_0123456789',
  name: 'shop',
  zones: [],
  placement: placementSchemas.aks.parse({ subscription: azureAccount.subscription, location: 'westeurope' }),
};
const made = (of: ManagedPoolWant) => poolBody(of, { subnet: undefined, mode: 'User', scope });

test('names that AKS does not allow get one that it does, each its own', () => {
  expect(poolName('web')).toBe('web');
  for (const name of ['a-b', '1a', 'averyverylongname']) expect(poolName(name)).toMatch(/^p[0-9a-f]{11}$/);
  expect(poolName('a-b')).not.toBe(poolName('ab'));
});

test("a pool that was made as wanted is as wanted, also with AKS' own labels and taints", () => {
  expect(isAsWanted(made(want), want)).toBe(true);
  const spot = { ...want, spot: true };
  const pool = made(spot);
  const priority = 'kubernetes.azure.com/scalesetpriority';
  const theirs = { ...pool, nodeLabels: { ...pool.nodeLabels, [priority]: 'spot' }, nodeTaints: [...(pool.nodeTaints ?? []), `${priority}=spot:NoSchedule`] };
  expect(isAsWanted(theirs, spot)).toBe(true);
  expect(isAsWanted(made(want), { ...want, labels: {} })).toBe(false);
  expect(isAsWanted(made(want), { ...want, count: 3 })).toBe(false);
});

test("an autoscaler's count is its own, within the bounds", () => {
  const scaled = { ...want, min: 1, max: 5 };
  const pool = { ...made(scaled), count: 4 };
  expect(isAsWanted(pool, scaled)).toBe(true);
  expect(changed(pool, { ...scaled, max: 3 }, undefined)).toMatchObject({ count: 3, maxCount: 3 });
  expect(changed({ ...pool, nodeImageVersion: 'x' }, want, '1.34')).toMatchObject({ count: 2, enableAutoScaling: false, orchestratorVersion: '1.34' });
  expect(changed({ ...pool, nodeImageVersion: 'x' }, want, undefined)).not.toHaveProperty('nodeImageVersion');
});

test('what cannot change is named', () => {
  expect(fixedDifferences(made(want), { ...want, size: 'Standard_D4s_v5', spot: true, diskGiB: 100, zones: ['1'] })).toEqual([
    'size',
    'zones',
    'diskGiB',
    'spot',
  ]);
  expect(fixedDifferences(made(want), { ...want, size: 'standard_d2s_v5' })).toEqual([]);
});

test("a successor carries its pool's name in a tag; what somebody else put into the cluster is not seen, and no name is taken over", async () => {
  const rig = await aksRig();
  const provider = await rig.open(rig.http);
  const at = rig.scope('clu_00000000000000000002', 'names') as never;
  const until = async (act: () => Promise<{ ok: boolean; value?: { state: string } }>): Promise<void> =>
    expect.poll(async () => (await act()).value?.state, { interval: 1, timeout: 20_000 }).toBe('ready');
  const first = rig.pool('first', 1);
  await until(() => provider.ensureCluster(at, '1.34', first));
  await until(() => provider.ensurePool(at, { ...first, name: 'first-2', size: rig.otherSize }));
  const wants = [first];
  expect(await provider.listPools(at, wants)).toMatchObject({
    ok: true,
    value: [
      { name: 'first', pool: 'first', differs: [] },
      { name: 'first-2', pool: 'first', differs: ['size'] },
    ],
  });
  // The name that AKS has for the successor, as somebody's pool.
  const taken = { ...rig.pool(poolName('first-2'), 1) };
  expect(await provider.ensurePool(at, taken)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
  rig.strangerIn?.(at, 'theirs');
  // Even one that has the name of the next successor.
  rig.strangerIn?.(at, poolName('first-3'));
  expect(await provider.ensurePool(at, { ...first, name: 'first-3' })).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
  expect(await provider.listPools(at, wants)).toMatchObject({ ok: true, value: [{ name: 'first' }, { name: 'first-2' }] });
  const theirs = rig.pool('theirs', 1);
  expect(await provider.listPools(at, [...wants, theirs])).toMatchObject({ ok: true, value: [{ name: 'first' }, { name: 'first-2' }] });
  expect(await provider.ensurePool(at, theirs)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
});

test('the last pool of the system hands over before it goes; alone it stays', async () => {
  const rig = await aksRig();
  const provider = await rig.open(rig.http);
  const at = rig.scope('clu_00000000000000000001', 'last') as never;
  const until = async (act: () => Promise<{ ok: boolean; value?: { state: string } }>): Promise<void> =>
    expect.poll(async () => (await act()).value?.state, { interval: 1, timeout: 20_000 }).toBe('ready');
  await until(() => provider.ensureCluster(at, '1.34', rig.pool('first', 1)));
  expect(await provider.deletePool(at, 'first')).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'pool-last' } });
  await until(() => provider.ensurePool(at, rig.pool('second', 1)));
  const putBack = await rig.untag(at, 'second');
  expect(await provider.deletePool(at, 'first'), "somebody else's pool takes over nothing").toMatchObject({ ok: false, failure: { code: 'pool-last' } });
  putBack();
  await until(() => provider.deletePool(at, 'first'));
  expect(await provider.listPools(at, [])).toMatchObject({ ok: true, value: [{ name: 'second', state: 'ready' }] });
});

test('a cluster is reached by a client certificate where there is no token', async () => {
  const connection = await managedConnection(async () => ok({ server: 'https://x', ca: 'ca', clientCertificate: 'c', clientKey: 'k' }), systemClock, {
    private: [],
  });
  expect(connection).toMatchObject({ ok: true, value: { server: 'https://x', ca: 'ca', clientCertificate: 'c', clientKey: 'k' } });
  if (connection.ok) expect(await connection.value.token.current()).toEqual(ok(undefined));
});
