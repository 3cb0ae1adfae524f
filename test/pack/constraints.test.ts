import { describe, expect, test } from 'vitest';
import { isInRange, resourceTexts, solveConstraints, type PlacedPack } from '@groundplane/protocol/pack/constraints';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';

const factsWith = (constraints: object) => {
  const { facts } = parsePackJson(JSON.stringify({ name: 'web', displayName: 'Web', version: '2.0.0', layer: 'addon', constraints }));
  if (facts === undefined) throw new Error('unread');
  return facts;
};
const solve = (dependency: object, others: PlacedPack[]): string[] =>
  solveConstraints(factsWith({ dependencies: [{ packName: 'kubernetes', layer: 'k8s', ...dependency }] }), others).map(
    (finding) => `${finding.severity} ${finding.code}`,
  );
const kubernetes = (version: string, more: Partial<PlacedPack> = {}): PlacedPack[] => [{ name: 'kubernetes', version, kind: 'kubernetes', ...more }];

describe('versions', () => {
  test.each([
    ['1.29.5', '1.29', '', true],
    ['1.28.9', '1.29', '', false],
    ['1.29.5', '', '1.29', true],
    ['1.30.0', '', '1.29', false],
    ['1.29.5', '', '1', true],
    ['1.18.6', '1.17.0', '1.18.6', true],
    ['1.18.7', '1.17.0', '1.18.6', false],
    ['v1.18.0', '1.17', 'v1.18', true],
    ['1.5', '1.5.0', '1.5.0', true],
    ['1.29.0-rc.1', '1.29.0', '', false],
    ['1.29.0+k3s1', '1.29.0', '1.29.0', true],
    ['0.1.0-alpha', '', '', true],
    ['3-canary', '1.0.0', '', true],
    ['latest', '1.0.0', '', undefined],
    ['3.5.5.0', '1.0.0', '', undefined],
    ['1.0.0', 'newest', '', undefined],
  ])('%s from %s to %s: %s', (version, min, max, is) => {
    expect(isInRange(version, min, max)).toBe(is);
  });
});

describe('dependencies', () => {
  test.each<[object, PlacedPack[], string[]]>([
    [{ type: 'required', minVersion: '1.29' }, kubernetes('1.30.1'), []],
    [{ type: 'required', minVersion: '1.29' }, kubernetes('1.28.1'), ['error constraint-version']],
    [{ type: 'required', minVersion: '1.29' }, [], ['error constraint-missing']],
    [{ type: 'required' }, [], ['warning constraint-missing']],
    [{ type: 'required', minVersion: '', maxVersion: '' }, kubernetes('1.28.1'), []],
    [{ type: 'required', minVersion: '1.29' }, [{ name: 'kubernetes', version: '1.30.0', kind: 'addon' }], ['error constraint-missing']],
    [{ type: 'optional', minVersion: '1.29' }, [], []],
    [{ type: 'optional', minVersion: '1.29' }, kubernetes('1.28.1'), ['error constraint-version']],
    [{ type: 'notSupported', minVersion: '1.29' }, kubernetes('1.29.0'), ['error constraint-not-supported']],
    [{ type: 'notSupported', minVersion: '1.29' }, kubernetes('1.28.0'), []],
    [{ type: 'notSupported' }, kubernetes('1.28.0'), ['warning constraint-open']],
    [{ type: 'notSupported' }, [], []],
    [{ type: 'upgrade', minVersion: '1.28' }, kubernetes('1.30.0', { previousVersion: '1.27.1' }), ['error constraint-upgrade']],
    [{ type: 'upgrade', minVersion: '1.28' }, kubernetes('1.30.0', { previousVersion: '1.29.1' }), []],
    [{ type: 'upgrade', minVersion: '1.28' }, kubernetes('1.30.0'), []],
    [{ type: 'required', minVersion: '1.29' }, kubernetes('newest'), ['warning constraint-not-comparable']],
  ])('%j with %j', (dependency, others, found) => {
    expect(solve(dependency, others)).toEqual(found);
  });

  test('the message says who needs what and what is there', () => {
    const facts = factsWith({ dependencies: [{ packName: 'kubernetes', layer: 'k8s', type: 'required', minVersion: '1.29', maxVersion: '1.31' }] });
    expect(solveConstraints(facts, kubernetes('1.28.1', { layer: 'base' }))[0]?.message).toBe(
      'web 2.0.0 needs kubernetes from 1.29 to 1.31, and the profile has kubernetes 1.28.1 (layer base)',
    );
  });
});

test('resources are shown in words', () => {
  expect(
    resourceTexts(
      factsWith({
        resources: [
          { type: 'cpu', minLimit: 2000, components: [{ scheduleType: 'all' }] },
          { type: 'memory', minLimit: 2048, components: [{ scheduleType: 'master' }, { scheduleType: 'worker' }] },
          { type: 'diskSize', minLimit: 10 },
          { type: 'cpu' },
        ],
      }),
    ),
  ).toEqual([
    'at least 2 CPU on every node',
    'at least 2048 MiB of memory on control-plane nodes and on worker nodes',
    'at least 10 GiB of disk',
    'cpu without a minimum',
  ]);
});
