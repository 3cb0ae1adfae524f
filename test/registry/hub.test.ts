import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTenant, openHub, value, codeOf, type HubWorld } from '../hub/world.ts';
import { blobOf, clientFor, descriptorOf, noise, pattern, pushArtifact, ref, type Rig } from './rig.ts';
import { registrySuite } from './suite.ts';

interface Listening {
  hub: HubWorld;
  host: string;
  close(): Promise<void>;
}

const listenHub = async (): Promise<Listening> => {
  const hub = await openHub();
  const answer = getRequestListener(hub.app.fetch);
  const server = createServer((request, response) => void answer(request, response));
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  return {
    hub,
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
      await hub.close();
    },
  };
};

registrySuite("client against the hub's own /v2/", async () => {
  const served = await listenHub();
  const rig = clientFor({ [served.host]: { credentials: { username: 'any', password: served.hub.admin.key } } });
  return {
    client: rig.client,
    base: `${served.host}/default/suite`,
    close: async () => {
      rig.close();
      await served.close();
    },
  };
});

describe('who may do what', () => {
  let served: Listening;
  const rigs: Rig[] = [];
  const as = (password: string | undefined): Rig['client'] => {
    const rig = clientFor(password === undefined ? {} : { [served.host]: { credentials: { username: 'x', password } } });
    rigs.push(rig);
    return rig.client;
  };
  const layer = pattern(100, 'rights');
  beforeAll(async () => {
    served = await listenHub();
    await pushArtifact(as(served.hub.admin.key), `${served.host}/default/app:1`, [layer]);
  });
  afterAll(async () => {
    for (const rig of rigs) rig.close();
    await served.close();
  });

  test('nobody reads without a key, and the hub says how to log in', async () => {
    expect(codeOf(await as(undefined).manifest(ref(`${served.host}/default/app:1`)))).toBe('registry-denied');
    expect(codeOf(await as('gpk_wrong').manifest(ref(`${served.host}/default/app:1`)))).toBe('registry-denied');
    const response = await served.hub.fetch('/v2/');
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic/);
  });

  test('a role without the permission is refused; reading is not writing', async () => {
    const viewer = await served.hub.client([{ role: 'Viewer' }]);
    const operator = await served.hub.client([{ role: 'Operator' }]);
    expect(codeOf(await as(viewer.key).manifest(ref(`${served.host}/default/app:1`)))).toBe('registry-denied');
    value(await as(operator.key).manifest(ref(`${served.host}/default/app:1`)));
    expect(codeOf(await as(operator.key).pushBlob(ref(`${served.host}/default/app`), blobOf(noise(10))))).toBe('registry-denied');
  });

  test('another tenant and another project see nothing, not even by digest or mount', async () => {
    const other = await makeTenant(served.hub.store, 'other');
    const stranger = await served.hub.client([{ role: 'TenantAdmin' }], other);
    value(await served.hub.admin.call('createProject', { body: { name: 'second' } }));
    const project = await served.hub.store.byName('project', served.hub.tenant, '', 'second');
    const neighbour = await served.hub.client([{ role: 'ProjectAdmin', project: project?.id }]);
    const { digest } = descriptorOf(layer);
    for (const client of [as(stranger.key), as(neighbour.key)]) {
      expect(codeOf(await client.manifest(ref(`${served.host}/default/app:1`)))).toBe('artifact-missing');
      expect(codeOf(await client.readBlob(ref(`${served.host}/default/app`), descriptorOf(layer), 1_000))).toBe('artifact-missing');
      expect(codeOf(await client.tags(ref(`${served.host}/default/app`)))).toBe('artifact-missing');
    }
    const mine = as(neighbour.key);
    expect(value(await mine.hasBlob(ref(`${served.host}/second/app`), digest))).toBe(false);
    expect(value(await mine.pushBlob(ref(`${served.host}/second/app`), blobOf(layer, 'default/app')))).toEqual({ sent: true });
  });

  test('two repositories whose names begin alike do not see each other', async () => {
    const admin = as(served.hub.admin.key);
    await pushArtifact(admin, `${served.host}/default/app-two:9`, [layer]);
    expect(value(await admin.tags(ref(`${served.host}/default/app`)))).toEqual(['1']);
    expect(value(await admin.tags(ref(`${served.host}/default/app-two`)))).toEqual(['9']);
    expect(codeOf(await admin.tags(ref(`${served.host}/default/ap`)))).toBe('artifact-missing');
  });

  test('bytes never come as a page, whatever their type says', async () => {
    const headers = { authorization: `Bearer ${served.hub.admin.key}` };
    const response = await served.hub.fetch(`/v2/default/app/blobs/${descriptorOf(layer).digest}`, { headers });
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
  });

  test('ranges, HEAD, deletion', async () => {
    const headers = { authorization: `Bearer ${served.hub.admin.key}` };
    const path = `/v2/default/app/blobs/${descriptorOf(layer).digest}`;
    const part = await served.hub.fetch(path, { headers: { ...headers, range: 'bytes=10-19' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(layer.subarray(10, 20));
    expect((await served.hub.fetch(path, { headers: { ...headers, range: 'bytes=100-' } })).status).toBe(416);
    const head = await served.hub.fetch(path, { method: 'HEAD', headers });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '100']);
    await pushArtifact(as(served.hub.admin.key), `${served.host}/default/gone:1`, [layer]);
    expect((await served.hub.fetch('/v2/default/gone/manifests/1', { method: 'DELETE', headers })).status).toBe(202);
    expect((await served.hub.fetch('/v2/default/gone/manifests/1', { headers })).status).toBe(404);
    expect((await served.hub.fetch('/v2/default/gone/manifests/1', { method: 'DELETE', headers })).status).toBe(404);
  });

  test.each([
    '/v2/default/../secret/manifests/1',
    '/v2/default/app/manifests/%2e%2e',
    '/v2/default/app/blobs/sha256:abc',
    '/v2/_catalog',
    '/v2/default/app/manifests/%',
    '/v2/default//tags/list',
    '/v2/default/app/blobs/uploads/..%2f..%2fhub.db',
  ])('%s is no way in', async (path) => {
    const response = await served.hub.fetch(path, { headers: { authorization: `Bearer ${served.hub.admin.key}` } });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
  });

  test('parts out of order are refused, and the upload says how far it is', async () => {
    const headers = { authorization: `Bearer ${served.hub.admin.key}` };
    const begun = await served.hub.fetch('/v2/default/app/blobs/uploads/', { method: 'POST', headers });
    const location = begun.headers.get('location') ?? '';
    const send = (range: string, body: string): Promise<Response> =>
      served.hub.fetch(location, { method: 'PATCH', headers: { ...headers, 'content-range': range }, body });
    expect((await send('0-3', 'abcd')).status).toBe(202);
    const twice = await send('0-3', 'abcd');
    expect([twice.status, twice.headers.get('range')]).toEqual([416, '0-3']);
    expect((await send('10-13', 'abcd')).status).toBe(416);
    expect((await served.hub.fetch(location, { headers })).headers.get('range')).toBe('0-3');
    expect((await served.hub.fetch(location, { method: 'DELETE', headers })).status).toBe(204);
    expect((await send('4-7', 'efgh')).status).toBe(404);
  });
  test('nothing the hub did by itself went wrong', () => expect(served.hub.log).toEqual([]));
});
