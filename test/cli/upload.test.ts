import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '@groundplane/hub/content/digest';
import { connectTo } from '@groundplane/hub/cli/connect';
import { uploadBlob, uploadPartBytes } from '@groundplane/hub/cli/upload';
import { openHub, type HubWorld } from '../hub/world.ts';
import { pattern } from '../registry/rig.ts';
import { fakeIo } from './fake-io.ts';

let hub: HubWorld;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(async () => hub.close());

type Fault = 'lost request' | 'lost answer' | 'error 502' | 'half';
interface Seen {
  method: string;
  path: string;
  range: string | null;
}

/** gp on a line to the hub with faults: `faults` says what happens to the n-th request that carries bytes. */
const rig = (faults: Readonly<Record<number, Fault>> = {}) => {
  const seen: Seen[] = [];
  let carried = 0;
  const line: typeof fetch = async (input, init) => {
    const url = new URL(input as string);
    const headers = new Headers(init?.headers);
    seen.push({ method: init?.method ?? 'GET', path: url.pathname, range: headers.get('content-range') });
    const send = (body: BodyInit | null | undefined): Promise<Response> =>
      hub.fetch(url.pathname + url.search, { method: init?.method ?? 'GET', headers, ...(body === null || body === undefined ? {} : { body }) });
    if (init?.body === null || init?.body === undefined) return send(undefined);
    carried += 1;
    const fault = faults[carried];
    if (fault === 'lost request') throw new TypeError('the line is down');
    if (fault === 'error 502') return new Response('bad gateway', { status: 502 });
    if (fault === 'half') {
      await send((init.body as Uint8Array<ArrayBuffer>).slice(0, 1_000_000));
      throw new TypeError('the line broke');
    }
    const answer = await send(init.body);
    if (fault === 'lost answer') throw new TypeError('the line broke');
    return answer;
  };
  const { io, stderr, sleeps } = fakeIo({ fetch: line });
  const context = { io, globals: { color: false, quiet: false, insecure: false } };
  const connection = connectTo(io, { hub: 'http://hub.test', credential: { kind: 'key', token: hub.admin.key }, project: 'default' });
  const upload = (bytes: Buffer, name = 'layer.tar', body = Readable.from(pieces(bytes))) =>
    uploadBlob(context, connection, { digest: sha256(bytes), size: bytes.length, body, name });
  return { upload, seen, stderr, sleeps, sent: () => seen.filter((item) => item.method === 'PATCH') };
};
function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 3_000_000) yield bytes.subarray(at, at + 3_000_000);
}
const isThere = async (bytes: Buffer): Promise<boolean> => (await hub.content.read(sha256(bytes)))?.equals(bytes) === true;
const leftovers = (): string[] => [...readdirSync(join(hub.folder, 'content', 'tmp')), ...readdirSync(join(hub.folder, 'uploads'))];

test('a small blob goes at once, an empty one too, and one of exactly a part', async () => {
  for (const bytes of [pattern(1_000, 'small'), Buffer.alloc(0), pattern(uploadPartBytes, 'part')]) {
    const { upload, seen } = rig();
    expect(await upload(bytes)).toEqual({ ok: true, value: undefined });
    expect(seen.map((item) => item.method)).toEqual(['PUT']);
    expect(await isThere(bytes)).toBe(true);
  }
});

test('a large one goes in parts, with progress', async () => {
  const bytes = pattern(2 * uploadPartBytes + 5_000_000, 'large');
  const { upload, sent, stderr } = rig();
  expect(await upload(bytes)).toEqual({ ok: true, value: undefined });
  expect(await isThere(bytes)).toBe(true);
  expect(sent().length).toBeGreaterThan(1);
  expect(stderr()).toMatch(/^layer\.tar: \d+ of 37 MiB\n/);
  expect(stderr()).toContain('37 of 37 MiB\n');
  expect(leftovers()).toEqual([]);
  const again = rig();
  expect(await again.upload(bytes)).toEqual({ ok: true, value: undefined });
  expect(again.sent()).toEqual([]);
});

test.each<[Fault, number]>([
  ['lost request', 1],
  ['lost request', 2],
  ['lost answer', 1],
  ['lost answer', 2],
  ['lost answer', 3],
  ['half', 1],
  ['half', 3],
  ['error 502', 2],
])('%s of part %i costs no more than that part', async (fault, at) => {
  const bytes = pattern(2 * uploadPartBytes + 3_000_000, `${fault} ${at}`);
  const { upload, sent, sleeps } = rig({ [at]: fault });
  expect(await upload(bytes)).toEqual({ ok: true, value: undefined });
  expect(await isThere(bytes)).toBe(true);
  expect(sent().length).toBeLessThanOrEqual(4);
  expect(sleeps()).toBeGreaterThan(0);
  expect(leftovers()).toEqual([]);
});

test('a run that was cut is gone on with by the next one', async () => {
  const bytes = pattern(2 * uploadPartBytes + 1_000_000, 'next run');
  const down = rig(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [index + 2, 'lost request' as const])));
  expect(await down.upload(bytes)).toMatchObject({ ok: false, failure: { kind: 'retry' } });
  const next = rig();
  expect(await next.upload(bytes)).toEqual({ ok: true, value: undefined });
  expect(next.stderr()).toMatch(/going on after \d+ MiB/);
  expect(next.sent()[0]?.range).not.toMatch(/^bytes 0-/);
  expect(await isThere(bytes)).toBe(true);
});

test('a file that changed while it was read, or is shorter than it was, is not taken', async () => {
  const bytes = pattern(uploadPartBytes + 1_000_000, 'changed');
  const other = Buffer.from(bytes);
  other.writeUInt8(other.readUInt8(5) ^ 1, 5);
  expect(await rig().upload(bytes, 'x', Readable.from(pieces(other)))).toMatchObject({ ok: false, failure: { code: 'content-wrong' } });
  expect(await rig().upload(bytes, 'x', Readable.from([bytes.subarray(0, 100)]))).toMatchObject({ ok: false, failure: { code: 'content-cut' } });
  const broken = new Readable({ read: () => undefined });
  broken.destroy(new Error('EIO'));
  expect(await rig().upload(bytes, 'x', broken)).toMatchObject({ ok: false, failure: { code: 'content-cut' } });
  expect(await hub.content.size(sha256(bytes))).toBeUndefined();
});
