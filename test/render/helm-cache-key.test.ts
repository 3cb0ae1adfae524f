import { helmCacheKey } from '@groundplane/hub/render/helm/index';
import { describe, expect, test } from 'vitest';
import type { HelmRequest } from '@groundplane/hub/render/helm/types';
import { reader, requestFor } from './helm-charts.ts';

const keyOf = (rest: Partial<Omit<HelmRequest, 'chart'>> = {}, chart = reader): string =>
  helmCacheKey(requestFor(chart, rest), { engineDigest: 'e', seed: false, clock: false });
const valuesKey = (...values: string[]): string => keyOf({ values });

describe('the key of a render', () => {
  test.each<[string, Partial<HelmRequest>]>([
    ['values', { values: ['a: 1'] }],
    ['--set', { sets: [{ as: 'set', text: 'a=1' }] }],
    ['release', { release: { name: 'b', namespace: 'store' } }],
    ['namespace', { release: { name: 'shop', namespace: 'b' } }],
    ['upgrade', { release: { name: 'shop', namespace: 'store', isUpgrade: true } }],
    ['revision', { release: { name: 'shop', namespace: 'store', revision: 2 } }],
    ['Kubernetes', { kubeVersion: 'v1.35.0' }],
    ['API versions', { apiVersions: ['a/v1'] }],
    ['discovery', { apiVersionsOnly: true }],
    ['schema check', { skipSchema: true }],
    ['lookup', { lookup: [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } }] }],
  ])('changes with %s', (_name, rest) => {
    expect(keyOf(rest)).not.toBe(keyOf());
  });

  test('changes with a file of the chart, and with the engine', () => {
    expect(keyOf({}, { ...reader, 'values.yaml': 'a: 2\n' })).not.toBe(keyOf());
    expect(helmCacheKey(requestFor(reader), { engineDigest: 'f', seed: false, clock: false })).not.toBe(keyOf());
  });

  test('depends on seed and time only when told so', () => {
    expect(keyOf({ seed: 'x', nowMs: 1 })).toBe(keyOf());
    const all = (rest: Partial<HelmRequest>) => helmCacheKey(requestFor(reader, rest), { engineDigest: 'e', seed: true, clock: true });
    expect(all({ seed: 'x' })).not.toBe(all({}));
    expect(all({ nowMs: 1 })).not.toBe(all({}));
  });

  test.each([
    ['order of keys', 'a: 1\nb: 2\n', 'b: 2\na: 1\n'],
    ['comments and layout', 'a: {b: 1} # why\n', '# because\na:\n  b: 1\n'],
    ['quoting style', `a: "x"\n`, `a: 'x'\n`],
  ])('forgets %s', (_name, one, other) => {
    expect(valuesKey(one)).toBe(valuesKey(other));
  });

  test.each([
    ['a truth value and a text', 'a: on\n', 'a: "on"\n'],
    ['a number and a text', 'a: 1\n', 'a: "1"\n'],
    ['two long numbers', 'a: 9007199254740993\n', 'a: 9007199254740992\n'],
    ['octal', 'a: 010\n', 'a: 8\n'],
    ['null and an empty text', 'a:\n', 'a: ""\n'],
    ['an anchor', 'a: &x 1\nb: *x\n', 'a: &x 2\nb: *x\n'],
    ['a tag', 'a: !!str 1\n', 'a: 1\n'],
    ['a text that looks like our mark', 'a: "plain:1"\n', 'a: 1\n'],
    ['a key', '1: a\n', '"1": a\n'],
    ['a block text', 'a: |\n  x\n', 'a: |-\n  x\n'],
    ['a map and a list', 'a: {}\n', 'a: []\n'],
    ['a second document', 'a: 1\n', 'a: 1\n---\nb: 1\n'],
  ])('tells apart %s', (_name, one, other) => {
    expect(valuesKey(one)).not.toBe(valuesKey(other));
  });

  test('tells apart the order of layers', () => {
    expect(valuesKey('a: 1', 'a: 2')).not.toBe(valuesKey('a: 2', 'a: 1'));
  });
});
