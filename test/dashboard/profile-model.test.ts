import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { parse } from 'yaml';
import { addToList, readText, removeValue, setOrRemove, setValue } from '@groundplane/hub/dashboard/src/edit/change-document';
import { checkLayerValues } from '@groundplane/hub/dashboard/src/profile/check-values';
import { fieldsMax, formOf, typedValue } from '@groundplane/hub/dashboard/src/profile/form-model';
import { guideOf, offersAt, placeAt, tellAbout, type Guide } from '@groundplane/hub/dashboard/src/profile/guide';
import { freeName, movedPriorities, ownValues, sketchLayers, swapped } from '@groundplane/hub/dashboard/src/profile/layers';
import { packs, packDigest, packValues } from './fixture-content.ts';

const pack = packs.get(packDigest);
const guide = guideOf(pack, ['{{.spectro.var.size}}']);
const document = `# kept
spec:
  layers:
    - name: web # why it is here
      kind: addon
      pack: {name: web-shop, version: 2.1.0, digest: "${packDigest}"}
    - name: cache
      kind: addon
      priority: -10
      helm: {chart: {name: cache, version: 7.4.2, digest: sha256:x}, values: ""}
    - name: text
      kind: addon
      pack: {name: label, version: "1"}
      manifests: [{name: m, content: ""}]
    - just a word
    - {name: machine, kind: os, os: {files: [{}, {}], sysctls: {a.b: 1}}}
`;
const layers = sketchLayers(parse(document));
const named = (name: string) => {
  const found = layers.find((layer) => layer.name === name);
  if (found === undefined) throw new Error(`no layer ${name}`);
  return found;
};

