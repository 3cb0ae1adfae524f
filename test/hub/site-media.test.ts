import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  cpSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '@groundplane/agent/engine';
import { verifySignature } from '@groundplane/agent/identity/key';
import { createOutbox } from '@groundplane/agent/link/outbox';
import { carriedBundle } from '@groundplane/agent/media/carried';
import { importMedium, type MediaDeps } from '@groundplane/agent/media/import';
import { createImporter } from '@groundplane/agent/media/job';
import { createUploads } from '@groundplane/agent/media/upload';
import { makeReceipt, writeReceipt } from '@groundplane/agent/media/receipt';
import { writes } from '@groundplane/agent/store/state';
import { heldBySite } from '@groundplane/hub/cli/commands/media-receipts';
import { mediaBlobs, withoutHeld } from '@groundplane/hub/media/document';
import { inspectMedia } from '@groundplane/hub/media/read';
import { layoutStore } from '@groundplane/hub/media/layout-store';
import { writeMedia } from '@groundplane/hub/media/write';
import { mediaTypes, manifestBytes, emptyDescriptor } from '@groundplane/hub/registry/oci-manifest';
import { rawRoutes } from '@groundplane/protocol/api/routes';
import { fail, ok } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { signedReceiptSchema, type SignedReceipt } from '@groundplane/protocol/media';
import { capabilities } from '@groundplane/protocol/messages';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { fakeBlobs, type FakeBlobs } from '../fake/blobs.ts';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeHost } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';
import { Readable } from 'node:stream';
import { applyCluster, applyProfile, codeOf, greet, makeDevice, makeTicket, openHub, until, value, type Device, type HubWorld, type Line } from './world.ts';

let hub: HubWorld;
let folder: string;
let host: { device: Device; line: Line; id: string };
const image = Buffer.from('layer of an image');
const config = Buffer.from('{}');
const sha = (bytes: Uint8Array): `sha256:${string}` => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const imageManifest = manifestBytes({
  config: emptyDescriptor,
  layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha(image), size: image.length }],
});

/** A medium for the cluster, as gp writes it. */
const exportTo = async (name: string): Promise<string> => {
  const target = join(folder, name);
  const document = value(await hub.admin.call('clusterMedia', { params: { project: 'default', name: 'remote' } }));
  const withImage = { ...document, images: [{ reference: 'registry.example/web:1' }] };
  value(
    await writeMedia(target, layoutStore(target), withImage, {
      blob: async ({ digest }) => {
        const answer = await hub.fetch(`/api/v1/content/${digest}?project=default&cluster=remote`, { headers: { authorization: `Bearer ${hub.admin.key}` } });
        return answer.ok ? ok(Readable.from([Buffer.from(await answer.arrayBuffer())])) : fail('fatal', 'not-readable', digest, String(answer.status));
      },
      image: async (_, store) => {
        for (const bytes of [config, image, imageManifest]) await store.put(bytes);
        return ok({ mediaType: mediaTypes.manifest, digest: sha(imageManifest), size: imageManifest.length });
      },
      progress: () => Promise.resolve(),
    }),
  );
  return target;
};

