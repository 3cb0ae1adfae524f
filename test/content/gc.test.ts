import { mkdtempSync, rmSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diskContent } from '@groundplane/hub/content/disk';
import { createCollector, planCollection, reachable } from '@groundplane/hub/content/gc';
import { createThrottle } from '@groundplane/hub/content/throttle';
import { gatherRoots } from '@groundplane/hub/reconcile/collect';
import type { Digest } from '@groundplane/protocol/digest';
import { fakeClock } from '../fake/clock.ts';
import { applyCluster, applyProfile, openHub, until } from '../hub/world.ts';

const name = (index: number): Digest => `sha256:${index.toString(16).padStart(64, '0')}`;

describe('plan', () => {
  const graph = fc.record({
    roots: fc.array(fc.nat(20), { maxLength: 5 }),
    refs: fc.array(fc.tuple(fc.nat(20), fc.array(fc.nat(20), { maxLength: 4 })), { maxLength: 15 }),
    ages: fc.array(fc.nat(100), { minLength: 21, maxLength: 21 }),
    marks: fc.array(fc.option(fc.nat(100)), { minLength: 21, maxLength: 21 }),
    graceMs: fc.integer({ min: 1, max: 60 }),
  });

  test('what is named, fresh, or marked a moment ago is never taken away; the rest is, and nothing is lost from sight', () => {
    fc.assert(
      fc.property(graph, ({ roots, refs, ages, marks, graceMs }) => {
        const nowMs = 1_000;
        const blobs = ages.map((age, index) => ({ digest: name(index), size: 1, storedAtMs: nowMs - age }));
        const marked = new Map(marks.flatMap((age, index) => (age === null ? [] : [[name(index), nowMs - age] as const])));
        const links = new Map(refs.map(([from, to]) => [name(from), to.map(name)]));
        const alive = reachable(roots.map(name), links);
        const plan = planCollection({ roots: roots.map(name), refs: links, blobs, marked, nowMs, graceMs });
        for (const { digest } of plan.remove) {
          const index = blobs.findIndex((blob) => blob.digest === digest);
          expect(alive.has(digest)).toBe(false);
          expect(ages[index]).toBeGreaterThanOrEqual(graceMs);
          expect(marks[index]).toBeGreaterThanOrEqual(graceMs);
        }
        for (const root of roots) expect(plan.remove.some((item) => item.digest === name(root))).toBe(false);
        expect(plan.remove.length + plan.marked.size + plan.kept).toBe(blobs.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('collector on a real folder', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gp-gc-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const fileOf = (at: string, digest: string): string => join(folder, at, 'sha256', digest.slice(7, 9), digest.slice(7));

  const make = async (at: string) => {
    const clock = fakeClock();
    const content = diskContent(join(folder, at), clock);
    const roots = new Set<string>();
    const refs = new Map<string, string[]>();
    const during: (() => void | Promise<void>)[] = [];
    const collector = createCollector({
      content,
      gather: async () => {
        const seen = { roots: new Set(roots), refs: new Map(refs) };
        await during.shift()?.();
        return seen;
      },
      forget: () => undefined,
      nowMs: () => clock.wallMs(),
      graceMs: 1_000,
    });
    const put = async (text: string): Promise<Digest> => {
      const digest = await content.put(text);
      await utimes(fileOf(at, digest), 0, 0);
      return digest;
    };
    return { clock, content, roots, refs, during, collector, put };
  };

  test('unnamed blobs go at the second run after the grace; named ones and their parts stay', async () => {
    const { clock, content, roots, refs, collector, put } = await make('plain');
    const [bundle, object, orphan] = [await put('bundle'), await put('object'), await put('orphan')];
    roots.add(bundle);
    refs.set(bundle, [object]);
    await clock.advance(5_000);
    expect(await collector.collect()).toMatchObject({ removed: 0, marked: 1 });
    await clock.advance(999);
    expect(await collector.collect()).toMatchObject({ removed: 0 });
    await clock.advance(1);
    expect(await collector.collect()).toEqual({ removed: 1, bytes: 6, kept: 2, marked: 0 });
    expect([await content.size(bundle), await content.size(object), await content.size(orphan)]).toEqual([6, 6, undefined]);
    expect(await put('orphan')).toBe(orphan);
    expect(await content.size(orphan)).toBe(6);
  });

  test.each(['put', 'size', 'named'] as const)('an upload while a collection runs is not lost (%s)', async (way) => {
    const { clock, content, roots, collector, put, during } = await make(`race-${way}`);
    const digest = await put('late');
    await clock.advance(5_000);
    await collector.collect();
    await clock.advance(2_000);
    // After the first look at who names what, and before anything is taken away.
    during.push(async () => {
      if (way === 'put') await content.put('late');
      if (way === 'size') await content.size(digest);
      if (way === 'named') roots.add(digest);
    });
    expect(await collector.collect()).toMatchObject({ removed: 0 });
    expect(await content.size(digest)).toBe(4);
  });

  test('many uploads and collections at once: whatever was put and named is there', async () => {
    const { clock, content, roots, collector } = await make('storm');
    for (let round = 0; round < 30; round += 1) {
      const work = Array.from({ length: 20 }, async (_, index) => {
        const digest = await content.put(`blob ${(round * 7 + index) % 50}`);
        await new Promise((resolve) => setImmediate(resolve));
        if (index % 3 === 0) roots.add(digest);
      });
      await Promise.all([...work, collector.collect()]);
      await clock.advance(700);
      for (const digest of roots) expect(await content.size(digest)).toBeGreaterThan(0);
      if (round % 5 === 4) roots.clear();
    }
  });

  test('when it is not sure, nothing goes', async () => {
    const { content, clock, put } = await make('unsure');
    const digest = await put('x');
    const collector = createCollector({
      content,
      gather: () => Promise.reject(new Error('store')),
      forget: () => undefined,
      nowMs: () => clock.wallMs(),
      graceMs: 0,
    });
    await expect(collector.collect()).rejects.toThrow('store');
    expect(await content.size(digest)).toBe(1);
  });
});

const descriptor = (digest: string, size: number) => ({ mediaType: 'application/octet-stream', digest, size });

test('everything that a cluster needs is named by something', async () => {
  const hub = await openHub();
  try {
    await applyProfile(hub.admin, 'shop', '1.0.0', 'one');
    await applyCluster(hub.admin, 'store', 'shop', '1.0.0', []);
    const cluster = await until(() => [...hub.core.fleet.clusters()].find((item) => item.bundle !== undefined), 'the cluster has a bundle');
    const deps = {
      store: hub.store,
      content: diskContent(join(hub.folder, 'content')),
      fleet: hub.core.fleet,
      forget: () => undefined,
      clock: fakeClock(),
      log: () => undefined,
    };
    const { roots, refs } = await gatherRoots(deps);
    const alive = reachable(roots, refs);
    const built = await hub.core.bundler.load(cluster.bundle ?? '');
    const layer = await hub.content.put('a layer');
    const packageManifest = JSON.stringify({ schemaVersion: 2, config: descriptor(await hub.content.put('{}'), 2), layers: [descriptor(layer, 7)] });
    const imported = await hub.content.put(packageManifest);
    const row = { op: 'put', kind: 'blob', tenant: hub.tenant, id: imported, project: '', name: imported, value: { size: packageManifest.length } } as const;
    await hub.store.commit([row]);
    const later = await gatherRoots({ ...deps, clock: fakeClock(Date.now()) });
    expect(reachable(later.roots, later.refs).has(layer)).toBe(true);
    const muchLater = await gatherRoots({ ...deps, clock: fakeClock(Date.now() + 31 * 86_400_000) });
    expect(reachable(muchLater.roots, muchLater.refs).has(layer)).toBe(false);
    expect(built?.blobs.size).toBeGreaterThan(0);
    for (const digest of [cluster.bundle ?? '', ...(built?.blobs.keys() ?? [])]) expect(alive.has(digest)).toBe(true);
  } finally {
    await hub.close();
  }
});

test('a throttle keeps to its rate by the clock, over all its streams together', async () => {
  const clock = fakeClock();
  const throttle = createThrottle(clock, 1_000);
  let passed = 0;
  const streams = [throttle.through(), throttle.through()];
  for (const stream of streams) stream.on('data', (chunk: Buffer) => (passed += chunk.length));
  for (let index = 0; index < 20; index += 1) streams[index % 2]?.write(Buffer.alloc(250));
  const at: number[] = [];
  for (let second = 0; second < 6; second += 1) {
    await clock.advance(second === 0 ? 0 : 1_000);
    at.push(passed);
  }
  expect(at.every((bytes, second) => bytes <= (second + 1) * 1_000 + 250)).toBe(true);
  expect(at.at(-1)).toBe(5_000);
});
