import { describe, expect, test } from 'vitest';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';

const least = { name: 'web', displayName: 'Web', version: '1.2.3', layer: 'addon' };
const codes = (text: string): string[] => parsePackJson(text).findings.map((finding) => `${finding.severity} ${finding.code}`);
const codesOf = (value: object): string[] => codes(JSON.stringify({ ...least, ...value }));

describe('pack.json', () => {
  test('everything documented is read', () => {
    const { facts, findings } = parsePackJson(
      JSON.stringify({
        ...least,
        layer: 'csi',
        cloudTypes: ['aws', 'edge-native'],
        addonType: 'system app',
        addonSubType: 'x',
        group: 'LTS',
        eol: '2028-04-30',
        annotations: { source: 'community' },
        ansibleRoles: ['role'],
        charts: ['./charts/web-1.2.3.tgz'],
        kubeManifests: ['manifests//a.yaml'],
        constraints: {
          dependencies: [{ packName: 'kubernetes', layer: 'k8s', minVersion: '1.29', type: 'required' }],
          resources: [
            {
              type: 'memory',
              minLimit: 2048,
              components: [{ scheduleType: 'control-plane', resourceRequestParamRef: 'requests.memory', replicaCountParamRef: 'replicas' }],
            },
          ],
        },
      }),
    );
    expect(findings).toEqual([]);
    expect(facts).toEqual({
      ...least,
      layer: 'csi',
      kind: 'storage',
      cloudTypes: ['aws', 'edge-native'],
      addonType: 'system app',
      addonSubType: 'x',
      group: 'LTS',
      eol: '2028-04-30',
      annotations: { source: 'community' },
      ansibleRoles: ['role'],
      charts: ['charts/web-1.2.3.tgz'],
      kubeManifests: ['manifests/a.yaml'],
      constraints: {
        dependencies: [{ packName: 'kubernetes', layer: 'k8s', kind: 'kubernetes', minVersion: '1.29', maxVersion: '', type: 'required' }],
        resources: [
          {
            type: 'memory',
            minLimit: 2048,
            components: [{ scheduleType: 'control-plane', resourceRequestParamRef: 'requests.memory', replicaCountParamRef: 'replicas' }],
          },
        ],
      },
      unknown: [],
    });
  });

  test.each([
    ['os', 'os'],
    ['kernel', 'os'],
    ['k8s', 'kubernetes'],
    ['cni', 'network'],
    ['csi', 'storage'],
    ['addon', 'addon'],
  ])('the layer %s is ours %s', (layer, kind) => {
    expect(parsePackJson(JSON.stringify({ ...least, layer })).facts?.kind).toBe(kind);
  });

  test.each<[string, object, string[]]>([
    ['a version of two numbers', { version: '1.5' }, ['warning version-not-semver']],
    ['a version of four numbers', { version: '3.5.5.0' }, ['warning version-not-semver']],
    ['a v before the version', { version: 'v1.12.0' }, ['info version-not-semver']],
    ['a version as a number', { version: 1.5 }, ['warning pack-json-type', 'warning version-not-semver']],
    ['fields of their own', { kubeVersion: '1', readme: '', commit_msg: 'x' }, ['info field-unknown', 'info field-unknown', 'info field-unknown']],
    ['empty texts', { eol: ' ', group: '', addonType: '', charts: null, annotations: null }, []],
    ['one cloud type', { cloudType: 'aws' }, []],
    ['an unknown cloud type', { cloudTypes: ['moon'] }, ['warning cloud-type-unknown']],
    ['a list that is a text', { charts: 'charts/a.tgz' }, ['warning pack-json-type']],
    ['master', { constraints: { resources: [{ type: 'cpu', minLimit: '2', components: [{ scheduleType: 'master' }] }] } }, []],
    ['a dependency without a name', { constraints: { dependencies: [{ layer: 'addon', type: 'required' }] } }, ['error constraint-invalid']],
    ['a dependency of unknown type', { constraints: { dependencies: [{ packName: 'a', layer: 'addon', type: 'maybe' }] } }, ['error constraint-invalid']],
    ['an unknown resource', { constraints: { resources: [{ type: 'gpu' }] } }, ['warning constraint-invalid']],
    ['a layer of the constructor', { layer: 'constructor' }, ['error layer-unknown']],
    ['no display name', { displayName: undefined }, ['warning pack-json-field']],
    ['annotations that are numbers', { annotations: { a: 1 } }, ['warning pack-json-type']],
    ['a chart that is no text', { charts: [1] }, ['error pack-json-type']],
  ])('%s', (_, value, found) => {
    expect(codesOf(value)).toEqual(found);
    expect(parsePackJson(JSON.stringify({ ...least, ...value })).facts?.name).toBe('web');
  });

  test.each([
    ['nothing', '', ['error pack-json-malformed']],
    ['a list', '[]', ['error pack-json-malformed']],
    ['half of one', '{"name": "a"', ['error pack-json-malformed']],
    ['no version', '{"name": "a", "displayName": "A", "layer": "addon"}', ['error pack-json-field']],
    ['no layer', '{"name": "a", "displayName": "A", "version": "1.0.0"}', ['error layer-unknown']],
  ])('%s is an error', (_, text, found) => {
    expect(codes(text)).toEqual(found);
  });

  test.each([
    [{ name: '../../etc' }, ['error pack-name-invalid']],
    [{ name: 'a/b' }, ['error pack-name-invalid']],
    [{ name: 'a\u0000' }, ['error pack-name-invalid']],
    [{ name: 'x'.repeat(129) }, ['error pack-name-invalid']],
    [{ name: 'x'.repeat(128) }, []],
    [{ name: 'Shop_1' }, ['warning pack-name-odd']],
    [{ version: '1.0.0/../..' }, ['error pack-name-invalid', 'warning version-not-semver']],
    [{ version: '1.0.0%2f\r\nX: y' }, ['error pack-name-invalid', 'warning version-not-semver']],
    [{ version: '0.30.0-5.5.2026' }, []],
    [{ version: '3-canary' }, ['warning version-not-semver']],
  ])('names that could lead elsewhere: %j', (value, found) => {
    expect(codesOf(value)).toEqual(found);
    expect(parsePackJson(JSON.stringify({ ...least, ...value })).facts === undefined).toBe(found.includes('error pack-name-invalid'));
  });

  test('a mark at the start and a comma at the end are put up with', () => {
    expect(codes(`\uFEFF${JSON.stringify(least)}`)).toEqual([]);
    expect(codes(`${JSON.stringify(least).slice(0, -1)},}`)).toEqual(['warning pack-json-loose']);
  });

  test('findings stand at the line', () => {
    expect(parsePackJson(JSON.stringify({ ...least, cloudTypes: ['all', 'moon'] }, undefined, 2)).findings[0]).toMatchObject({ line: 8, file: 'pack.json' });
  });
});
