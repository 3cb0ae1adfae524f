import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownedFields, projectFields, projectionDigest } from '@groundplane/agent/observe/projection';
import type { FieldsV1, KubeObject } from '@groundplane/protocol/kubernetes';

const none: FieldsV1 = {};
const object = (fields: Record<string, unknown>): KubeObject => ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x' }, ...fields });

/** The field set of `kubectl apply --server-side` for a small Deployment. */
const deploymentFields: FieldsV1 = {
  'f:spec': {
    'f:replicas': none,
    'f:template': {
      'f:spec': {
        'f:containers': {
          'k:{"name":"web"}': {
            '.': none,
            'f:image': none,
            'f:name': none,
            'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': none, 'f:containerPort': none } },
            'f:args': none,
          },
        },
      },
    },
  },
  'f:metadata': { 'f:labels': { 'f:app': none }, 'f:finalizers': { '.': none, 'v:"keep"': none } },
};
const deployment = (): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', labels: { app: 'web', other: 'x' }, finalizers: ['keep', 'theirs'], resourceVersion: '7', generation: 3 },
  spec: {
    replicas: 2,
    paused: false,
    template: {
      spec: {
        containers: [
          { name: 'web', image: 'web:1', args: ['a', 'b'], ports: [{ containerPort: 80, protocol: 'TCP', name: 'http' }] },
          { name: 'sidecar', image: 'mesh:1' },
        ],
      },
    },
  },
  status: { replicas: 2 },
});
const digestAfter = (change: (item: Record<string, never>) => void): string => {
  const item = structuredClone(deployment()) as unknown as Record<string, never>;
  change(item);
  return projectionDigest(item as unknown as KubeObject, deploymentFields);
};
type Loose = {
  metadata: Record<string, never> & { labels: Record<string, string>; finalizers: string[] };
  spec: Record<string, unknown> & { replicas?: number; template: { spec: { containers: Record<string, unknown>[] } } };
  status: unknown;
};
const containersOf = (item: unknown): Record<string, unknown>[] => (item as Loose).spec.template.spec.containers;