describe('edits of the document', () => {
  test('texts of any kind come back as they were, and comments stay', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('\n', ' ', '#', ':', '\t', 'a', '"', "'", '|', '-') })), (text) => {
        const changed = setValue(document, ['spec', 'layers', 0, 'pack', 'values'], text);
        expect((parse(changed) as { spec: { layers: { pack: { values: string } }[] } }).spec.layers[0]?.pack.values).toBe(text);
        expect(changed).toContain('# why it is here');
        expect(changed).toContain('# kept');
      }),
    );
  });
  test('line breaks of Windows survive', () => {
    const changed = setValue('a: 1\n', ['values'], 'x: 1\r\ny: 2\r\n');
    expect(parse(changed)).toEqual({ a: 1, values: 'x: 1\r\ny: 2\r\n' });
  });
  test('many lines are written as a block', () => expect(setValue('a: 1\n', ['values'], 'x: 1 # one\ny: 2\n')).toBe('a: 1\nvalues: |\n  x: 1 # one\n  y: 2\n'));
  test('places above that are missing are made; empty texts take a place away', () => {
    expect(parse(setValue('a: 1\n', ['b', 'c', 'd'], 2))).toEqual({ a: 1, b: { c: { d: 2 } } });
    expect(parse(setValue('a:\n', ['a', 'b'], 2))).toEqual({ a: { b: 2 } });
    expect(parse(setOrRemove('a: 1\nb: 2\n', ['b'], ''))).toEqual({ a: 1 });
    expect(removeValue('a: 1\n', ['x', 'y'])).toBe('a: 1\n');
    expect(parse(addToList('a: 1\n', ['spec', 'layers'], { name: 'x' }))).toEqual({ a: 1, spec: { layers: [{ name: 'x' }] } });
    expect(parse(addToList('spec: {layers: []}\n', ['spec', 'layers'], { name: 'x' }))).toEqual({ spec: { layers: [{ name: 'x' }] } });
  });
  test('a text with mistakes is left alone', () => {
    for (const edit of [setValue('a: [1\n', ['b'], 1), removeValue('a: [1\n', ['a']), addToList('a: [1\n', ['a'], 1)]) expect(edit).toBe('a: [1\n');
    expect(readText('a: [1\n')).toBeUndefined();
    const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${'bcdef'.replaceAll(
      /./g,
      (sign) =>
        `${sign}: &${sign} [${Array(9)
          .fill(`*${String.fromCharCode(sign.charCodeAt(0) - 1)}`)
          .join(', ')}]\n`,
    )}`;
    expect(readText(bomb)).toBeUndefined();
  });
});

describe('layers while somebody types', () => {
  test('in install order, with what each brings; what is no layer is left out', () => {
    expect(layers.map(({ index, name, source, brings }) => [index, name, source, brings])).toEqual([
      [4, 'machine', 'os', '2 files, 1 sysctl'],
      [1, 'cache', 'chart', 'chart cache 7.4.2'],
      [2, 'text', 'manifests', '1 manifest'],
      [0, 'web', 'pack', 'pack web-shop 2.1.0'],
    ]);
    for (const odd of [undefined, null, 'x', { spec: 1 }, { spec: { layers: {} } }]) expect(sketchLayers(odd)).toEqual([]);
  });
  test('a pack that is not here yet is told from a label', () => {
    const sourceOf = (layer: object) => sketchLayers({ spec: { layers: [layer] } })[0]?.source;
    const manifests = [{ name: 'm', content: '' }];
    expect(sourceOf({ pack: { name: 'p', version: '1' } })).toBe('pack');
    expect(sourceOf({ pack: { name: 'p', version: '1', values: '' }, manifests })).toBe('pack');
    expect(sourceOf({ pack: { name: 'p', version: '1' }, manifests })).toBe('manifests');
    expect(sourceOf({ pack: { name: 'p', version: '1', values: 'a: 1' }, kubernetes: {} })).toBe('kubernetes');
    expect(sourceOf({})).toBe('nothing');
  });
  test('own values: those of a pack replace, empty ones of a chart say nothing', () => {
    expect(ownValues(named('cache'))).toBeUndefined();
    expect(ownValues(named('web'))).toBeUndefined();
    const [empty] = sketchLayers({ spec: { layers: [{ name: 'w', kind: 'addon', pack: { name: 'p', version: '1', digest: 'd', values: '' } }] } });
    expect(empty === undefined ? undefined : ownValues(empty)).toBe('');
  });
  test('moving swaps numbers, and tells equal ones apart', () => {
    expect(movedPriorities(layers, named('cache'), -1)).toBeUndefined();
    expect(movedPriorities(layers, named('text'), -1)).toEqual([
      { index: 2, priority: -10 },
      { index: 1, priority: 0 },
    ]);
    expect(movedPriorities(layers, named('text'), 1)).toEqual([{ index: 2, priority: 1 }]);
    expect(movedPriorities(layers, named('machine'), 1)).toBeUndefined();
  });
  test('a swap keeps the values of the same kind, and a new name replaces the old layer', () => {
    const raw = { name: 'web', kind: 'addon', pack: { name: 'a', version: '1', digest: 'x', values: 'v: 1\n' }, patches: [] };
    const unit = { kind: 'pack' as const, name: 'a', version: '2', digest: 'y' };
    expect(swapped(raw, unit, 'web')).toEqual({ name: 'web', kind: 'addon', patches: [], pack: { name: 'a', version: '2', digest: 'y', values: 'v: 1\n' } });
    expect(swapped(raw, { ...unit, kind: 'chart' }, 'shop')).toEqual({
      name: 'shop',
      kind: 'addon',
      patches: [],
      helm: { chart: { name: 'a', version: '2', digest: 'y' } },
      replaces: 'web',
    });
  });
  test('a free name is found', () => expect(freeName('web', [{ name: 'web' }, { name: 'web-2' }])).toBe('web-3'));
});

describe('what may be written where', () => {
  const at = (text: string) => placeAt(text, text.length);
  test('the place by indentation, while the text is no YAML yet', () => {
    expect(at('')).toEqual({ path: [], key: undefined, from: 0 });
    expect(at('charts:\n  web:\n    re')).toMatchObject({ path: ['charts', 'web'], key: undefined });
    expect(at('charts:\n  web:\n    ingress:\n      class: ')).toMatchObject({ path: ['charts', 'web', 'ingress'], key: 'class' });
    expect(at('hosts:\n- name: a\n  pa')).toMatchObject({ path: ['hosts'] });
    expect(at('hosts:\n  - name: a\n    paths:\n      - p')).toMatchObject({ path: ['hosts', 'paths'] });
    expect(at('a:\n  b: 1\n\n# c:\n  d')).toMatchObject({ path: ['a'] });
    expect(at('"a.b":\n  c')).toMatchObject({ path: ['a.b'] });
    expect(at('a:\n  # no')).toBeUndefined();
    expect(at('- [')).toBeUndefined();
  });
  test('keys of the pack and of its rules; options, flags and variables as values', () => {
    const labels = (text: string, of: Guide = guide) => {
      const place = at(text);
      return place === undefined ? [] : offersAt(of, place).map((offer) => offer.label);
    };
    expect(labels('')).toEqual(['pack', 'charts']);
    expect(labels('charts:\n  web:\n    ')).toEqual(['replicas', 'ingress', 'admin']);
    expect(labels('charts:\n  web:\n    ingress:\n      class: ')).toEqual(['nginx', 'public', 'internal', '"{{.spectro.var.size}}"']);
    expect(labels('charts:\n  web:\n    ingress:\n      enabled: ')).toEqual(['true', 'false', '"{{.spectro.var.size}}"']);
    expect(labels('nothing:\n  like: ')).toEqual(['"{{.spectro.var.size}}"']);
  });
  test('hints and defaults are told, secrets are not', () => {
    expect(tellAbout(guide, ['charts', 'web', 'replicas'])).toMatchObject({ detail: 'number, required, default 2', info: 'How many pods serve the shop' });
    const secret = guideOf(pack === undefined ? undefined : { ...pack, values: 'charts: {web: {admin: {password: hunter2}}}\n' }, []);
    expect(
      JSON.stringify([
        tellAbout(secret, ['charts', 'web', 'admin', 'password']),
        offersAt(secret, { path: ['charts', 'web', 'admin'], key: 'password', from: 0 }),
      ]),
    ).not.toContain('hunter2');
    expect(tellAbout(guide, ['no', 'such'])).toBeUndefined();
  });
  test('the JSON Schema of a chart: properties, references, lists; nonsense is no schema', () => {
    const schema = {
      properties: { auth: { $ref: '#/definitions/auth' }, hosts: { items: { properties: { name: { type: 'string', description: 'Of the host' } } } } },
      definitions: { auth: { properties: { mode: { enum: ['none', 'basic'] } } } },
    };
    const chart = guideOf({ ...(pack as NonNullable<typeof pack>), kind: 'chart', values: '', schema: undefined, valuesSchema: JSON.stringify(schema) }, []);
    expect(offersAt(chart, { path: [], key: undefined, from: 0 }).map((offer) => offer.label)).toEqual(['auth', 'hosts']);
    expect(offersAt(chart, { path: ['auth'], key: 'mode', from: 0 }).map((offer) => offer.label)).toEqual(['none', 'basic']);
    expect(tellAbout(chart, ['hosts', 'name'])).toMatchObject({ detail: 'string', info: 'Of the host' });
    const turning = guideOf({ ...(pack as NonNullable<typeof pack>), valuesSchema: '{"$ref":"#"}' }, []);
    expect(offersAt(turning, { path: ['x'], key: undefined, from: 0 })).toEqual([]);
    expect(guideOf({ ...(pack as NonNullable<typeof pack>), valuesSchema: '{' }, []).jsonSchema).toBeUndefined();
  });
});

describe('the form', () => {
  test('fields of the rules, with what stands there', () => {
    const form = formOf(packValues, guide);
    expect(form?.isOfRules).toBe(true);
    expect(form?.fields.map(({ label, type, text, readonly, isSecret, options }) => [label, type, text, readonly, isSecret, options.length])).toEqual([
      ['charts.web.replicas', 'number', '2', false, false, 0],
      ['charts.web.ingress.enabled', 'boolean', 'false', false, false, 0],
      ['charts.web.ingress.class', 'list', 'nginx', false, false, 3],
      ['charts.web.admin.user', 'string', 'admin', true, false, 0],
      ['charts.web.admin.password', 'password', '', false, true, 0],
    ]);
    expect(formOf('a: [1', guide)).toBeUndefined();
  });
  test('one field for each element of a list', () => {
    const lists = guideOf({ ...(pack as NonNullable<typeof pack>), schema: 'hosts.$[].name: {schema: "{{ required }}"}\n' }, []);
    expect(formOf('hosts: [{name: a}, {name: b}]\n', lists)?.fields.map((field) => [field.label, field.text])).toEqual([
      ['hosts[0].name', 'a'],
      ['hosts[1].name', 'b'],
    ]);
    expect(formOf('hosts: []\n', lists)?.fields).toEqual([]);
  });
  test('not more fields than a form can hold', () => {
    const lists = guideOf(
      { ...(pack as NonNullable<typeof pack>), schema: 'hosts.$[].name: {schema: "{{ required }}"}\nhosts.$[].port: {schema: "{{ required }}"}\n' },
      [],
    );
    const values = (count: number): string => `hosts:\n${Array.from({ length: count }, (_, index) => `- {name: h${index}, port: 1}\n`).join('')}`;
    expect(formOf(values(fieldsMax / 2), lists)?.fields).toHaveLength(fieldsMax);
    expect(formOf(values(fieldsMax / 2 + 1), lists)?.fields).toHaveLength(fieldsMax);
    expect(formOf(values(2), lists)?.fields).toHaveLength(4);
  });
  test('without rules, what the unit sets itself; secrets by their name', () => {
    const [, chart] = [...packs.values()];
    const form = formOf('replica: {replicaCount: 1}\n', guideOf(chart, []));
    expect(form?.isOfRules).toBe(false);
    expect(form?.fields.map(({ label, text, isThere, isSecret }) => [label, text, isThere, isSecret])).toEqual([
      ['architecture', 'standalone', false, false],
      ['auth.enabled', 'true', false, false],
      ['auth.password', '', false, true],
      ['replica.replicaCount', '1', true, false],
    ]);
  });
  test('typed texts become what they mean', () => {
    expect(typedValue({ type: 'number' }, '3')).toBe(3);
    expect(typedValue({ type: 'number' }, '{{.spectro.var.n}}')).toBe('{{.spectro.var.n}}');
    expect(typedValue({ type: 'number' }, '1e999')).toBe('1e999');
    expect(typedValue({ type: 'boolean' }, 'true')).toBe(true);
    expect(typedValue({ type: 'string' }, '3')).toBe('3');
  });
  test('problems stand at their line, errors and warnings apart', () => {
    expect(checkLayerValues(packValues, guide).map(({ line, severity }) => [line, severity])).toEqual([[13, 'error']]);
    const text = packValues.replace('replicas: 2', 'replicas: 99').replace('password: ""', 'password: x');
    const [only, ...more] = checkLayerValues(text, guide);
    expect(more).toEqual([]);
    expect(text.slice(only?.from, only?.to)).toContain('replicas: 99');
    expect(checkLayerValues('a: 1\na: 2\n', guideOf(undefined, [])).map(({ severity }) => severity)).toEqual(['warning']);
    expect(checkLayerValues('a: [', guideOf(undefined, []))).toHaveLength(1);
  });
});
