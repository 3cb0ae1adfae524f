import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rawRoutes } from '@groundplane/protocol/api/routes';
import { digestBytes } from '@groundplane/protocol/digest';
import { registryLimits } from '@groundplane/hub/registry/limits';
import { applyCluster, applyProfile, enrolledHost, openHub, until, type HubWorld } from './world.ts';

const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 251));
const digest = digestBytes(bytes);
let hub: HubWorld;

const at = (name: string): string => rawRoutes.content.replace('{digest}', encodeURIComponent(name));
const get = (name: string, headers: Record<string, string> = {}, key = hub.admin.key): Promise<Response> =>
  hub.fetch(at(name), { headers: { authorization: `Bearer ${key}`, ...headers } });
const put = (name: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> =>
  hub.fetch(at(name), { method: 'PUT', body, headers: { authorization: `Bearer ${hub.admin.key}`, ...headers }, duplex: 'half' } as RequestInit);
const bodyOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());
const leftovers = (): string[] => readdirSync(join(hub.folder, 'content', 'tmp'));

beforeAll(async () => {
  hub = await openHub();
  expect((await put(digest, bytes)).status).toBe(204);
});
afterAll(async () => hub.close());

describe('download', () => {
  test('whole, with what a cache and a resume need', async () => {
    const response = await get(digest);
    expect(response.status).toBe(200);
    expect(await bodyOf(response)).toEqual(bytes);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'accept-ranges': 'bytes',
      'content-length': '1000',
      etag: `"${digest}"`,
      'x-content-type-options': 'nosniff',
      'content-type': 'application/octet-stream',
    });
  });

  test.each<[string, number, number]>([
    ['bytes=0-0', 0, 1],
    ['bytes=0-999', 0, 1_000],
    ['bytes=0-', 0, 1_000],
    ['bytes=999-', 999, 1_000],
    ['bytes=500-600', 500, 601],
    ['bytes=-1', 999, 1_000],
    ['bytes=-1000', 0, 1_000],
    ['bytes=-5000', 0, 1_000],
    ['bytes=990-5000', 990, 1_000],
  ])('%s is a part', async (range, start, end) => {
    const response = await get(digest, { range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/1000`);
    expect(response.headers.get('content-length')).toBe(String(end - start));
    expect(await bodyOf(response)).toEqual(bytes.subarray(start, end));
  });

  test.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0', 'bytes=99999999999999999999-'])('%s cannot be satisfied', async (range) => {
    const response = await get(digest, { range });
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe('bytes */1000');
  });

  test.each(['bytes', 'bytes=', 'bytes=-', 'bytes=a-b', 'bytes=0-1,5-6', 'items=0-1', 'bytes=0--1', 'bytes= 0-1 '])(
    '%j is no range that we know: the whole comes, as RFC 9110 allows',
    async (range) => {
      const response = await get(digest, { range });
      expect(response.status).toBe(200);
      expect((await bodyOf(response)).length).toBe(1_000);
    },
  );

  test('the last before the first is no range', async () => expect([200, 416]).toContain((await get(digest, { range: 'bytes=5-2' })).status));

  test('HEAD says the same without the bytes', async () => {
    const response = await hub.fetch(at(digest), { method: 'HEAD', headers: { authorization: `Bearer ${hub.admin.key}` } });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('1000');
    expect((await bodyOf(response)).length).toBe(0);
  });

  test('an empty blob is whole and has no parts', async () => {
    const empty = digestBytes('');
    expect((await put(empty, '')).status).toBe(204);
    const response = await get(empty);
    expect([response.status, (await bodyOf(response)).length]).toEqual([200, 0]);
    expect((await get(empty, { range: 'bytes=0-' })).status).toBe(416);
  });

  test.each([
    '..',
    '../../hub.db',
    '..%2f..%2fhub.db',
    `sha256:${'../'.repeat(21)}a`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'a'.repeat(63)}`,
    'sha256:',
    `sha512:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}/..`,
    '\u0000',
    `sha256:${'a'.repeat(64)}\n`,
  ])('%j names nothing', async (name) => {
    for (const response of [await get(name), await put(name, 'x')]) {
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(500);
    }
  });
});

