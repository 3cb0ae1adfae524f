import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Cluster, WatchEvent } from '@groundplane/agent/port/cluster';
import { agent, bad, configMap, eventually, good, newNamespace, refOf } from './cluster-objects.ts';
import type { Get } from './cluster.ts';

interface Seen {
  events: string[];
  stop: () => void;
}

const watch = (cluster: Cluster, namespace: string, labelSelector?: string): Seen => {
  const aborted = new AbortController();
  const events: string[] = [];
  const onEvent = (event: WatchEvent): void =>
    void events.push(event.type === 'reset' ? 'reset' : `${event.type} ${event.object.kind} ${event.object.metadata.name ?? ''}`);
  cluster.watch({ apiVersion: 'v1', kind: 'ConfigMap', namespace, ...(labelSelector === undefined ? {} : { labelSelector }) }, onEvent, aborted.signal);
  return { events, stop: () => aborted.abort() };
};

const withoutRootCa = (events: string[]): string[] => events.filter((event) => !event.endsWith('kube-root-ca.crt'));

const eventTests = (get: Get): void => {
  test('tells what is added, modified and deleted, after one reset', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const seen = watch(cluster, namespace);
    await eventually(() => expect(withoutRootCa(seen.events)).toEqual(['reset']));
    const map = configMap(namespace, 'one', { a: '1' });
    good(await cluster.apply(map, agent));
    good(await cluster.apply({ ...map, data: { a: '2' } }, agent));
    good(await cluster.apply({ ...map, data: { a: '2' } }, agent));
    good(await cluster.delete(refOf(map), { propagation: 'Background' }));
    await eventually(() => expect(withoutRootCa(seen.events)).toEqual(['reset', 'added ConfigMap one', 'modified ConfigMap one', 'deleted ConfigMap one']));
    seen.stop();
  });

  test('an object that begins or ceases to match the selector comes and goes', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const seen = watch(cluster, namespace, 'app=x');
    await eventually(() => expect(seen.events).toEqual(['reset']));
    good(await cluster.apply(configMap(namespace, 'other', {}, { app: 'y' }), agent));
    good(await cluster.apply(configMap(namespace, 'one', {}, { app: 'y' }), agent));
    good(await cluster.apply(configMap(namespace, 'one', {}, { app: 'x' }), agent));
    good(await cluster.apply(configMap(namespace, 'one', {}, { app: 'y' }), agent));
    await eventually(() => expect(seen.events).toEqual(['reset', 'added ConfigMap one', 'deleted ConfigMap one']));
    seen.stop();
  });

  test('a stopped watch is silent', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const seen = watch(cluster, namespace);
    await eventually(() => expect(seen.events).toContain('reset'));
    seen.stop();
    const before = seen.events.length;
    good(await cluster.apply(configMap(namespace, 'late', {}), agent));
    await delay(100);
    expect(seen.events.length).toBe(before);
  });

  test('a watch of a kind that is not served yet begins when it is', async () => {
    const { cluster } = get();
    const stop = new AbortController();
    cluster.watch({ apiVersion: 'nobody.example.com/v1', kind: 'Mystery' }, () => {}, stop.signal);
    await delay(50);
    stop.abort();
    bad(await cluster.list({ apiVersion: 'nobody.example.com/v1', kind: 'Mystery' }), 'kind-unknown', 'retry');
  });
};

export const watchTests = (get: Get): void => {
  eventTests(get);

  test('an outage: calls fail as unreachable, the watch resets and goes on without a gap', async () => {
    const { cluster, pause, resume } = get();
    const namespace = await newNamespace(cluster);
    const seen = watch(cluster, namespace);
    await eventually(() => expect(withoutRootCa(seen.events)).toEqual(['reset']));
    good(await cluster.apply(configMap(namespace, 'before', {}), agent));
    await eventually(() => expect(withoutRootCa(seen.events)).toEqual(['reset', 'added ConfigMap before']));
    await pause();
    bad(await cluster.get(refOf(configMap(namespace, 'before', {}))), 'api-unreachable', 'retry');
    bad(await cluster.version(), 'api-unreachable', 'retry');
    await eventually(() => expect(seen.events.filter((event) => event === 'reset').length).toBeGreaterThanOrEqual(2));
    await resume();
    good(await cluster.apply(configMap(namespace, 'after', {}), agent));
    // One more reset after the way back, since a list during the outage has failed.
    await eventually(() => expect(seen.events.filter((event) => event === 'reset').length).toBeGreaterThanOrEqual(3), 60_000);
    good(await cluster.apply(configMap(namespace, 'later', {}), agent));
    await eventually(() => expect(seen.events).toContain('added ConfigMap later'), 60_000);
    expect(good(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace })).items.map((item) => item.metadata.name)).toEqual(
      expect.arrayContaining(['before', 'after', 'later']),
    );
    seen.stop();
  }, 180_000);
};
