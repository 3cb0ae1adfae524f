import { beforeEach, describe, expect, test } from 'vitest';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';
import type { OsReboot } from '@groundplane/protocol/os-spec';
import { seededRandom } from '../fake/random.ts';
import { app, imageLayer, startImageRig } from './image-rig.ts';
import { configMap, osLayer, packLayer } from './rig.ts';

describe('image mode', () => {
  let rig: ReturnType<typeof startImageRig>;
  beforeEach(() => {
    rig = startImageRig();
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
  let rig: ReturnType<typeof startImageRig>;
  beforeEach(() => {
    rig = startImageRig();
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

describe('power cuts at any moment', () => {
  test.each(Array.from({ length: 60 }, (_, seed) => seed))('seed %i: the host ends on the image that is wanted, or back on the last good one', async (seed) => {
    const random = seededRandom(seed);
    const rig = startImageRig();
    const isBad = seed % 3 === 0;
    if (isBad) rig.images.bad.add(digestBytes('root 1.1'));
    rig.offer(1, [imageLayer('1.0'), app('one')]);
    await rig.clock.advance(5 * 60_000);
    rig.offer(2, [imageLayer('1.1'), app('two')]);
    let cuts = 0;
    for (let second = 0; second < 600; second += 1) {
      if (rig.isDead()) rig.powerCycle();
      else if (cuts < 6 && random.fraction() < 0.1) {
        cuts += 1;
        rig.dieAt(1 + random.integer(25), random.fraction() < 0.5);
      }
      await rig.clock.advance(1_000);
      // The slot that runs is never half written, and the first image stays until the second is good.
      const running = rig.images.state.slots[rig.images.state.running];
      expect(running?.version).toMatch(/^1\.[01]$/);
    }
    rig.dieAt(Infinity, false);
    if (rig.isDead()) rig.powerCycle();
    await rig.clock.advance(40 * 60_000);
    const before = rig.machine.reboots;
    const status = rig.status();
    if (isBad) {
      expect(status).toMatchObject({ phase: 'rolled-back', committed: { generation: 1 } });
      expect(rig.images.running()).toBe('1.0');
    } else if (status.phase === 'converged') {
      expect(rig.images.running()).toBe('1.1');
      expect(status.version?.generation).toBe(2);
    } else {
      // Cuts used up the tries of a good image: it is told, and the host is whole.
      expect(status).toMatchObject({ phase: 'rolled-back', poisoned: { failure: { kind: 'fatal' } } });
      expect(rig.images.running()).toBe('1.0');
    }
    await rig.clock.advance(6 * 3_600_000);
    expect(rig.machine.reboots).toBe(before);
    expect(rig.machine.reboots).toBeLessThanOrEqual(8);
  });
});