beforeAll(async () => {
  hub = await openHub();
  folder = mkdtempSync(join(tmpdir(), 'gp-site-media-'));
  await applyProfile(hub.admin, 'shop', '1.0.0');
  await applyProfile(hub.admin, 'shop', '1.1.0');
  const device = makeDevice(await makeTicket(hub.admin, { autoApprove: true }));
  const line = await greet(hub, device, { name: 'remote', capabilities: [...capabilities] });
  host = { device, line, id: (await line.hear('welcome')).host };
  await applyCluster(hub.admin, 'remote', 'shop', '1.0.0', ['remote']);
  await line.hear('desired');
  line.hangUp();
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Site {
  engine: Engine;
  store: ReturnType<typeof fakeAgentStore>;
  blobs: FakeBlobs;
  clock: ReturnType<typeof virtualClock>;
  cluster: ReturnType<typeof fakeCluster>;
  deps: MediaDeps;
  stop: () => Promise<void>;
}

/** The host at its place, without a line. */
const startSite = (known = true): Site => {
  const clock = virtualClock({ wallStartMs: 0 });
  const store = fakeAgentStore();
  const cluster = fakeCluster({ clock });
  cluster.controllers({ readyMs: 100 });
  const blobs = fakeBlobs(new Map());
  const engine = createEngine({
    store,
    host: fakeHost(),
    blobs,
    architecture: 'x64',
    openCluster: () => Promise.resolve(ok(cluster)),
    content: { fetch: (digest) => Promise.resolve(fail('retry', 'content-unreachable', digest, 'there is no line')) },
    clock,
    random: seededRandom('site'),
    outbox: createOutbox(store),
    onNews: () => undefined,
  });
  if (known) store.commit([writes.kv('host', { host: host.id, tenant: hub.tenant, epoch: hub.epoch })]);
  const stop = new AbortController();
  const running = engine.run(stop.signal);
  return {
    engine,
    store,
    blobs,
    clock,
    cluster,
    deps: { engine, blobs, architecture: 'x64', ticket: { root: hub.keys.rootDigest, hub: hub.keys.hub }, verify: verifySignature },
    stop: async () => {
      stop.abort();
      await clock.advance(60_000);
      await running;
    },
  };
};

describe('a site without a line', () => {
  test('takes everything from a medium in 1970, reports by it, and is believed once', async () => {
    const medium = await exportTo('first');
    const site = startSite();
    const taken = value(await importMedium(site.deps, medium));
    expect(taken).toMatchObject({ acceptance: { accept: 'new' }, generation: 1, images: 1 });
    await site.clock.advance(30_000);
    expect(site.engine.status()).toMatchObject({ phase: 'converged', committed: { generation: 1 } });
    expect(site.cluster.objects().some((object) => object.kind === 'ConfigMap' && object.metadata.name === 'shop')).toBe(true);
    expect(carriedBundle(site.engine.state)[0]?.layers[0]?.oci?.[0]).toMatchObject({ ref: 'registry.example/web:1', digest: sha(imageManifest) });
    await site.clock.advance(3 * 3_600_000);
    expect(site.blobs.held.has(sha(image)), 'what a medium brought is kept').toBe(true);
    expect(value(await importMedium(site.deps, medium))).toMatchObject({ acceptance: { accept: 'same' }, blobs: 0 });

    const receipt = value(makeReceipt({ engine: site.engine, store: site.store, key: host.device.key, hub: hub.keys.hub, clock: site.clock }, taken.index));
    const file = value(await writeReceipt(medium, receipt));
    const read = signedReceiptSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    expect(read.receipt.digests.length).toBeGreaterThan(1);
    const params = { project: 'default' };
    expect(value(await hub.admin.call('importReceipt', { params, body: read }))).toMatchObject({
      host: 'remote',
      seq: 1,
      state: 'taken',
      events: read.receipt.events.length,
    });
    await until(() => hub.core.fleet.host(host.id)?.phase === 'converged', 'the hub knows');
    const carried = { seq: 1, atMs: read.receipt.atMs, generation: 1 };
    expect(value(await hub.admin.call('listReceipts', { params })).items).toMatchObject([
      { host: 'remote', cluster: 'remote', generationWanted: 1, ...carried },
    ]);
    expect(value(await hub.admin.call('getHost', { params: { ...params, name: 'remote' } })).carried).toMatchObject(carried);
    expect(value(await hub.admin.call('importReceipt', { params, body: read }))).toMatchObject({ state: 'known', events: 0 });
    const held = value(await heldBySite(medium));
    const document = value(await hub.admin.call('clusterMedia', { params: { project: 'default', name: 'remote' } }));
    const changes = mediaBlobs(withoutHeld(document, held));
    expect(
      [changes.size < mediaBlobs(document).size, changes.has(document.items.find((item) => item.kind === 'desired')?.digest ?? '')],
      'the next medium carries what is new',
    ).toEqual([true, true]);
    const forged: SignedReceipt = { ...read, receipt: { ...read.receipt, seq: 2 } };
    expect(codeOf(await hub.admin.call('importReceipt', { params, body: forged }))).toBe('receipt-untrusted');
    expect(codeOf(await hub.admin.call('importReceipt', { params, body: { ...forged, receipt: { ...forged.receipt, hub: 'other' } } }))).toBe(
      'receipt-foreign',
    );
    await site.stop();
  });

  test('takes a medium that a browser downloaded, which is what gp writes too', async () => {
    const path = rawRoutes.mediaExport.replace('{project}', 'default').replace('{name}', 'remote');
    const bearer = { authorization: `Bearer ${hub.admin.key}` };
    const answer = await hub.fetch(path, { headers: bearer });
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition')]).toEqual([
      200,
      'application/x-tar',
      'attachment; filename="default-remote.tar"',
    ]);
    const file = join(folder, 'downloaded.tar');
    writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
    const found = value(await inspectMedia(file, undefined));
    const document = value(await hub.admin.call('clusterMedia', { params: { project: 'default', name: 'remote' } }));
    expect([found.document?.subject, found.missing, found.unnamed]).toEqual([document.subject, [], []]);
    const unpacked = join(folder, 'unpacked');
    mkdirSync(unpacked);
    execFileSync('tar', ['-xf', file, '-C', unpacked]);
    const site = startSite();
    expect(value(await importMedium(site.deps, unpacked))).toMatchObject({ acceptance: { accept: 'new' } });
    await site.stop();

    const other = startSite();
    const importer = createImporter({
      media: other.deps,
      receipt: { engine: other.engine, store: other.store, key: host.device.key, hub: hub.keys.hub, clock: other.clock },
    });
    const place = join(folder, 'upload');
    const full = createUploads({ folder: place, importer, bounds: { freeBytes: () => Promise.resolve(limits.uploadReserveBytes) } });
    expect(codeOf(await full.take(createReadStream(file)))).toBe('disk-full');
    value(await createUploads({ folder: place, importer }).take(createReadStream(file)));
    const end = await until(() => (importer.status().state === 'running' ? undefined : importer.status()), 'the import ends', 20_000);
    expect(end).toMatchObject({ state: 'done', result: { acceptance: { accept: 'new' }, generation: 1 } });
    await until(() => !existsSync(join(place, 'blobs')), 'its blobs are gone');
    expect(readdirSync(join(place, 'receipts')), 'its receipt is there').toHaveLength(1);
    await other.stop();

    expect((await hub.fetch(path)).status).toBe(401);
    expect((await hub.fetch(path.replace('remote', 'nothing'), { headers: bearer })).status).toBe(404);
    expect((await hub.fetch(path.replace('remote', 'No%20name'), { headers: bearer })).status).toBe(400);
    const viewer = await hub.client([{ role: 'Viewer' }]);
    expect((await hub.fetch(path, { headers: { authorization: `Bearer ${viewer.key}` } })).status).toBe(403);
    const stranger = await hub.client([{ role: 'TenantAdmin', project: 'prj_00000000000000000000' }]);
    expect((await hub.fetch(path, { headers: { authorization: `Bearer ${stranger.key}` } })).status).toBe(404);
    const head = await hub.fetch(path, { method: 'HEAD', headers: bearer });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('downloads that were given up make room for others, and too many at once are told to come later', async () => {
    const path = rawRoutes.mediaExport.replace('{project}', 'default').replace('{name}', 'remote');
    const open = () => hub.fetch(path, { headers: { authorization: `Bearer ${hub.admin.key}` } });
    const held = await Promise.all([open(), open(), open(), open()]);
    expect(held.map((answer) => answer.status)).toEqual([200, 200, 200, 200]);
    expect((await open()).status).toBe(503);
    for (const answer of held) await answer.body?.cancel();
    await until(async () => {
      const again = await open();
      await again.body?.cancel();
      return again.status === 200;
    }, 'there is room again');
  });

  test('takes a newer medium over an older one and never the other way round', async () => {
    const old = await exportTo('old');
    await applyCluster(hub.admin, 'remote', 'shop', '1.1.0', ['remote']);
    await until(async () => (await hub.store.get('desired', hub.tenant, host.id))?.value.version.generation === 2, 'the second generation');
    const next = await exportTo('next');
    const site = startSite();
    value(await importMedium(site.deps, next));
    await site.clock.advance(30_000);
    expect(site.engine.status()).toMatchObject({ phase: 'converged', committed: { generation: 2 } });
    expect(value(await importMedium(site.deps, old))).toMatchObject({ acceptance: { accept: 'stale' } });
    await site.clock.advance(30_000);
    expect(site.engine.status()).toMatchObject({ committed: { generation: 2 } });
    await site.stop();
  });

  const indexOf = (medium: string): { manifests: { digest: string }[] } =>
    JSON.parse(readFileSync(join(medium, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  const blobFile = (medium: string, digest: string): string => join(medium, 'blobs', 'sha256', digest.slice(7));
  const desiredDigest = (medium: string): string => {
    const manifest = JSON.parse(readFileSync(blobFile(medium, indexOf(medium).manifests[0]?.digest ?? ''), 'utf8')) as { config: { digest: string } };
    const document = JSON.parse(readFileSync(blobFile(medium, manifest.config.digest), 'utf8')) as { items: { kind: string; digest: string }[] };
    return document.items.find((item) => item.kind === 'desired')?.digest ?? '';
  };

  test.each([
    ['that is no medium', (medium: string) => unlinkSync(join(medium, 'index.json')), 'media-invalid'],
    [
      'whose index is a link to a secret',
      (medium: string) => {
        unlinkSync(join(medium, 'index.json'));
        symlinkSync('/etc/passwd', join(medium, 'index.json'));
      },
      'media-invalid',
    ],
    [
      'whose desired states were changed',
      (medium: string) => {
        const file = blobFile(medium, desiredDigest(medium));
        writeFileSync(file, readFileSync(file, 'utf8').replace('"generation":', '"generation":1'));
      },
      'media-invalid',
    ],
    ['whose desired states are missing', (medium: string) => unlinkSync(blobFile(medium, desiredDigest(medium))), 'media-incomplete'],
    ['whose image has other bytes', (medium: string) => writeFileSync(blobFile(medium, sha(image)), 'Layer of an image'), 'content-wrong'],
  ])('takes nothing from one %s', async (name, spoil, code) => {
    const medium = join(folder, `spoilt ${name}`);
    cpSync(await exportTo('whole'), medium, { recursive: true });
    spoil(medium);
    const site = startSite();
    expect(codeOf(await importMedium(site.deps, medium))).toBe(code);
    await site.clock.advance(10_000);
    expect(site.engine.status().phase).toBe('idle');
    await site.stop();
  });

  test('takes none of another hub, none for other hosts, and none before it was let in', async () => {
    const medium = await exportTo('mine');
    const site = startSite();
    expect(codeOf(await importMedium({ ...site.deps, ticket: { root: sha(Buffer.from('other')), hub: 'hub-test' } }, medium))).toBe('media-untrusted');
    site.store.commit([writes.kv('host', { host: 'hos_00000000000000000009', tenant: hub.tenant, epoch: hub.epoch })]);
    expect(codeOf(await importMedium(site.deps, medium))).toBe('media-foreign');
    await site.stop();
    const stranger = startSite(false);
    expect(codeOf(await importMedium(stranger.deps, medium))).toBe('host-unknown');
    await stranger.stop();
    expect(existsSync(join(medium, 'index.json'))).toBe(true);
    expect(readdirSync(medium)).not.toContain('receipts');
  });
});
