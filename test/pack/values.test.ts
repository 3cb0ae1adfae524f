import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { merged, withoutValue, withValue } from '@groundplane/protocol/pack/plain';
import { findPath, type ValuesPath } from '@groundplane/protocol/pack/path';
import { readSource } from '@groundplane/protocol/pack/source';
import { deleteValue, mergeValues, setValue } from '@groundplane/protocol/pack/values';
import type { Result } from '@groundplane/protocol/failure';
import { stringify } from 'yaml';

const good = (result: Result<string>): string => {
  if (!result.ok) throw new Error(`${result.failure.code} ${result.failure.element}: ${result.failure.message}`);
  return result.value;
};
const plain = (text: string): unknown => {
  const { source, findings } = readSource(text, 'values.yaml');
  if (source === undefined) throw new Error(`${JSON.stringify(findings)}\n${text}`);
  return source.plain;
};

const shop = `# spectrocloud.com/enabled-presets: Mode:small
pack:
  namespace: "shop"   # where it goes
  content: {images: [{image: a:1}, {image: b:2}]}

charts:
  web:
    # How many.
    replicas:   2 # two
    config:
      node.store.allow_mmap: false
      script: |
        #!/bin/sh
          echo "hi"

    hosts:
    - a.example
    -   b.example  # second
    base: &base {cpu: 100m}
    other: *base
    empty: {}
    nothing:
    quoted: 'it''s'
    url: "v{{ .spectro.system.kubernetes.version | substr 0 4 }}"
`;

