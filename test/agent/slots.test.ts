import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNotifier } from '@groundplane/agent/system/notify';
import { forgetSlotNews, healthyAfterMs, healthyAloneAfterMs, isHealthy, slotFrom, slotNews, watchHealth } from '@groundplane/agent/system/slots';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { virtualClock } from '../fake/clock.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'gp-slots-'))));
afterEach(() => rmSync(folder, { recursive: true }));
const slot = () => ({ name: '2-bb', marks: join(folder, 'marks') });
const healthy = (): string | undefined => (existsSync(join(slot().marks, 'healthy')) ? readFileSync(join(slot().marks, 'healthy'), 'utf8') : undefined);

describe('health of a version', () => {
  test.each([
    [healthyAfterMs - 1, true, false],
    [healthyAfterMs, true, true],
    [healthyAloneAfterMs - 1, false, false],
    [healthyAloneAfterMs, false, true],
  ])('after %i ms, talked %s: %s', (uptimeMs, hasTalked, expected) => expect(isHealthy({ uptimeMs, hasTalked })).toBe(expected));

  test('is marked once the hub was reached and a minute has passed, also if the link is down again by then', async () => {
    const clock = virtualClock();
    let isUp = true;
    const watch = watchHealth(slot(), { clock, hasContact: () => isUp, signal: new AbortController().signal });
    await clock.advance(30_000);
    isUp = false;
    expect(healthy()).toBeUndefined();
    await clock.advance(30_000);
    await watch;
    expect(healthy()).toBe('2-bb\n');
  });

  test('without a hub it takes ten minutes', async () => {
    const clock = virtualClock();
    const watch = watchHealth(slot(), { clock, hasContact: () => false, signal: new AbortController().signal });
    await clock.advance(healthyAloneAfterMs - 1_000);
    expect(healthy()).toBeUndefined();
    await clock.advance(6_000);
    await watch;
    expect(healthy()).toBe('2-bb\n');
  });

  test('a version that is healthy already does not wait', async () => {
    const clock = virtualClock();
    const first = watchHealth(slot(), { clock, hasContact: () => true, signal: new AbortController().signal });
    await clock.advance(healthyAfterMs);
    await first;
    await watchHealth(slot(), { clock, hasContact: () => false, signal: new AbortController().signal });
    expect(clock.waiting()).toBe(0);
  });

  test('a stop before that leaves no mark', async () => {
    const clock = virtualClock();
    const stop = new AbortController();
    const watch = watchHealth(slot(), { clock, hasContact: () => true, signal: stop.signal });
    await clock.advance(healthyAfterMs - 10_000);
    stop.abort();
    await watch;
    expect(healthy()).toBeUndefined();
  });

  test('a disk that takes no mark is tried again', async () => {
    writeFileSync(slot().marks, 'a file in the way');
    const clock = virtualClock();
    const watch = watchHealth(slot(), { clock, hasContact: () => true, signal: new AbortController().signal });
    await clock.advance(healthyAfterMs + 10_000);
    rmSync(slot().marks);
    await clock.advance(10_000);
    await watch;
    expect(healthy()).toBe('2-bb\n');
  });
});

describe('news of a return', () => {
  test('are told once', () => {
    const here = { name: '1-aa', marks: folder };
    writeFileSync(join(folder, 'returned'), '2-bb 1-aa\n');
    expect(slotNews(here)).toEqual([
      { type: 'warning', reason: 'AgentRolledBack', message: expect.stringContaining('agent 2-bb did not become healthy') as string },
    ]);
    forgetSlotNews(here);
    expect(slotNews(here)).toEqual([]);
  });

  test('an empty or huge mark does no harm', () => {
    const here = { name: '1-aa', marks: folder };
    writeFileSync(join(folder, 'returned'), '');
    expect(slotNews(here)).toEqual([]);
    writeFileSync(join(folder, 'returned'), 'x'.repeat(100_000));
    expect(slotNews(here)[0]?.message.length).toBeLessThan(500);
    expect(() => slotNews({ name: '1-aa', marks: join(folder, 'missing') })).not.toThrow();
  });

  test('only launch.sh gives a slot', () => {
    expect(slotFrom({})).toBeUndefined();
    expect(slotFrom({ GROUNDPLANE_SLOT: '', GROUNDPLANE_MARKS: '/x' })).toBeUndefined();
    expect(slotFrom({ GROUNDPLANE_SLOT: '1-aa', GROUNDPLANE_MARKS: '/x' })).toEqual({ name: '1-aa', marks: '/x' });
  });
});

describe('systemd', () => {
  const rig = (env: Record<string, string>) => {
    const clock = virtualClock();
    const told: string[] = [];
    const notifier = createNotifier(env, clock, (text, sent) => {
      told.push(`${sent['NOTIFY_SOCKET']} ${text.join(' ')}`);
      return Promise.resolve();
    });
    return { clock, told, notifier };
  };

  test('hears that the agent is ready, and that it lives, twice in the watchdog time', async () => {
    const { clock, told, notifier } = rig({ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '300000000' });
    await notifier.ready();
    await clock.advance(299_000);
    expect(told).toEqual(['/run/n --ready STATUS=running', '/run/n WATCHDOG=1']);
    await clock.advance(1_000);
    expect(told).toHaveLength(3);
    await notifier.stopping();
    notifier.close();
    await clock.advance(900_000);
    expect(told.slice(3)).toEqual(['/run/n STOPPING=1']);
  });

  test('without a watchdog there are no pings', async () => {
    const { clock, told, notifier } = rig({ NOTIFY_SOCKET: '/run/n' });
    await notifier.ready();
    await clock.advance(900_000);
    expect(told).toHaveLength(1);
  });

  test.each(['nonsense', '0', '-5', '1'])('a watchdog time of %s is none', async (usec) => {
    const { clock, notifier } = rig({ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: usec });
    await notifier.ready();
    expect(clock.waiting()).toBe(0);
  });

  test('an agent that systemd did not start says nothing', async () => {
    const { clock, told, notifier } = rig({ WATCHDOG_USEC: '300000000' });
    await notifier.ready();
    await notifier.stopping();
    await clock.advance(900_000);
    expect(told).toEqual([]);
  });
});
