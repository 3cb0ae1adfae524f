import { expect, test } from 'vitest';
import { foldList } from '@groundplane/agent/cluster/fold-list';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { agent, at, bad, configMap, eventually, good, newNamespace, refOf } from './cluster-objects.ts';
import type { Get } from './cluster.ts';

const names = (items: KubeObject[]): string[] => items.map((item) => item.metadata.name ?? '');

const definition: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.conformance.example.com' },
  spec: {
    group: 'conformance.example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { parts: { type: 'array', items: { type: 'string' } }, size: { type: 'object', properties: { width: { type: 'integer' } } } },
              },
            },
          },
        },
      },
    ],
  },
};

const customTests = (get: Get): void => {
  test('a kind exists once its definition is established, and is gone with it', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const widget: KubeObject = {
      apiVersion: 'conformance.example.com/v1',
      kind: 'Widget',
      metadata: { namespace, name: 'one' },
      spec: { parts: ['a', 'b'], size: { width: 1 } },
    };
    bad(await cluster.apply(widget, agent), 'kind-unknown', 'retry');
    bad(await cluster.resource(widget.apiVersion, 'Widget'), 'kind-unknown', 'retry');
    good(await cluster.apply(definition, agent));
    const stored = await eventually(async () => good(await cluster.apply(widget, agent)));
    expect(stored.metadata.generation).toBe(1);
    // Without a schema that says otherwise, a list is one value.
    expect(at(stored.metadata.managedFields, 0, 'fieldsV1', 'f:spec')).toEqual({ 'f:parts': {}, 'f:size': { 'f:width': {} } });
    expect(good(await cluster.resource(widget.apiVersion, 'Widget'))).toMatchObject({ resource: 'widgets', namespaced: true });
    expect(good(await cluster.apply({ ...widget, spec: { parts: ['c'] } }, agent)).metadata.generation).toBe(2);
    expect(names(good(await cluster.list({ apiVersion: widget.apiVersion, kind: 'Widget' })).items)).toEqual(['one']);
    good(await cluster.delete(refOf(definition), { propagation: 'Background' }));
    await eventually(async () => bad(await cluster.get(refOf(widget)), 'kind-unknown', 'retry'));
  });
};

const deleteTests = (get: Get): void => {
  test('delete succeeds also when there is nothing to delete', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'short-lived', {});
    good(await cluster.apply(map, agent));
    good(await cluster.delete(refOf(map), { propagation: 'Background' }));
    bad(await cluster.get(refOf(map)), 'not-found', 'retry');
    good(await cluster.delete(refOf(map), { propagation: 'Background' }));
    good(await cluster.delete({ ...refOf(map), namespace: 'no-such-namespace' }, { propagation: 'Background' }));
  });

  test('delete with a uid spares another incarnation', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'reborn', {});
    const first = good(await cluster.apply(map, agent));
    good(await cluster.delete(refOf(map), { propagation: 'Background', ...(first.metadata.uid === undefined ? {} : { uid: first.metadata.uid }) }));
    const second = good(await cluster.apply(map, agent));
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    bad(await cluster.delete(refOf(map), { propagation: 'Background', uid: first.metadata.uid ?? '' }), 'object-replaced', 'blocked');
    expect(good(await cluster.get(refOf(map))).metadata.uid).toBe(second.metadata.uid);
  });

  test('a finalizer keeps an object until it is taken away', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'held', {});
    map.metadata.finalizers = ['example.com/hold'];
    good(await cluster.apply(map, agent));
    good(await cluster.delete(refOf(map), { propagation: 'Background' }));
    const dying = good(await cluster.get(refOf(map)));
    expect(dying.metadata.deletionTimestamp).toMatch(/^\d{4}-/);
    const { finalizers: _finalizers, ...metadata } = dying.metadata;
    good(await cluster.replace({ ...dying, metadata }));
    bad(await cluster.get(refOf(map)), 'not-found', 'retry');
  });

  test('dependents go with their owner', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const owner = good(await cluster.apply(configMap(namespace, 'owner', {}), agent));
    const child = configMap(namespace, 'child', {});
    child.metadata['ownerReferences'] = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }];
    good(await cluster.apply(child, agent));
    good(await cluster.delete(refOf(owner), { propagation: 'Background' }));
    await eventually(async () => bad(await cluster.get(refOf(child)), 'not-found', 'retry'));
  });
};

