import { setTimeout as delay } from 'node:timers/promises';
import { memoryContent } from '@groundplane/hub/content/memory';
import { packFiles } from '@groundplane/hub/pack/write';
import { createBundler, type BundleInput, type BuiltBundle } from '@groundplane/hub/render/bundle';
import { createHelmPool, type HelmRenderer } from '@groundplane/hub/render/helm/index';
import { packTgz } from '@groundplane/hub/archive/write';
import { digestOf } from '@groundplane/protocol/digest';
import { refText } from '@groundplane/protocol/kubernetes';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { jsonOf, packOf, plainPack, chartOf, type PackTexts } from '../pack/packs.ts';

vi.setConfig({ testTimeout: 120_000 });
const clock = {
  after: (delayMs: number, callback: () => void) => {
    const abort = new AbortController();
    void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
    return () => abort.abort();
  },
};
const pool = createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock });
afterAll(() => pool.close());

let renders = 0;
const counting: HelmRenderer = {
  render: (request) => {
    renders += 1;
    return pool.render(request);
  },
  close: () => pool.close(),
};
const content = memoryContent();
const bundler = () => createBundler({ content, helm: counting, seed: (cluster, release) => `${cluster} ${release}` }, 'test');

const inputOf = (layers: unknown[], more: Partial<BundleInput> & { declared?: unknown[] } = {}): BundleInput => {
  const { declared = [], ...rest } = more;
  const spec = profileSpecSchema.parse({ type: 'addon', layers, variables: declared });
  return {
    cluster: 'one',
    profiles: [{ name: 'p', version: '1.0.0', spec, digest: digestOf(spec) }],
    variables: {},
    macros: {},
    system: {},
    kubeVersion: 'v1.34.0',
    ...rest,
  };
};
const made = async (input: BundleInput, using = bundler()): Promise<BuiltBundle> => {
  const result = await using.make(input);
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.element}: ${result.failure.message}`);
  return result.value;
};
const failed = async (input: BundleInput): Promise<string> => {
  const result = await bundler().make(input);
  return result.ok ? 'made' : `${result.failure.code}: ${result.failure.element}: ${result.failure.message}`;
};
const objectsOf = async (built: BuiltBundle, layer = 0): Promise<Record<string, unknown>[]> =>
  Promise.all(
    (built.bundle.layers[layer]?.objects ?? []).map(async (object) => JSON.parse(String(await content.read(object.digest))) as Record<string, unknown>),
  );
const names = (built: BuiltBundle): string[][] => built.bundle.layers.map((layer) => layer.objects.map((object) => refText(object.ref)));

const storePack = async (texts: PackTexts) => {
  const built = packFiles(packOf(texts));
  if (!built.ok) throw new Error(built.failure.message);
  return { name: built.value.name, version: built.value.version, digest: await content.put(built.value.bytes) };
};
const chartLayer = async (name: string, template: string, more: Record<string, unknown> = {}) => {
  const archive = packTgz([
    { name: `${name}/Chart.yaml`, data: Buffer.from(`apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`) },
    { name: `${name}/values.yaml`, data: Buffer.from('a: {b: 1, c: 2}\n') },
    { name: `${name}/templates/all.yaml`, data: Buffer.from(template) },
  ]);
  return { name, kind: 'addon', helm: { chart: { digest: await content.put(archive), name, version: '1.0.0' }, ...more } };
};
const map = (name: string, data: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {v: ${data}}\n`;
const dataOf = (object: Record<string, unknown> | undefined): string => {
  const data = (object?.['data'] ?? {}) as { v?: string; all?: string };
  return data.v ?? data.all ?? '';
};

