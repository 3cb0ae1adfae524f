import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bundleBlobs, bundleSchema, type Bundle, type BundleLayer } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestBytes, digestOf, type Digest } from '@groundplane/protocol/digest';
import { refKey, refText } from '@groundplane/protocol/kubernetes';
import { applyBundlePatch, bundlePatchSchema, makeBundlePatch } from '@groundplane/protocol/messages';

const digest = fc.constantFrom('a', 'b', 'c', 'd').map((text) => digestBytes(text));
const name = fc.constantFrom('web', 'db', 'net', 'cache', 'log');
const ref = fc.record({
  apiVersion: fc.constantFrom('v1', 'apps/v1'),
  kind: fc.constantFrom('ConfigMap', 'Deployment'),
  namespace: fc.constantFrom('default', 'shop'),
  name,
});
const layer: fc.Arbitrary<BundleLayer> = fc.record({
  name,
  kind: fc.constantFrom('network', 'storage', 'addon'),
  priority: fc.integer({ min: -2, max: 2 }),
  profile: fc.constant({ name: 'p', version: '1.0.0' }),
  pack: fc.record({ name: fc.constant('pack'), version: fc.constantFrom('1.0.0', '2.0.0'), source: fc.constant('manifest'), digest }),
  adopt: fc.boolean(),
  readinessTimeoutMs: fc.constant(1_000),
  objects: fc.array(fc.record({ ref, digest, size: fc.nat(100) }), { maxLength: 4 }),
  hooks: fc.array(
    fc.record({
      ref,
      digest,
      size: fc.nat(100),
      events: fc.constant(['pre-install' as const]),
      weight: fc.integer({ min: -1, max: 1 }),
      deletePolicies: fc.constant([]),
    }),
    { maxLength: 1 },
  ),
});
const bundle: fc.Arbitrary<Bundle> = fc.record({
  schema: fc.constant('groundplane.dev/bundle/1'),
  engine: fc.constantFrom('helm 1', 'helm 2'),
  profiles: fc.array(fc.record({ name, version: fc.constant('1.0.0'), digest }), { maxLength: 3 }),
  layers: fc.uniqueArray(layer, { maxLength: 6, selector: (item) => item.name }),
});
const digestsOf = (item: Bundle): Digest[] => item.layers.map((part) => digestOf(part));

describe('bundle patches', () => {
  test('rebuild exactly the bundle, and come through the wire', () => {
    fc.assert(
      fc.property(bundle, bundle, (base, next) => {
        const patch = makeBundlePatch({ digest: digestOf(base), layerKeys: digestsOf(base) }, next, digestsOf(next));
        const sent = bundlePatchSchema.parse(JSON.parse(JSON.stringify(patch)));
        const rebuilt = applyBundlePatch(base, sent);
        expect(rebuilt).toBeDefined();
        expect(digestOf(rebuilt)).toBe(digestOf(next));
        expect(bundleSchema.safeParse(rebuilt).success).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('carry no layer that the base has', () => {
    fc.assert(
      fc.property(bundle, (base) => {
        const patch = makeBundlePatch({ digest: digestOf(base), layerKeys: digestsOf(base) }, base, digestsOf(base));
        expect(patch.layers).toEqual(base.layers.map((_, index) => index));
        expect(canonicalJson(patch).length).toBeLessThan(1_000);
      }),
    );
  });

  test('a number that points nowhere makes no bundle', () => {
    fc.assert(
      fc.property(bundle, fc.nat(20), (base, index) => {
        const patch = { base: digestOf(base), engine: 'e', profiles: [], layers: [index] };
        expect(applyBundlePatch(base, patch) === undefined).toBe(index >= base.layers.length);
      }),
    );
  });

  test('on another base the result has another digest, or is the same after all', () => {
    fc.assert(
      fc.property(bundle, bundle, bundle, (base, other, next) => {
        const patch = makeBundlePatch({ digest: digestOf(base), layerKeys: digestsOf(base) }, next, digestsOf(next));
        const rebuilt = applyBundlePatch(other, patch);
        if (rebuilt !== undefined && digestOf(rebuilt) === digestOf(next)) expect(rebuilt).toEqual(next);
      }),
    );
  });
});

test('the blobs of a bundle are all digests it names, each once, with their size', () => {
  const blob = (text: string): { digest: Digest; size: number } => ({ digest: digestBytes(text), size: text.length });
  const object = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', namespace: 'd' };
  const full: Bundle = {
    schema: 'groundplane.dev/bundle/1',
    engine: 'e',
    profiles: [],
    layers: [
      {
        name: 'base',
        kind: 'os',
        priority: 0,
        profile: { name: 'p', version: '1.0.0' },
        pack: { name: 'p', version: '1', source: 'os', digest: digestBytes('no blob') },
        adopt: false,
        readinessTimeoutMs: 1,
        objects: [],
        hooks: [],
        os: {
          files: [{ path: '/a', ...blob('file'), mode: '0644', owner: 'root', group: 'root' }],
          sysctls: {},
          units: [
            { name: 'u.service', file: blob('unit'), enabled: true, active: true, dropIns: [{ name: 'd.conf', ...blob('drop-in') }] },
            { name: 'v.service', enabled: true, active: true, dropIns: [] },
          ],
        },
      },
      {
        name: 'web',
        kind: 'addon',
        priority: 0,
        profile: { name: 'p', version: '1.0.0' },
        pack: { name: 'p', version: '1', source: 'helm', digest: digestBytes('no blob either') },
        adopt: false,
        readinessTimeoutMs: 1,
        objects: [
          { ref: object, ...blob('object') },
          { ref: { ...object, name: 'b' }, ...blob('object') },
        ],
        hooks: [{ ref: object, ...blob('hook'), events: ['test'], weight: 0, deletePolicies: [] }],
        notes: blob('notes'),
      },
    ],
  };
  const texts = ['file', 'unit', 'drop-in', 'object', 'hook', 'notes'];
  expect(bundleBlobs(full)).toEqual(new Map(texts.map((text) => [digestBytes(text), text.length])));
});

test('an object keeps its identity when its API version is promoted, and no other object has it', () => {
  expect(refKey({ apiVersion: 'apps/v1beta1', kind: 'Deployment', namespace: 'a', name: 'b' })).toBe(
    refKey({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'a', name: 'b' }),
  );
  expect(refText({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' })).toBe('Deployment shop/web');
  expect(refText({ apiVersion: 'v1', kind: 'Namespace', name: 'shop' })).toBe('Namespace shop');
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.'), minLength: 1, maxLength: 4 });
  const any = fc.record({
    group: fc.constantFrom('', 'apps', 'a.b'),
    kind: fc.constantFrom('A', 'B'),
    namespace: fc.option(word, { nil: undefined }),
    name: word,
  });
  const key = (item: { group: string; kind: string; namespace: string | undefined; name: string }): string =>
    refKey({
      apiVersion: item.group === '' ? 'v1' : `${item.group}/v1`,
      kind: item.kind,
      name: item.name,
      ...(item.namespace === undefined ? {} : { namespace: item.namespace }),
    });
  fc.assert(
    fc.property(any, any, (a, b) => void expect(key(a) === key(b)).toBe(JSON.stringify(a) === JSON.stringify(b))),
    { numRuns: 1_000 },
  );
});
