import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { watchPlugged } from '@groundplane/agent/media/plugged';
import { createState } from '@groundplane/agent/store/state';
import { fail, ok } from '@groundplane/protocol/failure';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { virtualClock } from '../fake/clock.ts';

let folder: string;
let store: FakeAgentStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gp-plugged-'));
  store = fakeAgentStore();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const medium = (name: string, index: string): string => {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'index.json'), index);
  return path;
};

/** An agent's life with what is plugged in at the moment. */
const begin = (plugged: string[], isGood: (path: string) => boolean = () => true) => {
  const ran: string[] = [];
  let looks = 0;
  const clock = virtualClock();
  const stop = new AbortController();
  const importer = {
    found: () => {
      looks += 1;
      return Promise.resolve([...plugged]);
    },
    status: () => ({ state: 'idle' as const }),
    run: (path: string) => {
      ran.push(path);
      return Promise.resolve(isGood(path) ? ok({} as never) : fail('fatal', 'media-foreign', path, 'says nothing about this host'));
    },
  };
  const running = watchPlugged({ importer, state: createState(store), clock, log: () => undefined }, stop.signal);
  return {
    ran,
    /** Two looks from begin to end; files are really read meanwhile. */
    pass: async () => {
      const until = looks + 3;
      await expect.poll(async () => (await clock.advance(15_000), looks), { interval: 5, timeout: 60_000 }).toBeGreaterThanOrEqual(until);
    },
    end: async () => {
      stop.abort();
      await running;
    },
  };
};

test('a medium is imported when it is plugged in, once, and again when it says something else', async () => {
  const plugged: string[] = [];
  const life = begin(plugged);
  await life.pass();
  const path = medium('stick', '{"one":1}');
  plugged.push(path);
  await life.pass();
  expect(life.ran).toEqual([path]);
  writeFileSync(join(path, 'index.json'), '{"two":2}');
  await life.pass();
  expect(life.ran).toEqual([path, path]);
  await life.end();
  const next = begin(plugged);
  await next.pass();
  expect(next.ran, 'it was there before the restart').toEqual([]);
  await next.end();
});

test('one that could not be imported is tried again when it is plugged in again, and holds up no other', async () => {
  const [bad, good] = [medium('bad', '{"b":1}'), medium('good', '{"g":1}')];
  const plugged = [bad, good];
  const life = begin(plugged, (path) => path === good);
  await life.pass();
  expect(life.ran).toEqual([bad, good]);
  plugged.shift();
  await life.pass();
  plugged.push(bad);
  await life.pass();
  expect(life.ran).toEqual([bad, good, bad]);
  await life.end();
});

test('what only looks like an index is not read', async () => {
  const [pipe, link] = [join(folder, 'pipe'), join(folder, 'link')];
  for (const path of [pipe, link]) mkdirSync(path);
  execFileSync('mkfifo', [join(pipe, 'index.json')]);
  symlinkSync('/dev/zero', join(link, 'index.json'));
  const good = medium('good', '{}');
  const life = begin([pipe, link, good]);
  await life.pass();
  expect(life.ran).toEqual([good]);
  await life.end();
});