describe('upload', () => {
  test('bytes of another digest are refused, and leave nothing', async () => {
    const wrong = digestBytes('something else');
    expect((await put(wrong, 'not that')).status).toBe(422);
    expect((await get(wrong)).status).toBe(404);
    expect(await hub.content.size(wrong)).toBeUndefined();
    expect(leftovers()).toEqual([]);
  });

  test('more than the limit is refused before it is read, when it says so', async () => {
    const response = await put(digest, 'x', { 'content-length': String(registryLimits.blobBytes + 1) });
    expect(response.status).toBe(413);
  });

  test('more than the limit is refused while it comes', async () => {
    const { Readable } = await import('node:stream');
    const received = await hub.content.receive(digestBytes('x'), Readable.from([Buffer.alloc(600), Buffer.alloc(600)]), 1_000);
    expect(received.ok ? 'ok' : received.failure.code).toBe('content-too-large');
    expect(leftovers()).toEqual([]);
  });

  test('a transfer that breaks leaves nothing', async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => (controller.enqueue(bytes), controller.error(new Error('the line broke'))) });
    expect((await put(digestBytes('broken'), body)).status).toBe(503);
    expect(leftovers()).toEqual([]);
  });

  test('many uploads of the same at the same moment are one blob', async () => {
    const data = 'shared by many';
    const answers = await Promise.all(Array.from({ length: 30 }, () => put(digestBytes(data), data)));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([204]));
    expect((await bodyOf(await get(digestBytes(data)))).toString()).toBe(data);
    expect(leftovers()).toEqual([]);
  });

  test('a blob that is there is not spoilt by an upload of other bytes under its name', async () => {
    expect((await put(digest, 'spoilt')).status).toBe(422);
    expect(await bodyOf(await get(digest))).toEqual(bytes);
  });
});

describe('what a host may read', () => {
  test('its own bundle and what that names; nothing else, and nothing after its session', async () => {
    const one = await enrolledHost(hub, 'one');
    const two = await enrolledHost(hub, 'two');
    await applyProfile(hub.admin, 'web', '1.0.0', 'of one');
    await applyProfile(hub.admin, 'db', '1.0.0', 'of two');
    await applyCluster(hub.admin, 'first', 'web', '1.0.0', ['one']);
    await applyCluster(hub.admin, 'second', 'db', '1.0.0', ['two']);
    const mine = await one.line.hear('desired');
    const yours = await two.line.hear('desired');
    const token = (await one.line.hear('welcome')).contentToken;
    const blobsOf = (message: typeof mine): string[] => [
      message.desired.bundle ?? '',
      ...(message.bundle?.layers ?? []).flatMap((layer) => layer.objects.map((object) => object.digest)),
    ];
    for (const each of blobsOf(mine)) expect((await get(each, {}, token)).status, 'its own').toBe(200);
    for (const each of blobsOf(yours)) expect((await get(each, {}, token)).status, "the other's").toBe(404);
    expect((await get(digest, {}, token)).status, 'what a person uploaded').toBe(404);
    expect(
      (await hub.fetch(at(digestBytes('x')), { method: 'PUT', body: 'x', headers: { authorization: `Bearer ${token}` } })).status,
      'a host uploads nothing',
    ).toBe(401);
    expect((await hub.fetch('/api/v1/whoami', { headers: { authorization: `Bearer ${token}` } })).status, 'and calls nothing else').toBe(401);
    one.line.hangUp();
    await until(async () => (await get(blobsOf(mine)[0] ?? '', {}, token)).status === 401, 'the token ends');
  });

  test('a person without content.get reads none', async () => {
    const viewer = await hub.client([{ role: 'Viewer' }]);
    expect((await get(digest, {}, viewer.key)).status).toBe(404);
  });
});
