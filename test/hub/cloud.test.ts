import { afterEach, describe, expect, test } from 'vitest';
import { getCatalogue, getInfrastructure, repavePool, setCatalogue } from '@groundplane/hub/api/infrastructure';
import { clusterId, createCloudWorld, poolsOf, project, tenant, type CloudWorld } from './cloud-world.ts';

let world: CloudWorld;
afterEach(async () => {
  expect(world.logged).toEqual([]);
  await world.close();
});

const workers = (count: number, fields: object = {}): object => ({ name: 'workers', count, size: 'small', ...fields });
const names = (): string[] => world.cloud.instances().map((item) => item.name.replace(/-[0-9a-z]{6}$/, ''));
const step = async (name: string) => (await world.infrastructure())?.steps.find((item) => item.name === name);

describe('clusters of machines', () => {
  test('are made, joined, and shown step by step', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(2)));
    await world.run(1);
    expect(await step('network')).toMatchObject({ state: 'doing', message: 'the network is being made' });
    await world.run(40);
    expect(names().toSorted()).toEqual(['shop-servers', 'shop-workers', 'shop-workers']);
    const infra = await world.infrastructure();
    expect(infra?.steps.map((item) => [item.name, item.state])).toEqual([
      ['network', 'done'],
      ['endpoint', 'done'],
      ['machines', 'done'],
    ]);
    expect(infra?.endpoint).toEqual({ kind: 'external', host: 'api.shop.test', port: 6443 });
    expect(world.cloud.servers(clusterId)).toHaveLength(1);
    const entry = world.core().fleet.cluster(clusterId);
    expect(entry?.hosts).toHaveLength(3);
    expect(entry?.state).toBe('ready');
    expect(entry?.spec.endpoint).toEqual(infra?.endpoint);
    const worker = entry?.hosts.find((name) => name.includes('workers')) ?? '';
    expect(entry?.spec.hostSettings?.[worker]).toMatchObject({ role: 'worker', labels: { 'groundplane.dev/pool': 'workers' } });
  });

  test('once they stand, a round costs one call and no write', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(2)));
    await world.run(180);
    const [calls, version] = [world.calls(), (await world.store().get('infrastructure', tenant, clusterId))?.version];
    await world.run(300);
    expect(world.calls() - calls).toBeLessThanOrEqual(6);
    expect((await world.store().get('infrastructure', tenant, clusterId))?.version).toBe(version);
  });

  test('grow, shrink and lose a pool', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(1)));
    await world.run(40);
    await world.apply(poolsOf(workers(4), { name: 'extra', count: 1, size: 'small' }));
    await world.run(60);
    expect(world.cloud.instances()).toHaveLength(6);
    await world.apply(poolsOf(workers(2)));
    await world.run(120);
    expect(names().toSorted()).toEqual(['shop-servers', 'shop-workers', 'shop-workers']);
    expect(await world.machineRows()).toHaveLength(3);
    expect((await world.hostRows()).map((row) => row.name).toSorted()).toEqual(
      world.cloud
        .instances()
        .map((item) => item.name)
        .toSorted(),
    );
  });

  test('a new size replaces one machine after the other', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(3)));
    await world.run(60);
    const before = world.cloud.instances().map((item) => item.id);
    await world.apply(poolsOf(workers(3, { size: 'large' })));
    let fewest = 9;
    for (let round = 0; round < 60; round += 1) {
      await world.run(4);
      const made = new Set((await world.machineRows()).filter((row) => row.value.phase === 'made').map((row) => row.name));
      fewest = Math.min(
        fewest,
        world.cloud.instances().filter((item) => item.state === 'running' && item.name.includes('workers') && made.has(item.name)).length,
      );
    }
    const now = world.cloud.instances().map((item) => item.id);
    expect(now.filter((id) => before.includes(id))).toHaveLength(1);
    expect(now).toHaveLength(4);
    expect(fewest).toBeGreaterThanOrEqual(3);
  });

  test('an image by its name of the catalogue: one and the same for all, and a newer one when somebody takes it', async () => {
    world = await createCloudWorld();
    const named = (count: number) => workers(count, { image: 'debian-13', update: { approval: 'manual' } });
    const images = (): (string | undefined)[] => world.cloud.instances().flatMap((item) => (item.pool === 'workers' ? [item.image] : []));
    await world.apply(poolsOf(named(1)));
    await world.run(40);
    world.cloud.publish('debian-13-2');
    await world.apply(poolsOf(named(2)));
    await world.run(40);
    expect(images()).toEqual(['debian-13-1', 'debian-13-1']);
    expect((await world.machineRows()).find((row) => row.value.pool === 'workers')?.value.image).toBe('debian-13-1');
    const deps = { store: world.store(), fleet: world.core().fleet, driver: world.core().cloud.driver } as never;
    const ask = { principal: { tenant }, params: { name: 'shop', pool: 'workers' }, project } as never;
    expect(await repavePool(ask, deps)).toMatchObject({ ok: false, failure: { code: 'nothing-to-approve' } });
    await world.clock.advance(6 * 3_600_000);
    await world.run(60);
    expect(images()).toEqual(['debian-13-1', 'debian-13-1']);
    const shown = await getInfrastructure(ask, deps);
    expect(shown.ok ? shown.value.pools.find((pool) => pool.name === 'workers') : undefined).toMatchObject({
      needsApproval: false,
      outdated: 0,
      image: { name: 'debian-13', exact: 'debian-13-1', newer: 'debian-13-2' },
    });
    expect(await repavePool(ask, deps)).toMatchObject({ ok: true });
    await world.run(180);
    expect(images()).toEqual(['debian-13-2', 'debian-13-2']);
    expect((await world.infrastructure())?.pools['workers']).toMatchObject({ needsApproval: false, outdated: 0, ready: 2 });
  });

  test("a tenant's catalogue stands for the built-in one from the next look on", async () => {
    world = await createCloudWorld();
    const deps = { store: world.store() } as never;
    const ask = (body?: object) => ({ principal: { tenant }, params: {}, body }) as never;
    expect(await getCatalogue(ask(), deps)).toMatchObject({ ok: true, value: { isBuiltIn: true } });
    const ours = { source: 'ours', images: { golden: { title: 'Ours', environments: { vsphere: { '*': 'golden-2026' } } } }, kubernetes: {} };
    expect(await setCatalogue(ask(ours), deps)).toMatchObject({ ok: true, value: { ...ours, isBuiltIn: false } });
    expect(await getCatalogue(ask(), deps)).toMatchObject({ ok: true, value: { ...ours, isBuiltIn: false } });
    await world.apply(poolsOf(workers(1, { image: 'golden' }), { name: 'plain', count: 1, size: 'small', image: 'debian-13' }));
    await world.run(40);
    expect(world.cloud.log).toContain('GET /images/golden-2026');
    // What the catalogue does not have any more is the environment's own name.
    expect(world.cloud.instances().find((item) => item.pool === 'plain')?.image).toBe('debian-13');
  });

  test('a machine that was deleted, failed or fell silent is made anew', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(4)));
    await world.run(200);
    const [gone, broken, quiet] = world.cloud.instances().filter((item) => item.name.includes('workers'));
    world.cloud.remove(clusterId, gone?.name ?? '');
    world.cloud.fail(clusterId, broken?.name ?? '');
    world.silent.add(quiet?.name ?? '');
    await world.run(200);
    let there = world.cloud.instances().map((item) => item.name);
    expect(there).not.toContain(gone?.name);
    expect(there).not.toContain(broken?.name);
    expect(there).toContain(quiet?.name);
    await world.run(1_800);
    there = world.cloud.instances().map((item) => item.name);
    expect(there).not.toContain(quiet?.name);
    expect(there).toHaveLength(5);
    expect((await world.hostRows()).map((row) => row.name).toSorted()).toEqual(there.toSorted());
  });

  test('a hub that was away is no reason to replace a machine: who comes back late is waited for as long as anybody', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(4)));
    // Longer than a machine may take to come up, and than one may be silent.
    await world.run(2_400);
    const before = world.cloud.instances().map((item) => item.id);
    const late = world.cloud.instances().find((item) => item.name.includes('workers'))?.name ?? '';
    world.silent.add(late);
    await world.restart();
    await world.run(300);
    expect(world.cloud.instances().map((item) => item.id)).toEqual(before);
    world.silent.delete(late);
    await world.run(120);
    expect(world.cloud.instances().map((item) => item.id)).toEqual(before);
    // One that does not come at all is made anew when its time is over, counted from when it could come.
    world.silent.add(late);
    await world.restart();
    await world.run(1_800);
    expect(world.cloud.instances().map((item) => item.name)).not.toContain(late);
    expect(world.cloud.instances()).toHaveLength(5);
  });

  test('after many fell silent at once, those who come back last are not taken for the broken ones', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(5)));
    await world.run(600);
    const before = world.cloud.instances().map((item) => item.id);
    const names = world.cloud.instances().flatMap((item) => (item.name.includes('workers') ? [item.name] : []));
    const [first, second, third, fourth] = names;
    const [early, late] = [[first, second, third], [fourth]].map((list) => list.map((name) => name ?? ''));
    for (const name of [...(early ?? []), ...(late ?? [])]) world.silent.add(name);
    await world.run(1_200);
    expect(await step('machines')).toMatchObject({ message: expect.stringContaining('4 of 5 not heard of') });
    for (const name of early ?? []) world.silent.delete(name);
    await world.run(300);
    expect(await step('machines')).toMatchObject({ message: expect.stringContaining('have time to come back') });
    expect(world.cloud.instances().map((item) => item.id)).toEqual(before);
    // Whoever does not come at all is made anew after all.
    await world.run(1_800);
    expect(world.cloud.instances().map((item) => item.name)).not.toContain(fourth);
    expect(world.cloud.instances()).toHaveLength(6);
    expect((await world.infrastructure())?.crowdSilentMs ?? {}).toEqual({});
  });

  test('an environment that lists nothing any more, while all agents speak, is not believed: nothing is made a second time, and the address stays', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(2)));
    await world.run(300);
    const [before, servers] = [world.cloud.instances().map((item) => item.id), world.cloud.servers(clusterId)];
    world.cloud.blind(true);
    const asked = world.cloud.log.length;
    await world.run(900);
    expect(new Set(world.cloud.log.slice(asked))).toEqual(new Set(['GET /instances']));
    expect(await step('machines')).toMatchObject({
      state: 'waiting',
      message: expect.stringContaining('lists no machine of this cluster, and agents of it speak. The 2 of this pool'),
    });
    expect([world.cloud.instances().map((item) => item.id), world.cloud.servers(clusterId)]).toEqual([before, servers]);
    // Nor is anything made elsewhere that is wanted more, or forgotten that is to go.
    await world.apply(poolsOf(workers(3)));
    await world.run(60);
    expect(world.cloud.instances()).toHaveLength(3);
    await world.apply(poolsOf(workers(1)));
    await world.run(120);
    expect((await world.machineRows()).length).toBeGreaterThanOrEqual(3);
    world.cloud.blind(false);
    await world.apply(poolsOf(workers(2)));
    await world.run(240);
    expect(await step('machines')).toMatchObject({ state: 'done', message: '3 of 3 ready' });
    expect([world.cloud.instances().length, world.cloud.servers(clusterId)]).toEqual([3, servers]);
  });

  test('what is put right before a machine could be made is no reason to replace it', async () => {
    world = await createCloudWorld({ quota: 1 });
    const servers = (size: string): object => ({ name: 'servers', role: 'control-plane', count: 3, size });
    await world.apply([servers('small')]);
    await world.run(30);
    expect(world.cloud.instances()).toHaveLength(1);
    world.cloud.setQuota(undefined);
    await world.apply([servers('large')]);
    await world.run(600);
    expect((await world.machineRows()).map((row) => row.value.size)).toEqual(['large', 'large', 'large']);
    // Three, and one in the place of the small one.
    expect(world.cloud.instances().map((item) => item.id)).toEqual(['i-2', 'i-3', 'i-4']);
  });

  test('a zone that does not exist is put right for machines that could not be made in it, control planes too', async () => {
    world = await createCloudWorld();
    world.cloud.refuseZone('mars');
    const pools = (zones: string[]): object[] => [{ name: 'servers', role: 'control-plane', count: 3, size: 'small', zones }, workers(1, { zones })];
    await world.apply(pools(['mars']));
    await world.run(30);
    expect([world.cloud.instances(), await step('machines')]).toEqual([[], expect.objectContaining({ state: 'failed', message: expect.stringContaining('no zone mars') })]); // prettier-ignore
    await world.apply(pools(['a', 'b']));
    await world.run(300);
    expect(
      world.cloud
        .instances()
        .map((item) => `${item.name.includes('servers')} ${item.zone}`)
        .toSorted(),
    ).toEqual(['false a', 'true a', 'true a', 'true b']);
    expect(await step('machines')).toMatchObject({ state: 'done' });
  });

  test('a quota is told in its words, and the rest goes on when there is room', async () => {
    world = await createCloudWorld({ quota: 2 });
    await world.apply(poolsOf(workers(3)));
    await world.run(120);
    expect(world.cloud.instances()).toHaveLength(2);
    expect(await step('machines')).toMatchObject({ state: 'failed', message: expect.stringContaining('may not have more instances') });
    world.cloud.setQuota(undefined);
    await world.run(120);
    expect(world.cloud.instances()).toHaveLength(4);
    expect(await step('machines')).toMatchObject({ state: 'done' });
  });

  test('an account that is missing or wrong is told, and nothing is asked for', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(), { account: 'nobody' });
    await world.run(5);
    expect(await step('account')).toMatchObject({ state: 'failed', message: expect.stringContaining('there is no such account') });
    expect(world.calls()).toBe(0);
    await world.apply(poolsOf());
    await world.run(60);
    expect(await step('account')).toBeUndefined();
    expect(world.cloud.instances()).toHaveLength(1);
  });

  test('deletion takes the layers first, then everything; nothing is left anywhere', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(2)));
    await world.run(60);
    await world.remove();
    await world.run(30);
    expect(world.cloud.inventory()).toEqual([]);
    expect(await world.cluster()).toBeUndefined();
    expect(await world.infrastructure()).toBeUndefined();
    expect(await world.machineRows()).toEqual([]);
    expect(await world.hostRows()).toEqual([]);
    expect(await world.store().list('ticket', tenant, { limit: 100 })).toEqual([]);
  });

  test('deletion waits for silent hosts for a while, and not at all by force', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(1)));
    await world.run(60);
    for (const item of world.cloud.instances()) world.silent.add(item.name);
    await world.run(5);
    await world.remove();
    await world.run(60);
    expect(await step('layers')).toMatchObject({ state: 'doing' });
    expect(world.cloud.inventory()).not.toEqual([]);
    await world.remove(true);
    await world.run(10);
    expect(world.cloud.inventory()).toEqual([]);
    expect(await world.cluster()).toBeUndefined();
  });

  test('a hub that was restored takes its machines in again, and makes none twice', async () => {
    world = await createCloudWorld();
    await world.apply(poolsOf(workers(2)));
    await world.run(60);
    const before = world.cloud.instances().map((item) => item.id);
    for (const row of await world.machineRows()) await world.store().commit([{ op: 'delete', kind: 'machine', tenant, id: row.id }]);
    await world.restart();
    await world.run(200);
    expect(world.cloud.instances().map((item) => item.id)).toEqual(before);
    expect(await world.machineRows()).toHaveLength(3);
    expect(world.core().fleet.cluster(clusterId)?.hosts).toHaveLength(3);
  });
});

