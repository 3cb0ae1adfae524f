import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Failure } from '@groundplane/protocol/failure';
import { blobs, configMap, desiredOf, deployment, osLayer, packLayer, startRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = startRig();
});
afterEach(async () => rig.close());

const failure = (kind: Failure['kind'], code: string): Failure => ({ kind, code, element: 'element', message: `it is ${code}` });
const textOf = (name: string): unknown => (rig.live('ConfigMap', name)?.['data'] as { text?: string } | undefined)?.text;
const web = (version: string) => packLayer('web', [configMap('web', version), deployment('web')]);
const generationOf = (): [number | undefined, number | undefined] => [rig.status().version?.generation, rig.status().committed?.generation];

describe('a new generation', () => {
  test('is staged, applied, waited for, committed, and then left in peace', async () => {
    expect(rig.phase()).toBe('idle');
    expect(rig.offer(1, [osLayer('base', { '/etc/motd': 'hello' }, { 'vm.swappiness': '10' }), web('v1')])).toEqual({ ok: true, value: { accept: 'new' } });
    await rig.clock.advance(10_000);
    expect(rig.phase()).toBe('converged');
    expect(generationOf()).toEqual([1, 1]);
    expect(rig.status().layers.map((layer) => [layer.name, layer.state, layer.objects.ready])).toEqual([
      ['base', 'ready', 0],
      ['web', 'ready', 2],
    ]);
    expect(rig.host.state.files['/etc/motd']?.content).toBe('hello');
    expect(textOf('web')).toBe('v1');
    const before = [rig.host.log.length, rig.store.keys('journal').length];
    await rig.clock.advance(3_600_000);
    expect([rig.host.log.length, rig.store.keys('journal').length], 'a converged host does nothing').toEqual(before);
  });

  test('that it has already, or that is older, changes nothing', async () => {
    rig.offer(2, [web('v2')]);
    await rig.clock.advance(10_000);
    expect(rig.offer(2, [web('v2')])).toEqual({ ok: true, value: { accept: 'same' } });
    for (const [generation, version] of [
      [2, 'other'],
      [1, 'v1'],
    ] as const)
      expect(rig.offer(generation, [web(version)])).toMatchObject({ ok: true, value: { accept: 'stale' } });
    await rig.clock.advance(60_000);
    expect(textOf('web')).toBe('v2');
  });

  test('comes over a newer one that still waits: the newer is taken, the older never finished', async () => {
    rig.cluster.controllers(false);
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(20_000);
    expect(rig.status()).toMatchObject({ phase: 'applying', version: { generation: 1 } });
    expect(rig.status().layers[0]?.state).toBe('waiting');
    rig.cluster.controllers({ readyMs: 500 });
    rig.offer(2, [web('v2')]);
    await rig.clock.advance(20_000);
    expect(generationOf()).toEqual([2, 2]);
    expect(textOf('web')).toBe('v2');
    expect(
      rig
        .events()
        .filter((event) => event.reason === 'GenerationHolds')
        .map((event) => event.generation),
    ).toEqual([2]);
  });

  test('without its content waits in front of the door; what runs stays as it is', async () => {
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(10_000);
    rig.world.content = false;
    rig.offer(2, [web('v2-not-there-yet')]);
    await rig.clock.advance(600_000);
    expect(rig.phase()).toBe('staging');
    expect(rig.status().version?.generation).toBe(2);
    expect(textOf('web')).toBe('v1');
    expect(rig.world.fetched).toBeLessThan(60);
    await rig.cluster.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'web' }, { propagation: 'Background' });
    await rig.clock.advance(60_000);
    expect(textOf('web'), 'drift is healed meanwhile').toBe('v1');
    rig.world.content = true;
    await rig.clock.advance(120_000);
    expect(generationOf()).toEqual([2, 2]);
    expect(textOf('web')).toBe('v2-not-there-yet');
  });

  test('with content of another digest is never taken', async () => {
    const layer = web('right');
    const digest = layer.objects[0]?.digest ?? '';
    const right = blobs.get(digest) ?? '';
    blobs.set(digest, right.replace('right', 'wrong'));
    rig.offer(1, [layer]);
    await rig.clock.advance(60_000);
    expect(rig.phase()).toBe('staging');
    expect(rig.cluster.objects().filter((object) => object.kind === 'ConfigMap' && object.metadata.name === 'web')).toEqual([]);
    blobs.set(digest, right);
    await rig.clock.advance(120_000);
    expect(textOf('web')).toBe('right');
  });
});

