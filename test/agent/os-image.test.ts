import { beforeEach, describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '@groundplane/agent/engine';
import { createOutbox } from '@groundplane/agent/link/outbox';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { ok } from '@groundplane/protocol/failure';
import { osImageFiles, signedOsImageSchema, type SignedOsImage } from '@groundplane/protocol/os-image';
import type { OsReboot } from '@groundplane/protocol/os-spec';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeHost, type FakeHost } from '../fake/host.ts';
import { fakeMachine, type FakeMachine } from '../fake/machine.ts';
import { fakeImages, firstImages, type FakeImages } from '../fake/os-images.ts';
import { seededRandom } from '../fake/random.ts';
import { blobs, configMap, desiredOf, osLayer, packLayer } from './rig.ts';

const key = `ed25519:${'A'.repeat(43)}`;
const large = (text: string): { digest: Digest; size: number } => {
  blobs.set(digestBytes(text), text);
  return { digest: digestBytes(text), size: text.length };
};
const imageOf = (version: string, by = key): SignedOsImage =>
  signedOsImageSchema.parse({
    signed: {
      schema: 'groundplane.dev/os-image/1',
      name: 'site',
      version,
      architecture: 'x64',
      content: { driver: 'sysupdate', root: large(`root ${version}`), uki: large(`uki ${version}`) },
    },
    signatures: [{ key: by, signature: 'good' }],
  });

const imageLayer = (version: string, fields: { reboot?: OsReboot; by?: string; files?: Record<string, string> } = {}): BundleLayer => {
  const layer = osLayer('os', fields.files ?? { '/etc/site': version });
  const image = imageOf(version, fields.by);
  return {
    ...layer,
    blobs: osImageFiles(image.signed),
    os: {
      ...(layer.os ?? { files: [], sysctls: {}, units: [] }),
      image: [image],
      ...(fields.reboot === undefined ? {} : { reboot: fields.reboot }),
    },
  };
};
const app = (text: string): BundleLayer => packLayer('app', [configMap('app', text)]);

