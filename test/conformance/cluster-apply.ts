import { expect, test } from 'vitest';
import { agent, at, bad, configMap, deployment, good, newNamespace, refOf } from './cluster-objects.ts';
import type { Get } from './cluster.ts';

const ownership = (get: Get): void => {
  test('another manager owns a field: conflict without force, nothing changed; with force taken over', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'shared', { a: '1', b: '1' });
    good(await cluster.apply(map, agent));
    const theirs = configMap(map.metadata.namespace ?? '', 'shared', { a: '2' });
    const failure = bad(await cluster.apply(theirs, { fieldManager: 'other', force: false }), 'field-conflict', 'blocked');
    expect(failure.message).toContain('agent');
    expect(failure.message).toContain('.data.a');
    expect(at(good(await cluster.get(refOf(map))), 'data', 'a')).toBe('1');
    const taken = good(await cluster.apply(theirs, { fieldManager: 'other', force: true }));
    expect(at(taken, 'data')).toEqual({ a: '2', b: '1' });
    const owners = Object.fromEntries((taken.metadata.managedFields ?? []).map((entry) => [entry.manager, entry.fieldsV1]));
    expect(owners).toEqual({ agent: { 'f:data': { 'f:b': {} } }, other: { 'f:data': { 'f:a': {} } } });
    bad(await cluster.apply(map, agent), 'field-conflict', 'blocked');
  });

  test('the same value from two managers is shared, and stays until both have let go', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const map = configMap(namespace, 'shared', { a: '1' });
    good(await cluster.apply(map, agent));
    good(await cluster.apply(configMap(namespace, 'shared', { a: '1' }), { fieldManager: 'other', force: false }));
    const first = good(await cluster.apply(configMap(namespace, 'shared', {}), agent));
    expect(at(first, 'data', 'a')).toBe('1');
    const second = good(await cluster.apply(configMap(namespace, 'shared', {}), { fieldManager: 'other', force: false }));
    expect(at(second, 'data', 'a')).toBe(undefined);
  });

  test('a plain write takes ownership away from who applied', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'edited', { a: '1', b: '1' });
    const applied = good(await cluster.apply(map, agent));
    const replaced = good(await cluster.replace({ ...applied, data: { a: 'drift', b: '1' } }));
    const mine = (replaced.metadata.managedFields ?? []).find((entry) => entry.manager === 'agent');
    expect(mine?.fieldsV1).toEqual({ 'f:data': { 'f:b': {} } });
    bad(await cluster.apply(map, agent), 'field-conflict', 'blocked');
    expect(at(good(await cluster.apply(map, { ...agent, force: true })), 'data', 'a')).toBe('1');
  });
};

const lists = (get: Get): void => {
  test('keyed lists are merged item by item, and fields in conflict are named by their keys', async () => {
    const { cluster } = get();
    const web = deployment(await newNamespace(cluster), 'web', 'example/web:1', 0);
    good(await cluster.apply(web, agent));
    const sidecar = structuredClone(web);
    sidecar['spec'] = {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [
            { name: 'main', env: [{ name: 'B', value: '2' }], image: 'example/web:1' },
            { name: 'proxy', image: 'example/proxy:1' },
          ],
        },
      },
    };
    const both = good(await cluster.apply(sidecar, { fieldManager: 'mesh', force: false }));
    const containers = at(both, 'spec', 'template', 'spec', 'containers') as { name: string; env?: unknown[] }[];
    expect(containers.map((container) => container.name)).toEqual(['main', 'proxy']);
    expect(containers[0]?.env).toHaveLength(2);
    expect(at(both, 'spec', 'replicas')).toBe(0);
    const other = structuredClone(web);
    Object.assign(at(other, 'spec', 'template', 'spec', 'containers', 0) as object, { image: 'example/web:2' });
    const failure = bad(await cluster.apply(other, { fieldManager: 'third', force: false }), 'field-conflict', 'blocked');
    expect(failure.message).toContain('.spec.template.spec.containers[name="main"].image');
    const withoutProxy = structuredClone(sidecar);
    (at(withoutProxy, 'spec', 'template', 'spec', 'containers') as unknown[]).pop();
    const after = good(await cluster.apply(withoutProxy, { fieldManager: 'mesh', force: false }));
    expect((at(after, 'spec', 'template', 'spec', 'containers') as unknown[]).length).toBe(1);
  });

  test('managedFields of a workload have the keys that Kubernetes gives them', async () => {
    const { cluster } = get();
    const web = good(await cluster.apply(deployment(await newNamespace(cluster), 'web', 'example/web:1', 0), agent));
    const mine = (web.metadata.managedFields ?? []).find((entry) => entry.manager === 'agent');
    expect(mine).toMatchObject({ operation: 'Apply', apiVersion: 'apps/v1', fieldsType: 'FieldsV1' });
    expect(at(mine?.fieldsV1, 'f:spec')).toEqual({
      'f:replicas': {},
      'f:selector': {},
      'f:template': {
        'f:metadata': { 'f:labels': { 'f:app': {} } },
        'f:spec': {
          'f:containers': {
            'k:{"name":"main"}': {
              '.': {},
              'f:name': {},
              'f:image': {},
              'f:env': { 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
              'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} } },
            },
          },
        },
      },
    });
  });
};

