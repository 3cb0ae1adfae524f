import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { serve } from '@hono/node-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diskBlobs } from '@groundplane/agent/blobs/disk';
import { hubBlobSource } from '@groundplane/agent/blobs/http-source';
import { createPace } from '@groundplane/agent/blobs/pace';
import type { BlobSource } from '@groundplane/agent/port/blobs';
import { systemClock } from '@groundplane/agent/system/clock';
import type { Bundle } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestOf } from '@groundplane/protocol/digest';
import { packLayer } from '../agent/rig.ts';
import { seededRandom } from '../fake/random.ts';
import { applyCluster, applyProfile, enrolledHost, openHub, until, value, type HubWorld } from './world.ts';

let hub: HubWorld;
let server: Server;
let folder: string;
let base: string;
beforeAll(async () => {
  hub = await openHub();
  folder = mkdtempSync(join(tmpdir(), 'gp-delivery-'));
  const listening = Promise.withResolvers<AddressInfo>();
  server = serve({ fetch: hub.app.fetch, port: 0, hostname: '127.0.0.1' }, listening.resolve) as Server;
  base = `http://127.0.0.1:${(await listening.promise).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

test(
  'a host takes a new image of 24 MB as the chunks that changed, by the token of its session, and nothing that its bundle does not name',
  { timeout: 60_000 },
  async () => {
    const sha = (bytes: Uint8Array): `sha256:${string}` => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const old = Buffer.from(seededRandom('image').bytes(24 * 1024 * 1024));
    const fresh = Buffer.concat([old.subarray(0, 9_000_000), Buffer.from(seededRandom('patch').bytes(80_000)), old.subarray(9_100_000)]);
    const foreign = Buffer.from(seededRandom('foreign').bytes(100_000));
    for (const bytes of [old, fresh, foreign]) value(await hub.content.receive(sha(bytes), Readable.from([bytes]), bytes.length));
    await applyProfile(hub.admin, 'shop', '1.0.0');
    const host = await enrolledHost(hub, 'edge');
    await applyCluster(hub.admin, 'shop', 'shop', '1.0.0', ['edge']);
    const { contentToken } = await host.line.hear('welcome');
    await host.line.hear('desired');
    const bundle: Bundle = {
      schema: 'groundplane.dev/bundle/1',
      engine: 'e',
      profiles: [],
      layers: [packLayer('os', [], { blobs: [old, fresh].map((bytes, index) => ({ digest: sha(bytes), size: bytes.length, name: `root-${index}` })) })],
    };
    await hub.content.put(canonicalJson(bundle));
    const row = await hub.store.get('desired', hub.tenant, host.id);
    if (row === undefined) throw new Error('no desired state');
    value(
      await hub.store.commit([
        {
          op: 'put',
          kind: 'desired',
          tenant: hub.tenant,
          id: host.id,
          project: '',
          name: host.id,
          value: { ...row.value, desired: { ...row.value.desired, bundle: digestOf(bundle) } },
        },
      ]),
    );
    await until(() => hub.core.fleet.host(host.id)?.bundle === digestOf(bundle), 'the hub knows the bundle');

    let came = 0;
    const line = hubBlobSource(base, { token: () => contentToken });
    const counted: BlobSource = {
      ...line,
      read: async (...args) => {
        const opened = await line.read(...args);
        return opened.ok
          ? {
              ok: true,
              value: (async function* () {
                for await (const piece of opened.value) {
                  came += piece.length;
                  yield piece;
                }
              })(),
            }
          : opened;
      },
    };
    const blobs = diskBlobs({
      folder,
      sources: () => [counted],
      pace: createPace({ clock: systemClock, transfer: () => undefined, hubTime: () => undefined }),
      clock: systemClock,
      reserveBytes: 0,
    });
    const never = new AbortController().signal;
    value(await blobs.fetch({ digest: sha(old), sizeBytes: old.length }, never));
    expect(came).toBe(old.length);
    came = 0;
    const path = value(await blobs.fetch({ digest: sha(fresh), sizeBytes: fresh.length, base: sha(old) }, never));
    expect(readFileSync(path).equals(fresh)).toBe(true);
    expect(came).toBeLessThan(fresh.length / 50);
    expect(await blobs.fetch({ digest: sha(foreign), sizeBytes: foreign.length }, never)).toMatchObject({ ok: false, failure: { code: 'content-missing' } });
    host.line.hangUp();
    await until(async () => {
      const late = await blobs.fetch({ digest: sha(foreign), sizeBytes: foreign.length }, never);
      return !late.ok && late.failure.code === 'content-denied';
    }, 'without its session it is nobody');
  },
);