/** A machine with two slots, and one agent after another on it. */
const start = () => {
  const clock: VirtualClock = virtualClock({ wallStartMs: Date.UTC(2026, 0, 5, 12) });
  const store: FakeAgentStore = fakeAgentStore();
  const host: FakeHost = fakeHost();
  const cluster = fakeCluster({ clock });
  cluster.controllers({ readyMs: 100 });
  const machine: FakeMachine = fakeMachine();
  const images: FakeImages = fakeImages(firstImages('1.0', key));
  const life: { engine?: Engine; stop?: AbortController } = {};
  const trust = { good: true };
  const held = new Map<string, Buffer>();
  const boot = (): void => {
    life.stop?.abort();
    const stop = new AbortController();
    const engine = createEngine({
      store,
      host,
      clock,
      outbox: createOutbox(store),
      random: seededRandom('image'),
      onNews: () => undefined,
      openCluster: () => Promise.resolve(ok(cluster)),
      content: { fetch: (digest) => Promise.resolve(ok(blobs.get(digest) ?? '')) },
      os: { machine, images },
      architecture: 'x64',
      blobs: fakeBlobs(blobs, { held }),
      verify: (_, __, signature) => trust.good && signature === 'good',
      hasContact: () => true,
    });
    life.engine = engine;
    life.stop = stop;
    void engine.run(stop.signal);
  };
  /** The machine starts, and its health check ends twenty seconds later. */
  const powerCycle = (): void => {
    life.stop?.abort();
    machine.boot();
    images.boot();
    boot();
    const before = machine.boots;
    clock.after(20_000, () => {
      if (machine.boots === before && images.state.entries[images.running()]?.left !== undefined && !images.judge()) powerCycle();
    });
  };
  machine.onReboot = () => void clock.after(1_000, powerCycle);
  boot();
  return {
    clock,
    machine,
    images,
    host,
    store,
    trust,
    powerCycle,
    offer: (generation: number, layers: readonly BundleLayer[]) => {
      const record = desiredOf(generation, layers);
      life.engine?.offer(record, {}, undefined);
      return record.version;
    },
    status: () => (life.engine as Engine).status(),
    retry: (version: Parameters<Engine['retry']>[0]) => life.engine?.retry(version),
    journal: () => (life.engine as Engine).state.journal().map((row) => row.text),
  };
};
describe('image mode', () => {
  let rig: ReturnType<typeof start>;
  beforeEach(() => {
    rig = start();
    rig.offer(1, [imageLayer('1.0'), app('one')]);
  });
  const settle = (minutes = 5): Promise<void> => rig.clock.advance(minutes * 60_000);

  test('the image that runs is the one that is wanted: nothing happens to the machine', async () => {
    await settle();
    expect(rig.status().phase).toBe('converged');
    expect(rig.images.log).toEqual([]);
    expect(rig.machine.reboots).toBe(0);
  });

  test('a new image is staged, tried by one reboot, made permanent by the health check; the rest of the generation follows', async () => {
    await settle();
    rig.offer(2, [imageLayer('1.1'), app('two')]);
    await settle();
    expect(rig.images.log).toEqual(['stage 1.1', 'activate 1.1', 'boot 1.1']);
    expect(rig.machine.reboots).toBe(1);
    expect(rig.status()).toMatchObject({ phase: 'converged', version: { generation: 2 } });
    expect(rig.host.state.files['/etc/site']?.content).toBe('1.1');
    // Files belong to the new image: they are written after it runs.
    const journal = rig.journal();
    expect(journal.indexOf('reboot for image 1.1')).toBeLessThan(journal.lastIndexOf('write /etc/site (changed)'));
  });

  test('a bad image is tried three times; the host returns, says so, goes back to the last good generation and never tries it again', async () => {
    await settle();
    rig.images.bad.add(digestBytes('root 1.1'));
    rig.offer(2, [imageLayer('1.1'), app('two')]);
    await settle(15);
    expect(rig.images.log).toEqual(['stage 1.1', 'activate 1.1', 'boot 1.1', 'boot 1.1', 'boot 1.1', 'boot 1.0']);
    const status = rig.status();
    expect(status).toMatchObject({
      phase: 'rolled-back',
      version: { generation: 2 },
      committed: { generation: 1 },
      poisoned: { failure: { code: 'image-returned', kind: 'fatal' } },
    });
    expect(status.poisoned?.failure.message).toContain('the agent did not start');
    expect(status.poisoned?.failure.message).toContain('returned to image 1.0');
    await settle(60);
    expect(rig.machine.reboots).toBe(1);
    // The same image in another generation is refused without a reboot; a good one is taken.
    rig.offer(3, [imageLayer('1.1'), app('one')]);
    await settle(10);
    expect(rig.status()).toMatchObject({ phase: 'rolled-back', version: { generation: 3 } });
    expect(rig.machine.reboots).toBe(1);
    rig.offer(4, [imageLayer('1.2'), app('two')]);
    await settle(10);
    expect(rig.status()).toMatchObject({ phase: 'converged', version: { generation: 4 } });
    expect(rig.images.running()).toBe('1.2');
  });

  test('a person who lifts the failure gets another try, which may end well', async () => {
    await settle();
    rig.images.bad.add(digestBytes('root 1.1'));
    const version = rig.offer(2, [imageLayer('1.1'), app('two')]);
    await settle(15);
    rig.images.bad.clear();
    rig.retry(version);
    rig.offer(2, [imageLayer('1.1'), app('two')]);
    await settle(10);
    expect(rig.status()).toMatchObject({ phase: 'converged', version: { generation: 2 } });
    expect(rig.machine.reboots).toBe(2);
  });

  test('an older image is taken as well, and the newer one does not come back by itself', async () => {
    await settle();
    rig.offer(2, [imageLayer('1.2'), app('two')]);
    await settle();
    rig.offer(3, [imageLayer('1.1'), app('two')]);
    await settle();
    expect(rig.images.running()).toBe('1.1');
    rig.powerCycle();
    await settle();
    expect(rig.images.running()).toBe('1.1');
    expect(rig.status()).toMatchObject({ phase: 'converged', version: { generation: 3 } });
  });

  test('staged now, applied in the window; a power cut before that boots the old image, and layers above are kept in shape meanwhile', async () => {
    await settle();
    const window: OsReboot = { when: 'window', windows: [{ from: '02:00', to: '03:00' }] };
    rig.offer(2, [imageLayer('1.1', { reboot: window }), app('two')]);
    await settle(10);
    expect(rig.images.log).toEqual(['stage 1.1']);
    expect(rig.status()).toMatchObject({ phase: 'blocked', failure: { code: 'reboot-window', kind: 'retry' } });
    expect(rig.status().layers.find((layer) => layer.name === 'app')?.message).toContain('waits for layer os');
    rig.powerCycle();
    await settle(10);
    expect(rig.images.running()).toBe('1.0');
    await settle(14 * 60);
    expect(rig.images.running()).toBe('1.1');
    expect(rig.status()).toMatchObject({ phase: 'converged', version: { generation: 2 } });
  });

  test('what is left to a person waits for that person', async () => {
    await settle();
    rig.offer(2, [imageLayer('1.1', { reboot: { when: 'manual' } }), app('two')]);
    await settle(10);
    expect(rig.status()).toMatchObject({ failure: { code: 'reboot-approval' } });
    rig.machine.isAllowed = true;
    await settle(10);
    expect(rig.images.running()).toBe('1.1');
  });

  test('an image that nobody trusted has signed is never written', async () => {
    await settle();
    rig.offer(2, [imageLayer('1.1', { by: `ed25519:${'B'.repeat(43)}` }), app('two')]);
    await settle(10);
    expect(rig.status()).toMatchObject({ phase: 'rolled-back', poisoned: { failure: { code: 'image-untrusted' } } });
    rig.trust.good = false;
    rig.offer(3, [imageLayer('1.2'), app('two')]);
    await settle(10);
    expect(rig.status()).toMatchObject({ poisoned: { failure: { code: 'image-untrusted' } } });
    expect(rig.images.log).toEqual([]);
  });

  test('a later failure of the generation takes the image back too', async () => {
    await settle();
    const broken = packLayer('app', [configMap('app', 'two'), { apiVersion: 'v1', kind: 'Nonsense', metadata: { name: 'x', namespace: 'shop' } }], {
      readinessTimeoutMs: 1_000,
    });
    rig.offer(2, [imageLayer('1.1'), broken]);
    await settle(60);
    expect(rig.status()).toMatchObject({ phase: 'rolled-back', committed: { generation: 1 } });
    expect(rig.images.running()).toBe('1.0');
  });
});

