import { describe, expect, test } from 'vitest';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { agent, at, bad, configMap, deployment, good, job, refOf } from '../conformance/cluster-objects.ts';
import { fakeClock, type FakeClock } from './clock.ts';
import { fakeCluster, type FakeCluster } from './cluster.ts';

const make = (): { clock: FakeClock; cluster: FakeCluster } => {
  const clock = fakeClock();
  return { clock, cluster: fakeCluster({ clock }) };
};

const status = async (cluster: FakeCluster, object: KubeObject): Promise<Record<string, unknown>> =>
  (good(await cluster.get(refOf(object)))['status'] ?? {}) as Record<string, unknown>;

const progressing = (workload: Record<string, unknown>): unknown =>
  (workload['conditions'] as Record<string, unknown>[]).find((condition) => condition['type'] === 'Progressing')?.['reason'];

describe('simulated cluster', () => {
  test('injected faults hit the named operation only, as often as asked', async () => {
    const { cluster } = make();
    const failure = { kind: 'retry', code: 'api-error', element: 'x', message: 'injected' } as const;
    cluster.failNext('apply', failure, 2);
    const map = configMap('default', 'a', {});
    expect(bad(await cluster.apply(map, agent), 'api-error', 'retry')).toEqual(failure);
    good(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap' }));
    bad(await cluster.apply(map, agent), 'api-error', 'retry');
    good(await cluster.apply(map, agent));
  });

  test('a snapshot is JSON, and a restored cluster goes on where it was', async () => {
    const { cluster, clock } = make();
    cluster.controllers({ readyMs: 1000 });
    const web = deployment('default', 'web', 'example/web:1');
    const applied = good(await cluster.apply(web, agent));
    cluster.setPodLog('default', 'web-0', 'line 1\nline 2\nline 3\n');
    await clock.advance(500);
    const text = JSON.stringify(cluster.snapshot());
    const later = fakeClock();
    const restored = fakeCluster({ clock: later, state: JSON.parse(text) as ReturnType<FakeCluster['snapshot']> });
    expect(good(await restored.get(refOf(web))).metadata.uid).toBe(applied.metadata.uid);
    expect(good(await restored.apply(web, agent)).metadata.generation).toBe(1);
    restored.controllers({ readyMs: 1000 });
    await later.advance(1500);
    expect(await status(restored, web)).toMatchObject({ readyReplicas: 2 });
    const next = good(await restored.apply(configMap('default', 'new', {}), agent));
    expect(cluster.objects().some((object) => object.metadata.uid === next.metadata.uid)).toBe(false);
    cluster.restore(JSON.parse(text) as ReturnType<FakeCluster['snapshot']>);
    expect(cluster.snapshot()).toEqual(JSON.parse(text));
  });
});

describe('simulated Deployments', () => {
  test('nothing becomes ready before its time, nor without controllers', async () => {
    const { cluster, clock } = make();
    const web = deployment('default', 'web', 'example/web:1');
    good(await cluster.apply(web, agent));
    await clock.advance(60_000);
    expect(await status(cluster, web)).toEqual({});
    cluster.controllers({ readyMs: 1000 });
    await clock.advance(999);
    expect(await status(cluster, web)).toMatchObject({ replicas: 2, readyReplicas: 0, observedGeneration: 1 });
    await clock.advance(1);
    expect(await status(cluster, web)).toMatchObject({ readyReplicas: 2 });
    expect(progressing(await status(cluster, web))).toBe('NewReplicaSetAvailable');
    cluster.controllers(false);
    expect(clock.waiting()).toBe(0);
  });

  test('a roll-out that makes no progress says so after its deadline', async () => {
    const { cluster, clock } = make();
    cluster.controllers({ readyMs: 1000 });
    const web = deployment('default', 'web', 'example/broken:1');
    Object.assign(web['spec'] as object, { progressDeadlineSeconds: 30 });
    good(await cluster.apply(web, agent));
    await clock.advance(29_000);
    expect(progressing(await status(cluster, web))).toBe('ReplicaSetUpdated');
    await clock.advance(1_000);
    expect(progressing(await status(cluster, web))).toBe('ProgressDeadlineExceeded');
    good(await cluster.apply(deployment('default', 'web', 'example/web:2'), { ...agent, force: true }));
    await clock.advance(1_000);
    expect(await status(cluster, web)).toMatchObject({ readyReplicas: 2, replicas: 2, observedGeneration: 2 });
  });
});

describe('other simulated workloads', () => {
  test('a StatefulSet stops at the first pod that does not become ready, and recovers', async () => {
    const { cluster, clock } = make();
    cluster.controllers({ readyMs: 1000 });
    const set = (image: string): KubeObject => ({ ...deployment('default', 'db', image, 3), kind: 'StatefulSet' });
    good(await cluster.apply(set('example/db:1'), agent));
    await clock.advance(2999);
    expect(await status(cluster, set(''))).toMatchObject({ replicas: 3, readyReplicas: 2 });
    await clock.advance(1);
    expect(await status(cluster, set(''))).toMatchObject({ replicas: 3, readyReplicas: 3, updatedReplicas: 3 });
    good(await cluster.apply(set('example/broken:2'), agent));
    await clock.advance(60_000);
    expect(await status(cluster, set(''))).toMatchObject({ replicas: 3, readyReplicas: 2, updatedReplicas: 1 });
    good(await cluster.apply(set('example/db:3'), agent));
    await clock.advance(10_000);
    expect(await status(cluster, set(''))).toMatchObject({ replicas: 3, readyReplicas: 3, updatedReplicas: 3 });
  });

  test('a DaemonSet has a pod on every node, and a Job ends', async () => {
    const { cluster, clock } = make();
    cluster.controllers({ readyMs: 1000 });
    for (const name of ['n1', 'n2']) good(await cluster.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name } }, agent));
    const { replicas: _replicas, ...spec } = deployment('default', 'logger', 'example/log:1')['spec'] as { replicas: number };
    const daemon: KubeObject = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { namespace: 'default', name: 'logger' }, spec };
    good(await cluster.apply(daemon, agent));
    good(await cluster.apply(job('default', 'once', 'example/job:1'), agent));
    await clock.advance(1000);
    expect(await status(cluster, daemon)).toMatchObject({ desiredNumberScheduled: 2, numberReady: 2 });
    expect(await status(cluster, job('default', 'once', ''))).toMatchObject({ active: 1 });
    await clock.advance(1000);
    expect(await status(cluster, job('default', 'once', ''))).toMatchObject({ active: 0, succeeded: 1 });
  });

  test('a pod log has the lines that were asked for', async () => {
    const { cluster, clock } = make();
    cluster.controllers({ readyMs: 1 });
    good(await cluster.apply(job('default', 'once', 'example/job:1'), agent));
    await clock.advance(10);
    const pod = good(await cluster.list({ apiVersion: 'v1', kind: 'Pod' })).items[0]?.metadata.name ?? '';
    cluster.setPodLog('default', pod, 'one\ntwo\nthree\n');
    expect(good(await cluster.podLog('default', pod, 2))).toBe('two\nthree\n');
  });
});

describe('simulated deletion', () => {
  test('a namespace takes its content along, and a definition its objects', async () => {
    const { cluster, clock } = make();
    good(await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } }, agent));
    good(await cluster.apply(configMap('n', 'a', {}), agent));
    good(await cluster.delete({ apiVersion: 'v1', kind: 'Namespace', name: 'n' }, { propagation: 'Background' }));
    expect(cluster.objects().filter((object) => object.metadata.namespace === 'n')).toEqual([]);
    const spec = { group: 'x.io', scope: 'Cluster', names: { kind: 'Thing', plural: 'things' }, versions: [{ name: 'v1', served: true }] };
    const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'things.x.io' }, spec };
    good(await cluster.apply(definition, agent));
    const thing = { apiVersion: 'x.io/v1', kind: 'Thing', metadata: { name: 't' } };
    bad(await cluster.apply(thing, agent), 'kind-unknown', 'retry');
    await clock.advance(1);
    good(await cluster.apply(thing, agent));
    good(await cluster.delete(refOf(definition), { propagation: 'Background' }));
    expect(cluster.objects().some((object) => object.kind === 'Thing')).toBe(false);
    expect(at(cluster.snapshot(), 'resourceVersion')).toBeGreaterThan(1);
  });
});
