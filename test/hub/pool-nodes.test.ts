import { expect, test } from 'vitest';
import { cordonNodes, cordonsPerLook } from '@groundplane/hub/resident/pool-nodes';
import type { Cluster } from '@groundplane/agent/port/cluster';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';

const nodeOf = (name: string, pool: string, fields: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { pool } },
  ...fields,
});
const clusterWith = async (...nodes: KubeObject[]) => {
  const cluster = fakeCluster({ clock: virtualClock() });
  for (const node of nodes) expect(await cluster.create(node)).toMatchObject({ ok: true });
  const cordoned = (): string[] =>
    cluster
      .objects()
      .filter((object) => object.kind === 'Node' && (object['spec'] as { unschedulable?: boolean } | undefined)?.unschedulable === true)
      .map((object) => object.metadata.name ?? '');
  return { cluster, cordoned };
};

test('the nodes of one pool take no new pods, and do so again afterwards; what a person cordoned stays so', async () => {
  const { cluster, cordoned } = await clusterWith(
    nodeOf('a', 'old'),
    nodeOf('b', 'old'),
    nodeOf('c', 'new'),
    nodeOf('d', 'old', { spec: { unschedulable: true } }),
  );
  expect(await cordonNodes(cluster, 'pool=old', true)).toEqual({ ok: true, value: { nodes: 3, left: 0 } });
  expect(cordoned()).toEqual(['a', 'b', 'd']);
  expect(await cordonNodes(cluster, 'pool=old', true)).toEqual({ ok: true, value: { nodes: 3, left: 0 } });
  expect(await cordonNodes(cluster, 'pool=old', false)).toEqual({ ok: true, value: { nodes: 3, left: 0 } });
  expect(cordoned()).toEqual(['d']);
});

test('a node that goes in between is not made anew', async () => {
  const { cluster } = await clusterWith(nodeOf('a', 'old'), nodeOf('b', 'old'));
  const racing: Cluster = {
    ...cluster,
    list: async (query) => {
      const listed = await cluster.list(query);
      await cluster.delete({ apiVersion: 'v1', kind: 'Node', name: 'a' }, { propagation: 'Background' });
      return listed;
    },
  };
  expect(await cordonNodes(racing, 'pool=old', true)).toMatchObject({ ok: true });
  expect(cluster.objects().filter((object) => object.kind === 'Node')).toMatchObject([{ metadata: { name: 'b' }, spec: { unschedulable: true } }]);
});

test('a large pool is told in several looks', async () => {
  const { cluster, cordoned } = await clusterWith(...Array.from({ length: cordonsPerLook + 1 }, (_, index) => nodeOf(`n${index}`, 'old')));
  expect(await cordonNodes(cluster, 'pool=old', true)).toEqual({ ok: true, value: { nodes: cordonsPerLook + 1, left: 1 } });
  expect(cordoned()).toHaveLength(cordonsPerLook);
  expect(await cordonNodes(cluster, 'pool=old', true)).toMatchObject({ ok: true, value: { left: 0 } });
  expect(cordoned()).toHaveLength(cordonsPerLook + 1);
});

test('a selector that could mean every node is refused, and a failure is told as it is', async () => {
  const { cluster, cordoned } = await clusterWith(nodeOf('a', 'old'));
  for (const selector of ['', 'pool', 'pool!=new', 'pool=old,x=y', '=', 'pool='])
    expect(await cordonNodes(cluster, selector, true), selector).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'selector-missing' } });
  expect(await cordonNodes(cluster.as('viewer'), 'pool=old', true)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'denied' } });
  cluster.pause();
  expect(await cordonNodes(cluster, 'pool=old', true)).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'api-unreachable' } });
  expect(cordoned()).toEqual([]);
});