describe('values are edited in place', () => {
  test.each<[string, unknown, string, string]>([
    ['charts.web.replicas', 3, '    replicas:   2 # two', '    replicas:   3 # two'],
    ['pack.namespace', 'a: b', '  namespace: "shop"   # where it goes', '  namespace: "a: b"   # where it goes'],
    ['charts.web.config.node.store.allow_mmap', true, '      node.store.allow_mmap: false', '      node.store.allow_mmap: true'],
    ['charts.web.hosts[1]', 'c.example', '    -   b.example  # second', '    -   c.example  # second'],
    ['charts.web.nothing', 'x', '    nothing:', '    nothing: x'],
    ['charts.web.empty', 'yes', '    empty: {}', '    empty: "yes"'],
    ['charts.web.quoted', '0123', "    quoted: 'it''s'", '    quoted: "0123"'],
    ['charts.web.base', 1, '    base: &base {cpu: 100m}', ''],
  ])('%s becomes %j in its line', (path, value, before, after) => {
    const edited = setValue(shop, path, value);
    if (after === '') return expect(edited).toMatchObject({ ok: false, failure: { code: 'values-edit-failed' } });
    expect(good(edited)).toBe(shop.replace(before, after));
  });

  test('a map, a list and a long text are written as blocks at the right indent', () => {
    expect(good(setValue(shop, 'charts.web.empty', { a: { b: [1, 'x'] }, c: 'one\ntwo\n' }))).toBe(
      shop.replace('    empty: {}', '    empty:\n      a:\n        b:\n          - 1\n          - x\n      c: |\n        one\n        two'),
    );
    expect(good(setValue(shop, 'charts.web.replicas', { min: 1 }))).toBe(shop.replace('    replicas:   2 # two', '    replicas:\n      min: 1'));
  });

  test('new keys go below the last one of their map, new elements below the last one of their list', () => {
    expect(good(setValue(shop, 'charts.db.size', '1Gi'))).toBe(`${shop}  db:\n    size: 1Gi\n`);
    expect(good(setValue(shop, 'top', 1))).toBe(`${shop}top: 1\n`);
    expect(good(setValue(shop, 'charts.web.config.more', 1))).toBe(shop.replace('          echo "hi"\n', '          echo "hi"\n      more: 1\n'));
    expect(good(setValue(shop, 'charts.web.hosts[2]', 'c.example'))).toBe(shop.replace('# second\n', '# second\n    - c.example\n'));
    expect(good(setValue(shop, 'charts["x.y"].z', 1))).toBe(`${shop}  x.y:\n    z: 1\n`);
  });

  test('flow style is written anew as a whole, in its line', () => {
    expect(good(setValue(shop, 'pack.content.images[1].image', 'c:3'))).toBe(
      shop.replace('{images: [{image: a:1}, {image: b:2}]}', '{ images: [ { image: a:1 }, { image: c:3 } ] }'),
    );
    expect(good(deleteValue(shop, 'pack.content.images[0]'))).toContain('content: { images: [ { image: b:2 } ] }\n');
  });

  test('removing takes the lines of the key and nothing else', () => {
    expect(good(deleteValue(shop, 'charts.web.config'))).toBe(shop.replace(/ {4}config:[\s\S]*?"hi"\n/, ''));
    expect(good(deleteValue(shop, 'charts.web.hosts[0]'))).toBe(shop.replace('    - a.example\n', ''));
    expect(good(deleteValue(shop, 'charts.web.nowhere.at.all'))).toBe(shop);
    expect(good(deleteValue(shop, 'charts.web.config.script'))).toBe(shop.replace(/ {6}script:[\s\S]*?"hi"\n/, ''));
  });

  test('the last key leaves {}: null would delete the default of a chart', () => {
    expect(good(deleteValue('a:\n  b: 1 # x\nc: 2\n', 'a.b'))).toBe('a: {}\nc: 2\n');
    expect(good(deleteValue('a:\n  - 1\n', 'a[0]'))).toBe('a: []\n');
    expect(plain(good(deleteValue('# data\na: 1\n', 'a')))).toBeNull();
    expect(good(deleteValue('# data\na: 1\n', 'a'))).toBe('# data\n');
  });

  test('a map that starts behind a dash loses its first key', () => {
    expect(good(deleteValue('a:\n  - x: 1\n    y2: 2\n', 'a[0].x'))).toBe('a:\n  - y2: 2\n');
  });

  test.each(['', '# only a remark', '---\n', '{}\n', 'null\n'])('starting from %j', (text) => {
    expect(plain(good(setValue(text, 'a.b', 1)))).toEqual({ a: { b: 1 } });
    expect(good(setValue('# only a remark', 'a.b', 1))).toBe('# only a remark\na:\n  b: 1\n');
  });

  test('behind an alias a place gets values of its own; what others refer to is refused', () => {
    const text = 'base: &base {cpu: 1, mem: 2}\nweb: *base\nmerged:\n  <<: *base\n  x: 1\n';
    expect(plain(good(setValue(text, 'web.cpu', 9)))).toEqual({ base: { cpu: 1, mem: 2 }, web: { cpu: 9, mem: 2 }, merged: { cpu: 1, mem: 2, x: 1 } });
    expect(good(setValue(text, 'merged.cpu', 9))).toBe(`${text}  cpu: 9\n`);
    for (const edited of [setValue(text, 'base.cpu', 9), setValue(text, 'base', 1), deleteValue(text, 'base'), deleteValue(text, 'merged.cpu')])
      expect(edited).toMatchObject({ ok: false, failure: { code: 'values-edit-failed' } });
  });

  test.each([
    'a:\n  ca: |-\n\n\n\n',
    'a:\n  ca: |+\n    x\n\n\n',
    'a:\n  ca: >\n    x\n\n',
    'a:\n  ca: |',
    'a:\n  ca:\n\n# end',
    'a:\n  ca: "x\n    y"  # why\n',
  ])('keys below the text at the end of %j', (text) => {
    const before = plain(text) as { a: Record<string, unknown> };
    const edited = good(setValue(text, 'a.more', 1));
    expect(plain(edited)).toEqual({ a: { ...before.a, more: 1 } });
    expect(plain(good(deleteValue(edited, 'a.more')))).toEqual(before);
    expect(plain(good(setValue(text, 'a.ca', 'z')))).toEqual({ a: { ca: 'z' } });
    expect(plain(good(setValue(text, 'top', 1)))).toEqual({ ...before, top: 1 });
    for (const remark of ['# end', '# why'].filter((item) => text.includes(item))) expect(edited).toContain(remark);
  });

  test('line breaks of Windows stay', () => {
    expect(good(setValue('a:\r\n  b: 1\r\nc: 2\r\n', 'a.d', { e: 1 }))).toBe('a:\r\n  b: 1\r\n  d:\r\n    e: 1\r\nc: 2\r\n');
    expect(good(setValue('a:\r\n  b: 1\r\n', 'a.b', 2))).toBe('a:\r\n  b: 2\r\n');
  });

  test('actions without quotes stay as they are around an edit', () => {
    expect(good(setValue('a: {{ .spectro.var.x }}\nb: 1\n', 'b', 2))).toBe('a: {{ .spectro.var.x }}\nb: 2\n');
    expect(good(setValue('b: 1\n', 'b', '{{ .spectro.var.x }}'))).toBe('b: "{{ .spectro.var.x }}"\n');
  });

  test('a key that Helm reads as true is found as it is written', () => {
    expect(good(setValue('y: 1\n', 'y', 2))).toBe('y: 2\n');
    expect(plain(good(setValue('x: 1\n', 'y', 2)))).toEqual({ x: 1, y: 2 });
  });

  test('what goes through a text, or past the end of a list, is refused with the place', () => {
    expect(setValue(shop, 'charts.web.quoted.x', 1)).toMatchObject({ ok: false, failure: { code: 'path-invalid', element: 'path charts.web.quoted.x' } });
    expect(setValue(shop, 'charts.web.hosts[9]', 1)).toMatchObject({ ok: false, failure: { message: 'the list has 2 elements' } });
    expect(setValue('a: [1\n', 'a', 1)).toMatchObject({ ok: false, failure: { code: 'values-malformed', element: 'values.yaml, line 2' } });
    for (const path of ['', '.', 'a..b', 'a.', '[x', 'a[1', 'x'.repeat(2_000)])
      expect(setValue('a: 1\n', path, 1)).toMatchObject({ ok: false, failure: { code: 'path-invalid' } });
  });
});

