import { describe, expect, test } from 'vitest';
import { lintPackFiles } from '@groundplane/hub/pack/lint';
import { packParts } from '@groundplane/hub/pack/parts';
import { packFiles } from '@groundplane/hub/pack/write';
import { digestBytes } from '@groundplane/protocol/digest';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { parseUpstream } from '@groundplane/protocol/pack/upstream';
import { chartOf, packOf, plainPack, type PackTexts } from './packs.ts';

const digest = digestBytes(chartOf('web'));
const entry = (more = ''): string => `charts:\n- name: web\n  version: 1.0.0\n  repository: https://charts.example/stable\n${more}`;
const pinned = entry(`  digest: ${digest}\n`);
const found = (text: string): string[] => parseUpstream(text).findings.map((finding) => `${finding.severity} ${finding.code} ${finding.line ?? '-'}`);

describe('upstream.yaml', () => {
  test('a chart with everything, and one with what is left out', () => {
    expect(parseUpstream(pinned)).toEqual({
      charts: [{ name: 'web', version: '1.0.0', repository: 'https://charts.example/stable', digest, file: 'charts/web-1.0.0.tgz' }],
      findings: [],
    });
    expect(parseUpstream('charts:\n- {name: a.b, version: v1.2, repository: "oci://r.example/x", file: charts/x.tar.gz}\n').charts).toEqual([
      { name: 'a.b', version: 'v1.2', repository: 'oci://r.example/x', file: 'charts/x.tar.gz' },
    ]);
    expect(found(entry())).toEqual(['warning upstream-unpinned 2']);
  });

  test.each([
    ['no map', 'hello', 'upstream-invalid'],
    ['empty', '', 'upstream-invalid'],
    ['no YAML', 'a: [', 'yaml-malformed'],
    ['no list', 'charts: {web: 1}', 'upstream-invalid'],
    ['no maps in it', 'charts: [web]', 'upstream-invalid'],
    ['no name', pinned.replace('name: web', 'name: ""'), 'upstream-invalid'],
    ['a name that leads elsewhere', pinned.replace('name: web', 'name: ../web'), 'upstream-invalid'],
    ['a range', pinned.replace('1.0.0', '^1.0.0'), 'upstream-invalid'],
    ['a version that has lost its zeros', pinned.replace('1.0.0', '1.10'), 'upstream-invalid'],
    ['no address', pinned.replace('https://charts.example/stable', 'charts'), 'upstream-invalid'],
    ['a file as address', pinned.replace('https://charts.example/stable', 'file:///etc/passwd'), 'upstream-invalid'],
    ['a password', pinned.replace('https://', 'https://anna:secret@'), 'upstream-invalid'],
    ['a short digest', entry('  digest: sha256:12\n'), 'upstream-invalid'],
    ['a place outside', entry(`  digest: ${digest}\n  file: ../web.tgz\n`), 'upstream-invalid'],
    ['a place below', entry(`  digest: ${digest}\n  file: charts/a/web.tgz\n`), 'upstream-invalid'],
    ['values.yaml', entry(`  digest: ${digest}\n  file: values.yaml\n`), 'upstream-invalid'],
    ['one place twice', `${pinned}${pinned.replace('charts:\n', '')}`, 'upstream-invalid'],
  ])('refuses %s', (_, text, code) => {
    expect(parseUpstream(text).findings.filter((finding) => finding.severity === 'error')).toMatchObject([{ code, file: 'upstream.yaml' }]);
    expect(JSON.stringify(parseUpstream(text).findings)).not.toContain('secret');
  });

  test.each([
    ['what it does not know', entry(`  digest: ${digest}\n  wait: true\n`), 'warning upstream-field 6'],
    ['an address without encryption', pinned.replace('https:', 'http:'), 'warning upstream-insecure 4'],
  ])('takes %s, and says so', (_, text, told) => {
    expect(parseUpstream(text).charts).toHaveLength(1);
    expect(found(text)).toEqual([told]);
  });

  test('has as many charts as a pack at most', () => {
    const listed = (count: number): string =>
      `charts:\n${Array.from({ length: count }, (_, index) => `- {name: a${index}, version: 1.0.0, repository: "oci://r.example", digest: ${digest}}\n`).join('')}`;
    expect(found(listed(packLimits.charts))).toEqual([]);
    expect(found(listed(packLimits.charts + 1))).toEqual(['error pack-too-large 1']);
  });
});

describe('a pack whose chart is still at its upstream', () => {
  const { 'charts/web-1.0.0.tgz': chart = '', ...without } = plainPack();
  const thin = (more: PackTexts = {}): PackTexts => ({ ...without, 'upstream.yaml': pinned, ...more });
  const lint = async (texts: PackTexts): Promise<string[]> => (await lintPackFiles(packOf(texts))).map((finding) => `${finding.severity} ${finding.code}`);

  test('has one warning; its values are checked as if the chart were there', async () => {
    expect(await lint(thin())).toEqual(['warning chart-not-fetched']);
    const odd = 'pack: {content: {images: [{image: a:1}]}}\ncharts: {web: {a: 1}, other: {b: 1}}\n';
    expect(await lint(thin({ 'values.yaml': odd }))).toEqual(['warning chart-not-fetched', 'warning chart-values-unused']);
  });

  test('is neither built nor rendered, and the message says what to do', async () => {
    const built = packFiles(packOf(thin()));
    expect(built).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'chart-not-fetched' } });
    expect(built.ok ? '' : built.failure.message).toMatch(/web 1\.0\.0 of https:\/\/charts\.example\/stable\. Get it: gp pack fetch test$/);
    expect(await packParts(packOf(thin()), { layerName: 'l' })).toMatchObject({ ok: false, failure: { code: 'chart-not-fetched' } });
  });

  test('is whole with the pinned archive, and refused with another one', async () => {
    const whole = thin({ 'charts/web-1.0.0.tgz': chart });
    expect(await lint(whole)).toEqual([]);
    expect(packFiles(packOf(whole)).ok).toBe(true);
    const swapped = thin({ 'charts/web-1.0.0.tgz': chartOf('web', '1.0.0', 'evil: true\n') });
    expect(await lint(swapped)).toEqual(['error chart-digest-differs']);
    expect(packFiles(packOf(swapped))).toMatchObject({ ok: false, failure: { code: 'chart-digest-differs' } });
  });

  test('an unpacked chart stands in, and one that pack.json does not list is told', async () => {
    expect(await lint(thin({ 'charts/web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.0.0\n' }))).toEqual(['warning chart-folder-used']);
    expect(await lint(thin({ 'charts/web-1.0.0.tgz': chart, 'upstream.yaml': pinned.replace('name: web', 'name: other') }))).toEqual([
      'warning upstream-unlisted',
    ]);
    expect(packFiles(packOf(thin({ 'upstream.yaml': 'charts: 3' })))).toMatchObject({ ok: false, failure: { code: 'upstream-invalid' } });
  });
});
