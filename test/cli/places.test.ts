import { describe, expect, test } from 'vitest';
import type { SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import { calmVitals } from '../fake/vitals.ts';
import { canned, cluster, refusal, type Views } from './canned.ts';
import { gp, type FakeOptions } from './fake-io.ts';

const show = (argv: readonly string[], views: Views, options?: FakeOptions) => gp(argv, canned(views, options));
const nowMs = Date.UTC(2026, 0, 2, 12);
const away = { code: 'host-offline', message: 'is offline' };
const step = { seq: 1, atMs: 0, generation: 3, layer: 'base', step: 'installPackage', text: 'install package curl', state: 'failed', attempt: 2 } as const;

describe('the journal of a host', () => {
  test('steps with what became of them; control signs of a hostile host do not reach the terminal', async () => {
    const steps = [
      { ...step, failure: { code: 'apt-busy', message: 'the lock\u001b[2J is held' } },
      { ...step, seq: 2, state: 'intent' as const, attempt: 3 },
    ];
    const ran = await show(['get', 'journal', 'till-1'], { hostJournal: { state: 'live', asOfMs: nowMs, steps } });
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/1970-01-01T00:00:00Z +3 +base +failed +2 +install package curl +the lock/);
    expect(ran.out).toMatch(/begun +3/);
    expect(ran.out).not.toContain('\u001b');
    expect(JSON.parse((await show(['get', 'journal', 'till-1', '-o', 'json'], { hostJournal: { state: 'live', asOfMs: nowMs, steps } })).out)).toEqual(steps);
  });

  test('of a host that is away: the last known with its age, or that there is none', async () => {
    const last = await show(['get', 'journal', 'till-1'], { hostJournal: { state: 'last', asOfMs: nowMs - 3 * 3_600_000, why: away, steps: [step] } });
    expect([last.code, last.error]).toEqual([0, expect.stringContaining('host till-1 is offline; the last known is 3h old')]);
    const none = await show(['get', 'journal', 'till-1'], { hostJournal: { state: 'none', why: away, steps: [] } });
    expect([none.code, none.error]).toEqual([1, expect.stringContaining('nothing is known of it here')]);
    expect((await show(['get', 'journal'], {})).code).toBe(2);
    expect((await show(['get', 'journal', '../x'], {})).code).toBe(2);
    expect(await show(['get', 'journal', 'gone'], {})).toMatchObject({ code: 1, error: expect.stringContaining('gp get hosts') });
  });
});

test('describe shows vitals, and does without them from an older hub', async () => {
  const host = { ...cluster().hosts[0], createdAtMs: 0, key: 'ed25519:x', words: 'a b c d', state: 'approved', online: true } as const;
  const views = { getHost: host as never, listEvents: { items: [] } };
  const ran = await show(['describe', 'host', 'till-1'], { ...views, hostVitals: { state: 'live', asOfMs: nowMs, vitals: calmVitals } });
  expect(ran.out).toMatch(/CPU: +12\.5 %, load 0\.4/);
  expect(ran.out).toMatch(/Memory: +38 % of 8\.0 GiB/);
  expect(ran.out).toMatch(/Up for: +5d/);
  const offline = await show(['describe', 'host', 'till-1'], { ...views, hostVitals: { state: 'none', why: away } });
  expect(offline.out).toContain('is offline; nothing is known of it here');
  const older = await show(['describe', 'host', 'till-1'], { ...views, hostVitals: () => refusal(404, 'not-found', 'no such route') });
  expect([older.code, older.out.includes('Vitals')]).toEqual([0, false]);
});

describe('sites', () => {
  const site: SiteSummaryView = {
    name: 'zurich',
    by: 'label',
    hosts: 2,
    online: 1,
    lobby: 1,
    simulated: false,
    clusters: [{ name: 'store-1', state: 'ready' }],
    offlineSinceMs: nowMs - 60_000,
    sharing: 1,
  };

  test('a list over all pages, and one with its hosts', async () => {
    const ran = await show(['get', 'sites'], {
      listSites: ({ count }) => ({ items: [{ ...site, name: `site-${count}` }], elsewhere: 0, ...(count < 3 ? { next: `site-${count}` } : {}) }),
    });
    expect(ran.out.match(/site-\d/g)).toEqual(['site-1', 'site-2', 'site-3']);
    expect(ran.out).toMatch(/1\/2 online +1 +store-1 \(ready\) +1m ago +1\/2/);
    const member = { ...cluster().hosts[0], name: 'till-1', shares: { addresses: ['10.0.0.7'], port: 5082 } };
    const one = await show(['get', 'site', 'zurich'], { getSite: { ...site, members: [member as never] } });
    expect(one.out).toMatch(/till-1 .*10\.0\.0\.7 port 5082/);
    expect((await show(['get', 'sites'], { listSites: { items: [], elsewhere: 4 } })).error).toContain('no sites');
    expect((await show(['get', 'site', 'a/b'], {})).code).toBe(2);
    expect(await show(['get', 'site', 'bern'], {})).toMatchObject({ code: 1, error: expect.stringContaining('gp get sites') });
  });
});
