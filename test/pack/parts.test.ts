import { describe, expect, test } from 'vitest';
import { emptyHeader } from '@groundplane/protocol/pack/header';
import { packParts, releaseNameOf, type PackParts, type PackPartsOptions } from '@groundplane/hub/pack/parts';
import { readArchive } from '../../hub/src/archive/read.ts';
import { chartOf, jsonOf, packOf, plainPack, valuesText, type PackTexts } from './packs.ts';

const partsOf = async (texts: PackTexts, options: Partial<PackPartsOptions> = {}): Promise<PackParts> => {
  const made = await packParts(packOf(texts), { layerName: 'shop', ...options });
  if (!made.ok) throw new Error(`${made.failure.code} ${made.failure.element}: ${made.failure.message}`);
  return made.value;
};
const failureOf = async (texts: PackTexts, options: Partial<PackPartsOptions> = {}): Promise<string> => {
  const made = await packParts(packOf(texts), { layerName: 'shop', ...options });
  return made.ok ? 'made' : made.failure.code;
};
const codes = (parts: PackParts): string[] => parts.warnings.map((finding) => finding.code);
const valuesIn = (parts: PackParts): unknown[] => parts.charts.map((chart) => chart.values.map((text) => JSON.parse(text) as unknown));
const manifestPack = (values: string, files: PackTexts = {}, json: object = {}): PackTexts => ({
  'pack.json': jsonOf({ charts: [], kubeManifests: ['manifests/a.yaml'], ...json }),
  'values.yaml': values,
  ...files,
});

describe('what a pack comes down to', () => {
  test('its chart with its values, its namespace, its images', async () => {
    const parts = await partsOf(plainPack());
    expect(parts.warnings).toEqual([]);
    expect(parts.charts.map(({ archive: _archive, ...chart }) => chart)).toEqual([
      { name: 'web', version: '1.0.0', values: ['{"replicas":2}'], releaseName: 'shop-web', namespace: 'shop' },
    ]);
    expect(Buffer.from(parts.charts[0]?.archive ?? [])).toEqual(Buffer.from(chartOf('web')));
    expect(parts).toMatchObject({
      namespaces: [{ name: 'shop', labels: {}, annotations: {} }],
      images: ['registry.example/web:1.0.0'],
      manifests: [],
      priority: 0,
      displayName: 'Shop',
      namespace: 'shop',
      facts: { name: 'shop', kind: 'addon' },
    });
    expect(parts.readiness).toBeUndefined();
  });

  test('the header says namespaces, labels, priority, names and readiness', async () => {
    const parts = await partsOf(
      plainPack({
        'values.yaml': `pack:
  namespace: shop
  additionalNamespaces: [jobs]
  namespaceLabels: {shop: "a=b,c=d", watched: "e=f"}
  namespaceAnnotations: {jobs: "n=1=2"}
  releaseNameOverride: {web: front}
  spectrocloud.com/install-priority: "-3"
  spectrocloud.com/display-name: Front shop
readinessCheck: {deployments: [web]}
charts: {web: {}}
`,
      }),
    );
    expect(parts).toMatchObject({
      priority: -3,
      displayName: 'Front shop',
      readiness: { checks: [{ kind: 'Deployment', name: 'web' }] },
      namespaces: [
        { name: 'shop', labels: { a: 'b', c: 'd' }, annotations: {} },
        { name: 'jobs', labels: {}, annotations: { n: '1=2' } },
        { name: 'watched', labels: { e: 'f' }, annotations: {} },
      ],
    });
    expect(parts.charts[0]).toMatchObject({ releaseName: 'front', values: [] });
  });

  test('values of the profile win over those of the pack, and the namespace of the layer over that of the header', async () => {
    const parts = await partsOf(plainPack(), { values: valuesText.replace('replicas: 2', 'replicas: 9'), namespace: 'mine' });
    expect(valuesIn(parts)).toEqual([[{ replicas: 9 }]]);
    expect(parts.charts[0]?.namespace).toBe('mine');
    expect(parts.namespaces.map((item) => item.name)).toEqual(['mine']);
    expect(codes(parts)).toEqual(['namespace-differs']);
  });

  test('namespaces of Kubernetes itself are no part of a layer, unless it labels them', async () => {
    const system = (labels: string) =>
      partsOf(plainPack({ 'values.yaml': `pack:\n  namespace: kube-system\n  additionalNamespaces: [kube-public, jobs]\n${labels}charts: {web: {}}\n` }));
    expect((await system('')).namespaces.map((item) => item.name)).toEqual(['jobs']);
    expect((await system('  namespaceLabels: {kube-system: "a=b"}\n')).namespaces).toEqual([
      { name: 'kube-system', labels: { a: 'b' }, annotations: {} },
      { name: 'jobs', labels: {}, annotations: {} },
    ]);
    expect((await system('')).charts[0]?.namespace).toBe('kube-system');
  });

  test('several charts get what is under their names in Chart.yaml', async () => {
    const parts = await partsOf(
      plainPack({
        'pack.json': jsonOf({ charts: ['charts/web-1.0.0.tgz', 'charts/rbd-1.0.0.tgz'] }),
        'charts/rbd-1.0.0.tgz': chartOf('csi-rbd'),
        'values.yaml': 'pack: {content: {images: null}}\ncharts: {csi-rbd: {a: on, b: 012, c: null}, web: {d: "x"}, extra: 1}\n',
      }),
    );
    expect(parts.charts.map((chart) => [chart.name, chart.releaseName, ...chart.values])).toEqual([
      ['web', 'shop-web', '{"d":"x"}'],
      ['csi-rbd', 'shop-csi-rbd', '{"a":true,"b":10,"c":null}'],
    ]);
    expect(codes(parts)).toEqual(['chart-values-unused']);
    expect(parts.namespaces).toEqual([]);
  });
});