describe('a generation that fails', () => {
  const broken = () => [packLayer('web', [configMap('web', 'broken'), deployment('web')])];
  const failTwo = async (): Promise<void> => {
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(10_000);
    rig.cluster.failNext('apply', failure('fatal', 'object-invalid'));
    rig.offer(2, broken());
    await rig.clock.advance(20_000);
  };

  test('is given up, and the last good one is taken up again', async () => {
    await failTwo();
    expect(rig.phase()).toBe('rolled-back');
    expect(generationOf()).toEqual([2, 1]);
    expect(rig.status().poisoned).toMatchObject({ version: { generation: 2 }, failure: { code: 'object-invalid' } });
    expect(textOf('web')).toBe('v1');
    expect(rig.reasons()).toContain('RolledBack');
  });

  test('is not tried again: not by time, not by the hub, not after a restart', async () => {
    await failTwo();
    await rig.clock.advance(24 * 3_600_000);
    expect(rig.offer(2, broken())).toEqual({ ok: true, value: { accept: 'poisoned' } });
    await rig.close();
    rig = startRig({ store: rig.store.reopen() });
    expect(rig.offer(2, broken())).toEqual({ ok: true, value: { accept: 'poisoned' } });
    await rig.clock.advance(60_000);
    expect(rig.phase()).toBe('rolled-back');
    expect(rig.reasons().filter((reason) => reason === 'RolledBack')).toHaveLength(1);
  });

  test('is tried again when a person says so, and then holds', async () => {
    await failTwo();
    rig.engine.retry({ epoch: 'e', generation: 2, digest: `sha256:${'0'.repeat(64)}` });
    expect(rig.offer(2, broken())).toMatchObject({ value: { accept: 'poisoned' } });
    rig.engine.retry(desiredOf(2, broken()).version);
    expect(rig.offer(2, broken())).toMatchObject({ value: { accept: 'new' } });
    await rig.clock.advance(20_000);
    expect(rig.phase()).toBe('converged');
    expect(generationOf()).toEqual([2, 2]);
    expect(textOf('web')).toBe('broken');
  });

  test('is left behind by the next one', async () => {
    await failTwo();
    rig.offer(3, [web('v3')]);
    await rig.clock.advance(20_000);
    expect(rig.phase()).toBe('converged');
    expect(generationOf()).toEqual([3, 3]);
    expect(rig.status().poisoned).toBeUndefined();
  });

  test('as the very first has nothing to go back to, and says why', async () => {
    rig.cluster.failNext('apply', failure('fatal', 'object-invalid'));
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(20_000);
    expect(rig.phase()).toBe('failed');
    expect(rig.reasons()).toContain('GenerationFailed');
    await rig.clock.advance(3_600_000);
    expect(rig.phase()).toBe('failed');
    rig.offer(2, [web('v2')]);
    await rig.clock.advance(20_000);
    expect(rig.phase()).toBe('converged');
  });

  test('by not becoming ready in time goes back too', async () => {
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(10_000);
    rig.cluster.controllers(false);
    rig.offer(2, [packLayer('web', [configMap('web', 'v2'), deployment('web', 'web:2')], { readinessTimeoutMs: 30_000 })]);
    await rig.clock.advance(29_000);
    expect(rig.phase()).toBe('applying');
    rig.cluster.controllers({ readyMs: 60_000 });
    await rig.clock.advance(5_000);
    expect(rig.status().poisoned?.failure).toMatchObject({ code: 'not-ready' });
    expect(textOf('web')).toBe('v1');
  });

  test('because a link stands where its file should be goes back, and does not hold up everything else', async () => {
    rig.offer(1, [osLayer('base', { '/etc/motd': 'hello' }), web('v1')]);
    await rig.clock.advance(10_000);
    const read = rig.host.readFile;
    rig.host.readFile = async (path) =>
      path === '/etc/resolv.conf' ? { ok: false, failure: { kind: 'fatal', code: 'file-unsafe', element: path, message: 'a link stands there' } } : read(path);
    rig.offer(2, [osLayer('base', { '/etc/motd': 'hello', '/etc/resolv.conf': 'nameserver 192.0.2.1' }), web('v2')]);
    await rig.clock.advance(60_000);
    expect(rig.phase()).toBe('rolled-back');
    expect(rig.status().poisoned?.failure.code).toBe('file-unsafe');
    expect(textOf('web')).toBe('v1');
  });
});