describe('reboot in package mode', () => {
  const layerOf = (reboot: OsReboot | undefined, text = '1.0'): BundleLayer => {
    const layer = osLayer('os', { '/etc/site': text });
    return {
      ...layer,
      os: { files: layer.os?.files ?? [], sysctls: {}, units: [], packages: [{ name: 'curl' }], ...(reboot === undefined ? {} : { reboot }) },
    };
  };
  let rig: ReturnType<typeof start>;
  beforeEach(() => {
    rig = start();
  });
  const settle = (minutes = 5): Promise<void> => rig.clock.advance(minutes * 60_000);

  test('nobody allowed it: the host stays up', async () => {
    rig.machine.needed = 'linux-image';
    rig.offer(1, [layerOf(undefined)]);
    await settle(60);
    expect(rig.machine.reboots).toBe(0);
    expect(rig.status().phase).toBe('converged');
  });

  test('what packages ask for while they are installed is done before the layer is in place', async () => {
    const { host, machine } = rig;
    const install = host.packages?.install;
    if (host.packages !== undefined && install !== undefined)
      host.packages.install = (wishes) => {
        machine.needed = 'linux-image-6.1';
        return install(wishes);
      };
    rig.offer(1, [layerOf({ when: 'now' })]);
    await settle(30);
    expect(machine.reboots).toBe(1);
    expect(rig.status().phase).toBe('converged');
    const journal = rig.journal();
    expect(journal.indexOf('reboot for linux-image-6.1')).toBeLessThan(journal.indexOf('layer os is in place'));
  });

  test('a need that outlives its reboot never becomes a loop', async () => {
    const { machine } = rig;
    const boot = machine.boot;
    machine.boot = () => {
      boot();
      machine.needed = 'liar';
    };
    machine.needed = 'liar';
    rig.offer(1, [layerOf({ when: 'now' })]);
    await settle(180);
    expect(machine.reboots).toBe(1);
    expect(rig.status()).toMatchObject({ phase: 'blocked', failure: { code: 'reboot-useless' } });
  });
});