describe('paths', () => {
  test('keys with dots win over maps when they exist', () => {
    const values = { a: { 'b.c': { d: 1 }, b: { c: { e: 2 } } }, list: [{ x: 1 }] };
    const at = (text: string) => findPath(values, text);
    expect(at('a.b.c.d')).toEqual({ ok: true, value: { path: ['a', 'b.c', 'd'], isThere: true } });
    expect(at('a.b.c.e')).toEqual({ ok: true, value: { path: ['a', 'b', 'c', 'e'], isThere: true } });
    expect(at('a.b.c.f')).toEqual({ ok: true, value: { path: ['a', 'b.c', 'f'], isThere: false } });
    expect(at('list.$[].x')).toEqual({ ok: true, value: { path: ['list', '$[]', 'x'], isThere: true } });
    expect(at('list[0].x')).toEqual({ ok: true, value: { path: ['list', 0, 'x'], isThere: true } });
    expect(at('a["b.c"].d')).toEqual({ ok: true, value: { path: ['a', 'b.c', 'd'], isThere: true } });
    expect(at(String.raw`a.b\.c.d`)).toEqual({ ok: true, value: { path: ['a', 'b.c', 'd'], isThere: true } });
    expect(at('constructor.name')).toEqual({ ok: true, value: { path: ['constructor', 'name'], isThere: false } });
  });
});

