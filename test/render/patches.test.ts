import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { patchSchema, type Patch } from '@groundplane/protocol/layer';
import { applyPatches, patchOperationsMax } from '@groundplane/hub/render/patches';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const web: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
  spec: { replicas: 1, paused: true, template: { spec: { containers: [{ name: 'a' }, { name: 'b' }] } } },
};
const other: KubeObject = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web-metrics', namespace: 'shop' } };
const all = [web, other];

const patch = (rest: object): Patch => patchSchema.parse({ target: { kind: 'Deployment' }, ...rest });
const run = (rest: object, objects: readonly KubeObject[] = all) => applyPatches(objects, [patch(rest)], 'layer web');
const done = (rest: object): KubeObject => {
  const result = run(rest);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value[0]!;
};
const refused = (rest: object, objects?: readonly KubeObject[]) => {
  const result = run(rest, objects);
  return result.ok ? undefined : { code: result.failure.code, text: `${result.failure.element}: ${result.failure.message}` };
};
const spec = (item: KubeObject) => item['spec'] as Record<string, unknown>;

describe('merge patches', () => {
  test('maps merge, null deletes, lists are replaced, what was given stays untouched', () => {
    const before = structuredClone(all);
    expect(
      spec(done({ merge: 'spec: {replicas: 3, paused: null, template: {spec: {containers: [{name: c}]}}, strategy: {type: Recreate, x: null}}' })),
    ).toEqual({
      replicas: 3,
      template: { spec: { containers: [{ name: 'c' }] } },
      strategy: { type: 'Recreate' },
    });
    expect(all).toEqual(before);
  });

  test('YAML as Kubernetes reads it', () => {
    expect(done({ merge: 'metadata: {annotations: {day: 2026-01-02, at: 22:22}}\nspec: {mode: 0644, paused: no}' })).toMatchObject({
      metadata: { annotations: { day: '2026-01-02', at: '22:22' } },
      spec: { mode: 420, paused: false },
    });
  });

  test('the examples of RFC 7386', () => {
    const merged = (target: unknown, by: unknown) => applyPatches([{ ...web, t: target }], [patch({ merge: JSON.stringify({ t: by }) })], 'x');
    for (const [target, by, wanted] of [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [['a', 'b'], ['c'], ['c']],
      [{ a: 'foo' }, 'bar', 'bar'],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ])
      expect(merged(target, by)).toMatchObject({ ok: true, value: [{ t: wanted }] });
  });
});

describe('JSON patches', () => {
  test('all operations, in order', () => {
    const json = `
- {op: test, path: /spec/replicas, value: 1}
- {op: replace, path: /spec/replicas, value: 2}
- {op: add, path: /spec/template/spec/containers/-, value: {name: c}}
- {op: remove, path: /spec/template/spec/containers/0}
- {op: copy, from: /spec/replicas, path: /spec/copied}
- {op: move, from: /spec/paused, path: /spec/moved}
- {op: add, path: /metadata/labels/example.com~1a~0b, value: x}`;
    const made = done({ json });
    expect(spec(made)).toEqual({ replicas: 2, copied: 2, moved: true, template: { spec: { containers: [{ name: 'b' }, { name: 'c' }] } } });
    expect(made.metadata.labels).toEqual({ app: 'web', 'example.com/a~b': 'x' });
    expect(spec(web)).toMatchObject({ replicas: 1, paused: true });
  });

  test.each([
    [
      'a missing place',
      '[{op: replace, path: /spec/nope, value: 1}]',
      'patch-failed',
      /operation 1 \(replace \/spec\/nope\) on apps\/v1 Deployment shop\/web: there is nothing at \/spec\/nope/,
    ],
    ['a missing source', '[{op: move, from: /spec/nope, path: /spec/a}]', 'patch-failed', /operation 1 \(move \/spec\/a\).*nothing at \/spec\/nope/],
    ['a failed test', '[{op: test, path: /spec/replicas, value: 7}]', 'patch-failed', /operation 1 \(test \/spec\/replicas\).*another one/],
    ['an index beyond', '[{op: add, path: /spec/template/spec/containers/9, value: 1}]', 'patch-failed', /containers\/9/],
    ['no list', 'op: add', 'patch-malformed', /Write a list/],
    ['an unknown operation', '[{op: test, path: /a, value: 1}, {op: set, path: /a}]', 'patch-malformed', /operation 2/],
    ['no value', '[{op: add, path: /a}]', 'patch-malformed', /operation 1, value/],
    ['an unknown field', '[{op: remove, path: /a, pth: 1}]', 'patch-malformed', /operation 1.*pth/],
    ['no pointer', '[{op: remove, path: spec.replicas}]', 'patch-malformed', /operation 1, path.*RFC 6901/],
    ['a bad escape', '[{op: remove, path: /a~2}]', 'patch-malformed', /RFC 6901/],
    ['broken YAML', '[{op: ', 'patch-malformed', /no YAML/],
  ])('%s', (_name, json, code, text) => {
    const found = refused({ json });
    expect(found?.code).toBe(code);
    expect(found?.text).toMatch(/^layer web, patch 1: /);
    expect(found?.text).toMatch(text);
  });

  test('the number of operations at its edge', () => {
    const json = (count: number): string => JSON.stringify(Array.from({ length: count }, () => ({ op: 'test', path: '/spec/replicas', value: 1 })));
    expect(refused({ json: json(patchOperationsMax) })).toBeUndefined();
    expect(refused({ json: json(patchOperationsMax + 1) })?.code).toBe('patch-malformed');
  });
});

