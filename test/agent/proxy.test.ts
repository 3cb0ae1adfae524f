import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { httpContent } from '@groundplane/agent/link/content-http';
import { webSocketLink } from '@groundplane/agent/link/websocket';
import { digestBytes } from '@groundplane/protocol/digest';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';

/** A hub that is reached through a proxy only: its name means nothing here. */
let hub: Server;
let proxy: Server;
const asked: string[] = [];
const text = 'content';
const before = { ...process.env };
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

beforeEach(async () => {
  asked.length = 0;
  hub = createServer((_request, response) => response.end(text));
  new WebSocketServer({ server: hub }).on('connection', (socket) => socket.send('hello'));
  proxy = createServer((request, response) => {
    // Absolute form, RFC 9112 section 3.2.2.
    asked.push(request.url ?? '');
    response.end(text);
  });
  proxy.on('connect', (request, socket, head) => {
    asked.push(request.url ?? '');
    const on = connect(portOf(hub), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      on.write(head);
      on.pipe(socket).pipe(on);
    });
    for (const end of [on, socket]) end.on('error', () => undefined);
  });
  for (const server of [hub, proxy]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) process.env[name] = `http://127.0.0.1:${portOf(proxy)}`;
  process.env['NO_PROXY'] = 'other.invalid';
});
afterEach(async () => {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'NODE_USE_ENV_PROXY']) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  for (const server of [hub, proxy]) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

const fetched = async (): Promise<boolean> => (await httpContent('http://hub.invalid', { token: () => 't' }).fetch(digestBytes(text), text.length)).ok;
const greeted = (url: string): Promise<string> =>
  new Promise((done) => {
    const line = webSocketLink(url, {}).connect({
      onOpen: () => undefined,
      onFrame: (frame) => {
        done(frame);
        line.close();
      },
      onClose: done,
    });
  });

test('where proxies are switched on, the link and content go through them', async () => {
  process.env['NODE_USE_ENV_PROXY'] = '1';
  expect(await fetched()).toBe(true);
  expect(asked.join(' ')).toContain('hub.invalid');
  asked.length = 0;
  // The proxy opens the way; what speaks there is no TLS, so that it ends.
  expect(await greeted('wss://hub.invalid/link')).not.toBe('hello');
  expect(asked).toEqual(['hub.invalid:443']);
  asked.length = 0;
  expect(await greeted(`ws://127.0.0.1:${portOf(hub)}/link`)).toBe('hello');
  expect(asked).toEqual([]);
});

test('elsewhere the variables mean nothing: on hosts they are for the container runtime', async () => {
  expect(await fetched()).toBe(false);
  expect(await greeted('wss://hub.invalid/link')).not.toBe('hello');
  expect(asked).toEqual([]);
});
