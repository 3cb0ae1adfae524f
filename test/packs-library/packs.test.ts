import { describe, expect, test } from 'vitest';
import { lintPackFiles } from '@groundplane/hub/pack/lint';
import { solveConstraints, type PlacedPack } from '@groundplane/protocol/pack/constraints';
import { applyPresets, choiceText, detectPresets, parsePresets } from '@groundplane/protocol/pack/presets';
import { checkValues, misplacedRules, parseSchema } from '@groundplane/protocol/pack/schema';
import { readSource } from '@groundplane/protocol/pack/source';
import { parseUpstream } from '@groundplane/protocol/pack/upstream';
import { setValue } from '@groundplane/protocol/pack/values';
import { value } from '../hub/world.ts';
import { library, packText, type LibraryPack } from './library.ts';

const packs = await library();
const byName = new Map(packs.map((pack) => [pack.facts.name, pack]));
const rows = packs.map((pack): [string, LibraryPack] => [`${pack.folder}${pack.isThin ? ' (by schema only: its charts are at their upstream)' : ''}`, pack]);
const valuesOf = (pack: LibraryPack) => {
  const { source, findings } = readSource(packText(pack, 'values.yaml'), 'values.yaml');
  if (source === undefined) throw new Error(JSON.stringify(findings));
  return source;
};

/** What a pack of ours may be told, besides remarks: what cannot be otherwise here. */
const expected = new Set(['chart-not-fetched', 'upstream-unpinned', 'content-images-missing']);

