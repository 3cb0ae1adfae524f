import { expect, test } from 'vitest';
import { agent, at, bad, configMap, deployment, good, job, newNamespace, refOf } from './cluster-objects.ts';
import type { Get } from './cluster.ts';

const hostileNames = ['a/b', '../secrets', '..', '.', '%2e%2e', 'a%2fb', '', 'x'.repeat(254), 'a\nb'];

const pathTests = (get: Get): void => {
  test('a missing namespace', async () => {
    const { cluster } = get();
    const map = configMap('no-such-namespace', 'homeless', {});
    expect(bad(await cluster.apply(map, agent), 'namespace-missing', 'retry').message).toContain('no-such-namespace');
    bad(await cluster.create(map), 'namespace-missing', 'retry');
    bad(await cluster.get(refOf(map)), 'not-found', 'retry');
    bad(await cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: 'no-such-namespace' }), 'not-found', 'retry');
  });

  test('an unknown kind or group', async () => {
    const { cluster } = get();
    const unknown = { apiVersion: 'nobody.example.com/v1', kind: 'Mystery', metadata: { namespace: 'default', name: 'x' } };
    expect(bad(await cluster.apply(unknown, agent), 'kind-unknown', 'retry').element).toBe('Mystery default/x');
    bad(await cluster.get(refOf({ ...unknown, apiVersion: 'apps/v1' })), 'kind-unknown', 'retry');
    bad(await cluster.list({ apiVersion: 'apps/v9', kind: 'Deployment' }), 'kind-unknown', 'retry');
  });

  test.each(hostileNames)('the name %j is refused before it becomes a path', async (name) => {
    const { cluster } = get();
    bad(await cluster.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name }), 'object-invalid', 'fatal');
    bad(await cluster.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name }, { propagation: 'Background' }), 'object-invalid', 'fatal');
    bad(await cluster.apply(configMap('default', name, {}), agent), 'object-invalid', 'fatal');
    bad(await cluster.create(configMap('default', name, {})), 'object-invalid', 'fatal');
  });

  test('hostile namespaces, kinds and versions are refused', async () => {
    const { cluster } = get();
    bad(await cluster.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: '../default', name: 'x' }), 'object-invalid', 'fatal');
    bad(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'a/b' }), 'object-invalid', 'fatal');
    bad(await cluster.get({ apiVersion: 'v1', kind: 'Namespace', namespace: 'default', name: 'x' }), 'object-invalid', 'fatal');
    bad(await cluster.get({ apiVersion: 'v1', kind: 'ConfigMap', name: 'x' }), 'object-invalid', 'fatal');
  });

  test('names with a colon are allowed where Kubernetes allows them', async () => {
    const { cluster } = get();
    const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'conformance:some?role#1' }, rules: [] };
    good(await cluster.apply(role, agent));
    expect(good(await cluster.get(refOf(role))).metadata.name).toBe('conformance:some?role#1');
    good(await cluster.delete(refOf(role), { propagation: 'Background' }));
  });
};

export const failureTests = (get: Get): void => {
  pathTests(get);

  test('invalid objects', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    bad(await cluster.apply(configMap(namespace, 'Upper_Case', {}), agent), 'object-invalid', 'fatal');
    bad(await cluster.apply(configMap(namespace, 'bad-label', {}, { a: 'no spaces' }), agent), 'object-invalid', 'fatal');
    const web = deployment(namespace, 'web', 'example/web:1', 0);
    Object.assign(at(web, 'spec', 'template', 'metadata') as object, { labels: { app: 'other' } });
    expect(bad(await cluster.apply(web, agent), 'object-invalid', 'fatal').message).toContain('spec.template.metadata.labels');
    const none = deployment(namespace, 'none', 'example/web:1', 0);
    Object.assign(at(none, 'spec', 'template', 'spec') as object, { containers: [] });
    bad(await cluster.apply(none, agent), 'object-invalid', 'fatal');
  });

  test('immutable fields', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    good(await cluster.apply(deployment(namespace, 'web', 'example/web:1', 0), agent));
    const other = deployment(namespace, 'web', 'example/web:1', 0);
    Object.assign(at(other, 'spec') as object, { selector: { matchLabels: { app: 'other' } } });
    Object.assign(at(other, 'spec', 'template', 'metadata') as object, { labels: { app: 'other' } });
    bad(await cluster.apply(other, { ...agent, force: true }), 'immutable-field', 'fatal');
    good(await cluster.apply(job(namespace, 'once', 'example/job:1'), agent));
    bad(await cluster.apply(job(namespace, 'once', 'example/job:2'), { ...agent, force: true }), 'immutable-field', 'fatal');
    const set = deployment(namespace, 'set', 'example/web:1', 0);
    set.kind = 'StatefulSet';
    good(await cluster.apply(set, agent));
    Object.assign(at(set, 'spec') as object, { serviceName: 'other' });
    bad(await cluster.apply(set, agent), 'immutable-field', 'fatal');
    const fixed = { ...configMap(namespace, 'fixed', { a: '1' }), immutable: true };
    good(await cluster.apply(fixed, agent));
    bad(await cluster.apply({ ...fixed, data: { a: '2' } }, agent), 'immutable-field', 'fatal');
  });

  test('too large objects', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    bad(await cluster.apply(configMap(namespace, 'huge', { a: 'x'.repeat(1024 * 1024 + 1) }), agent), 'object-invalid', 'fatal');
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { namespace, name: 'huge', annotations: {} },
      rules: [{ apiGroups: [''], verbs: ['get'], resources: ['x'.repeat(1_600_000)] }],
    };
    bad(await cluster.create(role), 'object-invalid', 'fatal');
    good(await cluster.apply(configMap(namespace, 'large', { a: 'x'.repeat(1024 * 1024) }), agent));
  });

  test('missing rights', async () => {
    const { cluster, viewer } = get();
    const map = configMap(await newNamespace(cluster), 'seen', { a: '1' });
    good(await cluster.apply(map, agent));
    expect(at(good(await viewer.get(refOf(map))), 'data', 'a')).toBe('1');
    bad(await viewer.apply({ ...map, data: { a: '2' } }, agent), 'denied', 'blocked');
    bad(await viewer.create(configMap(map.metadata.namespace ?? '', 'unseen', {})), 'denied', 'blocked');
    bad(await viewer.delete(refOf(map), { propagation: 'Background' }), 'denied', 'blocked');
    bad(await viewer.list({ apiVersion: 'v1', kind: 'Secret' }), 'denied', 'blocked');
  });
};