describe('drift by owned fields', () => {
  const calm = digestAfter(() => undefined);
  test.each<[string, (item: unknown) => void]>([
    ['status', (item) => void ((item as Loose).status = { replicas: 0 })],
    ['resource version and generation', (item) => Object.assign((item as Loose).metadata, { resourceVersion: '8', generation: 4 })],
    ['a label of somebody else', (item) => void ((item as Loose).metadata.labels['other'] = 'y')],
    ['a finalizer of somebody else', (item) => void (item as Loose).metadata.finalizers.push('third')],
    ['a field that nobody of us set', (item) => void ((item as Loose).spec['paused'] = true)],
    ['a sidecar that was injected', (item) => void containersOf(item).push({ name: 'injected', image: 'x' })],
    ['the sidecar changed', (item) => void (containersOf(item)[1] = { name: 'sidecar', image: 'mesh:2' })],
    ['the order of keyed lists', (item) => void containersOf(item).reverse()],
    [
      'the name of our port',
      (item) => void (containersOf(item)[0] = { ...containersOf(item)[0], ports: [{ containerPort: 80, protocol: 'TCP', name: 'web' }] }),
    ],
  ])('is not: %s', (_, change) => expect(digestAfter(change)).toBe(calm));

  test.each<[string, (item: unknown) => void]>([
    ['replicas', (item) => void ((item as Loose).spec.replicas = 0)],
    ['replicas gone', (item) => void delete (item as Loose).spec.replicas],
    ['our image', (item) => void (containersOf(item)[0] = { ...containersOf(item)[0], image: 'web:2' })],
    ['our container gone', (item) => void containersOf(item).shift()],
    ['our container under another name', (item) => void (containersOf(item)[0] = { ...containersOf(item)[0], name: 'other' })],
    ['the order of a plain list', (item) => void (containersOf(item)[0] = { ...containersOf(item)[0], args: ['b', 'a'] })],
    ['our label changed', (item) => void ((item as Loose).metadata.labels['app'] = 'x')],
    ['our label gone', (item) => void delete (item as Loose).metadata.labels['app']],
    ['our finalizer gone', (item) => void ((item as Loose).metadata.finalizers = ['theirs'])],
    ['our port gone', (item) => void (containersOf(item)[0] = { ...containersOf(item)[0], ports: [] })],
    [
      'the protocol of our port, which is its key',
      (item) => void (containersOf(item)[0] = { ...containersOf(item)[0], ports: [{ containerPort: 80, protocol: 'UDP' }] }),
    ],
    ['a list that became an object', (item) => void ((item as Loose).spec.template.spec.containers = {} as never)],
    ['a text instead of a number', (item) => void ((item as Loose).spec.replicas = '2' as never)],
  ])('is: %s', (_, change) => expect(digestAfter(change)).not.toBe(calm));

  test.each<[string, unknown, FieldsV1, unknown]>([
    ['a whole value', { a: { b: 1 } }, { 'f:a': none }, { 'f:a': { b: 1 } }],
    ['a dot: that it exists, not what is in it', { a: { b: 1 } }, { 'f:a': { '.': none } }, { 'f:a': true }],
    ['a dot with children', { a: { b: 1, c: 2 } }, { 'f:a': { '.': none, 'f:b': none } }, { 'f:a': { 'f:b': 1 } }],
    ['items of a set', { a: ['x', 'y', 2] }, { 'f:a': { 'v:"x"': none, 'v:2': none, 'v:"z"': none } }, { 'f:a': { 'v:"x"': 'x', 'v:2': 2 } }],
    ['items by index', { a: ['x', 'y'] }, { 'f:a': { 'i:1': none, 'i:5': none } }, { 'f:a': { 'i:1': 'y' } }],
    [
      'keys of several fields',
      { a: [{ p: 1, q: 'b', r: 3 }] },
      { 'f:a': { 'k:{"p":1,"q":"b"}': { 'f:r': none } } },
      { 'f:a': { 'k:{"p":1,"q":"b"}': { 'f:r': 3 } } },
    ],
    ['names with dots, slashes and colons', { a: { 'example.org/x:y': 1 } }, { 'f:a': { 'f:example.org/x:y': none } }, { 'f:a': { 'f:example.org/x:y': 1 } }],
    [
      'null and false are values',
      { a: null, b: false, c: 0, d: '' },
      { 'f:a': none, 'f:b': none, 'f:c': none, 'f:d': none },
      { 'f:a': null, 'f:b': false, 'f:c': 0, 'f:d': '' },
    ],
    ['what is not there shows as absent', {}, { 'f:a': { 'f:b': none } }, {}],
  ])('%s', (_, value, fields, expected) => expect(projectFields(value, fields)).toEqual(expected));

  test('our fields are those of our own apply, and of no sub-resource or other manager', () => {
    const entry = (manager: string, operation: string, name: string, subresource?: string) => ({
      manager,
      operation,
      fieldsType: 'FieldsV1',
      fieldsV1: { [`f:${name}`]: none },
      ...(subresource === undefined ? {} : { subresource }),
    });
    const item: KubeObject = {
      apiVersion: 'v1',
      kind: 'T',
      metadata: {
        name: 'x',
        managedFields: [
          entry('kubectl', 'Apply', 'theirs'),
          entry('groundplane', 'Update', 'update'),
          entry('groundplane', 'Apply', 'status', 'status'),
          entry('groundplane', 'Apply', 'ours'),
        ],
      },
    };
    expect(ownedFields(item, 'groundplane')).toEqual({ 'f:ours': {} });
    expect(ownedFields(object({}), 'groundplane')).toEqual({});
  });

  test('no object, however strange, makes it throw', () => {
    const selector = fc.constantFrom('.', 'f:a', 'f:b', 'k:{"name":"x"}', 'v:1', 'v:"x"', 'i:0', 'i:-1', 'i:x');
    const fields: fc.Arbitrary<FieldsV1> = fc.letrec<{ set: FieldsV1 }>((tie) => ({
      set: fc.dictionary(selector, fc.oneof({ maxDepth: 4 }, fc.constant(none), tie('set')), { maxKeys: 4 }),
    })).set;
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }),
      fc.record({ a: fc.jsonValue({ maxDepth: 3 }), b: fc.array(fc.oneof(fc.constant('x'), fc.record({ name: fc.constant('x'), a: fc.jsonValue() }))) }),
    );
    fc.assert(
      fc.property(value, fields, (live, set) => void expect(() => projectionDigest(live as unknown as KubeObject, set)).not.toThrow()),
      { numRuns: 1_000 },
    );
  });
});
