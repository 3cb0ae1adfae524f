import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chunksOf } from '@groundplane/protocol/chunk/cut';
import { writeChunkList } from '@groundplane/protocol/chunk/list';
import type { Digest } from '@groundplane/protocol/digest';
import { fail } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { blobLimits } from '@groundplane/agent/blobs/limits';
import { seededRandom } from '../fake/random.ts';
import { diskRig, scriptedSource } from './rig.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gp-disk-blobs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const never = new AbortController().signal;
const sha = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const noise = (size: number, seed = 'blob'): Buffer => Buffer.from(seededRandom(seed).bytes(size));
const partials = (): string[] => (existsSync(join(folder, 'blobs', 'partial')) ? readdirSync(join(folder, 'blobs', 'partial')) : []);

describe('a transfer that is cut', () => {
  test('goes on where it stopped, over cuts and over a restart', async () => {
    const rig = diskRig(folder);
    const bytes = noise(1_000_000);
    rig.origin.set(sha(bytes), bytes);
    rig.hub.cutAfter = 300_000;
    const stop = new AbortController();
    rig.hub.onPiece = (at) => {
      if (at >= 600_000) stop.abort();
    };
    const request = { digest: sha(bytes), sizeBytes: bytes.length };
    expect(await rig.open().fetch(request, stop.signal)).toMatchObject({ ok: false, failure: { code: 'superseded' } });
    rig.hub.onPiece = () => undefined;
    const before = rig.hub.asked.length;
    const fetched = await rig.open().fetch(request, never);
    expect(fetched.ok && readFileSync(fetched.value).equals(bytes)).toBe(true);
    expect(rig.hub.asked[before]?.offset, 'what was here before is not asked for again').toBeGreaterThan(550_000);
    expect(partials()).toEqual([]);
  });

  test('and whose tail a power cut turned into zeroes begins behind what was made durable', async () => {
    const rig = diskRig(folder);
    const bytes = noise(900_000);
    const request = { digest: sha(bytes), sizeBytes: bytes.length };
    rig.origin.set(request.digest, bytes);
    const stop = new AbortController();
    rig.hub.onPiece = (at) => (at >= 500_000 ? stop.abort() : undefined);
    await rig.open().fetch(request, stop.signal);
    rig.hub.onPiece = () => undefined;
    const file = join(folder, 'blobs', 'partial', request.digest.slice(7));
    const mark = Number(readFileSync(`${file}.at`, 'utf8'));
    truncateSync(file, mark + 200_000);
    const fetched = await rig.open().fetch(request, never);
    expect(fetched.ok).toBe(true);
    expect(rig.hub.asked.at(-1)?.offset).toBe(mark);
  });

  test('and whose mark lies is found out by the digest and begun anew', async () => {
    const rig = diskRig(folder);
    const bytes = noise(400_000);
    const request = { digest: sha(bytes), sizeBytes: bytes.length };
    rig.origin.set(request.digest, bytes);
    rig.hub.failure = fail('retry', 'content-unreachable', 'x', 'down').failure;
    await rig.open().fetch(request, never);
    const file = join(folder, 'blobs', 'partial', request.digest.slice(7));
    writeFileSync(file, Buffer.alloc(200_000));
    writeFileSync(`${file}.at`, '200000');
    rig.hub.failure = undefined;
    const fetched = await rig.open().fetch(request, never);
    expect(fetched.ok && readFileSync(fetched.value).equals(bytes)).toBe(true);
  });

  test('without ever bringing anything is given up after a few tries, and the next source is asked', async () => {
    const bytes = noise(100_000);
    const near = scriptedSource('neighbour', false, new Map([[sha(bytes), bytes]]));
    near.cutAfter = 0;
    const far = scriptedSource('the hub', true, new Map([[sha(bytes), bytes]]));
    const rig = diskRig(folder, { sources: [near, far] });
    expect((await rig.open().fetch({ digest: sha(bytes), sizeBytes: bytes.length }, never)).ok).toBe(true);
    expect(near.asked.length).toBe(blobLimits.cutsMax);
    expect(far.asked).toEqual([{ offset: 0, size: bytes.length }]);
  });
});

