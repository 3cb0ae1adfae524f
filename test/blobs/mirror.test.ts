import { connect } from 'node:net';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { neighbourToken, startNeighbourDoor } from '@groundplane/agent/blobs/neighbours';
import { blobLimits } from '@groundplane/agent/blobs/limits';
import { parseMirrored } from '@groundplane/agent/registry/names';
import { startMirror } from '@groundplane/agent/registry/serve';
import type { Door } from '@groundplane/agent/system/door';
import { packLayer } from '../agent/rig.ts';
import { virtualClock } from '../fake/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'gp-mirror-'));
const files = new Map<string, string>();
const keep = (text: string): { digest: Digest; size: number } => {
  const digest = digestBytes(text);
  const file = join(folder, digest.slice(7));
  writeFileSync(file, text);
  files.set(digest, file);
  return { digest, size: Buffer.byteLength(text) };
};
const blobs = { path: (digest: string) => Promise.resolve(files.get(digest)), isComing: (digest: string) => digest === coming };
const coming = digestBytes('coming');
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';

const layerBlob = keep('the layer of an image');
const config = keep('{"architecture":"amd64"}');
const manifest = keep(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: [layerBlob] }));
const index = keep(JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, mediaType: manifestType }] }));
const secretFile = keep('a root image that is nobody’s business');
const huge = keep(`{"mediaType":"x"}${' '.repeat(limits.ociManifestBytes)}`);

const names = [layerBlob, config, manifest, index, huge].map((item, at) => ({ ...item, name: `part-${at}` }));
const layer: BundleLayer = packLayer('kubernetes', [], {
  blobs: names,
  oci: [
    { ref: 'registry.k8s.io/pause:3.10', ...index, mediaType: indexType },
    { ref: 'nginx:1.29', ...manifest, mediaType: manifestType },
    { ref: `quay.example:5000/team/app@${manifest.digest}`, ...manifest, mediaType: manifestType },
    { ref: 'NOT A REFERENCE', ...manifest, mediaType: manifestType },
  ],
});
const os: BundleLayer = packLayer('os', [], { blobs: [{ ...secretFile, name: 'root' }] });

let mirror: Door;
let door: Door;
const clock = virtualClock();
const secret = 'x'.repeat(43);
beforeAll(async () => {
  const whole = { path: blobs.path } as never;
  mirror = await startMirror({ blobs: whole, architecture: 'x64', bundles: () => [{ layers: [layer, os] }] }, 0);
  door = await startNeighbourDoor({ clock, blobs, known: () => ({ secret }) }, { port: 0, address: '127.0.0.1' });
});
afterAll(async () => {
  await mirror.close();
  await door.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`http://127.0.0.1:${mirror.port}${path}`, init);
const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code ?? '';

describe('the mirror', () => {
  test('is walked as a container runtime walks it: tag by HEAD, index, manifest, blobs', async () => {
    expect((await get('/v2/')).status).toBe(200);
    const head = await get('/v2/pause/manifests/3.10?ns=registry.k8s.io', { method: 'HEAD' });
    expect([head.status, head.headers.get('docker-content-digest'), head.headers.get('content-type'), head.headers.get('content-length')]).toEqual([
      200,
      index.digest,
      indexType,
      String(index.size),
    ]);
    const found = (await (await get(`/v2/pause/manifests/${index.digest}?ns=registry.k8s.io`)).json()) as { manifests: { digest: string }[] };
    const inner = await get(`/v2/pause/manifests/${found.manifests[0]?.digest ?? ''}?ns=registry.k8s.io`);
    expect([inner.status, inner.headers.get('content-type')]).toEqual([200, manifestType]);
    const blob = await get(`/v2/pause/blobs/${layerBlob.digest}?ns=registry.k8s.io`);
    expect(await blob.text()).toBe('the layer of an image');
  });

  test('knows the short names of Docker Hub, ports, and references by digest', async () => {
    for (const path of [
      '/v2/library/nginx/manifests/1.29?ns=docker.io',
      '/v2/library/nginx/manifests/1.29?ns=registry-1.docker.io',
      '/v2/nginx/manifests/1.29',
      `/v2/team/app/manifests/${manifest.digest}?ns=quay.example:5000`,
    ])
      expect([path, (await get(path)).status]).toEqual([path, 200]);
    expect(((await (await get('/v2/pause/tags/list?ns=registry.k8s.io')).json()) as { tags: string[] }).tags).toEqual(['3.10']);
    expect(parseMirrored({ ref: 'nginx', ...manifest, mediaType: manifestType })).toMatchObject({ name: 'docker.io/library/nginx', tag: 'latest' });
  });

  test('gives ranges', async () => {
    const part = await get(`/v2/pause/blobs/${layerBlob.digest}`, { headers: { range: 'bytes=4-8' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, `bytes 4-8/${layerBlob.size}`, 'layer']);
    expect((await get(`/v2/pause/blobs/${layerBlob.digest}`, { headers: { range: 'bytes=900-' } })).status).toBe(416);
    expect(await (await get(`/v2/pause/blobs/${layerBlob.digest}`, { headers: { range: 'bytes=-5' } })).text()).toBe('image');
  });

  test.each([
    ['/v2/pause/manifests/3.11?ns=registry.k8s.io', 404, 'MANIFEST_UNKNOWN'],
    ['/v2/pause/manifests/3.10?ns=evil.example', 404, 'MANIFEST_UNKNOWN'],
    [`/v2/pause/blobs/${digestBytes('nothing')}`, 404, 'BLOB_UNKNOWN'],
    [`/v2/pause/blobs/${secretFile.digest}`, 404, 'BLOB_UNKNOWN'],
    [`/v2/pause/manifests/${secretFile.digest}`, 404, 'MANIFEST_UNKNOWN'],
    [`/v2/pause/manifests/${huge.digest}`, 404, 'MANIFEST_UNKNOWN'],
    ['/v2/pause/blobs/sha256:../../etc/passwd', 404, 'UNSUPPORTED'],
    ['/v2/pause/blobs/sha256:zz', 400, 'DIGEST_INVALID'],
    ['/v2/Pause/manifests/3.10', 400, 'NAME_INVALID'],
    ['/v2/..%2f..%2fetc/manifests/passwd', 400, 'NAME_INVALID'],
    ['/v2/pause/manifests/3.10?ns=a%0d%0ab', 400, 'NAME_INVALID'],
    [`/v2/pause/manifests/${'a'.repeat(129)}`, 400, 'MANIFEST_INVALID'],
    ['/v2/pause/tags/list?ns=evil.example', 404, 'NAME_UNKNOWN'],
    ['/etc/passwd', 404, 'UNSUPPORTED'],
    ['/v2/%E0%A4%A/manifests/x', 400, 'NAME_INVALID'],
  ])('refuses %s', async (path, status, code) => {
    const answer = await get(path);
    expect([answer.status, await codeOf(answer)]).toEqual([status, code]);
  });

  test('takes nothing', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) expect((await get('/v2/pause/manifests/3.10', { method })).status).toBe(405);
  });
});

