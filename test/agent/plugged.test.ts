import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createImporter } from '@groundplane/agent/media/job';
import { watchPlugged } from '@groundplane/agent/media/plugged';
import { writeReceipt } from '@groundplane/agent/media/receipt';
import { createState } from '@groundplane/agent/store/state';
import { fail, ok } from '@groundplane/protocol/failure';
import { digestBytes } from '@groundplane/protocol/digest';
import { mediaType, type SignedReceipt } from '@groundplane/protocol/media';
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
  const log: string[] = [];
  let isBroken = false;
  let looks = 0;
  const clock = virtualClock();
  const stop = new AbortController();
  const importer = {
    found: () => {
      looks += 1;
      if (!isBroken) return Promise.resolve([...plugged]);
      isBroken = false;
      return Promise.reject(new Error('no mounts today'));
    },
    status: () => ({ state: 'idle' as const }),
    run: (path: string) => {
      ran.push(path);
      return Promise.resolve(isGood(path) ? ok({} as never) : fail('fatal', 'media-foreign', path, 'says nothing about this host'));
    },
  };
  const running = watchPlugged({ importer, state: createState(store), clock, log: (text) => void log.push(text) }, stop.signal);
  return {
    ran,
    log,
    break: () => void (isBroken = true),
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

test('what goes wrong at one look does not end the watch', async () => {
  const good = medium('good', '{}');
  const life = begin([good]);
  life.break();
  await life.pass();
  expect(life.ran).toEqual([good]);
  expect(life.log.join('\n')).toContain('media that are plugged in cannot be looked at: no mounts today');
  await life.end();
});

test('a receipt is never written through a link of the medium', async () => {
  const signed = { receipt: { host: 'hos_00000000000000000000', seq: 7 }, signature: 's' } as unknown as SignedReceipt;
  const secret = join(folder, 'shadow');
  writeFileSync(secret, 'root:x');
  const [whole, file] = [medium('whole', '{}'), medium('file', '{}')];
  mkdirSync(join(folder, 'etc'));
  symlinkSync(join(folder, 'etc'), join(whole, 'receipts'));
  expect(await writeReceipt(whole, signed)).toMatchObject({ ok: false, failure: { code: 'media-invalid' } });
  expect(readdirSync(join(folder, 'etc'))).toEqual([]);
  mkdirSync(join(file, 'receipts'));
  for (const name of ['hos_00000000000000000000-7.json', 'hos_00000000000000000000-7.json.new']) symlinkSync(secret, join(file, 'receipts', name));
  const written = await writeReceipt(file, signed);
  expect(written).toMatchObject({ ok: true });
  expect(JSON.parse(readFileSync(join(file, 'receipts', 'hos_00000000000000000000-7.json'), 'utf8'))).toMatchObject({ signature: 's' });
  expect(readFileSync(secret, 'utf8')).toBe('root:x');
});

test('an import that breaks in an unforeseen way has ended, and another may begin', async () => {
  const path = join(folder, 'whole');
  mkdirSync(join(path, 'blobs', 'sha256'), { recursive: true });
  const put = (value: object): { mediaType: string; digest: string; size: number } => {
    const text = JSON.stringify(value);
    writeFileSync(join(path, 'blobs', 'sha256', digestBytes(text).slice(7)), text);
    return { mediaType, digest: digestBytes(text), size: text.length };
  };
  const manifest = put({ config: put({ schema: 'groundplane.dev/media/1', items: [] }), layers: [] });
  writeFileSync(join(path, 'index.json'), JSON.stringify({ manifests: [{ ...manifest, artifactType: mediaType }] }));
  // Nothing to make a receipt with.
  const importer = createImporter({ media: {} as never, receipt: {} as never });
  for (let time = 0; time < 2; time += 1) {
    expect(await importer.run(path)).toMatchObject({ ok: false, failure: { code: 'media-unreadable' } });
    expect(importer.status().state).toBe('failed');
  }
});
