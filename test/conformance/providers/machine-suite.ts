import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterScope, MachineProvider } from '@groundplane/hub/port/provider';
import { answeringHttp, isReading } from './cut-http.ts';
import { createDrive } from './drive.ts';
import { killEverywhere } from './kill.ts';
import { endMachines, growMachines } from './machine-life.ts';
import type { MachineRig } from './rig.ts';
import { cutsTitle } from './scenario-titles.ts';

/** What every machine provider holds, against its counterpart. `killPoints`: how many cuts; all of them in `npm run conformance`. */
export const machineSuite = (
  name: string,
  open: () => Promise<MachineRig>,
  killPoints = 8,
  options: { isLifeOnly?: boolean; timeoutMs?: number } = {},
): void => {
  // Real services are slow: theirs is one life, and the cuts.
  const more = options.isLifeOnly === true ? (title: string): void => test(title, ({ skip }) => skip('services that are real are too slow for it')) : test;
  describe(`machine provider ${name}`, { timeout: options.timeoutMs ?? 60_000 }, () => {
    let rig: MachineRig;
    let provider: MachineProvider;
    let count = 0;
    const nextScope = (): ClusterScope => rig.scope(`clu_${String((count += 1)).padStart(20, 'a')}`, `suite-${count}`);
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

    test('creates, replaces and deletes; nothing is left', async () => {
      const scope = nextScope();
      const machines = await growMachines(rig, drive(), provider, scope);
      expect(machines.map((machine) => [machine.name, machine.pool, machine.generation]).toSorted()).toEqual([
        ['life-srv-1', 'servers', 'g1'],
        ['life-wrk-2', 'workers', 'g2'],
      ]);
      expect(machines.every((machine) => machine.instance !== '')).toBe(true);
      const tagged = await drive().once('tagged', () => provider.findTagged(scope.placement as never));
      expect(tagged.some((item) => item.cluster === scope.id)).toBe(true);
      await endMachines(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
      expect((await drive().once('tagged', () => provider.findTagged(scope.placement as never))).filter((item) => item.cluster === scope.id)).toEqual([]);
    });

    more('everything twice is as everything once', async () => {
      const scope = nextScope();
      await growMachines(rig, drive(), provider, scope);
      const once = await rig.inventory();
      const again = await growMachines(rig, drive(), await rig.open(rig.http), scope);
      expect((await rig.inventory()).toSorted()).toEqual(once.toSorted());
      expect(again).toHaveLength(2);
      await endMachines(drive(), provider, scope);
      await endMachines(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    more('scales up and down; two clusters do not see each other', async () => {
      const [one, other] = [nextScope(), nextScope()];
      await growMachines(rig, drive(), provider, other);
      const others = (await rig.inventory()).toSorted();
      await growMachines(rig, drive(), provider, one);
      for (const turn of [3, 4, 5]) await drive().once('machine', () => provider.ensureMachine(one as never, rig.want(`life-wrk-${turn}`, 'workers', 'g2')));
      await expect.poll(async () => (await drive().once('list', () => provider.listMachines(one as never))).length).toBe(5);
      for (const turn of [3, 4, 5]) await drive().until('gone', () => provider.deleteMachine(one as never, `life-wrk-${turn}`));
      await drive().until('gone', () => provider.deleteMachine(one as never, 'never-was'));
      expect((await drive().once('list', () => provider.listMachines(one as never))).map((machine) => machine.name).toSorted()).toEqual([
        'life-srv-1',
        'life-wrk-2',
      ]);
      await endMachines(drive(), provider, one);
      expect(await drive().once('list', () => provider.listMachines(other as never))).toHaveLength(2);
      expect((await rig.inventory()).toSorted(), 'nothing of the other one went').toEqual(others);
      await endMachines(drive(), provider, other);
      expect(await rig.inventory()).toEqual([]);
    });

    more('a machine that somebody else deleted is not listed, and can be made again', async () => {
      const scope = nextScope();
      await growMachines(rig, drive(), provider, scope);
      await rig.deleteBehind(scope, 'life-wrk-2');
      await expect
        .poll(async () =>
          (await drive().once('list', () => provider.listMachines(scope as never)))
            .filter((machine) => machine.state !== 'going')
            .map((machine) => machine.name),
        )
        .toEqual(['life-srv-1']);
      await drive().until('cleared', () => provider.deleteMachine(scope as never, 'life-wrk-2'));
      await drive().once('machine', () => provider.ensureMachine(scope as never, rig.want('life-wrk-2', 'workers', 'g2')));
      await endMachines(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    more('a quota is told as one, and nothing is left behind', async ({ skip }) => {
      isSkipped('quota', skip);
      const scope = nextScope();
      const refusing = await rig.open(answeringHttp(rig.http, (request) => rig.answers.quota(request)));
      await drive().until('network', () => refusing.ensureNetwork(scope as never));
      const refused = await refusing.ensureMachine(scope, rig.want('life-wrk-1', 'workers', 'g1'));
      expect(refused).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'quota-reached' } });
      await endMachines(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    more('throttled calls are told with the time to wait, and go on afterwards', async () => {
      const scope = nextScope();
      let left = 3;
      const seen: string[] = [];
      const slow = await rig.open(answeringHttp(rig.http, (request) => ((left -= 1) >= 0 ? rig.answers.throttled(request) : undefined)));
      for (let round = 0; round < 3 && left > 0; round += 1) {
        const result = await slow.listMachines(scope);
        if (!result.ok) seen.push(`${result.failure.kind} ${result.failure.code}`);
      }
      expect([...new Set(seen)]).toEqual(['retry throttled']);
      left = 0;
      await growMachines(rig, drive(), slow, scope);
      await endMachines(drive(), slow, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    more('wrong credentials are told as such', async ({ skip }) => {
      isSkipped('wrong credentials', skip);
      if (rig.openWrong === undefined) throw new Error('the rig neither refuses credentials nor says why not');
      const wrong = await rig.openWrong(rig.http);
      expect(await wrong.check()).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'credentials-refused' } });
      expect(await drive().once('check', () => provider.check())).toMatchObject({ identity: expect.stringMatching(/./) });
    });

    more('what was made just now may not be readable yet', async ({ skip }) => {
      isSkipped('eventual consistency', skip);
      const { notYet } = rig.answers;
      if (notYet === undefined) throw new Error('the rig neither knows late reads nor says why not');
      const scope = nextScope();
      // The first read after each write does not know yet.
      let isFresh = false;
      const late = await rig.open(
        answeringHttp(rig.http, (request) => {
          const unknown = notYet(request);
          if (unknown === undefined) {
            isFresh ||= !isReading(request);
            return undefined;
          }
          if (!isFresh) return undefined;
          isFresh = false;
          return unknown;
        }),
      );
      await growMachines(rig, drive(), late, scope);
      const machines = (await drive().once('list', () => provider.listMachines(scope as never))).filter((machine) => machine.state !== 'going');
      expect(machines.map((machine) => machine.name).toSorted()).toEqual(['life-srv-1', 'life-wrk-2']);
      await endMachines(drive(), provider, scope);
      expect(await rig.inventory()).toEqual([]);
    });

    more('offers say what there is to choose from', async () => {
      const offers = await drive().once('offers', () => provider.offers(nextScope().placement as never));
      expect(offers.images.length + offers.sizes.length + Object.keys(offers.other ?? {}).length).toBeGreaterThan(0);
    });

    test(`${cutsTitle} ${killPoints} calls, spread over a life: no double, no leak`, { timeout: 900_000 }, async () => {
      const report = await killEverywhere(rig, { points: killPoints });
      expect({ doubles: report.doubles, leaks: report.leaks, stuck: report.stuck }).toEqual({ doubles: [], leaks: [], stuck: [] });
      expect(report.killPoints + report.notReached).toBeGreaterThanOrEqual(Math.min(killPoints, report.calls));
      expect(report.killPoints).toBeGreaterThan(0);
    });
  });
};