describe('killed at every call', () => {
  test('from nothing to a cluster, a new size, and back to nothing: no double, no leak', { timeout: 120_000 }, async () => {
    const whole = async (die: number | undefined, after: boolean): Promise<number> => {
      world = await createCloudWorld({ seed: die ?? 0 });
      if (die !== undefined) world.dieAt(die, after);
      await world.apply(poolsOf(workers(2)));
      await world.run(60);
      expect(names().toSorted(), `killed ${after ? 'after' : 'before'} call ${die}`).toEqual(['shop-servers', 'shop-workers', 'shop-workers']);
      await world.apply(poolsOf(workers(2, { size: 'large' })));
      await world.run(90);
      expect(names().toSorted(), `killed ${after ? 'after' : 'before'} call ${die}`).toEqual(['shop-servers', 'shop-workers', 'shop-workers']);
      const calls = world.calls();
      await world.remove();
      await world.run(60);
      expect(world.cloud.inventory(), `killed ${after ? 'after' : 'before'} call ${die}`).toEqual([]);
      expect(await world.cluster()).toBeUndefined();
      return calls;
    };
    const calls = await whole(undefined, false);
    expect(calls).toBeGreaterThan(20);
    for (let die = 1; die <= calls; die += 1)
      for (const after of [false, true]) {
        await world.close();
        await whole(die, after);
      }
  });
});