describe('old and odd shapes', () => {
  test.each<[string, string, unknown, string[]]>([
    ['directly below charts:', 'pack: {}\ncharts: {replicas: 3, other: 1}\n', { replicas: 3, other: 1 }, ['chart-values-direct']],
    ['at the top', 'pack: {}\nreplicas: 3\nextra: 1\n', { replicas: 3, extra: 1 }, ['chart-values-top']],
    ['nowhere', 'pack: {}\nawsAccount: "1"\n', undefined, ['chart-values-missing']],
    ['empty', '', undefined, ['values-empty', 'chart-values-missing']],
  ])('values %s', async (_, values, found, warnings) => {
    const parts = await partsOf(plainPack({ 'values.yaml': values }));
    expect(valuesIn(parts)).toEqual([found === undefined ? [] : [found]]);
    expect(codes(parts)).toEqual(warnings);
  });

  test('an unpacked chart stands in for an archive that is not there', async () => {
    const { 'charts/web-1.0.0.tgz': _gone, ...rest } = plainPack();
    const parts = await partsOf({ ...rest, 'charts/web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.0.0\n', 'charts/web/templates/a.yaml': 'a: 1\n' });
    expect(codes(parts)).toEqual(['chart-folder-used']);
    const read = await readArchive(parts.charts[0]?.archive ?? new Uint8Array(), { bytesMax: 2 ** 20, entriesMax: 10, fileBytesMax: 2 ** 20 }, 'chart');
    expect(read.ok && read.value.map((file) => file.name)).toEqual(['web/Chart.yaml', 'web/templates/a.yaml']);
  });

  test('when pack.json lists nothing, what is there counts; when it lists anything, only that', async () => {
    const extra = { 'charts/old-1.0.0.tgz': chartOf('old'), 'manifests/a.yaml': 'a: 1\n' };
    const all = await partsOf(plainPack({ ...extra, 'pack.json': jsonOf({ charts: [] }) }));
    expect([all.charts.map((chart) => chart.name), all.manifests.map((manifest) => manifest.name)]).toEqual([['old', 'web'], ['a']]);
    const listed = await partsOf(plainPack(extra));
    expect([listed.charts.map((chart) => chart.name), listed.manifests]).toEqual([['web'], []]);
    expect(codes(listed)).toEqual(['chart-unreferenced', 'manifest-unreferenced']);
  });
});