describe('surroundings that fail', () => {
  test('a full disk stops changes and nothing else, and is over by itself', async () => {
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(10_000);
    let isFull = true;
    const commit = rig.store.commit;
    rig.store.commit = (list) => (isFull ? { ok: false, failure: failure('blocked', 'disk-full') } : commit(list));
    expect(rig.offer(2, [web('v2')])).toMatchObject({ ok: false, failure: { code: 'disk-full' } });
    await rig.clock.advance(600_000);
    expect(textOf('web')).toBe('v1');
    isFull = false;
    expect(rig.offer(2, [web('v2')])).toMatchObject({ ok: true, value: { accept: 'new' } });
    await rig.clock.advance(60_000);
    expect(generationOf()).toEqual([2, 2]);
    expect(rig.status().poisoned).toBeUndefined();
  });

  test('a disk that fills up in the middle poisons nothing', async () => {
    for (let nth = 1; nth < 14; nth += 1) {
      await rig.close();
      rig = startRig();
      let left = nth;
      let isFull = false;
      const commit = rig.store.commit;
      rig.store.commit = (list) => {
        left -= 1;
        isFull ||= left === 0;
        return isFull ? { ok: false, failure: failure('blocked', 'disk-full') } : commit(list);
      };
      const offered = rig.offer(1, [osLayer('base', { '/etc/motd': 'hello' }), web('v1')]);
      await rig.clock.advance(20_000);
      isFull = false;
      left = Infinity;
      if (!offered.ok) rig.offer(1, [osLayer('base', { '/etc/motd': 'hello' }), web('v1')]);
      await rig.clock.advance(180_000);
      expect([nth, rig.phase(), rig.status().poisoned]).toEqual([nth, 'converged', undefined]);
    }
  });

  test('an API server that is away blocks what needs it; the OS layer goes on, and so does everything when it is back', async () => {
    rig.world.open = failure('retry', 'api-unreachable');
    rig.offer(1, [osLayer('base', { '/etc/motd': 'hello' }), web('v1')]);
    await rig.clock.advance(3_600_000);
    expect(rig.phase()).toBe('blocked');
    expect(rig.host.state.files['/etc/motd']?.content).toBe('hello');
    expect(rig.status().layers.map((layer) => [layer.name, layer.state])).toEqual([
      ['base', 'ready'],
      ['web', 'blocked'],
    ]);
    expect(rig.status().kubernetes.state).toBe('unreachable');
    rig.world.open = undefined;
    await rig.clock.advance(120_000);
    expect(rig.phase()).toBe('converged');
    rig.cluster.pause();
    await rig.clock.advance(3_600_000);
    expect(rig.phase()).toBe('blocked');
    expect(rig.status().poisoned).toBeUndefined();
    rig.cluster.resume();
    await rig.clock.advance(180_000);
    expect(rig.phase()).toBe('converged');
  });

  test('how to reach a server that stays away is looked up again, since it may have moved; not more often than once a minute', async () => {
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(180_000);
    expect([rig.phase(), rig.world.opened]).toEqual(['converged', 1]);
    rig.cluster.pause();
    await rig.clock.advance(20 * 60_000);
    expect(rig.world.opened).toBeGreaterThan(5);
    expect(rig.world.opened).toBeLessThanOrEqual(21);
    rig.cluster.resume();
    await rig.clock.advance(180_000);
    const { opened } = rig.world;
    await rig.clock.advance(3_600_000);
    expect([rig.phase(), rig.world.opened]).toEqual(['converged', opened]);
  });

  test('a missing kubeconfig is blocked with what to do, and goes on when it is there', async () => {
    rig.world.open = { kind: 'blocked', code: 'kubeconfig-missing', element: 'Kubernetes', message: 'nobody says where the kubeconfig is' };
    rig.offer(1, [web('v1')]);
    await rig.clock.advance(24 * 3_600_000);
    expect(rig.phase()).toBe('blocked');
    expect(rig.status().poisoned).toBeUndefined();
    expect(rig.status().layers[0]?.message).toContain('kubeconfig');
    rig.world.open = undefined;
    await rig.clock.advance(120_000);
    expect(rig.phase()).toBe('converged');
  });
});

