import { describe, expect, test } from 'vitest';
import { clusterDocumentSchema, profileDocumentSchema, profileSpecSchema, variableSchema } from '@groundplane/protocol/profile';
import { labelsSchema, makeId, idSchema, nameSchema, semverSchema } from '@groundplane/protocol/ids';
import { compareLayers, layerKinds, layerSchema, type LayerKind } from '@groundplane/protocol/layer';
import { limits } from '@groundplane/protocol/limits';

const addon = (name: string, fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  name,
  kind: 'addon',
  manifests: [{ name: 'm', content: 'x' }],
  ...fields,
});
const spec = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({ type: 'addon', layers: [addon('web')], ...fields });
const document = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  apiVersion: 'groundplane.dev/v1',
  kind: 'Profile',
  metadata: { name: 'shop', version: '1.0.0' },
  spec: spec(),
  ...fields,
});
const problems = (
  schema: { safeParse(value: unknown): { success: boolean; error?: { issues: { path: PropertyKey[]; message: string }[] } } },
  value: unknown,
): string => {
  const result = schema.safeParse(value);
  return result.success ? 'ok' : (result.error?.issues ?? []).map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`).join('\n');
};

describe('profile documents', () => {
  test('a small one is read, with its defaults', () => {
    const read = profileDocumentSchema.parse(document());
    expect(read.spec.layers[0]).toMatchObject({ priority: 0, adopt: false, readiness: { timeoutSeconds: 300 } });
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'Profile'],
    ['a list', [document()]],
    ['an unknown version', document({ apiVersion: 'groundplane.dev/v2' })],
    ['no version', document({ apiVersion: undefined })],
    ['another kind', document({ kind: 'Blueprint' })],
    ['a field that does not exist', document({ extra: 1 })],
    ['a spec that is a list', document({ spec: [] })],
    ['a name in capitals', document({ metadata: { name: 'Shop', version: '1.0.0' } })],
    ['a version that is none', document({ metadata: { name: 'shop', version: 'latest' } })],
    ['a version with a leading nought', document({ metadata: { name: 'shop', version: '01.0.0' } })],
    ['no layers', document({ spec: spec({ layers: [] }) })],
  ])('%s is refused', (_, value) => expect(profileDocumentSchema.safeParse(value).success).toBe(false));

  test.each([
    ['two layers of one name', spec({ layers: [addon('web'), addon('web')] }), 'two layers are named web'],
    ['two variables of one name', spec({ variables: [{ name: 'a' }, { name: 'a' }] }), 'two variables are named a'],
    [
      'a kind that the type does not have',
      spec({ layers: [addon('net', { kind: 'network' })] }),
      'layer net: a profile of type addon has no layer of kind network',
    ],
    ['two networks', spec({ type: 'full', layers: [addon('a', { kind: 'network' }), addon('b', { kind: 'network' })] }), 'at most one layer of kind network'],
    ['a layer that installs nothing', spec({ layers: [{ name: 'empty', kind: 'addon' }] }), 'layer empty: says nothing to install'],
    [
      'an OS layer with manifests',
      spec({ type: 'full', layers: [{ name: 'base', kind: 'os', os: {}, manifests: [] }] }),
      'layer base: a layer of kind os has exactly the field "os"',
    ],
    ['an OS layer without os', spec({ type: 'full', layers: [{ name: 'base', kind: 'os' }] }), 'layer base'],
    ['a Kubernetes layer without kubernetes', spec({ type: 'full', layers: [{ name: 'k8s', kind: 'kubernetes', helm: undefined }] }), 'layer k8s'],
    ['an add-on with os', spec({ layers: [{ ...addon('web'), os: {} }] }), 'layer web: a layer of kind addon has "pack", "helm", "zarf" or "manifests"'],
    ['a variable that cannot be', spec({ variables: [{ name: 'v', immutable: true }] }), 'variable v: an immutable variable needs a default'],
    ['hidden, required and without default', spec({ variables: [{ name: 'v', hidden: true, required: true }] }), 'variable v'],
    ['a dropdown without options', spec({ variables: [{ name: 'v', inputType: 'dropdown' }] }), 'variable v: a dropdown needs options'],
    ['a regex with a back-reference', spec({ variables: [{ name: 'v', regex: '(a)\\1' }] }), 'variable v: the regex'],
    ['a regex with look-ahead', spec({ variables: [{ name: 'v', regex: '(?=a)' }] }), 'variable v: the regex'],
  ])('%s: the message names it', (_, value, said) => expect(problems(profileSpecSchema, value)).toContain(said));

  test('a wrong field is named by its place', () => {
    expect(problems(profileSpecSchema, spec({ layers: [addon('a'), addon('b', { priority: 'high' })] }))).toMatch(/^layers\.1\.priority:/);
    expect(problems(profileSpecSchema, spec({ layers: [addon('a', { colour: 'red' })] }))).toContain('colour');
  });

  test.each([
    [
      'layers',
      spec({ layers: Array.from({ length: limits.layersPerProfile }, (_, n) => addon(`l${n}`)) }),
      spec({ layers: Array.from({ length: limits.layersPerProfile + 1 }, (_, n) => addon(`l${n}`)) }),
    ],
    [
      'variables',
      spec({ variables: Array.from({ length: limits.variablesPerProfile }, (_, n) => ({ name: `v${n}` })) }),
      spec({ variables: Array.from({ length: limits.variablesPerProfile + 1 }, (_, n) => ({ name: `v${n}` })) }),
    ],
    [
      'a manifest',
      spec({ layers: [addon('a', { manifests: [{ name: 'm', content: 'x'.repeat(limits.objectBytes) }] })] }),
      spec({ layers: [addon('a', { manifests: [{ name: 'm', content: 'x'.repeat(limits.objectBytes + 1) }] })] }),
    ],
    ['priority', spec({ layers: [addon('a', { priority: 1_000_000 })] }), spec({ layers: [addon('a', { priority: 1_000_001 })] })],
    ['lowest priority', spec({ layers: [addon('a', { priority: -1_000_000 })] }), spec({ layers: [addon('a', { priority: -1_000_001 })] })],
    ['a name', spec({ layers: [addon('a'.repeat(63))] }), spec({ layers: [addon('a'.repeat(64))] })],
    [
      'a time-out',
      spec({ layers: [addon('a', { readiness: { timeoutSeconds: 86_400 } })] }),
      spec({ layers: [addon('a', { readiness: { timeoutSeconds: 86_401 } })] }),
    ],
    [
      'the shortest time-out',
      spec({ layers: [addon('a', { readiness: { timeoutSeconds: 1 } })] }),
      spec({ layers: [addon('a', { readiness: { timeoutSeconds: 0 } })] }),
    ],
  ])('%s: the limit passes, one more does not', (_, good, bad) => {
    expect(problems(profileSpecSchema, good)).toBe('ok');
    expect(profileSpecSchema.safeParse(bad).success).toBe(false);
  });

  test('a cluster names at most so many profiles and hosts', () => {
    const cluster = (profiles: number, hosts: number): unknown => ({
      apiVersion: 'groundplane.dev/v1',
      kind: 'Cluster',
      metadata: { name: 'c' },
      spec: {
        profiles: Array.from({ length: profiles }, (_, n) => ({ name: `p${n}`, version: '1.0.0' })),
        hosts: Array.from({ length: hosts }, (_, n) => `h${n}`),
      },
    });
    expect(clusterDocumentSchema.safeParse(cluster(limits.profilesPerCluster, limits.hostsPerCluster)).success).toBe(true);
    expect(clusterDocumentSchema.safeParse(cluster(limits.profilesPerCluster + 1, 1)).success).toBe(false);
    expect(clusterDocumentSchema.safeParse(cluster(1, limits.hostsPerCluster + 1)).success).toBe(false);
    expect(clusterDocumentSchema.safeParse(cluster(0, 1)).success).toBe(false);
  });
});

const os = (fields: Record<string, unknown>): unknown => ({ name: 'base', kind: 'os', os: fields });

describe('OS layers', () => {
  test.each(['/etc/a', '/etc/.a', '/a/b..c', '/etc/a b'])('file %j', (path) =>
    expect(problems(layerSchema, os({ files: [{ path, content: '' }] }))).toBe('ok'),
  );
  test.each(['etc/a', '/', '/etc/', '/etc/../shadow', '/./a', '/etc/a\0b', '', '..', `/${'a'.repeat(4_096)}`])('no file %j', (path) =>
    expect(layerSchema.safeParse(os({ files: [{ path, content: '' }] })).success).toBe(false),
  );
  test.each(['0644', '644', '4755', '0000'])('mode %s', (mode) => expect(problems(layerSchema, os({ files: [{ path: '/a', content: '', mode }] }))).toBe('ok'));
  test.each(['', '9', '0888', 'rw-r--r--', '000644', '-644'])('no mode %j', (mode) =>
    expect(layerSchema.safeParse(os({ files: [{ path: '/a', content: '', mode }] })).success).toBe(false),
  );
  test.each(['vm.swappiness', 'net/ipv4/ip_forward', 'net.ipv4.conf.eth0-1.rp_filter', 'net.ipv4.conf.*.rp_filter'])('setting %s', (key) =>
    expect(problems(layerSchema, os({ sysctls: { [key]: 1 } }))).toBe('ok'),
  );
  test.each(['', 'vm', '../etc/passwd', 'vm..swappiness', 'vm.swappiness.', '/proc/sys/vm', 'vm.a b', 'vm.\n'])('no setting %j', (key) =>
    expect(layerSchema.safeParse(os({ sysctls: { [key]: 1 } })).success).toBe(false),
  );
  test.each(['a.service', 'a@b.timer', 'dev-\\x2d.mount'])('unit %s', (name) => expect(problems(layerSchema, os({ units: [{ name }] }))).toBe('ok'));
  test.each(['', 'a', '../a.service', 'a/b.service', '-h', 'a.exe', 'a b.service', 'a.service\n'])('no unit %j', (name) =>
    expect(layerSchema.safeParse(os({ units: [{ name }] })).success).toBe(false),
  );
  test.each(['../x.conf', 'x', '.conf/x', 'x.conf/..'])('no drop-in %j', (name) =>
    expect(layerSchema.safeParse(os({ units: [{ name: 'a.service', dropIns: [{ name, content: '' }] }] })).success).toBe(false),
  );
  test.each(['root', '_apt', 'a-b'])('owner %s', (owner) => expect(problems(layerSchema, os({ files: [{ path: '/a', content: '', owner }] }))).toBe('ok'));
  test.each(['', 'Root', '0', 'a:b', '-a'])('no owner %j', (owner) =>
    expect(layerSchema.safeParse(os({ files: [{ path: '/a', content: '', owner }] })).success).toBe(false),
  );
});

describe('names', () => {
  test.each(['a', 'a-b', '0', 'a'.repeat(63)])('%s is one', (name) => expect(nameSchema.safeParse(name).success).toBe(true));
  test.each(['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a'.repeat(64), 'ä', 'a\n', 'a b'])('%j is none', (name) =>
    expect(nameSchema.safeParse(name).success).toBe(false),
  );
  test.each(['1.0.0', '0.0.0', '1.2.3-rc.1+b.7', '1.0.0-alpha', '999.999.999'])('version %s', (text) =>
    expect(semverSchema.safeParse(text).success).toBe(true),
  );
  test.each(['1', '1.0', 'v1.0.0', '1.0.0.0', '01.0.0', '1.0.0-', '1.0.0-01', '1.0.0+', `1.0.0-${'a'.repeat(128)}`, '1.0.0\n'])('no version %j', (text) =>
    expect(semverSchema.safeParse(text).success).toBe(false),
  );
  test('ids carry 100 bits and nothing else', () => {
    expect(idSchema.safeParse(makeId('cluster', (length) => new Uint8Array(length).fill(255))).success).toBe(true);
    expect(makeId('host', (length) => new Uint8Array(length))).toBe(`hos_${'0'.repeat(20)}`);
    for (const bad of ['clu_', 'clu_' + 'a'.repeat(19), 'clu_' + 'i'.repeat(20), 'CLU_' + 'a'.repeat(20), 'clu_' + 'a'.repeat(21)])
      expect(idSchema.safeParse(bad).success).toBe(false);
  });
  test('labels follow Kubernetes', () => {
    for (const good of [{ a: '' }, { 'example.org/a': 'b' }, { [`${'a'.repeat(253)}/a`]: 'x'.repeat(63) }, { A_b: 'C.d' }])
      expect(labelsSchema.safeParse(good).success).toBe(true);
    for (const bad of [
      { '': 'a' },
      { '-a': 'b' },
      { 'a/b/c': 'd' },
      { a: '-' },
      { a: 'x'.repeat(64) },
      { a: 1 },
      Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ''])),
    ])
      expect(labelsSchema.safeParse(bad).success).toBe(false);
  });
  test('the order of layers is total, and its reverse is the order of deleting', () => {
    const all = layerKinds.flatMap((kind: LayerKind) => [-1, 0, 1].flatMap((priority) => ['a', 'b'].map((name) => ({ kind, priority, name }))));
    for (const a of all) for (const b of all) expect(Math.sign(compareLayers(a, b))).toBe(-Math.sign(compareLayers(b, a)) + 0);
    expect(all.toReversed().toSorted(compareLayers)).toEqual(all);
    expect(compareLayers(all[0] as never, { ...(all[0] as (typeof all)[number]) })).toBe(0);
  });
  test('a variable name is an identifier', () => {
    for (const good of ['a', '_a', 'A1', 'a'.repeat(64)]) expect(variableSchema.safeParse({ name: good }).success).toBe(true);
    for (const bad of ['', '1a', 'a-b', 'a.b', 'a'.repeat(65), 'a\n']) expect(variableSchema.safeParse({ name: bad }).success).toBe(false);
  });
});
