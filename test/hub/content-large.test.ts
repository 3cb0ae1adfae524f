import { existsSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createThrottle, paced } from '@groundplane/hub/content/throttle';
import { sha256 } from '@groundplane/hub/content/digest';
import { diskContent } from '@groundplane/hub/content/disk';
import { diskStaging } from '@groundplane/hub/content/staging';
import { chunkedBytesMin } from '@groundplane/protocol/chunk/limits';
import { chunkListType, readChunkList } from '@groundplane/protocol/chunk/list';
import { apiBase } from '@groundplane/protocol/api/routes';
import { limits } from '@groundplane/protocol/limits';
import { fakeClock } from '../fake/clock.ts';
import { pattern } from '../registry/rig.ts';
import { codeOf, openHub, value, type HubWorld } from './world.ts';

const MiB = 1024 * 1024;
let hub: HubWorld;
beforeAll(async () => {
  hub = await openHub({ blobBytesMax: 40 * MiB });
});
afterAll(async () => hub.close());

const call = (method: string, path: string, options: { body?: BodyInit; headers?: Record<string, string>; key?: string } = {}): Promise<Response> =>
  hub.fetch(`${apiBase}/content/${path}`, {
    method,
    headers: { authorization: `Bearer ${options.key ?? hub.admin.key}`, ...options.headers },
    ...(options.body === undefined ? {} : { body: options.body, duplex: 'half' }),
  });
const errorOf = async (response: Response): Promise<string> => ((await response.json()) as { error: { code: string } }).error.code;
const part = (bytes: Buffer, digest: string, start: number, end: number, total = bytes.length): Promise<Response> =>
  call('PATCH', `${digest}/upload`, { body: new Uint8Array(bytes.subarray(start, end)), headers: { 'content-range': `bytes ${start}-${end - 1}/${total}` } });
const held = async (digest: string): Promise<unknown> => (await call('GET', `${digest}/upload`)).json();
const leftovers = (): string[] => [...readdirSync(join(hub.folder, 'content', 'tmp')), ...readdirSync(join(hub.folder, 'uploads'))];

