import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { egressHttp } from '@groundplane/hub/cloud/http';
import { createEgress, type Egress } from '@groundplane/hub/registry/egress';
import { afterEach, beforeEach, expect, test } from 'vitest';

let server: Server;
let egress: Egress;
let ended = 0;
const url = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

beforeEach(async () => {
  ended = 0;
  server = createServer((request, response) => {
    response.on('close', () => (ended += 1));
    if (request.url === '/whole') return void response.end('all of it');
    if (request.url === '/silent') return undefined;
    // A byte now and then, for ever: never idle, never done.
    response.writeHead(200);
    const drip = (): void => void (response.destroyed || response.write('.', () => setTimeout(drip, 10)));
    drip();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  egress = createEgress({ private: 'all' });
});
afterEach(async () => {
  egress.close();
  server.closeAllConnections();
  await new Promise((resolve) => void server.close(resolve));
});

test('an answer that never ends, and one that never begins, are given up after a while', async () => {
  const http = egressHttp(egress, {}, { callMs: 300 });
  const ask = (path: string) => http({ method: 'GET', url: url(path), headers: {} });
  expect(await ask('/whole')).toMatchObject({ ok: true, value: { status: 200 } });
  for (const path of ['/drips', '/silent'])
    expect(await ask(path), path).toMatchObject({
      ok: false,
      failure: { kind: 'retry', code: 'cloud-unreachable', element: expect.stringMatching(/^GET 127/), message: 'its answer was not complete after 0.3 s' },
    });
  // The connections went too.
  await expect.poll(() => ended).toBe(3);
});
