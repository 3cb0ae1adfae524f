import { expect, test } from 'vitest';
import { chunkedFetch } from '@groundplane/agent/link/chunks';
import type { Part } from '@groundplane/agent/link/content-http';
import { sha256, sha256Hasher } from '@groundplane/hub/content/digest';
import { chunksOf } from '@groundplane/protocol/chunk/cut';
import { chunkListType, writeChunkList } from '@groundplane/protocol/chunk/list';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { codeOf, value } from '../hub/world.ts';

const line = (index: number): string => `${sha256(String(index))} ${index}\n`;
const old = Array.from({ length: 8_000 }, (_, index) => line(index)).join('');
const fresh = old.replace(line(4_000), 'changed: ä\n').replace(line(7_000), '');
const bytes = Buffer.from(fresh);
const digest = sha256(bytes);
const base = { digest: sha256(old), text: old, bundle: sha256('bundle') };

const list = async (of: Buffer): Promise<Buffer> => Buffer.from(writeChunkList(await Array.fromAsync(chunksOf(pieces(of), sha256Hasher))));
async function* pieces(of: Buffer): AsyncGenerator<Uint8Array> {
  yield of;
}

interface Asked {
  range: string | undefined;
  bytes: number;
}
/** A hub; `answer` may say something else than the right thing. */
const hubOf = async (answer: (turn: number, range: string | undefined) => Result<Partial<Part>> = () => ok({})) => {
  const asked: Asked[] = [];
  const chunks = await list(bytes);
  const fetch = chunkedFetch((_, range, sizeMax) => {
    const [start = 0, end = 0] = (range ?? '').split('-').map(Number);
    const right: Part =
      range === undefined
        ? { status: 200, type: chunkListType, bytes: chunks, isWhole: true }
        : { status: 206, type: '', bytes: bytes.subarray(start, end + 1), isWhole: true };
    const given = answer(asked.length, range);
    const part = given.ok ? ok({ ...right, ...given.value }) : given;
    asked.push({ range, bytes: part.ok ? part.value.bytes.length : 0 });
    expect(right.bytes.length).toBeLessThanOrEqual(sizeMax);
    return Promise.resolve(part);
  });
  return { asked, fetch: () => fetch(digest, bytes.length, base) };
};

test('only what changed is fetched', async () => {
  const { asked, fetch } = await hubOf();
  expect(value((await fetch()) ?? fail('fatal', 'none', '', ''))).toBe(fresh);
  expect(asked.slice(1).reduce((sum, item) => sum + item.bytes, 0)).toBeLessThan(bytes.length * 0.6);
});

test.each<[string, Partial<Part>]>([
  ['a hub without lists', { status: 404, type: 'application/json' }],
  ['a list that is late', { status: 503 }],
  ['a list of another type', { type: 'text/html' }],
  ['a list that was cut', { isWhole: false }],
  ['rubbish', { bytes: Buffer.from('rubbish') }],
])('%s leads to the whole', async (_, given) => {
  const { fetch } = await hubOf((turn) => ok(turn === 0 ? given : {}));
  expect(await fetch()).toBeUndefined();
});

test('other bytes than the list says lead to the whole', async () => {
  const { fetch } = await hubOf((turn) => ok(turn === 0 ? {} : { bytes: Buffer.alloc(200_000) }));
  expect(await fetch()).toBeUndefined();
});

test('a line that is down is a retry, and the next call goes on with what came', async () => {
  let down = true;
  const { asked, fetch } = await hubOf((turn) => (down && turn > 1 ? fail('retry', 'content-unreachable', digest, 'down') : ok({})));
  expect(codeOf((await fetch()) ?? ok(''))).toBe('content-unreachable');
  const first = asked.find((item) => item.range !== undefined && item.bytes > 0)?.range;
  down = false;
  const before = asked.length;
  expect(value((await fetch()) ?? fail('fatal', 'none', '', ''))).toBe(fresh);
  expect(asked.slice(before).map((item) => item.range)).not.toContain(first);
});

test('a host that may not read it is told so', async () => {
  const { fetch } = await hubOf((turn) => ok(turn === 0 ? {} : { status: 403 }));
  expect(codeOf((await fetch()) ?? ok(''))).toBe('content-denied');
});