describe('packs in bundles', () => {
  test('charts, templates, images and namespaces of a pack', async () => {
    const pack = await storePack(
      plainPack({
        'pack.json': jsonOf({ kubeManifests: ['manifests/page.yaml'] }),
        'manifests/page.yaml':
          '{{ if .Values.enabled }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata: {v: {{ .Values.text | quote }}}\n{{ end }}',
        'values.yaml':
          'pack:\n  namespace: shop\n  additionalNamespaces: [extra]\n  namespaceLabels: {shop: "team=a"}\n  content: {images: [{image: registry.example/web:1}]}\ncharts: {web: {replicas: 3}}\nmanifests: {page: {enabled: true, text: "{{ .spectro.var.who }}"}}\n',
      }),
    );
    const values =
      'pack:\n  namespace: shop\n  additionalNamespaces: [extra]\n  namespaceLabels: {shop: "team=a"}\n  content: {images: [{image: registry.example/web:1}]}\ncharts: {web: {replicas: 3}}\nmanifests: {page: {enabled: true, text: "{{ .spectro.var.who }}"}}\n';
    const built = await made(inputOf([{ name: 'l', kind: 'addon', pack: { ...pack, values } }], { declared: [{ name: 'who' }], variables: { who: 'Ann' } }));
    expect(names(built)).toEqual([['Namespace extra', 'Namespace shop', 'ConfigMap shop/shop-web', 'ConfigMap shop/page']]);
    const layer = built.bundle.layers[0];
    expect(layer?.namespace).toBe('shop');
    expect(layer?.images).toEqual(['registry.example/web:1']);
    expect(layer?.objects.filter((object) => object.early === true).map((object) => object.ref.name)).toEqual(['extra', 'shop']);
    const objects = await objectsOf(built);
    expect(objects[1]).toMatchObject({ metadata: { name: 'shop', labels: { team: 'a' } } });
    expect(JSON.parse(dataOf(objects[2]))).toMatchObject({ replicas: 3 });
    expect(dataOf(objects[3])).toBe('Ann');
    // Without values of the profile, those of the pack count, references and all.
    expect(await failed(inputOf([{ name: 'l', kind: 'addon', pack }]))).toMatch(/spectro\.var\.who/);
  });

  test('layers of values and overrides of the cluster, as far as the profile opens them', async () => {
    const pack = await storePack(plainPack());
    const layer = {
      name: 'l',
      kind: 'addon',
      pack: { ...pack, values: 'pack: {namespace: shop}\ncharts: {web: {replicas: 2, image: {tag: x}}}\n', valuesLayers: ['charts: {web: {extra: 1}}'] },
      settable: ['charts.web.replicas'],
    };
    const overrides = { l: { values: 'charts: {web: {replicas: 9}}' } };
    const objects = await objectsOf(await made(inputOf([layer], { overrides })));
    expect(JSON.parse(dataOf(objects.find((object) => object['kind'] === 'ConfigMap')))).toMatchObject({ replicas: 9, extra: 1, image: { tag: 'x' } });
    expect(await failed(inputOf([layer], { overrides: { l: { values: 'charts: {web: {image: {tag: evil}}}' } } }))).toMatch(
      /^override-not-settable: override of layer l: sets charts\.web\.image\.tag/,
    );
    expect(await failed(inputOf([layer], { overrides: { l: { values: 'charts: evil' } } }))).toMatch(/^override-not-settable/);
    expect(await failed(inputOf([layer], { overrides: { m: { values: '' } } }))).toMatch(/^override-unknown/);
  });

  test('the priority of a pack orders layers', async () => {
    const pack = await storePack(plainPack());
    const layer = (name: string, priority: string) => ({
      name,
      kind: 'addon',
      pack: { ...pack, values: `pack:\n  namespace: ${name}\n  spectrocloud.com/install-priority: "${priority}"\n  spectrocloud.com/display-name: ${name}\n` },
    });
    const built = await made(inputOf([layer('a', '20'), layer('b', '-1'), layer('c', '3')]));
    expect(built.bundle.layers.map((item) => [item.name, item.priority])).toEqual([
      ['b', -1],
      ['c', 3],
      ['a', 20],
    ]);
  });
});

