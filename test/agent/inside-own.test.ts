import { insideView } from '@groundplane/agent/inside/own';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { insideNames, readOnlyRules } from '@groundplane/protocol/inside/names';
import { fail } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { expect, test } from 'vitest';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';

test('looking at a cluster needs exactly the rights that the manifest gives', async () => {
  const cluster = fakeCluster({ clock: virtualClock() });
  const put = (object: KubeObject) => cluster.apply(object, { fieldManager: 'test', force: true });
  await put({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: insideNames.agent }, rules: [] });
  const used = new Set<string>();
  const groupOf = (apiVersion: string): string => (apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '');
  const asked = async (verb: string, { apiVersion, kind }: { apiVersion: string; kind: string }): Promise<boolean> => {
    const resource = await cluster.resource(apiVersion, kind);
    const name = resource.ok ? resource.value.resource : kind;
    const rule = readOnlyRules.find(
      (item) => item.apiGroups?.includes(groupOf(apiVersion)) === true && item.resources?.includes(name) === true && item.verbs.includes(verb),
    );
    used.add(`${verb} ${name}`);
    return rule !== undefined;
  };
  const denied = fail('blocked', 'denied', 'test', 'the manifest does not give this');
  const limited: Cluster = {
    ...cluster,
    get: async (ref) => ((await asked('get', ref)) ? cluster.get(ref) : denied),
    list: async (query) => ((await asked('list', query)) ? cluster.list(query) : denied),
    page: async (query) => ((await asked('list', query)) ? cluster.page(query) : denied),
  };
  expect(await insideView(limited, { running: '', manifest: 'abc' })).toMatchObject({ ok: true, value: { nodes: 0, mode: 'read-only', manifest: 'abc' } });
  const lists = readOnlyRules.filter((rule) => rule.resourceNames === undefined);
  const given = lists.flatMap((rule) => (rule.resources ?? []).flatMap((resource) => rule.verbs.map((verb) => `${verb} ${resource}`)));
  expect([...used].filter((item) => item !== 'get clusterroles').toSorted()).toEqual(given.toSorted());
});