describe('manifests', () => {
  test.each<[string, string, PackTexts, object]>([
    [
      'a template gets its values',
      'manifests: {a: {x: yes}}',
      { 'manifests/a.yaml': 'a: {{ .Values.x }}' },
      { name: 'a', content: 'a: {{ .Values.x }}', values: { x: true } },
    ],
    ['a template without values gets none', 'pack: {}', { 'manifests/a.yaml': 'a: {{ .Release.Name }}' }, { name: 'a', values: {} }],
    ['a plain one is literal', 'manifests: {a: {x: 1}}', { 'manifests/a.yaml': 'a: 1' }, { name: 'a', content: 'a: 1' }],
    ['contents replace the file', 'manifests: {a: {contents: "b: {{ 2 }}"}}', { 'manifests/a.yaml': 'a: 1' }, { name: 'a', content: 'b: {{ 2 }}' }],
    ['contents stand in for a file that is not there', 'manifests: {a: {contents: "b: 2"}}', {}, { name: 'a', content: 'b: 2' }],
    [
      'a template that puts the contents in keeps doing so',
      'manifests: {a: {contents: "b: 2"}}',
      { 'manifests/a.yaml': '{{ .Values.contents }}' },
      { content: '{{ .Values.contents }}', values: { contents: 'b: 2' } },
    ],
  ])('%s', async (_, values, files, manifest) => {
    const [part, ...more] = (await partsOf(manifestPack(`${values}\n`, files))).manifests;
    expect(more).toEqual([]);
    expect(part).toMatchObject({ ...manifest, namespace: 'default' });
    if (!('values' in manifest)) expect(part?.values).toBeUndefined();
  });

  test('those that only the values hold, and those that the profile adds', async () => {
    const parts = await partsOf(
      manifestPack('pack: {}\nmanifests: {a: {x: 1}, cni: {contents: "c: 1"}, lost: {y: 1}}\n', { 'manifests/a.yaml': '{{ .Values.x }}' }),
      {
        manifests: [{ name: 'more', content: 'd: {{ literal }}' }],
      },
    );
    expect(parts.manifests.map((manifest) => [manifest.name, manifest.content, manifest.values])).toEqual([
      ['a', '{{ .Values.x }}', { x: 1 }],
      ['cni', 'c: 1', undefined],
      ['more', 'd: {{ literal }}', undefined],
    ]);
    expect(codes(parts)).toEqual(['manifest-values-unused']);
  });
});