describe('an upload in parts', () => {
  test('becomes a blob with its last part', async () => {
    const bytes = pattern(3_000_000, 'parts');
    const digest = sha256(bytes);
    expect(await held(digest)).toEqual({ held: 0, ending: false });
    expect((await part(bytes, digest, 0, 1_000_000)).status).toBe(202);
    expect(await held(digest)).toEqual({ held: 1_000_000, ending: false });
    expect(await hub.content.size(digest)).toBeUndefined();
    expect((await part(bytes, digest, 1_000_000, 2_500_000)).status).toBe(202);
    expect((await part(bytes, digest, 2_500_000, 3_000_000)).status).toBe(204);
    expect((await hub.content.read(digest))?.equals(bytes)).toBe(true);
    expect((await call('GET', digest)).status).toBe(200);
    expect(leftovers()).toEqual([]);
  });

  test('goes on after a cut, and a part that comes twice or too early changes nothing', async () => {
    const bytes = pattern(2_000_000, 'cut');
    const digest = sha256(bytes);
    const broken = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(bytes.subarray(0, 300_000))),
      pull: (controller) => controller.error(new Error('the line broke')),
    });
    expect((await call('PATCH', `${digest}/upload`, { body: broken, headers: { 'content-range': `bytes 0-999999/${bytes.length}` } })).status).toBe(503);
    const { held: there } = (await held(digest)) as { held: number };
    expect(there).toBeLessThanOrEqual(300_000);
    for (const start of [there + 1, 500_000]) expect(await errorOf(await part(bytes, digest, start, 600_000))).toBe('upload-moved');
    expect((await part(bytes, digest, there, 1_500_000)).status).toBe(202);
    expect(await errorOf(await part(bytes, digest, there, 1_500_000))).toBe('upload-moved');
    expect((await part(bytes, digest, 1_500_000, bytes.length)).status).toBe(204);
    expect((await hub.content.read(digest))?.equals(bytes)).toBe(true);
  });

  test('of other bytes is refused and gives its room back', async () => {
    const bytes = pattern(10_000, 'other');
    const digest = sha256('something else');
    expect((await part(bytes, digest, 0, 5_000)).status).toBe(202);
    expect(await errorOf(await part(bytes, digest, 5_000, 10_000))).toBe('content-wrong');
    expect(await held(digest)).toEqual({ held: 0, ending: false });
    expect(leftovers()).toEqual([]);
  });

  test('of more than it said, or than the hub takes, is refused', async () => {
    const digest = sha256('large');
    for (const [range, body, code] of [
      ['bytes 0-9/20', 'eleven bytes', 'content-too-large'],
      [`bytes 0-9/${40 * MiB + 1}`, 'x', 'content-too-large'],
      ['bytes 0-20/20', 'x', 'request-invalid'],
      ['bytes 5-4/20', 'x', 'request-invalid'],
      ['bytes 0-4/*', 'x', 'request-invalid'],
      ['bytes 0-4/99999999999999999999', 'x', 'request-invalid'],
      ['', 'x', 'request-invalid'],
    ] as const)
      expect([range, await errorOf(await call('PATCH', `${digest}/upload`, { body, headers: range === '' ? {} : { 'content-range': range } }))]).toEqual([
        range,
        code,
      ]);
    expect((await call('PUT', digest, { body: 'x', headers: { 'content-length': String(40 * MiB + 1) } })).status).toBe(413);
    expect(leftovers()).toEqual([]);
  });

  test('needs the permission, is given up by whoever made it, and another tenant sees none of it', async () => {
    const bytes = pattern(10_000, 'mine');
    const digest = sha256(bytes);
    const viewer = await hub.client([{ role: 'Viewer' }]);
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      expect((await call(method, `${digest}/upload`, { key: viewer.key })).status, method).toBe(403);
      expect((await call(method, `${digest}/upload`, { key: 'gpk_none' })).status, method).toBe(401);
      expect((await call(method, 'sha256:zz/upload')).status, method).toBe(400);
    }
    await part(bytes, digest, 0, 5_000);
    const stranger = await hub.client([{ role: 'TenantAdmin' }], 'ten_other');
    expect(await (await call('GET', `${digest}/upload`, { key: stranger.key })).json()).toEqual({ held: 0, ending: false });
    expect((await call('DELETE', `${digest}/upload`)).status).toBe(204);
    expect(await held(digest)).toEqual({ held: 0, ending: false });
    expect(leftovers()).toEqual([]);
  });

  test('by two at once is still one blob', async () => {
    const bytes = pattern(1_000_000, 'two');
    const digest = sha256(bytes);
    const send = async (): Promise<void> => {
      for (let turn = 0; turn < 200 && (await hub.content.size(digest)) === undefined; turn += 1) {
        const { held: at, ending } = (await held(digest)) as { held: number; ending: boolean };
        if (!ending) await part(bytes, digest, at, Math.min(bytes.length, at + 100_000));
      }
    };
    await Promise.all([send(), send(), send()]);
    expect((await hub.content.read(digest))?.equals(bytes)).toBe(true);
    expect(leftovers()).toEqual([]);
  });
});