export const applyTests = (get: Get): void => {
  test('creates, then updates, and returns what is stored', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'settings', { a: '1' }, { app: 'x' });
    const created = good(await cluster.apply(map, agent));
    expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', labels: { app: 'x' } }, data: { a: '1' } });
    expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(created.metadata.managedFields).toMatchObject([
      { manager: 'agent', operation: 'Apply', fieldsV1: { 'f:data': { 'f:a': {} }, 'f:metadata': { 'f:labels': { 'f:app': {} } } } },
    ]);
    const updated = good(await cluster.apply({ ...map, data: { a: '2', b: '1' } }, agent));
    expect(at(updated, 'data')).toEqual({ a: '2', b: '1' });
    expect(updated.metadata.uid).toBe(created.metadata.uid);
    expect(updated.metadata.resourceVersion).not.toBe(created.metadata.resourceVersion);
    expect(good(await cluster.get(refOf(map)))).toEqual(updated);
  });

  test('applying the same again changes nothing, not even the resourceVersion', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'same', { a: '1' });
    const first = good(await cluster.apply(map, agent));
    const second = good(await cluster.apply(map, agent));
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  test('an object that was read can be applied again as it is', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'again', { a: '1' });
    const first = good(await cluster.apply(map, agent));
    const { uid: _uid, resourceVersion: _version, creationTimestamp: _time, ...metadata } = first.metadata;
    expect(good(await cluster.apply({ ...first, metadata }, agent)).metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  test('an apply with a uid is for that incarnation, and makes none', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'incarnation', { a: '1' });
    const first = good(await cluster.apply(map, agent));
    const { uid } = first.metadata;
    const own = { ...map, metadata: { ...map.metadata, ...(uid === undefined ? {} : { uid }) } };
    expect(good(await cluster.apply(own, agent)).metadata.uid).toBe(uid);
    good(await cluster.delete(refOf(map), { propagation: 'Background' }));
    bad(await cluster.apply(own, agent), 'conflict', 'retry');
    bad(await cluster.get(refOf(map)), 'not-found', 'retry');
    const second = good(await cluster.apply(map, agent));
    bad(await cluster.apply(own, agent), 'immutable-field', 'fatal');
    expect(good(await cluster.get(refOf(map))).metadata.uid).toBe(second.metadata.uid);
  });

  test('a field that is no longer applied is removed', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'shrinking', { a: '1', b: '1' }, { x: '1', y: '1' });
    good(await cluster.apply(map, agent));
    const smaller = good(await cluster.apply(configMap(map.metadata.namespace ?? '', 'shrinking', { a: '1' }, { x: '1' }), agent));
    expect(at(smaller, 'data')).toEqual({ a: '1' });
    expect(smaller.metadata.labels).toEqual({ x: '1' });
  });

  test('a dry run answers what would be, and stores nothing', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'rehearsal', { a: '1' });
    expect(at(good(await cluster.apply(map, { ...agent, dryRun: true })), 'data', 'a')).toBe('1');
    bad(await cluster.get(refOf(map)), 'not-found', 'retry');
    const stored = good(await cluster.apply(map, agent));
    expect(at(good(await cluster.apply({ ...map, data: { a: '2' } }, { ...agent, dryRun: true })), 'data', 'a')).toBe('2');
    expect(good(await cluster.get(refOf(map)))).toEqual(stored);
  });

  ownership(get);
  lists(get);
};
