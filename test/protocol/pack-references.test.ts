import { profileSpecSchema } from '@groundplane/protocol/profile';
import { resolveProfiles } from '@groundplane/protocol/resolve/profile';
import { valuesProvenance } from '@groundplane/protocol/resolve/provenance';
import { describe, expect, test } from 'vitest';

const digest = `sha256:${'1'.repeat(64)}`;
const pack = (name: string, values: string, more: Record<string, unknown> = {}) => ({
  name,
  kind: 'addon',
  pack: { name, version: '1.0.0', digest, values, ...more },
});
const run = (layers: unknown[], variables: Record<string, string> = {}, macros: Record<string, string> = {}) =>
  resolveProfiles({
    profiles: [
      {
        name: 'p',
        version: '2.0.0',
        spec: profileSpecSchema.parse({
          type: 'full',
          layers,
          variables: [
            { name: 'v', default: 'd' },
            { name: 's', sensitive: true, default: 'top' },
          ],
        }),
      },
    ],
    variables,
    macros: Object.fromEntries(Object.entries(macros).map(([name, value]) => [name, { value, scope: 'tenant' as const }])),
    system: { 'cluster.name': 'shop' },
  });
const valuesOf = (result: ReturnType<typeof run>, layer: string): string => {
  if (!result.ok) return `!${result.failure.code}: ${result.failure.element}: ${result.failure.message}`;
  return result.value.find((item) => item.layer.name === layer)?.layer.pack?.values ?? '';
};

describe('references to values of packs', () => {
  test('a value composed of its own neighbours, as edge images are', () => {
    const os = {
      name: 'edge-native-byoi',
      kind: 'os',
      os: { files: [{ path: '/etc/image', content: '{{ .spectro.pack.edge-native-byoi.options.system.uri }}' }] },
      pack: {
        name: 'edge-native-byoi',
        version: '2.1.0',
        values:
          'options:\n  system.registry: ttl.example\n  system.repo: ubuntu\n  system.version: 1.10\n  system.uri: "{{ .spectro.pack.edge-native-byoi.options.system.registry }}/{{ .spectro.pack.edge-native-byoi.options.system.repo }}:v{{ .spectro.pack.edge-native-byoi.options.system.version }}-{{ .spectro.macro.tag | upper }}"\n',
      },
    };
    const result = run([os], {}, { tag: 'x' });
    expect(result.ok ? result.value[0]?.layer.os?.files[0]?.content : result.failure.message).toBe('ttl.example/ubuntu:v1.10-X');
    expect(result.ok ? result.value[0]?.uses.find((use) => use.where.startsWith('file'))?.origin : undefined).toEqual({
      from: 'pack',
      layer: 'edge-native-byoi',
    });
  });

  test('between layers, by the name of the pack, of the chart or of the layer; lists by index; later layers of values win', () => {
    const chart = {
      name: 'front',
      kind: 'addon',
      helm: { chart: { digest, name: 'nginx', version: '1.0.0' }, values: 'ports: [80, 443]\nhost: a\n', valuesLayers: ['host: b'] },
    };
    const reader = (text: string) => pack('reader', `x: "${text}"\n`);
    const read = (path: string): string => valuesOf(run([chart, reader(`{{ .spectro.pack.${path} }}`)]), 'reader');
    expect(read('nginx.ports.1')).toBe('x: "443"\n');
    expect(read('front.host')).toBe('x: "b"\n');
    expect(read('nginx.nothing.here')).toBe('x: ""\n');
    expect(read('unknown.a')).toBe('x: ""\n');
    expect(read('nginx.ports')).toBe('x: ""\n');
  });

  test('what refers to itself is said with the whole way round', () => {
    const result = run([pack('a', 'x: "{{ .spectro.pack.b.z }}"\n'), pack('b', 'z: "{{ .spectro.pack.a.x }}"\n')]);
    expect(valuesOf(result, 'a')).toMatch(
      /^!reference-cycle: layer \w: its values refer to themselves: spectro\.pack\.b\.z → spectro\.pack\.a\.x → spectro\.pack\.b\.z/,
    );
  });

  test('a secret stays one through a pack', () => {
    const result = run([pack('a', 'x: "{{ .spectro.var.s }}"\n'), pack('b', 'z: "{{ .spectro.pack.a.x }}"\n')]);
    expect(result.ok ? result.value.find((item) => item.layer.name === 'b')?.uses : result).toEqual([
      { where: 'pack values', reference: 'spectro.pack.a.x', origin: { from: 'pack', layer: 'a' }, sensitive: true },
    ]);
  });

  test('unquoted references in the values of the other pack are texts too', () => {
    expect(valuesOf(run([pack('a', 'x: {{ .spectro.var.v }}\n'), pack('b', 'z: "{{ .spectro.pack.a.x }}"\n')]), 'b')).toBe('z: "d"\n');
  });

  test('what is found names the system values of the profile', () => {
    expect(valuesOf(run([pack('a', 'x: "{{ .spectro.system.clusterprofile.infra.version }} {{ .spectro.system.clusterprofile.name }}"\n')]), 'a')).toBe(
      'x: "2.0.0 p"\n',
    );
  });
});

describe('provenance of values', () => {
  test('who said what, and whom that replaced', () => {
    expect(
      valuesProvenance([
        { from: 'profile', text: 'a: 1\nb: {c: 2, d: 3}\nlist: [1, 2]\n"k.x": word\n' },
        { from: 'profile, layer 2', text: 'b: {c: 5}\n' },
        { from: 'cluster', text: 'b: {c: 7, d: null}\nlist: [9]\n' },
      ]),
    ).toEqual([
      { path: '["k.x"]', value: '"word"', from: 'profile', over: [] },
      { path: 'a', value: '1', from: 'profile', over: [] },
      { path: 'b.c', value: '7', from: 'cluster', over: ['profile, layer 2', 'profile'] },
      { path: 'b.d', value: 'null', from: 'cluster', over: ['profile'] },
      { path: 'list', value: '[9]', from: 'cluster', over: ['profile'] },
    ]);
  });

  test('a map over a plain value and the other way round; texts that are no YAML', () => {
    expect(
      valuesProvenance([
        { from: 'a', text: 'x: 1' },
        { from: 'b', text: 'x: {w: 2}' },
      ]),
    ).toEqual([{ path: 'x.w', value: '2', from: 'b', over: ['a'] }]);
    expect(
      valuesProvenance([
        { from: 'a', text: 'x: {w: 2, z: 3}' },
        { from: 'b', text: 'x: 1' },
      ]),
    ).toEqual([{ path: 'x', value: '1', from: 'b', over: ['a'] }]);
    expect(
      valuesProvenance([
        { from: 'a', text: 'x: [' },
        { from: 'b', text: '' },
      ]),
    ).toEqual([]);
  });
});