describe('what a patch may not do', () => {
  test.each([
    ['__proto__', { json: '[{op: add, path: /__proto__/x, value: 1}]' }],
    ['__proto__ in the middle', { json: '[{op: add, path: /metadata/__proto__/x, value: 1}]' }],
    ['constructor', { json: '[{op: add, path: /constructor/prototype/x, value: 1}]' }],
    ['from', { json: '[{op: copy, from: /__proto__, path: /a}]' }],
    ['a value', { json: '[{op: add, path: /a, value: {b: [{__proto__: {x: 1}}]}}]' }],
    ['a merge', { merge: '__proto__: {x: 1}' }],
    ['a nested merge', { merge: 'spec: {__proto__: {x: 1}}' }],
  ])('hostile names: %s', (_name, rest) => {
    expect(refused(rest)?.code).toBe('patch-hostile');
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test.each([
    { merge: 'metadata: {name: other}' },
    { merge: 'metadata: {namespace: other}' },
    { merge: 'metadata: {namespace: null}' },
    { merge: 'kind: StatefulSet' },
    { merge: 'apiVersion: apps/v2' },
    { merge: 'metadata: null' },
    { json: '[{op: remove, path: /metadata/name}]' },
    { json: '[{op: replace, path: /metadata, value: 5}]' },
  ])('another identity: %j', (rest) => {
    expect(refused(rest)?.code).toBe('patch-identity');
    expect(refused(rest)?.text).toContain('Deployment shop/web');
  });

  test('replacing the whole object is refused, not ignored', () => {
    expect(refused({ json: '[{op: replace, path: "", value: {a: 1}}]' })?.code).toBe('patch-failed');
  });

  test('copies of copies end', () => {
    const doubling = Array.from({ length: 200 }, (_, index) => ({ op: 'copy', from: '/spec', path: `/spec/c${index}` }));
    expect(refused({ json: JSON.stringify(doubling) })?.code).toMatch(/patch-(too-large|hostile)/);
  });

  test('deep nesting and aliases end', () => {
    const deep = `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`;
    expect(refused({ merge: deep })?.code).toMatch(/^patch-/);
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
    expect(refused({ merge: bomb })?.code).toBe('patch-malformed');
  });
});

describe('targets', () => {
  test('no object: the nearest are listed', () => {
    const found = refused({ target: { kind: 'Deployment', name: 'wbe' }, merge: 'a: 1' });
    expect(found).toEqual({
      code: 'patch-unmatched',
      text: 'layer web, patch 1: no object fits its target (kind Deployment, name wbe). Nearest: apps/v1 Deployment shop/web. Correct the target, or set optional: true',
    });
    expect(refused({ target: { kind: 'Gateway' }, merge: 'a: 1' })?.text).toContain('There are: apps/v1 Deployment shop/web; v1 Service shop/web-metrics');
    expect(refused({ merge: 'a: 1' }, [])?.text).toContain('renders no objects');
    expect(refused({ target: { kind: 'Gateway' }, merge: 'a: 1', optional: true })).toBeUndefined();
  });

  test('several patches see each other; an empty target is every object', () => {
    const patches = [patch({ target: {}, merge: 'metadata: {labels: {site: a}}' }), patch({ json: '[{op: test, path: /metadata/labels/site, value: a}]' })];
    const result = applyPatches(all, patches, 'x');
    expect(result.ok ? result.value.map((item) => item.metadata.labels?.['site']) : result).toEqual(['a', 'a']);
  });
});

test('any patch text ends in objects with their identity, or in a failure', () => {
  const pointers = fc.constantFrom('/spec', '/spec/replicas', '/metadata/name', '/metadata', '', '/spec/template/spec/containers/0', '/x/y', '/__proto__');
  const operations = fc.array(
    fc.record(
      { op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'), path: pointers, from: pointers, value: fc.jsonValue() },
      { requiredKeys: ['op', 'path'] },
    ),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        operations.map((json) => ({ json: JSON.stringify(json) })),
        fc.jsonValue().map((merge) => ({ merge: JSON.stringify(merge) })),
      ),
      (rest) => {
        const result = run(rest);
        if (result.ok) expect(result.value.map((item) => [item.kind, item.metadata.name])).toEqual(all.map((item) => [item.kind, item.metadata.name]));
        else expect(result.failure.code).toMatch(/^patch-/);
      },
    ),
    { numRuns: 1_000 },
  );
});
