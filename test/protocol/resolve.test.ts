import { describe, expect, test } from 'vitest';
import { profileSpecSchema, variableSchema, type Variable } from '@groundplane/protocol/profile';
import { resolveProfiles, type ProfileVersionInput } from '@groundplane/protocol/resolve/profile';
import { resolveVariables } from '@groundplane/protocol/resolve/variables';

const variable = (fields: Record<string, unknown>): Variable => variableSchema.parse({ name: 'v', ...fields });
const resolve = (fields: Record<string, unknown>, given?: string): string => {
  const result = resolveVariables([variable(fields)], given === undefined ? {} : { v: given });
  return result.ok ? `=${result.value.get('v') ?? ''}` : result.failure.code;
};

describe('variables', () => {
  const accepted: Record<string, string[]> = {
    string: ['', 'x', '{{ }}', '\n', 'Ünï'],
    number: ['0', '-1', '+1', '0.5', '.5', '5.', '1e9', '1E-9', '007'],
    boolean: ['true', 'false'],
    ipv4: ['0.0.0.0', '255.255.255.255', '192.0.2.7', '10.0.0.1'],
    ipv4cidr: ['0.0.0.0/0', '192.0.2.0/24', '255.255.255.255/32', '10.1.2.3/9'],
    ipv6: ['::', '::1', '2001:db8::7', 'FE80::1', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8'],
    version: ['1', '1.4', '1.4.0', 'v1.4.0', '1.4.0-rc.1', '1.4.0+build', '1.2.3.4'],
    base64: ['', 'aGVsbG8=', 'aGVsbG8h', 'YQ==', '+/+/'],
  };
  const refused: Record<string, string[]> = {
    number: ['one', '1,5', '0x10', '1e', '.', '-', 'NaN', 'Infinity', ' 1', '1 ', '1\n'],
    boolean: ['True', 'yes', '1', 'TRUE', 'true '],
    ipv4: ['256.0.0.1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.4 ', '1.2.3.-4', 'localhost', '1.2.3.4/24', '1.2.3.4\n'],
    ipv4cidr: ['192.0.2.0', '192.0.2.0/33', '192.0.2.0/', '192.0.2.0/-1', '192.0.2.0/24/1', '192.0.2.0/024', '/24'],
    ipv6: ['1.2.3.4', ':', ':::', '1:2:3:4:5:6:7:8:9', 'g::1', 'fe80::1%eth0', '[::1]', '2001:db8::7/64', '::1\n'],
    version: ['one', '1.', '1.4.0-', 'v', '1.2.3.4.5', '1 .0', 'latest'],
    base64: ['a', 'YQ=', 'YQ===', 'a-b_', 'aGVs bG8=', '===='],
  };
  for (const [format, list] of Object.entries(accepted))
    test.each(list)(`${format} takes %j`, (value) => expect(resolve({ format, required: value !== '' }, value)).toBe(`=${value}`));
  for (const [format, list] of Object.entries(refused))
    test.each(list)(`${format} refuses %j`, (value) => expect(resolve({ format }, value)).toBe('variable-format'));

  test.each<[string, Record<string, unknown>, string | undefined, string]>([
    ['not given, no default', {}, undefined, '='],
    ['the default', { default: 'd' }, undefined, '=d'],
    ['given beats default', { default: 'd' }, 'g', '=g'],
    ['given empty beats default', { default: 'd' }, '', '='],
    ['required and missing', { required: true }, undefined, 'variable-missing'],
    ['required and empty', { required: true, default: 'd' }, '', 'variable-missing'],
    ['required with default', { required: true, default: 'd' }, undefined, '=d'],
    ['a bad default is found too', { format: 'number', default: 'x' }, undefined, 'variable-format'],
    ['immutable, not given', { immutable: true, default: 'd' }, undefined, '=d'],
    ['immutable, given the same', { immutable: true, default: 'd' }, 'd', '=d'],
    ['immutable, given another', { immutable: true, default: 'd' }, 'e', 'variable-immutable'],
    ['dropdown, an option', { inputType: 'dropdown', options: [{ value: 'a' }, { value: 'b' }] }, 'b', '=b'],
    ['dropdown, no option', { inputType: 'dropdown', options: [{ value: 'a' }] }, 'c', 'variable-option'],
    ['dropdown, empty and not required', { inputType: 'dropdown', options: [{ value: 'a' }] }, '', '='],
    ['regex that fits', { regex: '^[a-z]+$' }, 'abc', '=abc'],
    ['regex that does not', { regex: '^[a-z]+$' }, 'ABC', 'variable-regex'],
    ['regex finds anywhere, as RE2 does', { regex: 'b' }, 'abc', '=abc'],
    ['a regex that would hang a backtracking engine', { regex: '^(a+)+$' }, `${'a'.repeat(5_000)}!`, 'variable-regex'],
    ['a regex that RE2 cannot read', { regex: '(' }, 'x', 'variable-regex'],
  ])('%s', (_, fields, given, expected) => expect(resolve(fields, given)).toBe(expected));

  test('a hostile value does not hang the check', () => {
    const began = performance.now();
    resolve({ regex: '^(([a-z])+.)+[A-Z]([a-z])+$' }, 'a'.repeat(20_000));
    for (const format of Object.keys(accepted)) resolve({ format }, '1'.repeat(60_000));
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('a sensitive value is in no message', () => {
    const secret = 'hunter2-not-to-be-seen';
    const cases: Record<string, unknown>[] = [
      { format: 'ipv4' },
      { format: 'number' },
      { inputType: 'dropdown', options: [{ value: 'a' }] },
      { regex: '^x$' },
      { regex: '(' },
      { immutable: true, default: 'd' },
    ];
    for (const fields of cases) {
      const result = resolveVariables([variable({ ...fields, sensitive: true })], { v: secret });
      expect(result.ok).toBe(false);
      expect(JSON.stringify(result)).not.toContain(secret);
      expect(JSON.stringify(result)).not.toContain(secret.slice(0, 8));
      const open = resolveVariables([variable(fields)], { v: secret });
      if (!open.ok) expect(open.failure.element).toBe('variable v');
    }
  });

  test('names of the prototype are not values', () => {
    expect(resolveVariables([variable({ name: 'constructor' })], {})).toEqual({ ok: true, value: new Map([['constructor', '']]) });
    expect(resolveVariables([variable({ name: 'toString', required: true })], {}).ok).toBe(false);
  });
});

const profile = (name: string, type: string, layers: Record<string, unknown>[], variables: Record<string, unknown>[] = []): ProfileVersionInput => ({
  name,
  version: '1.0.0',
  spec: profileSpecSchema.parse({ type, layers, variables }),
});
const manifest = (name: string, content: string, fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  name,
  kind: 'addon',
  manifests: [{ name: 'm', content }],
  ...fields,
});
const os = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'base',
  kind: 'os',
  os: {
    files: [{ path: '/etc/a', content: '{{ .spectro.var.v }}' }],
    sysctls: { 'vm.swappiness': '{{ .spectro.var.v }}' },
    units: [{ name: 'a.service', content: '{{ .spectro.var.v }}', dropIns: [{ name: 'x.conf', content: '{{ .spectro.var.v }}' }] }],
    ...fields,
  },
});
const run = (profiles: ProfileVersionInput[], variables: Record<string, string> = {}, macros: Record<string, string> = {}) =>
  resolveProfiles({
    profiles,
    variables,
    macros: Object.fromEntries(Object.entries(macros).map(([name, value]) => [name, { value, scope: 'project' as const }])),
    system: { 'cluster.name': 'shop' },
  });