describe('sources', () => {
  test('are asked nearest first, and what one began another ends', async () => {
    const bytes = noise(500_000);
    const near = scriptedSource('neighbour', false, new Map([[sha(bytes), bytes]]));
    const far = scriptedSource('the hub', true, new Map([[sha(bytes), bytes]]));
    near.onPiece = (at) => {
      if (at >= 250_000) near.has.clear();
      if (at >= 250_000) throw new Error('it went away');
    };
    const rig = diskRig(folder, { sources: [near, far] });
    const fetched = await rig.open().fetch({ digest: sha(bytes), sizeBytes: bytes.length }, never);
    expect(fetched.ok && readFileSync(fetched.value).equals(bytes)).toBe(true);
    expect(far.asked[0]?.offset).toBeGreaterThanOrEqual(250_000);
  });

  test('that give wrong bytes are found out, left, and not asked again for an hour', async () => {
    const bytes = noise(200_000);
    const liar = scriptedSource('neighbour', false, new Map([[sha(bytes), noise(200_000, 'lies')]]));
    const far = scriptedSource('the hub', true, new Map([[sha(bytes), bytes]]));
    const rig = diskRig(folder, { sources: [liar, far] });
    const blobs = rig.open();
    const request = { digest: sha(bytes), sizeBytes: bytes.length };
    const fetched = await blobs.fetch(request, never);
    expect(fetched.ok && readFileSync(fetched.value).equals(bytes)).toBe(true);
    rmSync(fetched.ok ? fetched.value : '');
    const before = liar.asked.length;
    await blobs.fetch(request, never);
    expect(liar.asked.length).toBe(before);
    rmSync(fetched.ok ? fetched.value : '');
    rig.age();
    await blobs.fetch(request, never);
    expect(liar.asked.length).toBeGreaterThan(before);
  });

  test('that mix a lie into the truth of others do not stop it', async () => {
    const bytes = noise(400_000);
    const digest = sha(bytes);
    const liar = scriptedSource('neighbour', false, new Map([[digest, Buffer.concat([noise(200_000, 'lies'), bytes.subarray(200_000)])]]));
    liar.cutAfter = 150_000;
    let answers = 0;
    const read = liar.read.bind(liar);
    liar.read = (...args) => ((answers += 1) > 1 && answers < 8 ? Promise.resolve(fail('retry', 'content-unreachable', 'x', 'gone')) : read(...args));
    const far = scriptedSource('the hub', true, new Map([[digest, bytes]]));
    const rig = diskRig(folder, { sources: [liar, far] });
    const fetched = await rig.open().fetch({ digest, sizeBytes: bytes.length }, never);
    expect(fetched.ok && readFileSync(fetched.value).equals(bytes)).toBe(true);
  });

  test('that give more than was announced are stopped', async () => {
    const bytes = noise(100_000);
    const chatty = scriptedSource('neighbour', false);
    chatty.read = () =>
      Promise.resolve({
        ok: true,
        value: (async function* () {
          for (;;) yield Buffer.alloc(64 * 1024);
        })(),
      });
    const rig = diskRig(folder, { sources: [chatty] });
    expect(await rig.open().fetch({ digest: sha(bytes), sizeBytes: bytes.length }, never)).toMatchObject({ ok: false });
    expect(partials().reduce((sum, name) => sum + statSync(join(folder, 'blobs', 'partial', name)).size, 0)).toBeLessThanOrEqual(bytes.length);
  });
});

