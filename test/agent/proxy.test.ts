import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createPlain, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import type { Duplex } from 'node:stream';
import { join } from 'node:path';
import { hubBlobSource } from '@groundplane/agent/blobs/http-source';
import { httpContent } from '@groundplane/agent/link/content-http';
import { hubAgents, proxyEnvOf, type ProxyEnv } from '@groundplane/agent/link/hub-agents';
import { webSocketLink } from '@groundplane/agent/link/websocket';
import { digestBytes } from '@groundplane/protocol/digest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';

/** A hub that is to be had through a proxy only: its name resolves nowhere, and the proxy knows where it is. */
let hub: Server;
let proxy: Server;
let caPem: string;
const asked: string[] = [];
const tunnels = new Set<Duplex>();
const text = 'what a host should be';
const digest = digestBytes(text);
const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const listen = (server: Server): Promise<void> => new Promise((resolve) => void server.listen(0, '127.0.0.1', resolve));

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-proxy-'));
  const [key, cert] = [join(folder, 'k'), join(folder, 'c')];
  const names = ['-subj', '/CN=hub', '-addext', 'subjectAltName=DNS:hub.invalid,DNS:localhost'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...names, '-keyout', key, '-out', cert],
    {
      stdio: 'ignore',
    },
  );
  caPem = readFileSync(cert, 'utf8');
  hub = createSecure({ key: readFileSync(key), cert: caPem }, (request, response) => {
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    if (range === null) return void response.writeHead(200).end(text);
    const part = text.slice(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(206, { 'content-range': `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${text.length}` }).end(part);
  });
  new WebSocketServer({ server: hub }).on('connection', (socket) => socket.send('hello'));
  proxy = createPlain((_, response) => void response.writeHead(502).end());
  proxy.on('connect', (request, socket) => {
    asked.push(`${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`);
    const through = connect(portOf(hub), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.pipe(socket).pipe(through);
    });
    tunnels.add(socket).add(through);
    for (const end of [socket, through]) end.on('error', () => through.destroy());
  });
  await Promise.all([listen(hub), listen(proxy)]);
  rmSync(folder, { recursive: true });
});
afterAll(async () => {
  for (const end of tunnels) end.destroy();
  for (const server of [proxy, hub]) {
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  }
});

const by = (): ProxyEnv => ({ HTTPS_PROXY: `http://me:pw@127.0.0.1:${portOf(proxy)}` });
const basic = `hub.invalid:443 Basic ${Buffer.from('me:pw').toString('base64')}`;

/** The first frame, or why there was none. */
const firstWord = (url: string, env: () => ProxyEnv): Promise<string> =>
  new Promise((resolve) => {
    const connection = webSocketLink(url, { caPem, proxy: env }).connect({
      onOpen: () => undefined,
      onFrame: (frame) => {
        connection.close();
        resolve(frame);
      },
      onClose: resolve,
    });
  });

test('the link goes through the proxy, with its password, and the proxy sees a name and no more', async () => {
  asked.length = 0;
  expect(await firstWord('wss://hub.invalid/link', by)).toBe('hello');
  expect(asked).toEqual([basic]);
});

test('content too, small and large', async () => {
  asked.length = 0;
  const options = { token: () => 't', caPem, proxy: by };
  expect(await httpContent('https://hub.invalid', options).fetch(digest, text.length)).toEqual({ ok: true, value: text });
  const read = await hubBlobSource('https://hub.invalid', options).read(digest, 5, 6, AbortSignal.timeout(20_000));
  if (!read.ok) throw new Error(read.failure.message);
  const pieces: Uint8Array[] = [];
  for await (const piece of read.value) pieces.push(piece);
  expect(Buffer.concat(pieces).toString()).toBe(text.slice(5, 11));
  expect(asked).toEqual([basic, basic]);
});

test('what is named as an exception is reached directly, and a change counts from the next connection on', async () => {
  asked.length = 0;
  let except = 'localhost';
  const env = (): ProxyEnv => ({ ...by(), NO_PROXY: except });
  const url = `wss://localhost:${portOf(hub)}/link`;
  expect(await firstWord(url, env)).toBe('hello');
  expect(asked).toEqual([]);
  except = '';
  expect(await firstWord(url, env)).toBe('hello');
  expect(asked).toHaveLength(1);
  expect(await firstWord(url, () => ({})), 'no proxy at all').toBe('hello');
  expect(asked).toHaveLength(1);
});

test('a proxy that is not there, or refuses, is told in words', async () => {
  expect(await firstWord('wss://hub.invalid/link', () => ({ HTTPS_PROXY: 'http://127.0.0.1:1' }))).toMatch(/ECONNREFUSED/);
  const refusing = createPlain();
  refusing.on('connect', (_, socket) => void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
  await listen(refusing);
  expect(await firstWord('wss://hub.invalid/link', () => ({ HTTPS_PROXY: `http://127.0.0.1:${portOf(refusing)}` }))).toMatch(/407/);
  await new Promise<void>((resolve) => void refusing.close(() => resolve()));
});

test('an environment that was written for other programs is understood', async () => {
  asked.length = 0;
  const port = portOf(proxy);
  expect(await firstWord('wss://hub.invalid/link', () => ({ HTTPS_PROXY: `127.0.0.1:${port}` }))).toBe('hello');
  expect(asked).toHaveLength(1);
  // A network is an exception; the server's certificate is not for this address, and says that it was asked.
  expect(await firstWord(`wss://127.0.0.1:${portOf(hub)}/link`, () => ({ ...by(), NO_PROXY: '10.0.0.0/8, 127.0.0.0/8' }))).toMatch(/altnames/);
  expect(asked).toHaveLength(1);
  const exceptions = (text: string) => proxyEnvOf({ NO_PROXY: text })['NO_PROXY'];
  expect(exceptions('10.1.2.3/8 192.168.1.77/26,.example 0.0.0.0/0')).toBe(
    '10.0.0.0-10.255.255.255,192.168.1.64-192.168.1.127,.example,0.0.0.0-255.255.255.255',
  );
  expect(exceptions('10.0.0.1/32,10.0.0.1/33,300.0.0.0/8,my-host.example,fd00::/8')).toBe('10.0.0.1-10.0.0.1,10.0.0.1/33,300.0.0.0/8,my-host.example,fd00::/8');
});

test('what is no proxy stops no agent', () => {
  for (const text of ['http://me:50%@proxy.example:3128', 'http://me:%ff@proxy.example:3128', 'socks5://127.0.0.1:1', ':', 'not a url'])
    expect(hubAgents({ proxy: () => ({ HTTPS_PROXY: text }) })(), text).toBeDefined();
});
