import { createCloudDriver } from '@groundplane/hub/cloud/driver';
import { pacedMs } from '@groundplane/hub/cloud/pace';
import type { CloudDeps } from '@groundplane/hub/cloud/turn';
import { infrastructureSchema } from '@groundplane/protocol/environment/infrastructure';
import { fail } from '@groundplane/protocol/failure';
import { expect, test } from 'vitest';
import { virtualClock } from '../fake/clock.ts';

/** A driver over clusters whose accounts are asked and have no answer to act on. */
const driven = (accounts: Readonly<Record<string, number>>, ask: (account: string) => Promise<void>) => {
  const clock = virtualClock();
  const entries = Object.entries(accounts).flatMap(([account, count]) =>
    Array.from({ length: count }, (_, index) => {
      const infrastructure = infrastructureSchema.parse({
        environment: 'aws',
        account,
        placement: { region: 'r' },
        pools: [{ name: 'servers', role: 'control-plane', count: 1, size: 's' }],
      });
      return { id: `${account}-${index}`, tenant: 't', name: `${account}-${index}`, spec: { infrastructure } };
    }),
  );
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const fleet = { clusters: () => entries, cluster: (id: string) => byId.get(id), machinesOf: () => [] };
  const rowOf = (kind: string, id: string) => {
    const entry = byId.get(id);
    if (kind !== 'cluster' || entry === undefined) return undefined;
    return { kind, tenant: 't', project: 'p', id, name: entry.name, version: 1, value: { spec: entry.spec } };
  };
  const deps = {
    store: {
      get: async (kind: string, _tenant: string, id: string) => rowOf(kind, id),
      commit: async () => ({ ok: true, value: 1 }),
      onChange: () => undefined,
    },
    fleet,
    clock,
    log: (text: string) => {
      throw new Error(text);
    },
    accounts: {
      machines: async (_at: unknown, _environment: string, account: string) => {
        await ask(account);
        return fail('blocked', 'credentials-refused', `account ${account}`, 'no');
      },
    },
  } as unknown as CloudDeps;
  return { clock, driver: createCloudDriver(deps) };
};

test('an account that never answers leaves room for the clusters of others', async () => {
  const looks: string[] = [];
  const { clock, driver } = driven({ silent: 200, lively: 3 }, async (account) => {
    looks.push(account);
    if (account === 'silent') await new Promise(() => undefined);
  });
  await driver.start();
  await clock.advance(1_000);
  expect(looks.filter((account) => account === 'lively')).toHaveLength(3);
  expect(looks.filter((account) => account === 'silent').length).toBeLessThan(64);
  await clock.advance(120_000);
  expect(looks.filter((account) => account === 'lively').length).toBeGreaterThanOrEqual(6);
});

test('the more clusters an account has, the seldomer those that need nothing are looked at', async () => {
  let looks = 0;
  const { clock, driver } = driven({ big: 600 }, async () => void (looks += 1));
  await driver.start();
  await clock.advance(1_000);
  expect(looks).toBe(600);
  await clock.advance(100_000);
  expect(looks).toBe(600);
  // A word from somebody counts at once.
  driver.kick('big-7');
  await clock.advance(1);
  expect(looks).toBe(601);
  await clock.advance(30_000);
  expect(looks).toBe(1_200);
  await driver.stop();
});

test('looks at clusters that need nothing use half of an account, and those that need something do not wait', () => {
  expect(pacedMs(60_000, 'aws', 1)).toBe(60_000);
  expect(pacedMs(60_000, 'aws', 300)).toBe(60_000);
  expect(pacedMs(60_000, 'aws', 1_000)).toBe(200_000);
  expect(pacedMs(60_000, 'eks', 50)).toBe(60_000);
  expect(pacedMs(60_000, 'eks', 1_000)).toBe(1_200_000);
  expect(pacedMs(60_000, 'existing', 10_000)).toBe(60_000);
  expect(pacedMs(3_000, 'eks', 1_000)).toBe(3_000);
});
