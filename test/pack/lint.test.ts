import { describe, expect, test } from 'vitest';
import { lintPack } from '@groundplane/protocol/pack/lint';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { readCharts } from '@groundplane/hub/pack/charts';
import { lintFiles } from '@groundplane/hub/pack/read';
import { chartOf, jsonOf, packOf, plainPack, valuesText, type PackTexts } from './packs.ts';

const lint = async (texts: PackTexts): Promise<string[]> => {
  const pack = packOf(texts);
  const { facts } = parsePackJson(String(texts['pack.json'] ?? ''));
  const { charts, findings } = await readCharts(pack, facts?.charts ?? []);
  return [...lintPack({ files: lintFiles(pack), charts }), ...findings].map(
    (finding) => `${finding.severity} ${finding.code} ${finding.file}${finding.line === undefined ? '' : `:${finding.line}`}`,
  );
};
const without = (texts: PackTexts, name: string): PackTexts => Object.fromEntries(Object.entries(texts).filter(([key]) => key !== name));

describe('gp pack lint', () => {
  test('a plain pack has nothing to say', async () => {
    expect(await lint(plainPack())).toEqual([]);
  });

  test.each<[string, PackTexts, string[]]>([
    ['no pack.json', without(plainPack(), 'pack.json'), ['error pack-json-missing pack.json']],
    ['no values.yaml', without(plainPack(), 'values.yaml'), ['error values-missing values.yaml']],
    ['values of nothing', plainPack({ 'values.yaml': '# nothing\n' }), ['info values-empty values.yaml:1']],
    ['no README and no logo', without(without(plainPack(), 'README.md'), 'logo.png'), ['info readme-missing README.md', 'info logo-missing logo.png']],
    ['a chart that is not there', without(plainPack(), 'charts/web-1.0.0.tgz'), ['error chart-missing pack.json', 'warning chart-values-unused values.yaml:7']],
    [
      'a chart that is there unpacked',
      { ...without(plainPack(), 'charts/web-1.0.0.tgz'), 'charts/web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.0.0\n' },
      ['warning chart-folder-used pack.json'],
    ],
    [
      'a chart that is there unpacked and says nothing',
      { ...without(plainPack(), 'charts/web-1.0.0.tgz'), 'charts/web/Chart.yaml': 'version: 1.0.0\n' },
      ['error chart-unreadable charts/web/Chart.yaml', 'warning chart-folder-used pack.json'],
    ],
    ['a chart that is there twice, packed and not', plainPack({ 'charts/web/Chart.yaml': 'name: web\nversion: 1.0.0\n' }), []],
    ['a chart that is not listed', plainPack({ 'charts/old-0.1.0.tgz': chartOf('old', '0.1.0') }), ['warning chart-unreferenced charts/old-0.1.0.tgz']],
    [
      'a chart that is listed twice',
      plainPack({ 'pack.json': jsonOf({ charts: ['charts/web-1.0.0.tgz', './charts/web-1.0.0.tgz'] }) }),
      ['warning chart-twice pack.json'],
    ],
    [
      'a chart outside of the pack',
      plainPack({ 'pack.json': jsonOf({ charts: ['charts/web-1.0.0.tgz', '../../etc/passwd'] }) }),
      ['error path-outside pack.json'],
    ],
    ['a chart that is none', plainPack({ 'charts/web-1.0.0.tgz': 'x' }), ['error chart-unreadable charts/web-1.0.0.tgz']],
    ['an archive named otherwise', plainPack({ 'charts/web-1.0.0.tgz': chartOf('web', '0.9.0') }), ['info chart-file-name charts/web-1.0.0.tgz']],
    [
      'values under the name of the file',
      plainPack({
        'pack.json': jsonOf({ charts: ['charts/rbd-1.0.0.tgz'] }),
        'charts/web-1.0.0.tgz': '',
        'charts/rbd-1.0.0.tgz': chartOf('csi-rbd'),
        'values.yaml': valuesText.replace('web:\n', 'rbd:\n'),
      }),
      [
        'warning chart-unreferenced charts/web-1.0.0.tgz',
        'warning chart-values-file-name values.yaml:6',
        'info chart-file-name charts/rbd-1.0.0.tgz',
        'warning chart-unreadable charts/web-1.0.0.tgz',
      ],
    ],
    [
      'values directly below charts:',
      plainPack({ 'values.yaml': valuesText.replace('  web:\n    replicas', '  replicas') }),
      ['warning chart-values-direct values.yaml:6'],
    ],
    [
      'values at the top',
      plainPack({ 'values.yaml': valuesText.replace('charts:\n  web:\n    replicas', 'replicas') }),
      ['warning chart-values-top values.yaml:1'],
    ],
    ['values for a chart that is none', plainPack({ 'values.yaml': `${valuesText}  other: {a: 1}\n` }), ['warning chart-values-unused values.yaml:9']],
    [
      'values under another name',
      plainPack({ 'values.yaml': valuesText.replace('  web:', '  front:') }),
      ['warning chart-values-missing values.yaml:6', 'warning chart-values-unused values.yaml:7'],
    ],
    [
      'values that are no map',
      plainPack({ 'values.yaml': valuesText.replace('  web:\n    replicas: 2', '  web: 2') }),
      ['error chart-values-invalid values.yaml:6', 'warning chart-values-unused values.yaml:7'],
    ],
    [
      'no header',
      plainPack({ 'values.yaml': 'charts: {web: {replicas: 2}}\n' }),
      ['warning pack-header-missing values.yaml:1', 'warning content-images-missing values.yaml:1'],
    ],
    ['a tab', plainPack({ 'values.yaml': 'pack:\n\ta: 1\n' }), ['error yaml-malformed values.yaml:2']],
    ['no images', plainPack({ 'values.yaml': valuesText.replace(/ {2}content:\n.*\n.*\n/, '') }), ['warning content-images-missing values.yaml:1']],
    ['an image without a tag', plainPack({ 'values.yaml': valuesText.replace('web:1.0.0', 'web') }), ['info content-image-tag values.yaml:4']],
    [
      'an override for no chart',
      plainPack({ 'values.yaml': valuesText.replace('pack:\n', 'pack:\n  releaseNameOverride: {front: x}\n') }),
      ['warning release-name-unused values.yaml:2'],
    ],
    ['a manifest that is not there', plainPack({ 'pack.json': jsonOf({ kubeManifests: ['manifests/a.yaml'] }) }), ['error manifest-missing pack.json']],
    [
      'a manifest that the values hold',
      plainPack({ 'pack.json': jsonOf({ kubeManifests: ['manifests/a.yaml'] }), 'values.yaml': `${valuesText}manifests: {a: {contents: "x: 1"}}\n` }),
      [],
    ],
    ['a manifest that is not listed', plainPack({ 'manifests/a.yaml': 'a: 1\n' }), ['warning manifest-unreferenced manifests/a.yaml']],
    [
      'a broken manifest',
      plainPack({ 'pack.json': jsonOf({ kubeManifests: ['manifests/a.yaml'] }), 'manifests/a.yaml': 'a: 1\nb: [\n' }),
      ['error manifest-malformed manifests/a.yaml:3'],
    ],
    [
      'a template is not read as YAML',
      plainPack({ 'pack.json': jsonOf({ kubeManifests: ['manifests/a.yaml'] }), 'manifests/a.yaml': '{{ if .x }}\na: 1\n{{ end }}\n' }),
      [],
    ],
    [
      'a template without values',
      plainPack({ 'pack.json': jsonOf({ kubeManifests: ['manifests/a.yaml'] }), 'manifests/a.yaml': 'a: {{ .Values.x }}\n' }),
      ['warning manifest-values-missing manifests/a.yaml'],
    ],
    [
      'values for a manifest that is no template',
      plainPack({
        'pack.json': jsonOf({ kubeManifests: ['manifests/a.yaml'] }),
        'manifests/a.yaml': 'a: 1\n',
        'values.yaml': `${valuesText}manifests:\n  a: {x: 1}\n`,
      }),
      ['warning manifest-values-unused values.yaml:10'],
    ],
    ['values for no manifest', plainPack({ 'values.yaml': `${valuesText}manifests: {a: {x: 1}}\n` }), ['warning manifest-values-unused values.yaml']],
    ['nothing listed', plainPack({ 'pack.json': jsonOf({ charts: [] }) }), ['warning chart-not-listed pack.json']],
    [
      'nothing at all',
      { 'pack.json': jsonOf({ charts: [] }), 'values.yaml': 'pack: {}\n', 'README.md': '', 'logo.svg': '' },
      ['warning pack-installs-nothing pack.json'],
    ],
    [
      'a priority in the annotations',
      plainPack({ 'pack.json': jsonOf({ annotations: { 'spectrocloud.com/install-priority': '18' } }) }),
      ['warning priority-in-annotation pack.json'],
    ],
    ['Ansible roles', plainPack({ 'pack.json': jsonOf({ ansibleRoles: ['x'] }) }), ['warning ansible-unsupported pack.json']],
    [
      'two charts of one name',
      plainPack({ 'pack.json': jsonOf({ charts: ['charts/web-1.0.0.tgz', 'charts/web-2.0.0.tgz'] }), 'charts/web-2.0.0.tgz': chartOf('web', '2.0.0') }),
      ['error chart-name-twice charts/web-2.0.0.tgz'],
    ],
    [
      'presets about charts that are none',
      plainPack({
        'presets.yaml': 'presets:\n- {name: a, group: g, remove: [charts.elastic], add: "charts: {kibana: {x: 1}}"}\n- {name: b, group: g, add: "other: 1"}\n',
      }),
      ['warning preset-path-unknown presets.yaml:2', 'warning preset-path-unknown presets.yaml:2', 'warning preset-path-unknown presets.yaml:3'],
    ],
    [
      'presets in the comment that nobody knows, or two of a group',
      plainPack({
        'presets.yaml': 'presets:\n- {name: a, group: g, add: "charts: {web: {replicas: 2}}"}\n- {name: b, group: g, add: "charts: {web: {replicas: 3}}"}\n',
        'values.yaml': `# spectrocloud.com/enabled-presets: g:a,g:b,CNI:off\n${valuesText}`,
      }),
      ['error preset-group-twice values.yaml', 'warning preset-unknown values.yaml', 'info preset-differs values.yaml'],
    ],
    [
      'rules about nothing, and values that break them',
      plainPack({
        'schema.yaml': `charts.web.replicas.x: {schema: '{{ format "\${string}" }}'}\ncharts.web.replicas: {schema: '{{ format "\${number:[5-9]}" }}'}\ncharts.web.token:\n  schema: '{{ required | format "\${password}" }}'\n`,
      }),
      [
        'warning rule-path-unknown schema.yaml:1',
        'warning rule-path-unknown schema.yaml:3',
        'warning value-invalid values.yaml:8',
        'info value-missing values.yaml:7',
      ],
    ],
    ['a constructor as layer', plainPack({ 'pack.json': jsonOf({ layer: 'toString' }) }), ['error layer-unknown pack.json:5']],
  ])('%s', async (_, texts, found) => {
    expect(await lint(texts)).toEqual(found);
  });

  test('without facts of charts their names are taken from the files', () => {
    expect(lintPack({ files: lintFiles(packOf(plainPack())) })).toEqual([]);
  });
});
