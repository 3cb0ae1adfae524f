import { profileDocumentSchema, profileSpecSchema } from '@groundplane/protocol/profile';
import { exportPaletteProfile } from '@groundplane/protocol/palette/export';
import { importPaletteProfile, plainName } from '@groundplane/protocol/palette/import';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const values = (text: string) => ({ values: text });
const pack = (fields: Record<string, unknown>) => ({
  name: 'hello',
  type: 'spectro',
  layer: 'addon',
  version: '1.2.0',
  tag: '1.2.0',
  values: '',
  registry: { metadata: { uid: '64eaff5630402973c4e1856a', name: 'Community', kind: 'pack', isPrivate: false } },
  manifests: [],
  ...fields,
});
const exported = (packs: unknown[], spec: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}) => ({
  metadata: { name: 'Edge Retail (prod)', description: 'A store', labels: { env: 'spectro__tag', 'not a label!': 'x' }, ...metadata },
  spec: { version: '1.4', template: { type: 'add-on', cloudType: 'edge-native', packs }, variables: [], ...spec },
});
const read = (value: unknown) => {
  const result = importPaletteProfile(value, 'profile.json');
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
};
const codes = (value: unknown): string[] => read(value).findings.map((finding) => finding.code);
const layersOf = (value: unknown) => (read(value).document['spec'] as { layers: Record<string, unknown>[] }).layers;

describe("reading Palette's profiles", () => {
  test('names, version, tags and the type become ours', () => {
    const { document } = read(exported([pack({})]));
    expect(document.metadata).toEqual({ name: 'edge-retail-prod', version: '1.4.0', labels: { env: 'spectro__tag' } });
    expect(document['spec']).toMatchObject({ type: 'addon', description: 'A store' });
    expect(codes(exported([pack({})])).toSorted()).toEqual(['label-odd', 'name-odd', 'version-odd']);
  });

  test('a pack keeps its values as they are, and says where its content is to be found', () => {
    const text = '# spectrocloud.com/enabled-presets: Mode:large\npack:\n  namespace: "web" # here\ncharts:\n  hello: {a: 1}\n';
    const imported = read(exported([pack(values(text))]));
    expect(layersOf(exported([pack(values(text))]))).toEqual([
      { name: 'hello', kind: 'addon', pack: { name: 'hello', version: '1.2.0', registry: 'Community', values: text } },
    ]);
    expect(imported.sources).toEqual([{ layer: 'hello', kind: 'pack', name: 'hello', version: '1.2.0', registry: 'Community' }]);
  });

  test('a chart gives up the frame of packs around its values, comments stay', () => {
    const text =
      'pack:\n  namespace: "ingress"\n  spectrocloud.com/install-priority: "-5"\n  releaseNameOverride:\n    nginx: front\ncharts:\n  nginx:\n    # how many\n    replicas: 2\n    host: "{{ .spectro.var.host }}"\n';
    expect(layersOf(exported([pack({ name: 'nginx', type: 'helm', ...values(text) })]))).toEqual([
      {
        name: 'nginx',
        kind: 'addon',
        namespace: 'ingress',
        priority: -5,
        helm: { chart: { name: 'nginx', version: '1.2.0' }, releaseName: 'front', values: '# how many\nreplicas: 2\nhost: "{{ .spectro.var.host }}"\n' },
      },
    ]);
    expect(layersOf(exported([pack({ name: 'n', type: 'helm', ...values('pack: {}\nreplicas: 2\n') })]))[0]).toMatchObject({
      helm: { values: 'replicas: 2\n' },
    });
  });

  test('manifests, twice the same pack, the machine layers', () => {
    const manifests = [
      { name: 'web', content: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' },
      { name: 'empty', content: '' },
    ];
    const full = exported([
      pack({ name: 'edge-native-byoi', layer: 'os', version: '2.1.0', ...values('a: 1\n') }),
      pack({ name: 'edge-k3s', layer: 'k8s', version: '1.31.4' }),
      pack({ type: 'manifest', manifests, ...values('pack:\n  spectrocloud.com/install-priority: "3"\n') }),
      pack({}),
    ]);
    full.spec.template.type = 'cluster';
    expect(layersOf(full)).toEqual([
      { name: 'edge-native-byoi', kind: 'os', pack: { name: 'edge-native-byoi', version: '2.1.0', values: 'a: 1\n' }, os: {} },
      { name: 'edge-k3s', kind: 'kubernetes', pack: { name: 'edge-k3s', version: '1.31.4' }, kubernetes: { distribution: 'existing', version: '~1.31' } },
      { name: 'hello', kind: 'addon', priority: 3, pack: { name: 'hello', version: '1.2.0' }, manifests: [manifests[0]] },
      { name: 'hello-2', kind: 'addon', pack: { name: 'hello', version: '1.2.0', registry: 'Community' } },
    ]);
    expect(codes(full)).toContain('os-pack');
    expect(codes(full)).toContain('kubernetes-pack');
  });

  test('variables with everything they can have; masked and read-only ones are told', () => {
    const variables = [
      {
        name: 'size',
        displayName: 'Size',
        inputType: 'dropdown',
        format: 'string',
        defaultValue: 's',
        options: [{ value: 's', label: 'Small', default: true }, { value: 'l' }],
      },
      { name: 'count', format: 'number', defaultValue: 3, required: true, regex: '^[0-9]$' },
      { name: 'secret', format: 'string', isSensitive: true, defaultValue: '', required: true, hidden: true },
      { name: 'fixed', format: 'string', immutable: true },
      { name: 'odd', format: 'json', inputType: 'slider' },
    ];
    const { document, findings } = read(exported([pack({})], { variables }));
    const spec = document['spec'] as { variables: unknown[] };
    expect(spec.variables).toEqual([
      { name: 'size', displayName: 'Size', inputType: 'dropdown', format: 'string', default: 's', options: [{ value: 's', label: 'Small' }, { value: 'l' }] },
      { name: 'count', inputType: 'text', format: 'number', default: '3', required: true, regex: '^[0-9]$' },
      { name: 'secret', inputType: 'text', format: 'string', required: true, sensitive: true },
      { name: 'fixed', inputType: 'text', format: 'string' },
      { name: 'odd', inputType: 'text', format: 'string' },
    ]);
    expect(findings.map((finding) => finding.code)).toEqual(expect.arrayContaining(['variable-masked', 'variable-locked', 'variable-odd']));
  });

  test.each([null, 3, [], {}, { metadata: { name: 'x' } }, { metadata: { name: 'x' }, spec: { template: { packs: [{ values: 'x' }] } } }])(
    'not an export: %j',
    (value) => {
      const result = importPaletteProfile(value, 'profile.json');
      expect(result.ok ? 'ok' : result.failure.code).toBe('profile-invalid');
    },
  );

  test('no JSON makes it throw, and a layer of every pack is there', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.string({ minLength: 1 }), type: fc.string(), layer: fc.string(), version: fc.string(), values: fc.string() })),
        (packs) => {
          const result = importPaletteProfile(exported(packs), 'x');
          expect(result.ok && (result.value.document['spec'] as { layers: unknown[] }).layers.length).toBe(packs.length);
        },
      ),
    );
    fc.assert(fc.property(fc.json(), (text) => void importPaletteProfile(JSON.parse(text), 'x')));
  });

  test('names become names', () => {
    expect(['Ünï Code', '---', 'a'.repeat(100), 'x_y.z'].map(plainName)).toEqual(['n-code', 'profile', 'a'.repeat(63), 'x-y-z']);
  });
});