describe('a full disk', () => {
  test.skipIf(!existsSync('/dev/full'))('is said, and leaves no part behind (needs /dev/full)', async () => {
    const folder = join(hub.folder, 'full');
    const staging = diskStaging(folder, fakeClock());
    const id = await staging.open();
    rmSync(join(folder, id));
    symlinkSync('/dev/full', join(folder, id));
    const added = await staging.append(id, Readable.from([Buffer.alloc(100_000)]), MiB);
    expect(added.ok ? '' : [added.failure.kind, added.failure.code]).toEqual(['blocked', 'disk-full']);
    expect(await staging.size(id)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('while a blob is received leaves no file', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const source = Readable.from(
      (async function* () {
        yield Buffer.alloc(1_000);
        throw await Promise.resolve(full);
      })(),
    );
    expect(codeOf(await hub.content.receive(sha256('full'), source, MiB))).toBe('disk-full');
    expect(leftovers()).toEqual([]);
  });
});

describe('large blobs', () => {
  const bytes = pattern(chunkedBytesMin + 100_000, 'chunks');
  const digest = sha256(bytes);

  test('have a list of chunks, which is made once and kept beside them', async () => {
    expect((await call('PUT', digest, { body: new Uint8Array(bytes) })).status).toBe(204);
    const answers = await Promise.all([call('GET', `${digest}/chunks`), call('GET', `${digest}/chunks`)]);
    const lists = await Promise.all(answers.map(async (answer) => Buffer.from(await answer.arrayBuffer())));
    expect(answers.map((answer) => [answer.status, answer.headers.get('content-type')])).toEqual([
      [200, chunkListType],
      [200, chunkListType],
    ]);
    expect(lists[0]?.equals(lists[1] ?? Buffer.alloc(0))).toBe(true);
    const chunks = value(readChunkList(lists[0] ?? Buffer.alloc(0), bytes.length, digest));
    for (const chunk of chunks.slice(0, 3)) expect(sha256(bytes.subarray(chunk.offset, chunk.offset + chunk.size))).toBe(`sha256:${chunk.hash}`);
    const file = join(hub.folder, 'content', 'sha256', digest.slice(7, 9), `${digest.slice(7)}.beside`);
    expect(existsSync(file)).toBe(true);
    await writeFile(file, 'damaged');
    expect(Buffer.from(await (await call('GET', `${digest}/chunks`)).arrayBuffer()).equals(lists[0] ?? Buffer.alloc(0))).toBe(true);
    const store = diskContent(join(hub.folder, 'content'));
    const found = await Array.fromAsync(store.list());
    expect(found.filter((blob) => blob.digest === digest)).toHaveLength(1);
    expect(await store.remove(digest, Number.POSITIVE_INFINITY)).toBe(true);
    expect(existsSync(file)).toBe(false);
  });

  test('have it for who may read them only, and small ones have none', async () => {
    const stranger = await hub.client([{ role: 'TenantAdmin' }], 'ten_other');
    expect((await call('GET', `${digest}/chunks`, { key: stranger.key })).status).toBe(404);
    expect((await call('GET', `${digest}/chunks`, { key: 'gpk_none' })).status).toBe(401);
    await call('PUT', sha256('small'), { body: 'small' });
    expect(await errorOf(await call('GET', `${sha256('small')}/chunks`))).toBe('not-found');
  });

  test('that are too large for memory are not read into it', async () => {
    const store = diskContent(join(hub.folder, 'sparse'));
    const name = await store.put('x');
    const file = join(hub.folder, 'sparse', 'sha256', name.slice(7, 9), name.slice(7));
    await truncate(file, limits.contentBlobBytes + 1);
    expect(await store.read(name)).toBeUndefined();
    expect(await store.size(name)).toBe(limits.contentBlobBytes + 1);
  });
});

test('streams of one throttle take turns', async () => {
  const clock = fakeClock();
  const throttle = createThrottle(clock, 1_000_000);
  const got = [0, 0];
  // From memory: how fast a disk answers one or the other would decide else who is ahead.
  const reading = got.map(async (_, index) => {
    const source = Readable.from(Array.from({ length: 60 }, () => Buffer.alloc(65_536)));
    for await (const chunk of paced(source, throttle) as AsyncIterable<Uint8Array>) got[index] = (got[index] ?? 0) + chunk.length;
  });
  for (let second = 1; second <= 8; second += 1) {
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const [one = 0, two = 0] = got;
    expect(one + two).toBeGreaterThan((second - 1) * 1_000_000);
    expect(one + two).toBeLessThanOrEqual(second * 1_000_000 + 2 * 65_536);
    expect(Math.abs(one - two), `after ${second} s`).toBeLessThanOrEqual(65_536);
    await clock.advance(1_000);
  }
  await Promise.all(reading);
  expect(got).toEqual([60 * 65_536, 60 * 65_536]);
});

test('downloads share the rate of the hub', async () => {
  const clock = fakeClock();
  const other = await openHub({ throttle: createThrottle(clock, 1_000_000) });
  const bytes = pattern(4_000_000, 'paced');
  const headers = { authorization: `Bearer ${other.admin.key}` };
  const path = `${apiBase}/content/${sha256(bytes)}`;
  expect((await other.fetch(path, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status).toBe(204);
  const got = [0, 0];
  const responses = await Promise.all(got.map(() => other.fetch(path, { headers })));
  const reading = responses.map(async (response, index) => {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) got[index] = (got[index] ?? 0) + chunk.length;
  });
  /** Everything that may come by now has come when the queue waits for the clock. */
  const settled = async (): Promise<void> => {
    while (clock.waiting() === 0 && got.some((sum) => sum < bytes.length)) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  for (let second = 1; second <= 5; second += 1) {
    await settled();
    const sum = (got[0] ?? 0) + (got[1] ?? 0);
    expect(sum).toBeLessThanOrEqual(second * 1_000_000 + 2 * 65_536);
    await clock.advance(1_000);
  }
  while (got.some((total) => total < bytes.length)) {
    await settled();
    await clock.advance(1_000);
  }
  await Promise.all(reading);
  expect(got).toEqual([bytes.length, bytes.length]);
  await other.close();
});
