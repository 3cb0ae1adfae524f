import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Digest } from '@groundplane/protocol/digest';
import { diskBlobs, type DiskBlobs } from '@groundplane/agent/blobs/disk';
import { createNeighbourSources, startNeighbourDoor, type KnownNeighbours } from '@groundplane/agent/blobs/neighbours';
import { createPace } from '@groundplane/agent/blobs/pace';
import type { Door } from '@groundplane/agent/system/door';
import { seededRandom } from '../fake/random.ts';
import { quickClock, scriptedSource } from './rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'gp-site-'));
const open: Door[] = [];
afterEach(async () => {
  for (const door of open.splice(0)) await door.close();
  rmSync(folder, { recursive: true, force: true });
});

const never = new AbortController().signal;
const secret = 's'.repeat(43);

/** Some hosts of one cluster, with real doors, over one hub. */
const site = async (count: number, has: Map<string, Buffer>) => {
  const clock = quickClock();
  const hub = scriptedSource('the hub', true, has);
  const ids = Array.from({ length: count }, (_, index) => `hos_${String(index).padStart(20, '0')}`);
  const ports: number[] = [];
  const known = (self: number): KnownNeighbours => ({
    cluster: 'clu_00000000000000000000',
    secret,
    hosts: ids.flatMap((host, index) => (index === self || ports[index] === undefined ? [] : [{ host, addresses: ['127.0.0.1'], port: ports[index] }])),
  });
  const hosts: DiskBlobs[] = [];
  for (const [index, id] of ids.entries()) {
    const neighbours = createNeighbourSources({ clock, known: () => known(index), self: () => id });
    const blobs = diskBlobs({
      folder: join(folder, id),
      sources: (digest) => [...neighbours(digest), hub],
      pace: createPace({ clock, transfer: () => undefined, hubTime: () => undefined }),
      clock,
      reserveBytes: 0,
    });
    const door = await startNeighbourDoor({ clock, blobs, known: () => ({ secret }) }, { port: 0, address: '127.0.0.1' });
    open.push(door);
    ports.push(door.port);
    hosts.push(blobs);
  }
  return { hosts, hub, clock };
};

test('a site of five brings each blob over the line once, and nobody waits for ever', { timeout: 60_000 }, async () => {
  const blobs = Array.from({ length: 6 }, (_, index) => Buffer.from(seededRandom(`blob ${index}`).bytes(300_000)));
  const digestOf = (bytes: Buffer): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const { hosts, hub } = await site(5, new Map(blobs.map((bytes) => [digestOf(bytes), bytes])));
  const bring = async (host: DiskBlobs, bytes: Buffer): Promise<void> => {
    for (let turn = 0; turn < 200; turn += 1) {
      const fetched = await host.fetch({ digest: digestOf(bytes), sizeBytes: bytes.length }, never);
      if (fetched.ok) return;
      expect(fetched.failure.code).toBe('content-coming');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('it never came');
  };
  await Promise.all(
    hosts.map(async (host) => {
      for (const bytes of blobs) await bring(host, bytes);
    }),
  );
  const sent = hub.asked.reduce((sum, item) => sum + item.size, 0);
  expect(sent).toBe(blobs.reduce((sum, bytes) => sum + bytes.length, 0));
});

test('a neighbour that never brings what it should is waited for only so long', async () => {
  const bytes = Buffer.from(seededRandom('x').bytes(10_000));
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const { hosts, clock } = await site(3, new Map([[digest, bytes]]));
  const outcomes = await Promise.all(hosts.map((host) => host.fetch({ digest, sizeBytes: bytes.length }, never)));
  expect(
    outcomes.some((outcome) => outcome.ok),
    JSON.stringify(outcomes),
  ).toBe(true);
  for (const host of hosts) await host.keep(new Set());
  clock.passMs(3_600_000);
  for (const host of hosts) await host.keep(new Set());
  const late = await Promise.all(hosts.map((host) => host.fetch({ digest, sizeBytes: bytes.length }, never)));
  expect(late.filter((outcome) => outcome.ok).length).toBeGreaterThan(0);
});
