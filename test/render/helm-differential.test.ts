import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { HelmRequest } from '@groundplane/hub/render/helm/index';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isRequired } from '../lab/prerequisite.ts';
import { findHelmBinary, helmVersion } from '../oracle/helm-binary.ts';
import { family, lifecycle, old, otherWayRound, reader, requestFor, schema, single, type ChartFiles } from './helm-charts.ts';
import { asHelmPrints, createTestPool, parsedYaml, runHelm, sourcesOf } from './helm-oracle.ts';

vi.setConfig({ testTimeout: 120_000 });
const run = promisify(execFile);
const oracle = await findHelmBinary();
const missing = 'missing' in oracle && !isRequired('go') ? oracle.missing : '';
const helm = 'path' in oracle ? oracle.path : '';

type Case = [name: string, chart: ChartFiles, rest?: Partial<Omit<HelmRequest, 'chart'>>];
const cases: Case[] = [
  ['subcharts', family],
  ['subcharts, the other way round', family, { values: [otherWayRound] }],
  ['values and built-in objects', reader],
  [
    'merged values',
    reader,
    {
      values: ['keep: 2\ndrop: {a: null}\n---\nsecond: document\n', 'keep: 3\nlist: [9]\nflag: null\nnested: {deep: null}\n'],
      sets: [
        { as: 'set', text: 'keep=4,extra.x=y' },
        { as: 'set', text: 'list[1]=8,drop.b=null' },
      ],
    },
  ],
  [
    'API versions and an upgrade',
    reader,
    {
      apiVersions: ['monitoring.coreos.com/v1', 'example.com/v1/Thing'],
      release: { name: 'up', namespace: 'other', isUpgrade: true },
    },
  ],
  ['order, hooks and custom resource definitions', lifecycle],
  ['chart apiVersion v1', old],
  ['a schema', schema],
  [
    'numbers and dates',
    single(
      `a: {{ 1e6 }}
b: {{ 010 }}
c: {{ dict "x" 1.0 "y" 1.5 "z" "1e3" | toYaml | nindent 2 }}
d: {{ date "2006" 0 }}
e: {{ .Values.n }}
`,
      { 'values.yaml': 'n: 1234567\n' },
    ),
  ],
];
const failures: Case[] = [
  ['required', single('a: 1\nb: {{ required "give b" .Values.b }}\n')],
  ['a syntax error', single('a: 1\nb: {{ if }}\n')],
  ['a nil pointer', single('a: {{ .Values.a.b.c }}\n')],
  ['a nested include', single('{{ define "x" }}{{ .Values.a.b.c }}{{ end }}a: {{ include "x" . }}\n')],
  ['no YAML', single('a: 1\n  b: {{ 2 }}\n')],
  ['a broken schema', schema, { values: ['replicas: 0\nimage: 5\n'] }],
  ['an old Kubernetes', reader, { kubeVersion: 'v1.20.0' }],
  ['a library chart', { 'Chart.yaml': 'apiVersion: v2\nname: words\nversion: 1.0.0\ntype: library\n' }],
  ['a missing dependency', { 'Chart.yaml': 'apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies: [{name: gone, version: 1.0.0}]\n' }],
  ['a bad version', { 'Chart.yaml': 'apiVersion: v2\nname: a\nversion: one\n' }],
];

const pool = createTestPool();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'helm-differential-'));
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const byHelm = (chart: ChartFiles, request: HelmRequest) => runHelm(helm, folder, chart, request);
const parsed = parsedYaml;

test('the oracle is there where it is required', () => {
  expect('missing' in oracle && isRequired('go') ? oracle.missing : '').toBe('');
});

describe.skipIf(missing !== '')(`the engine renders what helm template ${helmVersion()} renders${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
  test.each(cases)('%s', async (_name, chart, rest) => {
    const request = requestFor(chart, rest);
    const [theirs, ours] = await Promise.all([byHelm(chart, request), pool.render(request)]);
    expect(theirs.stdout, theirs.stderr).not.toBe('');
    const text = asHelmPrints(ours);
    expect(sourcesOf(text)).toEqual(sourcesOf(theirs.stdout));
    expect(parsed(text)).toEqual(parsed(theirs.stdout));
  });

  test.each(failures)('fails alike: %s', async (_name, chart, rest) => {
    const request = requestFor(chart, rest);
    const [theirs, ours] = await Promise.all([byHelm(chart, request), pool.render(request)]);
    const ourWords = ours.ok ? 'rendered' : ours.failure.message.split('\n').slice(0, -1).join('\n');
    // Line by line, because Helm lists what breaks a schema in the order of a Go map.
    const lines = ourWords
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    expect(lines).not.toEqual([]);
    for (const line of lines) expect(theirs.stderr).toContain(line);
  });

  test('the chart that helm create writes', async () => {
    const at = await mkdtemp(path.join(folder, 'create-'));
    await run(helm, ['create', path.join(at, 'web')], { env: { HOME: at, PATH: '/usr/bin:/bin' }, timeout: 60_000 });
    const entries = await readdir(path.join(at, 'web'), { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => entry.isFile() && entry.name !== '.helmignore')
      .map((entry) => path.relative(path.join(at, 'web'), path.join(entry.parentPath, entry.name)));
    const chart = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(path.join(at, 'web', name), 'utf8')] as const)));
    const request = requestFor(chart, { values: ['ingress: {enabled: true}\nautoscaling: {enabled: true}\n'] });
    const theirs = await byHelm(chart, request);
    const text = asHelmPrints(await pool.render(request));
    expect(parsed(text)).toEqual(parsed(theirs.stdout));
    expect(parsed(text).length).toBeGreaterThan(5);
  });
});