const listTests = (get: Get): void => {
  test('tells its version', async () => {
    expect(good(await get().cluster.version())).toMatch(/^v\d+\.\d+\.\d+/);
  });

  test('knows the resource of a kind', async () => {
    const { cluster } = get();
    expect(good(await cluster.resource('apps/v1', 'Deployment'))).toMatchObject({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      resource: 'deployments',
      namespaced: true,
    });
    expect(good(await cluster.resource('v1', 'Namespace'))).toMatchObject({ resource: 'namespaces', namespaced: false });
    expect(good(await cluster.resource('networking.k8s.io/v1', 'Ingress')).resource).toBe('ingresses');
  });

  test('lists everything that is served, each resource once', async () => {
    const all = good(await get().cluster.resources());
    const found = (kind: string): string[] => all.filter((one) => one.kind === kind).map((one) => `${one.apiVersion} ${one.resource} ${one.namespaced}`);
    expect(found('Deployment')).toEqual(['apps/v1 deployments true']);
    expect(found('HorizontalPodAutoscaler')).toEqual(['autoscaling/v2 horizontalpodautoscalers true']);
    expect(found('Namespace')).toEqual(['v1 namespaces false']);
    expect(all.every((one) => !one.resource.includes('/'))).toBe(true);
    expect(all.find((one) => one.kind === 'ConfigMap')?.verbs).toEqual(expect.arrayContaining(['list', 'delete']));
  });

  test('lists by label selector, with apiVersion and kind in every item', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    for (const [name, labels] of [
      ['a', { app: 'x', tier: 'front' }],
      ['b', { app: 'x', tier: 'back' }],
      ['c', { app: 'y' }],
    ] as const)
      good(await cluster.apply(configMap(namespace, name, {}, labels), agent));
    const list = async (labelSelector: string): Promise<string[]> =>
      names(good(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector })).items);
    expect(await list('app=x')).toEqual(['a', 'b']);
    expect(await list('app=x,tier!=back')).toEqual(['a']);
    expect(await list('app in (x,y),!tier')).toEqual(['c']);
    expect(await list('tier')).toEqual(['a', 'b']);
    expect(await list('tier notin (back),app')).toEqual(['a', 'c']);
    const { items, resourceVersion } = good(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: 'app' }));
    expect(items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(resourceVersion).toMatch(/^\d+$/);
    expect(good(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'no-such-namespace' })).items).toEqual([]);
    bad(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: 'a b c' }), 'object-invalid', 'fatal');
  });

  test('lists more objects than fit on one page', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const wanted = Array.from({ length: 1201 }, (_unused, index) => `m-${String(index).padStart(4, '0')}`);
    for (let start = 0; start < wanted.length; start += 50)
      await Promise.all(wanted.slice(start, start + 50).map(async (name) => good(await cluster.create(configMap(namespace, name, {}, { page: 'yes' })))));
    expect(names(good(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: 'page' })).items)).toEqual(wanted);
  }, 60_000);
};

const pageTests = (get: Get): void => {
  test('reads a list page by page', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const query = { apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: 'page', limit: 2 };
    expect(good(await cluster.page(query))).toEqual({ items: [] });
    for (const name of ['a', 'b', 'c', 'd', 'e']) good(await cluster.create(configMap(namespace, name, {}, { page: 'yes' })));
    const found: string[][] = [];
    for (let after: string | undefined, page = 0; page < 9; page += 1) {
      const read: { items: KubeObject[]; next?: string } = good(await cluster.page({ ...query, ...(after === undefined ? {} : { after }) }));
      found.push(names(read.items));
      expect(read.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
      after = read.next;
      if (after === undefined) break;
    }
    expect(found).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    // With five, a server may not know yet that nothing else matches.
    expect(good(await cluster.page({ ...query, limit: 6 })).next).toBeUndefined();
  });

  test('a place in a list stays good while others write, or is told to be lost', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    const query = { apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: 'page', limit: 1 };
    for (const name of ['a', 'b', 'c']) good(await cluster.create(configMap(namespace, name, {}, { page: 'yes' })));
    const { next: after = '' } = good(await cluster.page(query));
    good(await cluster.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'b' }, { propagation: 'Background' }));
    const read = await cluster.page({ ...query, after });
    // As the list was when it began.
    if (read.ok) expect(names(read.value.items)).toEqual(['b']);
    else bad(read, 'history-gone', 'retry');
    const folded = good(await foldList<string[]>(cluster, { query, empty: () => [], add: (all, item) => [...all, item.metadata.name ?? ''] }));
    expect(folded).toEqual({ value: ['a', 'c'], isMore: false });
  });
};

export const readTests = (get: Get): void => {
  listTests(get);
  pageTests(get);

  test('create refuses what exists; generateName makes a name', async () => {
    const { cluster } = get();
    const namespace = await newNamespace(cluster);
    good(await cluster.create(configMap(namespace, 'only-once', {})));
    bad(await cluster.create(configMap(namespace, 'only-once', {})), 'exists', 'blocked');
    const { name: _name, ...metadata } = configMap(namespace, '', {}).metadata;
    expect(good(await cluster.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...metadata, generateName: 'made-' } })).metadata.name).toMatch(
      /^made-.{5}$/,
    );
  });

  test('replace is guarded by the resourceVersion', async () => {
    const { cluster } = get();
    const map = configMap(await newNamespace(cluster), 'guarded', { a: '1' });
    const first = good(await cluster.create(map));
    const second = good(await cluster.replace({ ...first, data: { a: '2' } }));
    expect(at(second, 'data', 'a')).toBe('2');
    bad(await cluster.replace({ ...first, data: { a: '3' } }), 'conflict', 'retry');
    bad(await cluster.replace(map), 'object-invalid', 'fatal');
    bad(
      await cluster.replace({ ...configMap(map.metadata.namespace ?? '', 'nowhere', {}), metadata: { ...first.metadata, name: 'nowhere' } }),
      'not-found',
      'retry',
    );
  });

  deleteTests(get);
  customTests(get);
};