describe.each(rows)('%s', (_, pack) => {
  test('its folder says its name and version, and nothing is wrong with it', async () => {
    expect(pack.folder).toBe(`${pack.facts.name}-${pack.facts.version}`);
    const findings = await lintPackFiles(pack.files);
    expect(findings.filter((finding) => finding.severity === 'error' || (finding.severity === 'warning' && !expected.has(finding.code)))).toEqual([]);
    // Only a pack without pods needs no images.
    const isBare = findings.some((finding) => finding.code === 'content-images-missing');
    expect(isBare).toBe(['local-volumes', 'site-baseline'].includes(pack.facts.name));
  });

  test('it says what it is, and what is not there', () => {
    const readme = packText(pack, 'README.md');
    expect(readme).toMatch(/^# \S.*\n/);
    expect(readme).toContain('## State');
    expect(readme.includes('Validated by schema only')).toBe(pack.isThin || pack.facts.name === 'kubeadm');
    expect(pack.facts.annotations['dev.groundplane/cannot-yet'] !== undefined).toBe(pack.facts.kind === 'os' || pack.facts.kind === 'kubernetes');
  });

  test('its charts are of one version each, and README says when a digest is missing', () => {
    const { charts, findings } = parseUpstream(packText(pack, 'upstream.yaml') || 'charts: []');
    expect(findings.filter((finding) => finding.severity === 'error')).toEqual([]);
    expect(charts.map((chart) => chart.file)).toEqual(pack.isThin ? pack.facts.charts : []);
    expect(charts.every((chart) => /^(https|oci):/.test(chart.repository))).toBe(true);
    expect(packText(pack, 'README.md').includes('--pin')).toBe(charts.some((chart) => chart.digest === undefined));
  });

  test('every rule is about a value that is there, and refuses something', () => {
    const values = valuesOf(pack);
    const { rules, findings } = parseSchema(packText(pack, 'schema.yaml'));
    expect([findings, misplacedRules(values, rules)]).toEqual([[], []]);
    expect(rules.length).toBeGreaterThan(2);
    expect(checkValues(values, rules).filter((finding) => finding.code !== 'value-missing')).toEqual([]);
    for (const rule of rules) {
      const path = rule.path.replaceAll('.$[]', '[0]');
      const emptied = value(setValue(packText(pack, 'values.yaml'), path, ''));
      const odd = value(setValue(packText(pack, 'values.yaml'), path, { a: 1 }));
      const wrong = [emptied, odd].flatMap((text) => {
        const { source } = readSource(text, 'values.yaml');
        return source === undefined ? [] : checkValues(source, [rule]).map((finding) => finding.code);
      });
      expect([rule.path, wrong]).toEqual([rule.path, rule.required ? ['value-missing', 'value-invalid'] : ['value-invalid']]);
    }
  });

  test('its presets apply, are recognised, and give way to each other', () => {
    const text = packText(pack, 'values.yaml');
    const { presets, findings } = parsePresets(packText(pack, 'presets.yaml'));
    expect(findings).toEqual([]);
    expect(presets.length).toBeGreaterThan(1);
    const enabled = value(detectPresets(text, presets));
    expect(enabled.length).toBeGreaterThan(0);
    expect(enabled.filter((item) => item.by !== 'comment' || !item.isKnown || !item.isUnchanged)).toEqual([]);
    const { rules } = parseSchema(packText(pack, 'schema.yaml'));
    for (const preset of presets) {
      const applied = value(applyPresets(text, presets, [preset], text));
      const detected = value(detectPresets(applied.values, presets));
      expect(detected.map(choiceText)).toContain(choiceText(preset));
      expect(detected.every((item) => item.isUnchanged)).toBe(true);
      expect(value(applyPresets(applied.values, presets, [preset], text)).values).toBe(applied.values);
      const { source } = readSource(applied.values, 'values.yaml');
      expect(source === undefined ? ['unreadable'] : checkValues(source, rules).filter((finding) => finding.code !== 'value-missing')).toEqual([]);
    }
  });
});

describe('packs beside each other', () => {
  const placed = (...names: string[]): PlacedPack[] =>
    names.map((name) => {
      const facts = byName.get(name)?.facts;
      if (facts?.kind === undefined) throw new Error(`there is no pack ${name}`);
      return { name, version: facts.version, kind: facts.kind, layer: name };
    });
  const solve = (others: PlacedPack[]): string[] =>
    others.flatMap((other) => {
      const facts = byName.get(other.name)?.facts;
      return facts === undefined ? [] : solveConstraints(facts, others).map((finding) => `${other.name} ${finding.severity} ${finding.code}`);
    });
  const addons = ['traefik', 'cert-manager', 'metrics-server', 'logging', 'prometheus-stack', 'velero', 'site-baseline', 'status-page'];

  test.each([
    ['bridge-cni', 'local-volumes'],
    ['flannel', 'local-path-provisioner'],
    ['cilium', 'longhorn'],
    ['calico', 'longhorn'],
  ])('a whole profile with %s and %s', (network, storage) => {
    expect(solve(placed('debian-os', 'kubeadm', network, storage, ...addons))).toEqual([]);
  });

  test('two networks, and an old Kubernetes, are refused', () => {
    expect(solve(placed('flannel', 'cilium'))).toEqual(['flannel error constraint-not-supported', 'cilium error constraint-not-supported']);
    const old = placed('kubeadm', 'calico').map((pack) => (pack.name === 'kubeadm' ? { ...pack, version: '1.28.3' } : pack));
    expect(solve(old)).toEqual(['calico error constraint-version']);
  });

  test('they come in an order: network and storage, what everything stands on, what people use', () => {
    const priority = (name: string): number => {
      const pack = byName.get(name);
      return Number(/install-priority: "(-?\d+)"/.exec(pack === undefined ? '' : packText(pack, 'values.yaml'))?.[1]);
    };
    expect(priority('cert-manager')).toBeLessThan(priority('traefik'));
    expect(priority('prometheus-stack')).toBeLessThan(priority('velero'));
    expect(priority('site-baseline')).toBeLessThan(priority('status-page'));
  });
});

test('the library has what a cluster is made of', () => {
  expect([...byName.keys()].toSorted()).toEqual([
    'bridge-cni',
    'calico',
    'cert-manager',
    'cilium',
    'debian-os',
    'flannel',
    'kubeadm',
    'local-path-provisioner',
    'local-volumes',
    'logging',
    'longhorn',
    'metrics-server',
    'prometheus-stack',
    'site-baseline',
    'status-page',
    'traefik',
    'velero',
  ]);
});
