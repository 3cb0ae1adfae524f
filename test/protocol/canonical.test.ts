import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestBytes, digestOf, digestSchema, isDigest } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';

/** Plain data as JSON.parse can make it, hostile keys included. */
const json = fc.jsonValue({ maxDepth: 5 });

/** The same value with the keys of every object put down in another order. */
const reordered = (value: unknown, turn: number): unknown => {
  if (Array.isArray(value)) return value.map((item) => reordered(item, turn + 1));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, reordered(item, turn + 1)] as const);
  return Object.fromEntries(turn % 2 === 0 ? entries.toReversed() : entries.toSorted(([a], [b]) => b.length - a.length));
};

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

describe('canonical JSON', () => {
  test.each<[string, unknown, string]>([
    [
      'keys by UTF-16 code units, not by code points',
      { '\u{1F600}': 1, '\uFB33': 2, b: 3, a: 4, B: 5, '': 6, '10': 7, '9': 8 },
      '{"":6,"10":7,"9":8,"B":5,"a":4,"b":3,"\u{1F600}":1,"\uFB33":2}',
    ],
    [
      'ECMAScript numbers',
      [0, -0, 1.0, 1e21, 1e-7, 123456789012345680000, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 4.5, 2e-3],
      '[0,0,1,1e+21,1e-7,123456789012345680000,0.30000000000000004,5e-324,1.7976931348623157e+308,4.5,0.002]',
    ],
    ['shortest escapes', '\u0000\u0008\t\n\u000b\f\r"\\/\u001f\u007f€', '"\\u0000\\b\\t\\n\\u000b\\f\\r\\"\\\\/\\u001f\u007f€"'],
    ['no white space', { a: [1, { b: null }], c: {} }, '{"a":[1,{"b":null}],"c":{}}'],
    ['undefined fields do not exist', { a: undefined, b: 1, c: { d: undefined } }, '{"b":1,"c":{}}'],
    ['undefined items are null, as in JSON.stringify', [undefined, 1], '[null,1]'],
    ['a key called __proto__ is a key', JSON.parse('{"__proto__":{"a":1},"a":2}'), '{"__proto__":{"a":1},"a":2}'],
    ['lone surrogates are escaped, so that the text is valid UTF-8', '\ud800', '"\\ud800"'],
    ['scalars stand alone', true, 'true'],
  ])('%s', (_, value, text) => expect(canonicalJson(value)).toBe(text));

  test('parsing gives the value back, and writing that gives the same text', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test('equal values have equal texts, however their keys came', () => {
    fc.assert(
      fc.property(json, fc.nat(3), (value, turn) => void expect(canonicalJson(reordered(value, turn))).toBe(canonicalJson(value))),
      { numRuns: 500 },
    );
  });

  test('different values have different texts', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        fc.pre(JSON.stringify(reordered(a, 0)) !== JSON.stringify(reordered(b, 0)));
        const same = canonicalJson(a) === canonicalJson(b);
        if (same) expect(JSON.parse(canonicalJson(a))).toEqual(JSON.parse(canonicalJson(b)));
      }),
    );
    expect(canonicalJson({ a: 1 })).not.toBe(canonicalJson({ a: '1' }));
    expect(canonicalJson(['a', 'b'])).not.toBe(canonicalJson(['a,b']));
    expect(canonicalJson({ a: null })).not.toBe(canonicalJson({}));
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -Infinity])('%s is refused', (value) => expect(() => canonicalJson({ a: value })).toThrow(RangeError));
  test.each([
    ['function', () => 1],
    ['symbol', Symbol('s')],
    ['bigint', 1n],
    ['undefined', undefined],
  ])('a %s alone is refused', (_, value) => expect(() => canonicalJson(value)).toThrow(TypeError));

  test('depth has an edge', () => {
    const deepest = limits.jsonDepth * 4;
    expect(() => canonicalJson(nested(deepest))).not.toThrow();
    expect(() => canonicalJson(nested(deepest + 1))).toThrow(RangeError);
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(() => canonicalJson(loop)).toThrow(RangeError);
  });
});

describe('digests', () => {
  test('agree with Node for bytes and texts of any kind', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        (bytes) => void expect(digestBytes(bytes)).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`),
      ),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        (text) => void expect(digestBytes(text)).toBe(`sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`),
      ),
    );
    expect(digestBytes('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
  test('of equal values are equal', () => expect(digestOf({ a: 1, b: [2] })).toBe(digestOf({ b: [2], a: 1 })));
  test.each([
    '',
    'sha256:',
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha512:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}\n`,
    ` sha256:${'a'.repeat(64)}`,
    `sha256:../${'a'.repeat(61)}`,
  ])('%j is no digest', (text) => {
    expect(isDigest(text)).toBe(false);
    expect(digestSchema.safeParse(text).success).toBe(false);
  });
  test('a digest is one', () => {
    expect(isDigest(digestBytes('x'))).toBe(true);
    expect(digestSchema.safeParse(digestBytes('x')).success).toBe(true);
  });
});