const codeOf = (result: ReturnType<typeof run>): string => (result.ok ? 'ok' : result.failure.code);

describe('profiles', () => {
  test('layers come out by kind, priority and name, across profiles', () => {
    const addon = profile('apps', 'addon', [manifest('z', 'x', { priority: -5 }), manifest('b', 'x', { priority: 3 }), manifest('a', 'x', { priority: 3 })]);
    const base = profile('base', 'infrastructure', [
      manifest('net', 'x', { kind: 'network' }),
      { name: 'k8s', kind: 'kubernetes', kubernetes: { distribution: 'existing' } },
      { name: 'os', kind: 'os', os: {} },
      manifest('disk', 'x', { kind: 'storage' }),
    ]);
    const result = run([addon, base]);
    expect(result.ok ? result.value.map((item) => item.layer.name) : result).toEqual(['os', 'k8s', 'net', 'disk', 'z', 'a', 'b']);
    expect(result.ok ? result.value[0]?.profile : result).toEqual({ name: 'base', version: '1.0.0' });
  });

  test('references are replaced in every text of an OS layer', () => {
    const result = run([profile('base', 'infrastructure', [os()], [{ name: 'v' }])], { v: '7' });
    expect(result.ok ? result.value[0]?.layer.os : result).toMatchObject({
      files: [{ content: '7' }],
      sysctls: { 'vm.swappiness': '7' },
      units: [{ content: '7', dropIns: [{ content: '7' }] }],
    });
  });

  test('variables belong to the profile that declares them; macros and system values to all', () => {
    const first = profile(
      'one',
      'addon',
      [manifest('a', '{{ .spectro.var.v }}{{ .spectro.macro.m }}{{ .spectro.system.cluster.name }}{{ .spectro.system.clusterprofile.name }}')],
      [{ name: 'v', default: 'd' }],
    );
    const result = run([first], {}, { m: 'M' });
    expect(result.ok ? result.value[0]?.layer.manifests?.[0]?.content : result).toBe('dMshopone');
    const second = profile('two', 'addon', [manifest('b', '{{ .spectro.var.v }}')]);
    expect(codeOf(run([first, second], {}, { m: 'M' }))).toBe('reference-unknown');
  });

  test.each([
    ['a value for nobody', [profile('a', 'addon', [manifest('l', 'x')], [{ name: 'replicas' }])], { replica: '1' }, 'variable-unknown', 'variable replica'],
    [
      'two bases',
      [profile('a', 'infrastructure', [os({ files: [], sysctls: {}, units: [] })]), profile('b', 'full', [manifest('l', 'x')])],
      {},
      'profiles-conflict',
      'profiles',
    ],
    ['one layer name twice', [profile('a', 'addon', [manifest('l', 'x')]), profile('b', 'addon', [manifest('l', 'x')])], {}, 'layer-twice', 'layer l'],
    ['a reference to nothing', [profile('a', 'addon', [manifest('l', 'a\n{{ .spectro.var.x }}')])], {}, 'reference-unknown', 'layer l, manifest m, line 2'],
    [
      'a reference of the prototype',
      [profile('a', 'addon', [manifest('l', '{{ .spectro.macro.constructor }}')])],
      {},
      'reference-unknown',
      'layer l, manifest m, line 1',
    ],
  ] as [string, ProfileVersionInput[], Record<string, string>, string, string][])('%s', (_, profiles, variables, code, element) => {
    const result = run(profiles, variables);
    expect(result.ok ? result : [result.failure.code, result.failure.element]).toEqual([code, element]);
  });

  test('the profile itself is not changed', () => {
    const input = profile('base', 'infrastructure', [os()], [{ name: 'v' }]);
    const before = JSON.stringify(input);
    run([input], { v: '7' });
    expect(JSON.stringify(input)).toBe(before);
  });
});
