import { expect, test } from 'vitest';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { agent, at, bad, deployment, eventually, good, job, newNamespace, refOf } from './cluster-objects.ts';
import type { Get } from './cluster.ts';

const hasCondition = (object: unknown, type: string): boolean => {
  const conditions = at(object, 'status', 'conditions');
  return Array.isArray(conditions) && conditions.some((condition) => at(condition, 'type') === type && at(condition, 'status') === 'True');
};

const deploymentTests = (get: Get): void => {
  test('a Deployment becomes ready, and its next generation too', async () => {
    const { cluster } = get();
    const web = deployment(await newNamespace(cluster), 'web', 'example/web:1');
    good(await cluster.apply(web, agent));
    await eventually(async () =>
      expect(good(await cluster.get(refOf(web)))['status']).toMatchObject({
        observedGeneration: 1,
        replicas: 2,
        updatedReplicas: 2,
        readyReplicas: 2,
        availableReplicas: 2,
      }),
    );
    const next = good(await cluster.apply(deployment(web.metadata.namespace ?? '', 'web', 'example/web:2'), agent));
    expect(next.metadata.generation).toBe(2);
    await eventually(async () => {
      const now = good(await cluster.get(refOf(web)));
      expect(now['status']).toMatchObject({ observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2 });
      expect(hasCondition(now, 'Available')).toBe(true);
    });
    // A status that others write is no conflict with what we apply.
    good(await cluster.apply(deployment(web.metadata.namespace ?? '', 'web', 'example/web:2'), agent));
    const sets = good(await cluster.list({ apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace: web.metadata.namespace ?? '' })).items;
    expect(sets.length).toBe(2);
  }, 60_000);

  test('a broken image keeps the old pods at work and says why the new ones wait', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const web = deployment(namespace, 'web', 'example/web:1');
    good(await cluster.apply(web, agent));
    await eventually(async () => expect(at(good(await cluster.get(refOf(web))), 'status', 'readyReplicas')).toBe(2));
    good(await cluster.apply(deployment(namespace, 'web', 'example/broken-web:2'), agent));
    await eventually(async () => {
      const pods = good(await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector: 'app=web' })).items;
      const reasons = pods.map((pod) => at(pod, 'status', 'containerStatuses', 0, 'state', 'waiting', 'reason'));
      expect(reasons).toContain('ImagePullBackOff');
    });
    await eventually(async () => {
      const status = at(good(await cluster.get(refOf(web))), 'status') as Record<string, number>;
      expect(status['readyReplicas']).toBe(2);
      expect(status['unavailableReplicas']).toBeGreaterThan(0);
    });
  }, 60_000);
};

export const workloadTests = (get: Get): void => {
  deploymentTests(get);

  test('StatefulSets and DaemonSets become ready', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const set = { ...deployment(namespace, 'database', 'example/db:1'), kind: 'StatefulSet' };
    const daemon: KubeObject = { ...deployment(namespace, 'logger', 'example/log:1'), kind: 'DaemonSet' };
    const { replicas: _replicas, ...spec } = daemon['spec'] as { replicas: number };
    daemon['spec'] = spec;
    good(await cluster.apply(set, agent));
    good(await cluster.apply(daemon, agent));
    await eventually(async () => expect(good(await cluster.get(refOf(set)))['status']).toMatchObject({ observedGeneration: 1, replicas: 2, readyReplicas: 2 }));
    await eventually(async () => {
      const status = good(await cluster.get(refOf(daemon)))['status'] as Record<string, number>;
      expect(status['desiredNumberScheduled']).toBeGreaterThan(0);
      expect(status['numberReady']).toBe(status['desiredNumberScheduled']);
    });
    const pods = good(await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector: 'app=database' })).items;
    expect(pods.map((pod) => pod.metadata.name)).toEqual(['database-0', 'database-1']);
  }, 60_000);

  test('a Job completes, or fails with a broken image', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    good(await cluster.apply(job(namespace, 'fine', 'example/job:1'), agent));
    good(await cluster.apply(job(namespace, 'bad', 'example/job:broken'), agent));
    const read = async (name: string): Promise<unknown> => good(await cluster.get({ apiVersion: 'batch/v1', kind: 'Job', namespace, name }));
    await eventually(async () => expect(hasCondition(await read('fine'), 'Complete')).toBe(true));
    await eventually(async () => expect(hasCondition(await read('bad'), 'Failed')).toBe(true));
  }, 60_000);

  test('a deleted workload takes its pods along', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const web = deployment(namespace, 'web', 'example/web:1');
    const pods = async (): Promise<number> => good(await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace })).items.length;
    good(await cluster.apply(web, agent));
    await eventually(async () => expect(await pods()).toBe(2));
    good(await cluster.delete(refOf(web), { propagation: 'Background' }));
    await eventually(async () => expect(await pods()).toBe(0));
    bad(await cluster.podLog(namespace, 'no-such-pod', 10), 'not-found', 'retry');
  }, 60_000);
};
