import { afterEach, describe, expect, test } from 'vitest';
import { sha256Of } from '@groundplane/hub/registry/oci-client';
import { emptyConfig, emptyDescriptor, manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { value } from '../hub/world.ts';
import { answer, faultyProxy, type FaultyProxy } from './faulty-proxy.ts';
import { blobOf, clientFor, ref, type Rig } from './rig.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
const proxyTo = async (): Promise<FaultyProxy> => {
  const proxy = await faultyProxy();
  closers.push(() => proxy.close());
  return proxy;
};
const rigFor = (...given: Parameters<typeof clientFor>): Rig => {
  const rig = clientFor(...given);
  closers.push(() => rig.close());
  return rig;
};

const manifest = manifestBytes({ config: emptyDescriptor, layers: [] });
const login = { username: 'anna', password: 'secret' };

describe('mirrors', () => {
  const serving = async (status: number, body: Buffer = manifest): Promise<FaultyProxy> => {
    const proxy = await proxyTo();
    proxy.fault = (_, response) => answer(response, status, status === 200 ? body : '{}', status === 200 ? { 'content-type': mediaTypes.manifest } : {});
    return proxy;
  };

  test('the first one that has it answers; each sees its own path and no password of the registry', async () => {
    const [missing, good, home] = [await serving(404), await serving(200), await serving(200)];
    const rig = rigFor({
      [home.host]: { credentials: login, mirrors: [{ url: `http://${missing.host}/cache/docker` }, { url: `http://${good.host}` }] },
    });
    value(await rig.client.manifest(ref(`${home.host}/x:1`)));
    expect(missing.seen.map((item) => [item.path, item.authorization])).toEqual([['/v2/cache/docker/x/manifests/1', undefined]]);
    expect(good.seen.map((item) => item.path)).toEqual(['/v2/x/manifests/1']);
    expect(home.seen).toEqual([]);
  });

  test('a mirror that lies about a digest is passed over', async () => {
    const [liar, home] = [await serving(200, Buffer.from('{}')), await serving(200)];
    const rig = rigFor({ [home.host]: { mirrors: [{ url: `http://${liar.host}` }] } });
    const found = value(await rig.client.manifest(ref(`${home.host}/x@${sha256Of(manifest)}`)));
    expect(found.bytes).toEqual(manifest);
  });

  test('a mirror that is down is passed over; writing goes to the registry itself', async () => {
    const gone = await faultyProxy();
    await gone.close();
    const home = await serving(200);
    const rig = rigFor({ [home.host]: { mirrors: [{ url: `http://${gone.host}` }] } });
    value(await rig.client.manifest(ref(`${home.host}/x:1`)));
    home.seen.length = 0;
    home.fault = (_, response) => answer(response, 201, '', { 'docker-content-digest': sha256Of(manifest) });
    value(await rig.client.pushManifest(ref(`${home.host}/x:1`), manifest, mediaTypes.manifest));
    expect(home.seen.map((item) => item.method)).toEqual(['PUT']);
  });

  test('the failure that is told is the one of the registry', async () => {
    const [denied, home] = [await serving(403), await serving(404)];
    const rig = rigFor({ [home.host]: { mirrors: [{ url: `http://${denied.host}` }] } });
    const result = await rig.client.manifest(ref(`${home.host}/x:1`));
    expect(result.ok ? '' : `${result.failure.code} ${result.failure.message}`).toContain(`artifact-missing ${home.host}`);
  });
});

test('an upload address that lost its encryption behind a proxy, or leads elsewhere', async () => {
  const thief = await proxyTo();
  thief.fault = (_, response) => answer(response, 201, '');
  const proxy = await proxyTo();
  proxy.fault = (request, response) => {
    if (request.method === 'HEAD') return answer(response, 404, '');
    if (request.headers.authorization === undefined) return answer(response, 401, '{}', { 'www-authenticate': 'Basic' });
    if (request.method === 'POST') return answer(response, 202, '', { location: `http://${thief.host}/upload/1` });
    return answer(response, 201, '');
  };
  const rig = rigFor({ [proxy.host]: { credentials: login } });
  await rig.client.pushBlob(ref(`${proxy.host}/x`), blobOf(emptyConfig));
  expect(thief.seen.every((item) => item.authorization === undefined)).toBe(true);
  expect(thief.seen.length).toBeGreaterThan(0);
});