describe('merging', () => {
  test('maps merge, lists and texts are replaced, remarks of what is added come along', () => {
    const add = 'charts:\n  web:\n    replicas: 5\n    hosts: [z]\n    # Why there is one.\n    cache:\n      # In MiB.\n      size: 7 # lucky\n';
    expect(good(mergeValues(shop, add))).toBe(
      shop.replace('replicas:   2 # two', 'replicas:   5 # two').replace(/ {4}hosts:\n.*\n.*\n/, '    hosts: [z]\n') +
        '    # Why there is one.\n    cache:\n      # In MiB.\n      size: 7 # lucky\n',
    );
  });

  test('twice is once', () => {
    const add = 'charts: {web: {replicas: 5, new: {a: [1, {b: 2}]}}}';
    const once = good(mergeValues(shop, add));
    expect(good(mergeValues(once, add))).toBe(once);
  });

  test('nothing to add, and what is no map', () => {
    expect(good(mergeValues(shop, '# nothing\n'))).toBe(shop);
    expect(mergeValues(shop, '- a')).toMatchObject({ ok: false, failure: { message: 'is no map' } });
    expect(plain(good(mergeValues('', 'a: {b: 1}')))).toEqual({ a: { b: 1 } });
  });
});

const key = fc.constantFrom('a', 'b2', 'c-d', 'e.f', 'g h', '__proto__', '0', 'true', 'ü', '#x', 'k: v');
const scalar = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('yes', '1:30', '012', '', 'a\nb\n', '{{ .spectro.var.x }}', ' x', '- y', '2020-01-01'),
);
const tree = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, tie('map'), fc.array(tie('value'), { maxLength: 3 })),
  map: fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((pairs) => {
    const map: Record<string, unknown> = {};
    for (const [name, value] of pairs) Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
    return map;
  }),
}));
const pathsOf = (value: unknown, path: (string | number)[] = []): (string | number)[][] => [
  ...(path.length === 0 ? [] : [path]),
  ...(Array.isArray(value)
    ? value.flatMap((item, index) => pathsOf(item, [...path, index]))
    : typeof value === 'object' && value !== null
      ? Object.keys(value).flatMap((name) => pathsOf((value as Record<string, unknown>)[name], [...path, name]))
      : []),
];
const yaml = (value: unknown): string => stringify(value, { version: '1.1', lineWidth: 0 });

describe('for any values', () => {
  test('setting any existing place gives exactly that', () => {
    fc.assert(
      fc.property(tree.map, fc.nat(), scalar, (values, pick, value) => {
        const text = yaml(values);
        const paths = pathsOf(values);
        const path: ValuesPath | undefined = paths[pick % Math.max(1, paths.length)];
        if (path === undefined) return;
        const wanted = withValue(plain(text), path, value);
        if (!wanted.ok) throw new Error('unexpected');
        const edited = good(setValue(text, path, value));
        expect(plain(edited)).toStrictEqual(wanted.value);
      }),
      { numRuns: 200 },
    );
  });

  test('a scalar in a block map changes its own line only', () => {
    const block = fc.array(fc.tuple(fc.constantFrom('a', 'b2', 'cd', 'e-f'), fc.oneof(fc.integer(), fc.constantFrom('x', 'long text here'))), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(block, block, fc.nat(), fc.integer(), (outer, inner, pick, value) => {
        const values = { ...Object.fromEntries(outer), nested: Object.fromEntries(inner) };
        const text = yaml(values).replaceAll('\n', ' # note\n\n');
        const paths = pathsOf(values).filter((path) => path.join('.') !== 'nested');
        const path = paths[pick % paths.length] ?? [];
        const edited = good(setValue(text, path, value)).split('\n');
        const changed = text.split('\n').filter((line, index) => line !== edited[index]);
        expect(edited).toHaveLength(text.split('\n').length);
        expect(changed.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 200 },
    );
  });

  test('removing any place and merging anything gives exactly that', () => {
    fc.assert(
      fc.property(tree.map, tree.map, fc.nat(), (values, add, pick) => {
        const text = yaml(values);
        const paths = pathsOf(values);
        const path = paths[pick % Math.max(1, paths.length)];
        if (path !== undefined) {
          const left = withoutValue(plain(text), path);
          const edited = plain(good(deleteValue(text, path)));
          expect(edited ?? {}).toStrictEqual(left);
        }
        const both = good(mergeValues(text, yaml(add)));
        expect(plain(both)).toStrictEqual(merged(plain(text), plain(yaml(add))));
        expect(good(mergeValues(both, yaml(add)))).toBe(both);
      }),
      { numRuns: 200 },
    );
  });
});
