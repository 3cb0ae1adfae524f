import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createHelmPool, type HelmRequest, type HelmResult } from '@groundplane/hub/render/helm/index';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { isRequired } from '../lab/prerequisite.ts';
import { findHelmBinary, helmVersion } from '../oracle/helm-binary.ts';
import { family, lifecycle, old, otherWayRound, reader, requestFor, schema, single, type ChartFiles } from './helm-charts.ts';

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
      setValues: ['keep=4,extra.x=y', 'list[1]=8,drop.b=null'],
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

const clock = {
  after: (delayMs: number, callback: () => void) => {
    const abort = new AbortController();
    void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
    return () => abort.abort();
  },
};
const pool = createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock });
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'helm-differential-'));
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs `helm template` on the same chart with the same inputs; nothing of this machine's Helm set-up is read. */
const byHelm = async (chart: ChartFiles, request: HelmRequest): Promise<{ stdout: string; stderr: string }> => {
  const at = await mkdtemp(path.join(folder, 'case-'));
  for (const [name, text] of Object.entries(chart)) {
    await mkdir(path.dirname(path.join(at, 'chart', name)), { recursive: true });
    await writeFile(path.join(at, 'chart', name), text);
  }
  const { name: release, namespace } = request.release;
  const args = ['template', release, path.join(at, 'chart'), '--namespace', namespace, '--kube-version', request.kubeVersion, '--include-crds'];
  for (const [index, text] of request.values.entries()) {
    const file = path.join(at, `values-${index}.yaml`);
    await writeFile(file, text);
    args.push('--values', file);
  }
  for (const text of request.setValues ?? []) args.push('--set', text);
  for (const text of request.apiVersions) args.push('--api-versions', text);
  if (request.release.isUpgrade === true) args.push('--is-upgrade');
  const env = { PATH: '/usr/bin:/bin', HOME: at, XDG_CACHE_HOME: at, XDG_CONFIG_HOME: at, XDG_DATA_HOME: at, KUBECONFIG: path.join(at, 'none') };
  try {
    return await run(helm, args, { env, timeout: 60_000 });
  } catch (cause) {
    return { stdout: '', stderr: (cause as { stderr?: string }).stderr ?? String(cause) };
  }
};

const parsed = (text: string): unknown[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((object) => object !== null);
const sourcesOf = (text: string): string[] => [...text.matchAll(/^# Source: (.+)$/gm)].map((match) => match[1] ?? '');
const asHelmPrints = (result: HelmResult): string => {
  if (!result.ok) throw new Error(result.failure.message);
  const { crds, manifests, hooks } = result.value;
  return [...crds, ...manifests, ...hooks].map(({ source, content }) => `---\n# Source: ${source}\n${content}\n`).join('');
};

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