/** Sends bytes as they are; answers what came until the other side was silent or gone. */
const raw = (port: number, text: string): Promise<string> => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let said = '';
  const socket = connect(port, '127.0.0.1', () => socket.end(text));
  socket.on('data', (bytes) => (said += bytes.toString('latin1')));
  for (const event of ['close', 'error']) socket.on(event, () => resolve(said));
  socket.setTimeout(2_000, () => socket.destroy());
  return promise;
};

test('a page elsewhere cannot read the mirror by a name that it made up', async () => {
  expect(await raw(mirror.port, 'GET /v2/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')).toContain(' 403 ');
});

describe('the door for neighbours', () => {
  const ask = (digest: string, token: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${door.port}/blobs/${digest}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });

  test('gives a blob to who has its token, and says what is on its way', async () => {
    const given = await ask(secretFile.digest, neighbourToken(secret, secretFile.digest));
    expect([given.status, await given.text()]).toEqual([200, 'a root image that is nobody’s business']);
    expect((await ask(secretFile.digest, neighbourToken(secret, secretFile.digest), { headers: { range: 'bytes=2-5' } })).status).toBe(206);
    const waiting = await ask(coming, neighbourToken(secret, coming));
    expect([waiting.status, waiting.headers.get('retry-after')]).toEqual([503, '10']);
    expect((await ask(digestBytes('no'), neighbourToken(secret, digestBytes('no')))).status).toBe(404);
  });

  test('tells everybody else nothing, and who guesses too often not even that', async () => {
    const right = neighbourToken(secret, secretFile.digest);
    const wrong = [neighbourToken('y'.repeat(43), secretFile.digest), '', 'x', right.slice(1), neighbourToken(secret, manifest.digest)];
    for (const token of wrong) expect((await ask(secretFile.digest, token)).status).toBe(401);
    expect((await ask(digestBytes('no'), 'x')).status, 'what is not here looks the same').toBe(401);
    for (let index = wrong.length + 1; index < blobLimits.doorWrongPerMinute; index += 1) await ask(secretFile.digest, 'x');
    expect((await ask(secretFile.digest, right)).status).toBe(429);
    await clock.advance(60_000);
    expect((await ask(secretFile.digest, right)).status).toBe(200);
  });
});

test('whatever is sent, nothing but what is meant for others comes out, and both doors stay open', { timeout: 60_000 }, async () => {
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'BREW', '');
  const part = fc.oneof(
    fc.constantFrom('/v2/', '/blobs/', '..', '%2e%2e', '%00', 'manifests', 'blobs', 'pause', secretFile.digest, '?ns=', '//', '\\', ' '),
    fc.string({ maxLength: 20 }),
  );
  const header = fc.oneof(
    fc.constantFrom(
      'Host: 127.0.0.1',
      'Host: 127.0.0.1',
      'Range: bytes=0-99999999999999999999',
      'Range: bytes=5-2',
      'Range: bytes=-0',
      'Transfer-Encoding: chunked',
      'Content-Length: 99999999',
      `Authorization: Bearer ${'A'.repeat(43)}`,
    ),
    fc.string({ maxLength: 40 }),
  );
  const request = fc
    .tuple(method, fc.array(part, { maxLength: 6 }), fc.array(header, { maxLength: 4 }))
    .map(([verb, path, headers]) => `${verb} ${path.join('')} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
  await fc.assert(
    fc.asyncProperty(request, fc.boolean(), async (text, isMirror) => {
      const said = await raw(isMirror ? mirror.port : door.port, text);
      expect(said).not.toContain('nobody');
      expect(said).not.toContain('root:x:');
      expect(said).not.toMatch(/^HTTP\/1\.1 5/);
    }),
    { numRuns: 150 },
  );
  expect((await get('/v2/')).status).toBe(200);
  await clock.advance(60_000);
  expect(
    (await fetch(`http://127.0.0.1:${door.port}/blobs/${manifest.digest}`, { headers: { authorization: `Bearer ${neighbourToken(secret, manifest.digest)}` } }))
      .status,
  ).toBe(200);
});