describe('what layers know of each other', () => {
  test('a chart sees the API versions of custom resources that come before it', async () => {
    const crds = {
      name: 'a-crds',
      kind: 'addon',
      manifests: [
        {
          name: 'crd',
          content:
            'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: monitors.example.com}\nspec: {group: example.com, scope: Cluster, names: {kind: Monitor, plural: monitors}, versions: [{name: v1, served: true}, {name: v0, served: false}]}\n',
        },
      ],
    };
    const chart = await chartLayer(
      'b',
      map(
        'apis',
        '"{{ .Capabilities.APIVersions.Has "example.com/v1/Monitor" }} {{ .Capabilities.APIVersions.Has "example.com/v0" }} {{ .Capabilities.APIVersions.Has "own.example/v1" }}"',
      ),
      { apiVersions: ['own.example/v1'] },
    );
    expect(dataOf((await objectsOf(await made(inputOf([crds, chart])), 1))[0])).toBe('true false true');
    expect(dataOf((await objectsOf(await made(inputOf([chart]))))[0])).toBe('false false true');
  });

  test('lookup finds what is declared and nothing else; null takes a default away', async () => {
    const chart = await chartLayer(
      'b',
      map('x', '"{{ (lookup "v1" "Secret" "ns" "known").data.k }}{{ lookup "v1" "Secret" "ns" "other" }}{{ .Values.a | toJson | b64enc }}"'),
      {
        lookup: 'apiVersion: v1\nkind: Secret\nmetadata: {name: known, namespace: ns}\ndata: {k: djE=}\n',
        values: 'a: {b: 5}',
        valuesLayers: ['a: {c: null}', 'a: {d: 1}'],
      },
    );
    expect(dataOf((await objectsOf(await made(inputOf([chart]))))[0])).toBe(`djE=map[]${Buffer.from('{"b":5,"d":1}').toString('base64')}`);
  });

  test('namespaces that several layers ask for have one owner, and everybody gets their labels', async () => {
    const pack = await storePack(plainPack());
    const layer = (name: string, labels: string) => ({
      name,
      kind: 'addon',
      pack: { ...pack, values: `pack:\n  namespace: shared\n  namespaceLabels: {shared: "${labels}"}\n  spectrocloud.com/display-name: ${name}\n` },
    });
    const built = await made(inputOf([layer('a', 'x=1'), layer('b', 'y=2')]));
    expect(names(built).map((item) => item.filter((text) => text.startsWith('Namespace')))).toEqual([['Namespace shared'], []]);
    expect((await objectsOf(built))[0]).toMatchObject({ metadata: { labels: { x: '1', y: '2' } } });
    expect(await failed(inputOf([layer('a', 'x=1'), layer('b', 'x=2')]))).toMatch(/^namespace-conflict: layer b: wants the label x=2 on namespace shared/);
    const own = {
      name: 'c',
      kind: 'addon',
      manifests: [{ name: 'ns', content: 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shared, labels: {z: "3"}}\n' }],
    };
    const defined = await made(inputOf([layer('a', 'x=1'), own]));
    expect(names(defined)).toEqual([['ConfigMap shared/a-web'], ['Namespace shared']]);
    expect((await objectsOf(defined, 1))[0]).toMatchObject({ metadata: { labels: { x: '1', z: '3' } } });
  });

  test('patches change what was rendered; one that fits nothing says so', async () => {
    const chart = await chartLayer('b', map('x', '"1"'));
    const patched = {
      ...chart,
      patches: [
        { target: { kind: 'ConfigMap' }, merge: 'data: {v: "2"}' },
        { target: { kind: 'Secret' }, merge: 'a: 1', optional: true },
      ],
    };
    expect(dataOf((await objectsOf(await made(inputOf([patched]))))[0])).toBe('2');
    expect(await failed(inputOf([{ ...chart, patches: [{ target: { kind: 'Secret' }, merge: 'a: 1' }] }]))).toContain('layer b');
  });
});

describe('what is shared', () => {
  test('clusters with equal inputs share one render, and one with passwords does not', async () => {
    const using = bundler();
    const plain = await chartLayer('plain', map('x', '"{{ .Values.a.b }}"'));
    const secret = await chartLayer('secret', map('x', '{{ randAlphaNum 8 | quote }}'));
    renders = 0;
    const same = await Promise.all(['one', 'two', 'three'].map((cluster) => made(inputOf([plain], { cluster }), using)));
    expect(new Set(same.map((built) => built.digest)).size).toBe(1);
    await made(inputOf([plain], { cluster: 'four' }), using);
    expect(renders).toBeLessThanOrEqual(3);
    const own = [];
    for (const cluster of ['one', 'two', 'one']) own.push(await made(inputOf([secret], { cluster }), using));
    expect(own[0]?.digest).not.toBe(own[1]?.digest);
    expect(own[0]?.digest).toBe(own[2]?.digest);
    expect((await made(inputOf([secret], { cluster: 'two' }))).digest).toBe(own[1]?.digest);
  });

  test('what a cluster was made from has the same digest before and after rendering', async () => {
    const using = bundler();
    const input = inputOf([await chartLayer('plain', map('x', '"1"'))]);
    const before = using.inputsOf(input);
    await made(input, using);
    expect(using.inputsOf(input)).toBe(before);
    expect(bundler().inputsOf(input)).toBe(before);
    expect(using.inputsOf({ ...input, kubeVersion: 'v1.35.0' })).not.toBe(before);
  });
});

test('a chart of a pack is the same archive wherever it is built', () => {
  expect(Buffer.from(chartOf('web')).equals(Buffer.from(chartOf('web')))).toBe(true);
});
