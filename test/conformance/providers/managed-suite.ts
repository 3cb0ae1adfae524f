import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { managedWant } from '@groundplane/hub/plan/managed-pools';
import type { ClusterScope, ManagedClusterProvider, ManagedPoolWant } from '@groundplane/hub/port/provider';
import type { Pool } from '@groundplane/protocol/environment/pool';
import { answeringHttp, cutHttp } from './cut-http.ts';
import { createDrive } from './drive.ts';
import { killEverywhere } from './kill.ts';
import { endManaged, growManaged, lookOnce, poolOf, settlePools } from './managed-life.ts';
import type { ManagedRig } from './rig.ts';
import { cutsTitle } from './scenario-titles.ts';

/** What every provider of managed clusters holds, against its counterpart. */
export const managedSuite = (name: string, open: () => Promise<ManagedRig>, killPoints = 8): void => {
  describe(`managed cluster provider ${name}`, () => {
    let rig: ManagedRig;
    let provider: ManagedClusterProvider;
    let count = 0;
    const nextScope = (): ClusterScope => rig.scope(`clu_${String((count += 1)).padStart(20, 'b')}`, `suite-${count}`);
    const drive = () => createDrive(() => false, rig.pollMs);
    const isSkipped = (scenario: string, skip: (note: string) => void): void => {
      const why = rig.skipped?.[scenario];
      if (why !== undefined) skip(why);
    };

    beforeAll(async () => {
      rig = await open();
      provider = await rig.open(rig.http);
    }, 600_000);
    afterAll(async () => rig?.close());

    test('creates, scales, upgrades, replaces and deletes; nothing is left', async () => {
      const scope = nextScope();
      expect(await drive().once('observe', () => provider.observe(scope as never))).toMatchObject({ state: 'absent' });
      const pools = await growManaged(rig, drive(), provider, scope);
      expect(pools).toEqual([expect.objectContaining({ name: 'first-2', pool: 'first', count: 2, state: 'ready', differs: [] })]);
      const facts = await drive().once('observe', () => provider.observe(scope as never));
      expect(facts).toMatchObject({ state: 'ready', server: expect.stringMatching(/^https:/) });
      expect(facts.version?.startsWith(rig.versions[1])).toBe(true);
      const credentials = await drive().once('credentials', () => provider.credentials(scope as never));
      expect(credentials).toMatchObject({ server: facts.server, token: expect.stringMatching(/./) });
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
      expect(await drive().once('observe', () => provider.observe(scope as never))).toMatchObject({ state: 'absent' });
    });

    test('everything twice is as everything once', async () => {
      const scope = nextScope();
      await growManaged(rig, drive(), provider, scope);
      const once = await rig.inventory();
      await growManaged(rig, drive(), await rig.open(rig.http), scope);
      expect((await rig.inventory()).toSorted()).toEqual(once.toSorted());
      await endManaged(drive(), provider, scope);
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('two clusters do not see each other, and the end of one takes nothing of the other', async () => {
      const [one, other] = [nextScope(), nextScope()];
      for (const scope of [other, one]) {
        await drive().until('cluster', () => provider.ensureCluster(scope as never, rig.versions[0], rig.pool('first', 1)));
        await drive().until('pool', () => provider.ensurePool(scope as never, rig.pool('first', 1)));
        if (scope === other) expect(await drive().once('observe', () => provider.observe(one as never))).toMatchObject({ state: 'absent' });
      }
      const both = (await rig.inventory()).toSorted();
      await endManaged(drive(), provider, one);
      const left = (await rig.inventory()).toSorted();
      expect([left.length * 2, left.filter((line) => !both.includes(line))]).toEqual([both.length, []]);
      expect(await drive().once('pools', () => provider.listPools(other as never, []))).toMatchObject([{ name: 'first', state: 'ready' }]);
      await endManaged(drive(), provider, other);
      expect(await rig.inventory()).toEqual([]);
    });

    test('a pool that somebody else deleted is not listed, and can be made again', async () => {
      const scope = nextScope();
      await growManaged(rig, drive(), provider, scope);
      await rig.deleteBehind(scope, 'first-2');
      await expect
        .poll(async () =>
          (await drive().once('pools', () => provider.listPools(scope as never, []))).filter((pool) => pool.state !== 'going').map((pool) => pool.name),
        )
        .toEqual([]);
      await drive().until('pool', () => provider.ensurePool(scope as never, rig.pool('first', 1)));
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('what cannot be changed in place is told for each pool; a successor that is not wanted any more goes, and the old one stays', async () => {
      const scope = nextScope();
      const at = scope as never;
      const settle = (pool: Pool) => settlePools(rig, drive(), provider, scope, [pool], undefined);
      const old = poolOf(rig, 'first', 1);
      await drive().until('cluster', () => provider.ensureCluster(at, rig.versions[0], rig.pool('first', 1)));
      await settle(old);
      const want = { ...rig.pool('first', 1), size: rig.otherSize, spot: true, diskGiB: 77 };
      const [facts] = await drive().once('pools', () => provider.listPools(at, [want]));
      expect(facts).toMatchObject({ name: 'first', pool: 'first' });
      expect(facts?.differs).toEqual(expect.arrayContaining(['size', 'spot', 'diskGiB']));
      await drive().until('successor', () => provider.ensurePool(at, { ...rig.pool('first', 1), name: 'first-2', size: rig.otherSize, generation: 'abc123' }));
      expect(
        (await drive().once('pools', () => provider.listPools(at, [rig.pool('first', 1)]))).map((pool) => [pool.name, pool.pool, pool.differs]).toSorted(),
      ).toEqual([
        ['first', 'first', []],
        ['first-2', 'first', ['size']],
      ]);
      const listed = await drive().once('pools', () => provider.listPools(at, [rig.pool('first', 1)]));
      expect(listed.find((pool) => pool.name === 'first-2')?.generation).toBe('abc123');
      expect(new Set(listed.map((pool) => pool.nodes)).size, 'each with nodes of its own').toBe(2);
      for (const { nodes } of listed) expect(nodes).toMatch(/^[a-z.]+\/[a-z-]+=[a-z0-9-]+$/);
      expect(await settle(old)).toEqual([expect.objectContaining({ name: 'first', pool: 'first', state: 'ready' })]);
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('a pool of the wanted name that somebody else made is not ours: it is not listed, not changed and not deleted, and holds up no other', async () => {
      const scope = nextScope();
      const at = scope as never;
      const pools = [rig.pool('first', 1), rig.pool('second', 1)] as const;
      await drive().until('cluster', () => provider.ensureCluster(at, rig.versions[0], pools[0]));
      for (const pool of pools) await drive().until('pool', () => provider.ensurePool(at, pool));
      const putBack = await rig.untag(scope, 'second');
      const before = (await rig.inventory()).toSorted();
      expect((await drive().once('pools', () => provider.listPools(at, pools))).map((pool) => pool.name)).toEqual(['first']);
      const notOurs = { ok: false, failure: { kind: 'blocked', code: 'not-ours', message: expect.stringContaining('somebody else made it') } };
      // Larger, and as a successor: whatever is wanted of it.
      for (const want of [pools[1], { ...pools[1], count: 3, size: rig.otherSize }, { ...pools[1], pool: 'first', generation: 'abc123' }])
        expect(await provider.ensurePool(at, want)).toMatchObject(notOurs);
      expect(await provider.deletePool(at, 'second')).toMatchObject(notOurs);
      await drive().until('pool', () => provider.ensurePool(at, rig.pool('first', 2)));
      expect((await rig.inventory()).toSorted().filter((line) => line.includes('second'))).toEqual(before.filter((line) => line.includes('second')));
      putBack();
      expect((await drive().once('pools', () => provider.listPools(at, pools))).map((pool) => [pool.name, pool.count])).toContainEqual(['second', 1]);
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('a cluster of the name that somebody else made is not ours, whatever is asked of it', async () => {
      const scope = nextScope();
      const at = scope as never;
      await drive().until('cluster', () => provider.ensureCluster(at, rig.versions[0], rig.pool('first', 1)));
      await drive().until('pool', () => provider.ensurePool(at, rig.pool('first', 1)));
      const putBack = await rig.untag(scope);
      const before = (await rig.inventory()).toSorted();
      const notOurs = { ok: false, failure: { kind: 'blocked', code: 'not-ours' } };
      // Also to one that remembers nothing.
      for (const asked of [provider, await rig.open(rig.http)]) {
        expect(await asked.observe(at)).toMatchObject(notOurs);
        expect(await asked.ensureCluster(at, rig.versions[0], rig.pool('first', 1))).toMatchObject(notOurs);
        expect(await asked.upgrade(at, rig.versions[1])).toMatchObject(notOurs);
        expect(await asked.ensurePool(at, rig.pool('second', 1))).toMatchObject(notOurs);
        expect(await asked.credentials(at)).toMatchObject(notOurs);
      }
      expect((await rig.inventory()).toSorted()).toEqual(before);
      putBack();
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('a look at what is as wanted reads everything once; what is called settled needs no change, and what differs is not called so', async () => {
      const scope = nextScope();
      const at = scope as never;
      const [, version] = rig.versions;
      const pools = [poolOf(rig, 'first', 1), poolOf(rig, 'second', 1)];
      await drive().until('cluster', () => provider.ensureCluster(at, version, rig.pool('first', 1)));
      await settlePools(rig, drive(), provider, scope, pools, version);
      const door = cutHttp(rig.http);
      const counted = await rig.open(door.http);
      // The first one also logs in.
      await lookOnce(counted, scope, version, pools);
      const before = door.calls();
      await lookOnce(counted, scope, version, pools);
      expect(door.calls() - before).toBe(rig.callsPerLook);
      const settledFor = async (changes: Partial<ManagedPoolWant>): Promise<(boolean | undefined)[]> => {
        const wants = pools.map((pool) => ({ ...managedWant(pool, undefined, version), ...changes }));
        const listed = await drive().once('pools', () => provider.listPools(at, wants));
        return listed.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((pool) => pool.settled);
      };
      expect(await settledFor({})).toEqual([true, true]);
      const changes: Partial<ManagedPoolWant>[] = [
        { count: 2 },
        { labels: { other: 'label' } },
        { taints: [{ key: 'other', value: 'taint', effect: 'NoExecute' }] },
        { min: 1, max: 5 },
      ];
      for (const change of changes) expect(await settledFor(change), JSON.stringify(change)).toEqual([false, false]);
      // What was settled is left alone by whoever asks all the same.
      for (const pool of pools)
        expect(await provider.ensurePool(at, managedWant(pool, undefined, version))).toMatchObject({ ok: true, value: { state: 'ready' } });
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('a quota is told as one', async ({ skip }) => {
      isSkipped('quota', skip);
      const scope = nextScope();
      const refusing = await rig.open(answeringHttp(rig.http, (request) => rig.answers.quota(request)));
      let refused = await refusing.ensureCluster(scope, rig.versions[0], rig.pool('first', 1));
      for (let round = 0; round < 100 && refused.ok; round += 1) refused = await refusing.ensureCluster(scope, rig.versions[0], rig.pool('first', 1));
      expect(refused).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'quota-reached' } });
      await endManaged(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    test('throttled calls are told as such', async () => {
      const scope = nextScope();
      const slow = await rig.open(answeringHttp(rig.http, (request) => rig.answers.throttled(request)));
      expect(await slow.observe(scope as never)).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'throttled' } });
    });

    test('wrong credentials are told as such', async ({ skip }) => {
      isSkipped('wrong credentials', skip);
      if (rig.openWrong === undefined) throw new Error('the rig neither refuses credentials nor says why not');
      const wrong = await rig.openWrong(rig.http);
      expect(await wrong.check()).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'credentials-refused' } });
      expect(await drive().once('check', () => provider.check())).toMatchObject({ identity: expect.stringMatching(/./) });
    });

    test('offers say which versions and sizes there are', async () => {
      const offers = await drive().once('offers', () => provider.offers(nextScope().placement as never));
      expect(offers.versions?.length ?? 0).toBeGreaterThan(0);
    });

    test(`${cutsTitle} ${killPoints} calls, spread over a life: no double, no leak`, { timeout: 900_000 }, async () => {
      const report = await killEverywhere(rig, { points: killPoints });
      expect({ doubles: report.doubles, leaks: report.leaks, stuck: report.stuck }).toEqual({ doubles: [], leaks: [], stuck: [] });
    });
  });
};