describe('things of other people', () => {
  const theirs = () => ({ ...configMap('web', 'by hand'), metadata: { name: 'web', namespace: 'shop' } });
  const putTheirs = async (): Promise<void> => {
    await rig.cluster.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    await rig.cluster.apply(theirs(), { fieldManager: 'kubectl', force: true });
  };

  test('are not overwritten: the conflict is said, and after patience the generation is given up', async () => {
    await putTheirs();
    rig.offer(1, [packLayer('web', [configMap('web', 'ours')])]);
    await rig.clock.advance(30_000);
    expect(rig.phase()).toBe('blocked');
    expect(rig.status().failure?.code).toBe('field-conflict');
    expect(textOf('web')).toBe('by hand');
    await rig.clock.advance(600_000);
    expect(rig.phase()).toBe('failed');
    expect(textOf('web')).toBe('by hand');
  });

  test('are taken over when the layer says adopt, and stay when the layer goes', async () => {
    await putTheirs();
    rig.offer(1, [packLayer('web', [configMap('web', 'ours'), configMap('new', 'ours')], { adopt: true })]);
    await rig.clock.advance(30_000);
    expect(rig.phase()).toBe('converged');
    expect(textOf('web')).toBe('ours');
    rig.offer(2, undefined);
    await rig.clock.advance(60_000);
    expect(rig.phase()).toBe('converged');
    expect(rig.live('ConfigMap', 'web'), 'what was there before us stays').toBeDefined();
    expect(rig.live('ConfigMap', 'web')?.metadata.labels?.['groundplane.dev/managed']).toBeUndefined();
    expect(rig.live('ConfigMap', 'new'), 'what we made goes').toBeUndefined();
    expect(rig.live('Namespace', 'shop'), 'and so does not their namespace').toBeDefined();
    expect(rig.store.keys('objects')).toEqual([]);
    expect(rig.store.keys('content')).toEqual([]);
  });

  test('a made-once CRD that is there already is left alone, and the host converges', async () => {
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.example.org' },
      spec: {
        group: 'example.org',
        scope: 'Namespaced',
        names: { kind: 'Thing', plural: 'things', singular: 'thing' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    };
    await rig.cluster.create(crd);
    const layer = packLayer('web', [crd, configMap('web', 'v1')]);
    rig.offer(1, [
      {
        ...layer,
        objects: layer.objects.map((object) => (object.ref.kind === 'CustomResourceDefinition' ? { ...object, crd: 'createOnly' as const } : object)),
      },
    ]);
    await rig.clock.advance(60_000);
    expect(rig.phase()).toBe('converged');
    expect(rig.live('CustomResourceDefinition', 'things.example.org')?.metadata.labels).toBeUndefined();
  });
});

test('drift is healed, counted and told', async () => {
  rig.offer(1, [osLayer('base', { '/etc/motd': 'hello' }), web('v1')]);
  await rig.clock.advance(10_000);
  await rig.cluster.apply({ ...configMap('web', 'by hand') }, { fieldManager: 'hand', force: true });
  await rig.cluster.delete({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' }, { propagation: 'Background' });
  await rig.clock.advance(5_000);
  expect(textOf('web')).toBe('v1');
  expect(rig.live('Deployment', 'web')).toBeDefined();
  expect(rig.status().layers.find((layer) => layer.name === 'web')?.drift.healed).toBe(2);
  expect(rig.reasons().filter((reason) => reason === 'DriftHealed')).toHaveLength(2);
  delete rig.host.state.files['/etc/motd'];
  await rig.clock.advance(76_000);
  expect(rig.host.state.files['/etc/motd']?.content, 'the machine is looked at about once a minute').toBe('hello');
});

test('somebody who undoes everything at once is answered calmly', async () => {
  rig.offer(1, [web('v1')]);
  await rig.clock.advance(10_000);
  const stop = new AbortController();
  rig.cluster.watch(
    { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop' },
    (event) => {
      if (event.type === 'modified' && (event.object['data'] as { text?: string }).text === 'v1')
        void rig.cluster.apply(configMap('web', 'no'), { fieldManager: 'hand', force: true });
    },
    stop.signal,
  );
  await rig.cluster.apply(configMap('web', 'no'), { fieldManager: 'hand', force: true });
  const before = rig.store.keys('journal').length;
  await rig.clock.advance(600_000);
  expect(rig.store.keys('journal').length - before).toBeLessThan(100);
  stop.abort();
});
