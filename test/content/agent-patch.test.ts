import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { httpContent } from '@groundplane/agent/link/content-http';
import { patchBase } from '@groundplane/agent/link/patch';
import { makePatch } from '@groundplane/hub/content/delta';
import { patchType } from '@groundplane/protocol/delta';
import { digestBytes } from '@groundplane/protocol/digest';
import { value } from '../hub/world.ts';

const old = Array.from({ length: 500 }, (_, index) => digestBytes(String(index))).join('\n');
const fresh = `${old}\nand more: ä`;
const bytes = Buffer.from(fresh);
const base = { digest: digestBytes(old), text: old, bundle: digestBytes('bundle') };

let close: () => void = () => undefined;
afterEach(() => close());

const serve = async (patch: (url: URL) => { type: string; body: Buffer; status?: number }): Promise<{ url: string; asked: string[] }> => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://hub');
    asked.push(url.search);
    const answer = url.search === '' ? { type: 'application/octet-stream', body: bytes } : patch(url);
    response
      .writeHead('status' in answer ? (answer.status ?? 200) : 200, { 'content-type': answer.type, 'content-length': answer.body.length })
      .end(answer.body);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
};
const fetchFrom = (url: string, from = base) => httpContent(url, { token: () => 't' }).fetch(digestBytes(bytes), bytes.length, from);

test('a host asks for a patch against what it holds, and gets the new blob by it', async () => {
  const patch = value(await makePatch(Buffer.from(old), bytes));
  const { url, asked } = await serve(() => ({ type: patchType, body: patch }));
  expect(value(await fetchFrom(url))).toBe(fresh);
  expect(asked).toEqual([`?from=${base.digest}&bundle=${base.bundle}`]);
});

test.each([
  ['a broken patch', { type: patchType, body: Buffer.from('nonsense') }],
  ['a patch to something else', undefined],
  ['an error', { type: 'text/plain', body: Buffer.from('x'), status: 500 }],
])('%s leads to the whole blob', async (_, given) => {
  const foreign = value(await makePatch(Buffer.from(old), Buffer.from(`${old}\nand mOre: ä`)));
  const { url, asked } = await serve(() => given ?? { type: patchType, body: foreign });
  expect(value(await fetchFrom(url))).toBe(fresh);
  expect(asked).toHaveLength(2);
});

test('a hub from before sends the whole blob at once, and that is fine', async () => {
  const { url, asked } = await serve(() => ({ type: 'application/octet-stream', body: bytes }));
  expect(value(await fetchFrom(url))).toBe(fresh);
  expect(asked).toHaveLength(1);
});

test('nothing is asked for against what is not held', () => {
  const state = { content: (digest: string) => (digest === base.digest ? old : undefined) };
  expect(patchBase(state, base.digest, base.bundle)).toEqual(base);
  expect(patchBase(state, digestBytes('gone'), base.bundle)).toBeUndefined();
  expect(patchBase(state, undefined, base.bundle)).toBeUndefined();
  expect(patchBase(state, base.digest, undefined)).toBeUndefined();
});