describe('what would be left out or installed wrongly is a failure', () => {
  test.each<[string, PackTexts, string]>([
    ['no pack.json', { 'values.yaml': '' }, 'pack-json-malformed'],
    ['a chart that is not there', plainPack({ 'pack.json': jsonOf({ charts: ['charts/gone-1.0.0.tgz'] }) }), 'chart-missing'],
    ['a chart that is none', plainPack({ 'charts/web-1.0.0.tgz': 'not one' }), 'chart-unreadable'],
    ['a chart outside', plainPack({ 'pack.json': jsonOf({ charts: ['../web-1.0.0.tgz'] }) }), 'path-outside'],
    ['a manifest that is not there', manifestPack('pack: {}\n'), 'manifest-missing'],
    ['values that are no YAML', plainPack({ 'values.yaml': 'a: [\n' }), 'yaml-malformed'],
    ['values that are a list', plainPack({ 'values.yaml': '- a\n' }), 'values-malformed'],
    ['an action that Helm cannot read', plainPack({ 'values.yaml': 'charts: {web: {a: {{ .Values.b }}}}\n' }), 'template-unquoted'],
    ['a priority that is none', plainPack({ 'values.yaml': 'pack: {spectrocloud.com/install-priority: soon}\n' }), 'priority-invalid'],
    ['a namespace that is none', plainPack({ 'values.yaml': 'pack: {namespace: A_B}\n' }), 'namespace-invalid'],
    ['a namespace nobody replaced', plainPack({ 'values.yaml': 'pack: {namespace: "{{ .spectro.var.ns }}"}\n' }), 'reference-unresolved'],
    [
      'two charts of one name',
      plainPack({ 'pack.json': jsonOf({ charts: ['charts/web-1.0.0.tgz', 'charts/b.tgz'] }), 'charts/b.tgz': chartOf('web') }),
      'release-name-twice',
    ],
    [
      'two charts of one release',
      plainPack({
        'pack.json': jsonOf({ charts: ['charts/web-1.0.0.tgz', 'charts/b.tgz'] }),
        'charts/b.tgz': chartOf('b'),
        'values.yaml': 'pack: {releaseNameOverride: {web: x, b: x}}\n',
      }),
      'release-name-twice',
    ],
    ['a value against the rules', plainPack({ 'schema.yaml': `charts.web.replicas: {schema: '{{ format "\${number:[5-9]}" }}'}\n` }), 'value-invalid'],
    [
      'a value that has to be there',
      plainPack({ 'schema.yaml': `charts.web.token: {schema: '{{ required }}'}\n`, 'values.yaml': `${valuesText}    token: ""\n` }),
      'value-missing',
    ],
  ])('%s', async (_, texts, code) => {
    expect(await failureOf(texts)).toBe(code);
  });

  test('read-only values are compared with the pack, and rules about nothing are no reason', async () => {
    const rules = { 'schema.yaml': `charts.web.replicas: {schema: '{{ readonly }}'}\ncharts.web.nowhere: {schema: '{{ required }}'}\n` };
    expect(await failureOf(plainPack(rules), { values: valuesText })).toBe('made');
    expect(await failureOf(plainPack(rules), { values: valuesText.replace('replicas: 2', 'replicas: 3') })).toBe('value-readonly');
  });

  test('an unknown layer or dependency does not change what is installed', async () => {
    expect(codes(await partsOf(plainPack({ 'pack.json': jsonOf({ layer: 'new', constraints: { dependencies: [{}] } }) })))).toEqual([
      'constraint-invalid',
      'layer-unknown',
    ]);
  });

  test('the failure names layer, pack, file and line, and the next command', async () => {
    const made = await packParts(packOf(plainPack({ 'values.yaml': 'pack:\n  namespace: A_B\n' })), { layerName: 'base' });
    expect(made).toMatchObject({
      ok: false,
      failure: { element: 'layer base, pack shop 1.2.3, values.yaml:2', message: expect.stringContaining('gp pack lint') as string },
    });
  });
});

describe('release names', () => {
  const header = emptyHeader();
  test.each<[string, string, Partial<typeof header>, string]>([
    ['shop', 'web', {}, 'shop-web'],
    ['Shop_1', 'Web.x', {}, 'shop-1-web-x'],
    ['shop', 'web', { displayName: 'Front  Shop' }, 'front-shop-web'],
    ['shop', 'web', { releaseNameOverride: { web: 'w' } }, 'w'],
    ['shop', 'constructor', {}, 'shop-constructor'],
    ['ü', '…', {}, 'release'],
  ])('%s, %s', (name, chart, more, release) => {
    expect(releaseNameOf({ name }, { ...header, ...more }, chart)).toBe(release);
  });

  test('at most 53 characters, and different names stay different', () => {
    const names = ['a', 'b'].map((end) => releaseNameOf({ name: 'x'.repeat(60) }, header, end));
    expect(names.map((name) => name.length)).toEqual([53, 53]);
    expect(new Set(names).size).toBe(2);
    expect(releaseNameOf({ name: 'x'.repeat(47) }, header, 'short')).toBe(`${'x'.repeat(47)}-short`);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
  });
});
