import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mayCall } from '@groundplane/agent/gateway/calls';
import { openGatewayDoor } from '@groundplane/agent/gateway/door';
import { createSiteGateways, type SiteGateways } from '@groundplane/hub/gateway/site-gateway';
import { systemClock } from '@groundplane/hub/system/clock';
import { gatewayAnswerBytes } from '@groundplane/protocol/site-gateway';

let hub: Server;
let site: Server;
let gateways: SiteGateways;
let door: { close: () => void } | undefined;
const seen: { method: string; path: string; body: string; authorization: string }[] = [];
const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const listen = (server: Server): Promise<void> => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

beforeEach(async () => {
  seen.length = 0;
  site = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      seen.push({ method: request.method ?? '', path: request.url ?? '', body, authorization: request.headers.authorization ?? '' });
      if (request.url === '/large') return response.end(Buffer.alloc(1_500_000, 'x'));
      if (request.url === '/endless') return response.end(Buffer.alloc(gatewayAnswerBytes + 1));
      if (request.url === '/elsewhere') return response.writeHead(302, { location: `http://127.0.0.1:${portOf(hub)}/secret` }).end();
      if (request.url === '/cut') return response.destroy();
      return response.writeHead(201, { 'x-seen': 'yes' }).end(`got ${body}`);
    });
  });
  hub = createServer();
  await Promise.all([listen(site), listen(hub)]);
  gateways = createSiteGateways({ clock: systemClock, hostByToken: (token) => (token === 'right' ? 'hos_1' : undefined) });
  gateways.attach(hub);
});
afterEach(async () => {
  door?.close();
  gateways.close();
  await Promise.all([close(site), close(hub)]);
});

const open = (token = 'right'): void => {
  door = openGatewayDoor({
    hub: `http://127.0.0.1:${portOf(hub)}`,
    caPem: undefined,
    token: () => token,
    allowed: [`127.0.0.1:${portOf(site)}`],
    clock: systemClock,
    log: () => undefined,
  });
};
const ask = (path: string, fields: { port?: number; body?: string; host?: string | undefined } = {}) =>
  gateways.httpThrough(
    'host' in fields ? { id: fields.host, name: 'elsewhere' } : { id: 'hos_1', name: 'inside' },
    {},
  )({
    method: 'POST',
    url: `http://127.0.0.1:${fields.port ?? portOf(site)}${path}`,
    headers: { authorization: 'secret of the site' },
    ...(fields.body === undefined ? {} : { body: fields.body }),
  });
const connected = () => expect.poll(async () => (await ask('/')).ok).toBe(true);

test('calls are made inside the site, whole, with their headers and bodies', async () => {
  open();
  await connected();
  seen.length = 0;
  const answer = await ask('/things?x=1', { body: 'hello' });
  expect(answer).toMatchObject({ ok: true, value: { status: 201, headers: { 'x-seen': 'yes' } } });
  expect(answer.ok && answer.value.body.toString()).toBe('got hello');
  expect(seen).toEqual([{ method: 'POST', path: '/things?x=1', body: 'hello', authorization: 'secret of the site' }]);
  const large = await ask('/large');
  expect(large.ok && large.value.body.length).toBe(1_500_000);
});

test('what whoever runs it did not name is not called, also by a redirect', async () => {
  open();
  await connected();
  expect(await ask('/', { port: portOf(hub) })).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'gateway-refused' } });
  expect(await ask('/elsewhere')).toMatchObject({ ok: true, value: { status: 302 } });
  const allowed = ['10.0.0.1:443', '[fd00::1]:6443'];
  expect(['https://10.0.0.1/x', 'https://[fd00::1]:6443/'].every((url) => mayCall(url, allowed))).toBe(true);
  expect(['http://10.0.0.1/', 'https://10.0.0.1:444/', 'https://10.0.0.1@evil.example/', 'nonsense'].some((url) => mayCall(url, allowed))).toBe(false);
});

test('a site that is away, a cut and an endless answer are told', async () => {
  expect(await ask('/')).toMatchObject({ ok: false, failure: { kind: 'retry', message: expect.stringContaining('is not connected') } });
  open();
  await connected();
  expect(await ask('/cut')).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'cloud-unreachable' } });
  expect(await ask('/endless')).toMatchObject({ ok: false });
  expect(await ask('/', { host: 'hos_2' })).toMatchObject({ ok: false, failure: { message: expect.stringContaining('is not connected') } });
  // By its name, as it stands in the account.
  expect(await ask('/', { host: 'hos_2' })).toMatchObject({ ok: false, failure: { element: 'gateway elsewhere' } });
  expect(await ask('/', { host: undefined })).toMatchObject({ ok: false, failure: { element: 'gateway elsewhere', message: expect.stringContaining('no approved host') } }); // prettier-ignore
  const cut = ask('/large');
  door?.close();
  await cut;
  await expect.poll(async () => (await ask('/')).ok).toBe(false);
});

test('nobody without a session becomes a gateway', async () => {
  open('wrong');
  const refused = await fetch(`http://127.0.0.1:${portOf(hub)}/gateway`, { headers: { connection: 'upgrade', upgrade: 'websocket' } }).catch(() => undefined);
  expect(refused?.ok ?? false).toBe(false);
  expect((await ask('/')).ok).toBe(false);
});
