import { afterEach, expect, test } from 'vitest';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { blobs, configMap, packLayer, startRig, type Rig } from './rig.ts';

let rig: Rig;
afterEach(async () => rig.close());

const blob = (text: string, fields: { name?: string; architecture?: 'x64' | 'arm64' } = {}): NonNullable<BundleLayer['blobs']>[number] => {
  const digest = digestBytes(text);
  blobs.set(digest, text);
  return { digest, size: Buffer.byteLength(text), name: 'image', ...fields };
};
const web = (version: string, large: BundleLayer['blobs']): BundleLayer => packLayer('web', [configMap('web', version)], { blobs: large ?? [] });
const textOf = (name: string): unknown => (rig.live('ConfigMap', name)?.['data'] as { text?: string } | undefined)?.text;

/** Lets large content through when told. */
const gate = () => {
  const waiting = new Map<string, () => void>();
  return {
    waiting,
    pass: (digest: string) => new Promise<void>((resolve) => void waiting.set(digest, resolve)),
    open: (digest: string) => waiting.get(digest)?.(),
  };
};

test('large content is here before anything changes; that of other architectures is left alone', async () => {
  rig = startRig();
  const [mine, other] = [blob('for all'), blob('for arm', { architecture: 'arm64', name: 'arm' })];
  rig.offer(1, [web('v1', [mine, other])]);
  await rig.clock.advance(10_000);
  expect(rig.phase()).toBe('converged');
  expect([...rig.large.held.keys()]).toEqual([mine.digest]);
});

test('while it comes, the old generation is looked after, the status says how far it is, and it survives a restart', async () => {
  const door = gate();
  rig = startRig({ largeGate: door.pass });
  rig.offer(1, [web('v1', [])]);
  await rig.clock.advance(10_000);
  const [first, second] = [blob('a'.repeat(300)), blob('b'.repeat(700), { name: 'second' })];
  rig.offer(2, [web('v2', [first, second])]);
  await rig.clock.advance(5_000);
  door.open(first.digest);
  await rig.clock.advance(5_000);
  expect(rig.status()).toMatchObject({
    phase: 'staging',
    version: { generation: 2 },
    committed: { generation: 1 },
    staging: { doneBytes: 300, totalBytes: 1_000, blob: 'second' },
  });
  await rig.cluster.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'web' }, { propagation: 'Background' });
  await rig.clock.advance(60_000);
  expect(textOf('web'), 'drift is healed meanwhile').toBe('v1');
  door.open(second.digest);
  await rig.clock.advance(10_000);
  expect(rig.status()).toMatchObject({ phase: 'converged', committed: { generation: 2 } });
  expect(rig.status().staging).toBeUndefined();
});

test('a newer generation ends the transfer of the older one, and what the good one needs stays', async () => {
  const door = gate();
  rig = startRig({ largeGate: door.pass });
  const good = blob('good');
  rig.offer(1, [web('v1', [good])]);
  await rig.clock.advance(1_000);
  door.open(good.digest);
  await rig.clock.advance(10_000);
  expect(rig.phase()).toBe('converged');
  const [stale, fresh] = [blob('stale'), blob('fresh')];
  rig.offer(2, [web('v2', [stale])]);
  await rig.clock.advance(1_000);
  rig.offer(3, [web('v3', [fresh])]);
  await rig.clock.advance(1_000);
  door.open(fresh.digest);
  door.open(stale.digest);
  await rig.clock.advance(1_000);
  expect(rig.large.fetched).not.toContain(stale.digest);
  await rig.clock.advance(10_000);
  expect(textOf('web')).toBe('v3');
  await rig.clock.advance(600_000);
  expect([...rig.large.held.keys()], 'what no slot names any more is gone').toEqual([fresh.digest]);
});

test('a full disk or a closed window is waited out and never held against the generation', async () => {
  rig = startRig();
  for (const code of ['disk-full', 'transfer-window', 'content-wrong', 'content-denied', 'content-unreachable'] as const)
    rig.large.failNext({ kind: code === 'disk-full' ? 'blocked' : 'retry', code, element: 'image', message: 'not now' }, 4);
  rig.offer(1, [web('v1', [blob('patient')])]);
  await rig.clock.advance(10_000);
  expect(rig.status()).toMatchObject({ phase: 'staging', failure: { code: 'disk-full' } });
  await rig.clock.advance(3_600_000);
  expect(rig.phase()).toBe('converged');
  expect(rig.status().poisoned).toBeUndefined();
});

test('a restart in the middle goes on, and large content alone upgrades nothing', async () => {
  const store = fakeAgentStore();
  const door = gate();
  rig = startRig({ store, largeGate: door.pass });
  rig.offer(1, [web('v1', [blob('one')])]);
  await rig.clock.advance(1_000);
  await rig.close();
  rig = startRig({ store: store.reopen() });
  await rig.clock.advance(10_000);
  expect(rig.phase()).toBe('converged');
  rig.offer(2, [web('v1', [blob('two')])]);
  const before = rig.events().length;
  await rig.clock.advance(10_000);
  expect(rig.status()).toMatchObject({ phase: 'converged', committed: { generation: 2 } });
  expect(
    rig
      .events()
      .slice(before)
      .map((event) => event.reason),
  ).not.toContain('LayerUpgraded');
});