describe('an older blob of the same thing', () => {
  const lists = async (bytes: Buffer): Promise<Uint8Array> => {
    const chunks = [];
    const source = (async function* () {
      yield bytes;
    })();
    const makeHasher = () => {
      const hash = createHash('sha256');
      return { update: (piece: Uint8Array) => void hash.update(piece), hex: () => hash.digest('hex') };
    };
    for await (const chunk of chunksOf(source, makeHasher)) chunks.push(chunk);
    return writeChunkList(chunks);
  };

  const setUp = async () => {
    const old = noise(20 * 1024 * 1024);
    const fresh = Buffer.concat([old.subarray(0, 7_000_000), noise(100_000, 'inserted'), old.subarray(7_000_000)]);
    const rig = diskRig(folder);
    rig.origin.set(sha(old), old);
    rig.origin.set(sha(fresh), fresh);
    const list = await lists(fresh);
    rig.hub.chunks = () => Promise.resolve(list);
    const blobs = rig.open();
    await blobs.fetch({ digest: sha(old), sizeBytes: old.length }, never);
    rig.hub.asked.length = 0;
    return { rig, blobs, old, fresh, list };
  };
  const request = (fresh: Buffer, old: Buffer) => ({ digest: sha(fresh), sizeBytes: fresh.length, base: sha(old) });

  test('saves all but what changed', async () => {
    const { rig, blobs, old, fresh } = await setUp();
    const fetched = await blobs.fetch(request(fresh, old), never);
    expect(fetched.ok && readFileSync(fetched.value).equals(fresh)).toBe(true);
    expect(rig.hub.asked.reduce((sum, item) => sum + item.size, 0)).toBeLessThan(500_000);
    expect(partials()).toEqual([]);
  });

  test('that is gone, or a list that lies, costs the whole and nothing else', async () => {
    const { rig, blobs, old, fresh, list } = await setUp();
    const wrong = Buffer.from(list);
    wrong.set([1, 2, 3], 40);
    rig.hub.chunks = () => Promise.resolve(wrong);
    const fetched = await blobs.fetch(request(fresh, old), never);
    expect(fetched.ok && readFileSync(fetched.value).equals(fresh)).toBe(true);
  });

  test('goes on after a cut', async () => {
    const { rig, blobs, old, fresh } = await setUp();
    const stop = new AbortController();
    rig.hub.onPiece = () => stop.abort();
    expect(await blobs.fetch(request(fresh, old), stop.signal)).toMatchObject({ ok: false, failure: { code: 'superseded' } });
    rig.hub.onPiece = () => undefined;
    expect((await rig.open().fetch(request(fresh, old), never)).ok).toBe(true);
  });
});

describe('room', () => {
  test('is asked for before a byte comes, and some stays free', async () => {
    const rig = diskRig(folder, { reserveBytes: 2 ** 50 });
    const bytes = noise(1_000);
    rig.origin.set(sha(bytes), bytes);
    expect(await rig.open().fetch({ digest: sha(bytes), sizeBytes: bytes.length }, never)).toMatchObject({
      ok: false,
      failure: { kind: 'blocked', code: 'disk-full' },
    });
    expect(rig.hub.asked).toEqual([]);
  });

  test('no announcement makes it take more than a blob may have', async () => {
    const rig = diskRig(folder);
    for (const sizeBytes of [limits.largeBlobBytes + 1, -1, 1.5, Number.NaN])
      expect(await rig.open().fetch({ digest: sha(Buffer.alloc(0)), sizeBytes }, never)).toMatchObject({
        ok: false,
        failure: { kind: 'fatal', code: 'content-wrong' },
      });
  });

  test('partial files that nobody wants any more go; those of wanted blobs stay', async () => {
    const rig = diskRig(folder);
    const [wanted, gone] = [noise(400_000, 'a'), noise(400_000, 'b')];
    for (const bytes of [wanted, gone]) {
      rig.origin.set(sha(bytes), bytes);
      const stop = new AbortController();
      rig.hub.onPiece = (at) => (at >= 200_000 ? stop.abort() : undefined);
      await rig.open().fetch({ digest: sha(bytes), sizeBytes: bytes.length }, stop.signal);
    }
    await rig.open().keep(new Set([sha(wanted)]));
    expect(partials().map((name) => name.slice(0, 64))).toEqual([sha(wanted).slice(7), sha(wanted).slice(7)]);
  });
});

test('a placed copy has its mode, replaces what was there, and survives the blob', async () => {
  const rig = diskRig(folder);
  const bytes = noise(10_000);
  rig.origin.set(sha(bytes), bytes);
  const blobs = rig.open();
  await blobs.fetch({ digest: sha(bytes), sizeBytes: bytes.length }, never);
  const target = join(folder, 'usr', 'bin', 'kubelet');
  expect((await blobs.place(sha(bytes), target, { mode: 0o755 })).ok).toBe(true);
  expect((await blobs.place(sha(bytes), target, { mode: 0o755 })).ok).toBe(true);
  rig.age();
  await blobs.keep(new Set());
  expect(await blobs.path(sha(bytes))).toBeUndefined();
  expect(readFileSync(target).equals(bytes)).toBe(true);
  expect((statSync(target).mode & 0o7777).toString(8)).toBe('755');
  expect(readdirSync(join(folder, 'usr', 'bin'))).toEqual(['kubelet']);
});
