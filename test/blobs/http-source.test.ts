import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { httpBlobSource } from '@groundplane/agent/blobs/http-source';
import { chunkListBytesMax, chunkListType } from '@groundplane/protocol/chunk/list';
import { digestBytes } from '@groundplane/protocol/digest';

const bytes = Buffer.from('0123456789'.repeat(1_000));
const digest = digestBytes(bytes);
const never = new AbortController().signal;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let seen: IncomingMessage[] = [];
const server = createServer((request, response) => {
  seen.push(request);
  answer(request, response);
});
let base = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  seen = [];
});

const source = (isMetered = true) =>
  httpBlobSource({
    name: 'the hub',
    isMetered,
    url: () => new URL('/blob', base),
    chunksUrl: () => new URL('/chunks', base),
    authorization: () => 'Bearer t',
    idleMs: 300,
  });
const read = async (offset: number, size: number, isMetered = true): Promise<string> => {
  const opened = await source(isMetered).read(digest, offset, size, never);
  if (!opened.ok) return opened.failure.code;
  let text = '';
  try {
    for await (const piece of opened.value) text += Buffer.from(piece).toString();
  } catch {
    text += '|cut';
  }
  return text;
};

describe('a blob over HTTP', () => {
  test('is asked for by range, with what opens the door, and never compressed', async () => {
    answer = (_, response) => response.writeHead(206, { 'content-range': `bytes 20-29/${bytes.length}`, 'content-length': '10' }).end(bytes.subarray(20, 30));
    expect(await read(20, 10)).toBe('0123456789');
    expect(seen[0]?.headers).toMatchObject({ range: 'bytes=20-29', authorization: 'Bearer t', 'accept-encoding': 'identity' });
  });

  test('of a server that always sends the whole is cut out of it', async () => {
    answer = (_, response) => response.writeHead(200, { 'content-length': String(bytes.length) }).end(bytes);
    expect(await read(25, 10)).toBe('5678901234');
    expect(await read(9_995, 5)).toBe('56789');
  });

  test.each([
    [401, true, 'content-denied'],
    [403, true, 'content-denied'],
    [404, true, 'content-missing'],
    [500, true, 'content-unreachable'],
    [503, true, 'content-unreachable'],
    [503, false, 'content-coming'],
    [429, false, 'content-busy'],
    [302, true, 'content-unreachable'],
    [416, true, 'content-unreachable'],
  ])('%i (over the line: %s) is %s', async (status, isMetered, code) => {
    answer = (_, response) => response.writeHead(status, { location: `${base}/elsewhere` }).end();
    expect(await read(0, 10, isMetered)).toBe(code);
    expect(seen.length, 'no redirect is followed').toBe(1);
  });

  test('with another range than was asked for is not believed', async () => {
    for (const range of [`bytes 0-9/${bytes.length}`, 'bytes */10', 'nonsense', undefined]) {
      answer = (_, response) => response.writeHead(206, range === undefined ? {} : { 'content-range': range }).end(bytes.subarray(0, 10));
      expect(await read(20, 10)).toBe('content-unreachable');
    }
  });

  test('that falls silent, breaks off or never answers is a cut', async () => {
    answer = (_, response) => void response.writeHead(200, { 'content-length': String(bytes.length) }).write('0123');
    expect(await read(0, 10)).toBe('0123|cut');
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': String(bytes.length) }).write('01');
      setTimeout(() => response.destroy(), 20);
    };
    expect(await read(0, 10)).toBe('01|cut');
    answer = () => undefined;
    expect(await read(0, 10)).toBe('content-unreachable');
  });

  test('that more comes of than was asked for ends there', async () => {
    answer = (_, response) => response.writeHead(206, { 'content-range': `bytes 0-9/${bytes.length}` }).end(bytes);
    expect(await read(0, 10)).toBe('0123456789');
  });
});

describe('a list of chunks', () => {
  test('is taken when it is one, and no more of it than there can be', async () => {
    answer = (_, response) => response.writeHead(200, { 'content-type': chunkListType }).end('list');
    expect(Buffer.from((await source().chunks?.(digest, 100, never)) ?? []).toString()).toBe('list');
    answer = (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('list');
    expect(await source().chunks?.(digest, 100, never)).toBeUndefined();
    answer = (_, response) => response.writeHead(503).end();
    expect(await source().chunks?.(digest, 100, never)).toBeUndefined();
    answer = (_, response) => response.writeHead(200, { 'content-type': chunkListType }).end(Buffer.alloc(chunkListBytesMax(100) + 1));
    expect(await source().chunks?.(digest, 100, never)).toBeUndefined();
  });
});