describe("writing Palette's profiles", () => {
  const spec = profileSpecSchema.parse({
    type: 'full',
    description: 'd',
    variables: [{ name: 'password', sensitive: true, default: 'hunter2', required: true }],
    layers: [
      { name: 'k8s', kind: 'kubernetes', kubernetes: { distribution: 'existing', version: '>=1.31 <1.33' } },
      {
        name: 'front',
        kind: 'addon',
        namespace: 'ingress',
        priority: 4,
        helm: { chart: { digest: `sha256:${'0'.repeat(64)}`, name: 'nginx', version: '1.2.0' }, releaseName: 'f', values: '# c\nreplicas: 2\n\nhost: x\n' },
      },
      { name: 'web', kind: 'addon', priority: 7, manifests: [{ name: 'm', content: 'a: 1\n' }] },
      {
        name: 'p',
        kind: 'addon',
        pack: { name: 'hello', version: '2', digest: `sha256:${'1'.repeat(64)}`, values: 'pack: {}\n' },
        patches: [{ target: { kind: 'Service' }, merge: 'a: 1' }],
      },
    ],
  });
  const { profile, findings } = exportPaletteProfile({ name: 'store', version: '1.0.0', labels: { a: 'spectro__tag' }, spec });

  test('secrets stay at home, and what has no place there is told', () => {
    expect(JSON.stringify(profile)).not.toContain('hunter2');
    expect(findings.map((finding) => finding.message)).toEqual(['layer p: "patches" has no place in Palette\'s format']);
  });

  test('what goes out comes back', () => {
    const back = read(JSON.parse(JSON.stringify(profile)));
    expect(layersOf(profile)).toEqual([
      { name: 'existing', kind: 'kubernetes', pack: { name: 'existing', version: '1.31.0' }, kubernetes: { distribution: 'existing', version: '~1.31' } },
      {
        name: 'front',
        kind: 'addon',
        namespace: 'ingress',
        priority: 4,
        helm: { chart: { name: 'nginx', version: '1.2.0' }, releaseName: 'f', values: '# c\nreplicas: 2\n\nhost: x\n' },
      },
      { name: 'web', kind: 'addon', priority: 7, pack: { name: 'web', version: '1.0.0' }, manifests: [{ name: 'm', content: 'a: 1\n' }] },
      { name: 'hello', kind: 'addon', pack: { name: 'hello', version: '2', values: 'pack: {}\n' } },
    ]);
    expect(back.document.metadata).toEqual({ name: 'store', version: '1.0.0', labels: { a: 'spectro__tag' } });
  });

  test('a document without packs of others can be applied at once', () => {
    const own = profileSpecSchema.parse({ type: 'addon', layers: [{ name: 'web', kind: 'addon', manifests: [{ name: 'm', content: 'a: 1\n' }] }] });
    const back = read(exportPaletteProfile({ name: 'a', version: '1.0.0', labels: {}, spec: own }).profile);
    expect(profileDocumentSchema.safeParse(back.document).error?.issues).toBeUndefined();
  });
});
