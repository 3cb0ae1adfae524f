import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyPatch } from '@groundplane/hub/content/delta';
import { rawRoutes } from '@groundplane/protocol/api/routes';
import { patchBases, patchType } from '@groundplane/protocol/delta';
import { digestBytes } from '@groundplane/protocol/digest';
import { applyCluster, applyProfile, enrolledHost, openHub, until, value, type HubWorld } from '../hub/world.ts';

let hub: HubWorld;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(async () => hub.close());

const asKey = (key: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`host:${key}`).toString('base64')}` });
const push = async (repository: string): Promise<string> => {
  const headers = asKey(hub.admin.key);
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestBytes('{}'), size: 2 },
    layers: [],
  });
  expect((await hub.fetch(`/v2/${repository}/blobs/uploads/?digest=${digestBytes('{}')}`, { method: 'POST', headers, body: '{}' })).status).toBe(201);
  const type = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  expect((await hub.fetch(`/v2/${repository}/manifests/1`, { method: 'PUT', headers: { ...headers, ...type }, body })).status).toBe(201);
  return digestBytes(body);
};

test("a host's session reads what its own project holds, writes nothing, and sees no other project; without its session it is nobody", async () => {
  value(await hub.admin.call('createProject', { body: { name: 'second' } }));
  const mine = await push('default/app');
  const theirs = await push('second/app');
  const host = await enrolledHost(hub, 'one');
  const headers = asKey((await host.line.hear('welcome')).contentToken);
  expect((await hub.fetch('/v2/', { headers })).status).toBe(200);
  expect((await hub.fetch('/v2/default/app/manifests/1', { headers })).status).toBe(200);
  expect((await hub.fetch(`/v2/default/app/manifests/${mine}`, { headers })).status).toBe(200);
  expect((await hub.fetch('/v2/second/app/manifests/1', { headers })).status).toBe(404);
  expect((await hub.fetch(`/v2/second/app/manifests/${theirs}`, { headers })).status).toBe(404);
  expect((await hub.fetch('/v2/never-was/app/manifests/1', { headers })).status).toBe(404);
  for (const [method, path] of [
    ['POST', '/v2/default/app/blobs/uploads/'],
    ['PUT', '/v2/default/app/manifests/2'],
    ['DELETE', '/v2/default/app/manifests/1'],
  ] as const)
    expect((await hub.fetch(path, { method, headers })).status, `${method} ${path}`).toBe(403);
  host.line.hangUp();
  await until(async () => (await hub.fetch('/v2/', { headers })).status === 401, 'the session is over');
});

test('a host gets a patch against the bundle that it had, and against nothing else', async () => {
  const large = (word: string): string => Array.from({ length: 300 }, (_, index) => digestBytes(`${index}`)).join(' ') + word;
  await applyProfile(hub.admin, 'shop', '1.0.0', large('old'));
  await applyProfile(hub.admin, 'shop', '1.1.0', large('new'));
  await applyProfile(hub.admin, 'foreign', '1.0.0', large('foreign'));
  const host = await enrolledHost(hub, 'patched');
  const bundleOf = (name: string, not?: string): Promise<string> =>
    until(
      () => [...hub.core.fleet.clusters()].find((item) => item.name === name && item.bundle !== undefined && item.bundle !== not)?.bundle,
      `${name} has a bundle`,
    );
  await applyCluster(hub.admin, 'foreign', 'foreign', '1.0.0', []);
  await applyCluster(hub.admin, 'store', 'shop', '1.0.0', ['patched']);
  const [first, foreign] = [await bundleOf('store'), await bundleOf('foreign')];
  await applyCluster(hub.admin, 'store', 'shop', '1.1.0', ['patched']);
  const second = await bundleOf('store', first);
  await until(() => hub.core.fleet.host(host.id)?.bundle === second, 'the host was told');
  const [old, next] = [await hub.core.bundler.load(first), await hub.core.bundler.load(second)];
  const [pair] = [...patchBases(old?.bundle ?? { layers: [] }, next?.bundle ?? { layers: [] })];
  const [to, from] = pair ?? ['', ''];
  const token = (await host.line.hear('welcome')).contentToken;
  const get = async (query: string): Promise<Response> =>
    hub.fetch(`${rawRoutes.content.replace('{digest}', to)}${query}`, { headers: { authorization: `Bearer ${token}` } });
  const patch = await get(`?from=${from}&bundle=${first}`);
  expect([patch.status, patch.headers.get('content-type')]).toEqual([200, patchType]);
  const base = (await hub.content.read(from)) ?? Buffer.alloc(0);
  const made = value(await applyPatch(base, Buffer.from(await patch.arrayBuffer()), to as `sha256:${string}`, (await hub.content.size(to)) ?? 0));
  expect(made).toEqual(await hub.content.read(to));
  const other = [...((await hub.core.bundler.load(foreign))?.blobs.keys() ?? [])][0] ?? '';
  const profileBlob = await hub.content.put('{"layers":"x"}');
  for (const query of [
    `?from=${from}`,
    `?from=${other}&bundle=${foreign}`,
    `?from=${other}&bundle=${first}`,
    `?from=${from}&bundle=${from}`,
    `?from=${from}&bundle=${profileBlob}`,
    `?from=${from}&bundle=x`,
  ]) {
    const whole = await get(query);
    expect([query, whole.status, whole.headers.get('content-type')]).toEqual([query, 200, 'application/octet-stream']);
  }
  expect(hub.log).toEqual([]);
});
