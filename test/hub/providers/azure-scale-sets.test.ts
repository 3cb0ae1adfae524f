import { expect, test } from 'vitest';
import type { ClusterScope } from '@groundplane/hub/port/provider';
import { isInSet, setName } from '@groundplane/hub/providers/azure/scale-sets';
import { azureHttp } from '../../counterparts/azure/http.ts';
import { azureDeps, azureRig } from '../../counterparts/azure/rig.ts';
import { openAzure } from '@groundplane/hub/providers/azure/provider';

const scopeOf = async (scaleSets: boolean): Promise<ClusterScope<'azure'>> => (await azureRig('own', scaleSets)).scope('clu_00000000000000000001', 'shop');

test('workers stand in a set, control planes and static places do not, and nobody without scaleSets', async () => {
  const [yes, no] = [await scopeOf(true), await scopeOf(false)];
  expect(isInSet(yes, { role: 'worker' })).toBe(true);
  expect(isInSet(yes, { role: 'control-plane' })).toBe(false);
  expect(isInSet(yes, { role: 'worker', place: { address: '10.0.0.9/24' } as never })).toBe(false);
  expect(isInSet(no, { role: 'worker' })).toBe(false);
});

test('each pool and zone has a set of its own, whose name Azure allows', () => {
  const scope = { id: 'clu_00000000000000000001', name: `a${'b'.repeat(62)}` };
  const names = [setName(scope, 'web', undefined), setName(scope, 'web', '1'), setName(scope, 'web', '2'), setName(scope, 'data', '1')];
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(name).toMatch(/^[a-z0-9][a-z0-9-]{0,63}$/);
});

test('machines are put into their set as they are made; one that is empty goes, the others stay', async () => {
  const { http, arm } = await azureHttp();
  const provider = await openAzure(azureDeps(http));
  const scope = await scopeOf(true);
  const sets = () => [...arm.store.resources.values()].filter((item) => item.type.endsWith('/virtualMachineScaleSets'));
  const until = (act: () => Promise<{ ok: boolean; value?: { state: string } }>) =>
    expect.poll(async () => (await act()).value?.state, { interval: 1, timeout: 20_000 }).toBe('ready');
  const make = (name: string, pool: string, zone?: string) =>
    expect
      .poll(
        async () =>
          (
            await provider.ensureMachine(scope, {
              name,
              pool,
              role: 'worker',
              size: 'Standard_D2s_v5',
              spot: false,
              userData: '#cloud-config\n',
              generation: 'g1',
              zone,
            })
          ).ok,
        { interval: 1 },
      )
      .toBe(true);
  await until(() => provider.ensureNetwork(scope));
  for (const [name, pool, zone] of [
    ['web-1', 'web', '1'],
    ['web-2', 'web', '2'],
    ['web-3', 'web', '1'],
    ['any-1', 'any', undefined],
  ] as const)
    await make(name, pool, zone);
  expect(
    sets().map((set) => [set['zones'], set.tags?.['groundplane-pool'], set.properties['orchestrationMode'], set.properties['platformFaultDomainCount']]),
  ).toEqual([
    // prettier-ignore
    [['1'], 'web', 'Flexible', 1],
    [['2'], 'web', 'Flexible', 1],
    [undefined, 'any', 'Flexible', 1],
  ]);
  await until(() => provider.deleteMachine(scope, 'web-1'));
  expect(sets()).toHaveLength(3);
  await until(() => provider.deleteMachine(scope, 'web-3'));
  expect(sets().map((set) => set['zones'])).toEqual([['2'], undefined]);
  await until(() => provider.ensureNothingLeft(scope));
  expect(arm.store.resources.size).toBe(0);
});
