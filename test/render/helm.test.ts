import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { defaultArtefactUrl } from '@groundplane/hub/render/helm/engine';
import { createHelmPool, type HelmPool, type HelmPoolOptions, type HelmRendered, type HelmRequest } from '@groundplane/hub/render/helm/index';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { family, lifecycle, old, otherWayRound, packTgz, reader, requestFor, schema, secrets, single, type ChartFiles } from './helm-charts.ts';

// Far beyond what any test needs: some wait for a deadline on purpose, and a machine may be busy.
vi.setConfig({ testTimeout: 120_000 });
const clock: HelmPoolOptions['clock'] = {
  after: (delayMs, callback) => {
    const abort = new AbortController();
    void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
    return () => abort.abort();
  },
};
const defaults: HelmPoolOptions = { workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock };
const shared = createHelmPool(defaults);
afterAll(async () => await shared.close());

const rendered = async (request: HelmRequest, pool: HelmPool = shared): Promise<HelmRendered> => {
  const result = await pool.render(request);
  if (!result.ok) throw new Error(`${result.failure.element}: ${result.failure.message}`);
  return result.value;
};
const failing = async (request: HelmRequest, pool: HelmPool = shared) => {
  const result = await pool.render(request);
  if (result.ok) throw new Error(`rendered, but should have failed: ${JSON.stringify(result.value.manifests)}`);
  return result.failure;
};
const objectsOf = (value: HelmRendered): Record<string, unknown>[] =>
  value.manifests
    .flatMap((document) => parseAllDocuments(document.content).map((parsed) => parsed.toJS() as Record<string, unknown>))
    .filter((object) => object !== null);
const dataOf = async (chart: ChartFiles, rest: Partial<HelmRequest> = {}): Promise<Record<string, string>> =>
  objectsOf(await rendered(requestFor(chart, rest)))[0]?.['data'] as Record<string, string>;
const withPool = async (options: Partial<HelmPoolOptions>, use: (pool: HelmPool) => Promise<void>): Promise<void> => {
  const pool = createHelmPool({ ...defaults, ...options });
  try {
    await use(pool);
  } finally {
    await pool.close();
  }
};

describe('charts', () => {
  test('conditions, tags, aliases, import-values, globals and library charts work', async () => {
    const off = await rendered(requestFor(family));
    expect(off.chart).toMatchObject({ name: 'family', version: '1.2.3', appVersion: '9.1', apiVersion: 'v2' });
    expect(off.chart.dependencies.map(({ path }) => path)).toEqual(['family/db', 'family/words']);
    expect(off.manifests.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['ConfigMap shop-own', 'StatefulSet shop-db']);
    expect(objectsOf(off)[0]).toMatchObject({ metadata: { labels: { chart: 'family', zone: 'north' } }, data: { imported: '5432', subcharts: 'db,words' } });
    expect(objectsOf(off)[1]).toMatchObject({ spec: { replicas: 2, zone: 'north' } });

    const on = await rendered(requestFor(family, { values: [otherWayRound] }));
    expect(on.chart.dependencies.map(({ path }) => path)).toEqual(['family/replica', 'family/meter', 'family/words']);
    expect(on.manifests.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['ConfigMap shop-own', 'Service meter', 'StatefulSet shop-replica']);
    expect(on.values).toMatchObject({ replica: { size: 5 }, imported: { port: 1 } });
  });

  test('a library chart by itself is refused with the words of Helm', async () => {
    const failure = await failing(requestFor({ 'Chart.yaml': 'apiVersion: v2\nname: words\nversion: 1.0.0\ntype: library\n' }));
    expect(failure).toMatchObject({ kind: 'fatal', code: 'chart-invalid', at: { chart: 'words 1.0.0' } });
    expect(failure.message).toContain('library charts are not installable');
  });

  test('chart apiVersion v1 with requirements.yaml', async () => {
    expect((await rendered(requestFor(old))).manifests.map(({ name }) => name)).toEqual(['shop-old', 'part']);
    expect((await rendered(requestFor(old, { sets: [{ as: 'set', text: 'part.on=false' }] }))).manifests.map(({ name }) => name)).toEqual(['shop-old']);
  });

  test('a dependency that is named but not there is refused', async () => {
    const chart = { 'Chart.yaml': 'apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies: [{name: gone, version: 1.0.0}]\n' };
    expect((await failing(requestFor(chart))).message).toContain('found in Chart.yaml, but missing in charts/ directory: gone');
  });

  test('an archive and its files render alike', async () => {
    const archive = packTgz(Object.fromEntries(Object.entries(family).map(([name, text]) => [`family/${name}`, text])));
    expect(await rendered(requestFor({ kind: 'archive', bytes: archive }))).toEqual(await rendered(requestFor(family)));
  });

  test.each([
    ['an empty archive', packTgz({}), 'no files in chart archive'],
    ['something that is no archive', Buffer.from('hello'), 'the chart cannot be read'],
    ['an archive without Chart.yaml', packTgz({ 'a/values.yaml': 'a: 1\n' }), 'Chart.yaml file is missing'],
    ['a parent folder in a name', packTgz({ 'a/Chart.yaml': 'name: a\nversion: 1.0.0\n', 'a/../../etc/passwd': 'x' }), 'illegally references parent directory'],
    ['an absolute name', packTgz({ 'a//etc/passwd': 'x' }), 'illegally contains absolute paths'],
    ['a broken Chart.yaml', packTgz({ 'a/Chart.yaml': 'name: [\n' }), 'cannot load Chart.yaml'],
    ['a future chart format', packTgz({ 'a/Chart.yaml': 'apiVersion: v3\nname: a\nversion: 1.0.0\n' }), 'apiVersion "v3" is not supported'],
  ])('%s is refused', async (_name, bytes, message) => {
    const failure = await failing(requestFor({ kind: 'archive', bytes: new Uint8Array(bytes) }));
    expect(failure).toMatchObject({ kind: 'fatal', code: 'chart-invalid' });
    expect(failure.message).toContain(message);
  });

  test.each(['../x', '/x', 'a//b', 'a\\b', 'C:/x', './x', ''])('a loose file named %j is refused', async (name) => {
    expect(await failing(requestFor({ ...reader, [name]: 'x' }))).toMatchObject({ code: 'chart-invalid' });
  });

  test('a chart with nothing in it renders to nothing', async () => {
    const value = await rendered(requestFor({ 'Chart.yaml': 'apiVersion: v2\nname: empty\nversion: 1.0.0\n' }));
    expect(value).toMatchObject({ manifests: [], hooks: [], crds: [], notes: '', values: {}, lookups: [] });
    expect(value.engineVersion).toMatch(/^helm v4\./);
  });
});

describe('values and built-in objects', () => {
  // Helm reads YAML 1.1: the key `y` is a truth value, here as there.
  test('layers merge in order, null deletes, --set comes last', async () => {
    const layers = ['keep: 2\ndrop: {a: null}\nnested: {deep: {y: 2}}\nother: {on: off}\n', 'keep: 3\nlist: [9]\nflag: null\n'];
    const data = await dataOf(reader, {
      values: layers,
      sets: [
        { as: 'set', text: 'keep=4,extra.x=y' },
        { as: 'set', text: 'list[1]=8' },
      ],
    });
    expect(JSON.parse(data['values'] ?? '')).toEqual({
      keep: 4,
      drop: { b: 2 },
      text: '{{ .Release.Name }}-{{ .Values.keep }}',
      list: [9, 8],
      big: 12_345_678_901,
      nested: { deep: { x: 1, true: 2 } },
      other: { true: false },
      extra: { x: 'y' },
    });
    expect(data).toMatchObject({ tpl: 'shop-4', tplfile: 'beta=4\n', file: 'alpha=1\n', missing: '[]' });
  });

  test('capabilities are those of the request', async () => {
    const apiVersions = ['monitoring.coreos.com/v1', 'example.com/v1/Thing'];
    const version = expect.stringMatching(/^v1\.34\.2 1\.34 v4\./) as string;
    expect(await dataOf(reader, { apiVersions })).toMatchObject({ version, monitor: 'true', apps: 'true', resource: 'true' });
    expect(await dataOf(reader)).toMatchObject({ monitor: 'false', apps: 'true', resource: 'false' });
    expect(await dataOf(reader, { apiVersions, apiVersionsOnly: true })).toMatchObject({ monitor: 'true', apps: 'false' });
    expect(await failing(requestFor(reader, { kubeVersion: 'v1.29.0' }))).toMatchObject({ code: 'kubernetes-version-unsupported' });
    const release = { name: 'shop', namespace: 'store', isUpgrade: true, revision: 7 };
    expect(await dataOf(reader, { release })).toMatchObject({ upgrade: 'true false 7 Helm' });
  });

  test('values that break the schema are refused, unless the check is off', async () => {
    const failure = await failing(requestFor(schema, { values: ['replicas: 0\nimage: 5\n'] }));
    expect(failure).toMatchObject({ code: 'values-against-schema', at: { chart: 'schema 1.2.3' } });
    expect(failure.message).toContain("at '/replicas'");
    expect(failure.message).toContain("at '/image'");
    expect(await dataOf(schema, { values: ['replicas: 0\n'], skipSchema: true })).toEqual({ replicas: '0' });
  });

  const remote = ['https://example.com/a.json', 'http://example.com/a.json', 'file:///etc/passwd', 'other.json'];
  test.each(remote)('a schema that refers to %s is refused', async ($ref) => {
    const failure = await failing(requestFor({ ...schema, 'values.schema.json': JSON.stringify({ properties: { replicas: { $ref } } }) }));
    expect(failure.code).toBe('values-against-schema');
    expect(failure.message).toContain('is not loaded while rendering');
  });

  test.each([
    ['not a map', '- 1\n'],
    ['broken YAML', 'a: [\n'],
  ])('values that are %s are refused with the number of the layer', async (_name, text) => {
    const failure = await failing(requestFor(reader, { values: ['keep: 2\n', text] }));
    expect(failure.code).toBe('values-invalid');
    expect(failure.message).toContain('values layer 2');
  });
});

describe('what is rendered', () => {
  test('install order, custom resource definitions, hooks and notes', async () => {
    const value = await rendered(requestFor(lifecycle));
    expect(value.manifests.map(({ kind, name }) => `${kind} ${name}`).filter((text) => !text.startsWith('undefined'))).toEqual([
      'Namespace first',
      'Secret second',
      'Ingress last',
      'Thing unknown-kind',
    ]);
    expect(value.crds).toEqual([{ source: 'lifecycle/crds/things.yaml', content: lifecycle['crds/things.yaml'] }]);
    expect(value.hooks.map(({ name, events, weight }) => ({ name, events, weight }))).toEqual([
      { name: 'for-hooks', events: ['pre-install'], weight: -10 },
      { name: 'job-0', events: ['pre-install', 'pre-upgrade'], weight: 5 },
      { name: 'job-1', events: ['post-install'], weight: 4 },
      { name: 'job-2', events: ['test'], weight: 3 },
    ]);
    expect(value.hooks[1]?.deletePolicies).toEqual(['before-hook-creation', 'hook-succeeded']);
    expect(value.notes).toBe('Thanks for installing lifecycle as shop.\n');
  });

  test('chance and time come from the request only', async () => {
    const first = await rendered(requestFor(secrets));
    expect(await rendered(requestFor(secrets))).toEqual(first);
    await withPool({ memoryMaxBytes: 200 * 2 ** 20 }, async (pool) => expect(await rendered(requestFor(secrets), pool)).toEqual(first));
    expect(first).toMatchObject({ usedRandom: true, usedClock: true });
    const secret = (value: HelmRendered) => objectsOf(value)[0]?.['stringData'] as Record<string, string>;
    expect(secret(first)['when']).toBe('2026-01-02T03:04:05Z');
    const other = await rendered(requestFor(secrets, { seed: 'another cluster' }));
    for (const field of ['password', 'number', 'mixed', 'id', 'hash', 'ca', 'cert', 'key']) expect(secret(other)[field], field).not.toBe(secret(first)[field]);
    expect(secret(await rendered(requestFor(secrets, { nowMs: 0 })))['when']).toBe('1970-01-01T00:00:00Z');
    const edit = { values: ['unrelated: 1\n'], release: { name: 'shop', namespace: 'store', revision: 2 } };
    const edited = await rendered(requestFor(secrets, edit));
    expect(secret(edited)).toEqual(secret(first));
  });

  test('a chart that uses neither chance nor time does not depend on them, not even in the order of a map', async () => {
    const many = Array.from({ length: 40 }, (_, index) => `k${index}: v${index}`).join(', ');
    const chart = single('a: {{ keys .Values.m | join "," }}\nb: {{ values .Values.m | join "," }}\n', { 'values.yaml': `m: {${many}}\n` });
    const one = await rendered(requestFor(chart));
    expect(one).toMatchObject({ usedRandom: false, usedClock: false });
    expect(await rendered(requestFor(chart, { seed: 'other', nowMs: 1 }))).toEqual(one);
  });

  test('the order in which files are listed does not matter', async () => {
    const crd = (name: string): string => `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ${name}}\n`;
    const chart = single('a: 1\n', { 'crds/b.yaml': crd('b'), 'crds/a/z.yaml': crd('z'), 'crds/a.yaml': crd('a') });
    const one = await rendered(requestFor(chart));
    expect(one.crds.map(({ source }) => source)).toEqual(['single/crds/a/z.yaml', 'single/crds/a.yaml', 'single/crds/b.yaml']);
    expect(await rendered(requestFor(Object.fromEntries(Object.entries(chart).toReversed())))).toEqual(one);
  });

  test('lookup finds what was declared and nothing else, and is reported', async () => {
    const chart = single(`found: {{ (lookup "v1" "Secret" "store" "old").data.p }}
list: {{ len (lookup "v1" "Secret" "store" "").items }}
none: {{ lookup "v1" "Secret" "other" "old" | toJson }}
`);
    const object = (name: string, namespace: string) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data: { p: 'kept' } });
    const value = await rendered(requestFor(chart, { lookup: [object('old', 'store'), object('two', 'store'), object('three', 'third')] }));
    expect(objectsOf(value)).toEqual([{ found: 'kept', list: 2, none: {} }]);
    expect(value.lookups).toEqual([
      { apiVersion: 'v1', kind: 'Secret', namespace: 'store', name: 'old', found: true },
      { apiVersion: 'v1', kind: 'Secret', namespace: 'store', name: '', found: true },
      { apiVersion: 'v1', kind: 'Secret', namespace: 'other', name: 'old', found: false },
    ]);
    const undeclared = await rendered(requestFor(single('a: {{ lookup "v1" "Secret" "store" "old" | toJson }}\n')));
    expect(objectsOf(undeclared)).toEqual([{ a: {} }]);
    expect((await rendered(requestFor(reader))).lookups).toEqual([]);
  });

  test('the network and the environment are not there', async () => {
    expect(objectsOf(await rendered(requestFor(single('host: "{{ getHostByName "example.com" }}"\n'))))).toEqual([{ host: '' }]);
    expect((await failing(requestFor(single('a: {{ env "HOME" }}\n')))).message).toContain('function "env" not defined');
  });
});

describe('failures say where', () => {
  const nested = {
    'charts/sub/Chart.yaml': 'apiVersion: v2\nname: sub\nversion: 1.0.0\n',
    'charts/sub/templates/deep.yaml': 'a: 1\n\n\nb: {{ required "set sub.b" .Values.b }}\n',
  };
  test.each([
    ['required', single('a: 1\nb: {{ required "give b" .Values.b }}\n'), { template: 'single/templates/one.yaml', line: 2 }, 'give b'],
    ['required in a subchart', single('a: 1\n', nested), { template: 'single/charts/sub/templates/deep.yaml', line: 4 }, 'set sub.b'],
    ['fail', single('{{ if true }}\n\n{{ fail "no way" }}{{ end }}'), { template: 'single/templates/one.yaml', line: 3 }, 'no way'],
    ['a syntax error', single('a: 1\nb: {{ if }}\n'), { template: 'single/templates/one.yaml', line: 2 }, 'missing value for if'],
    ['an unknown function', single('\n\n\nb: {{ nope }}\n'), { template: 'single/templates/one.yaml', line: 4 }, '"nope" not defined'],
    ['a nil pointer', single('a: {{ .Values.a.b.c }}\n'), { template: 'single/templates/one.yaml', line: 1 }, 'nil pointer'],
    ['an unknown include', single('a: 1\n{{ include "gone" . }}\n'), { template: 'single/templates/one.yaml', line: 2 }, 'gone'],
  ])('%s', async (_name, chart, at, message) => {
    const failure = await failing(requestFor(chart));
    expect(failure).toMatchObject({ kind: 'fatal', code: 'template-failed', at: { chart: 'single 1.2.3', ...at } });
    expect(failure.message).toContain(message);
    expect(failure.element).toBe(`release store/shop, chart single 1.2.3, ${at.template}, line ${at.line}`);
  });

  test('rendered text that is no YAML names its template', async () => {
    const failure = await failing(requestFor(single('a: 1\n  b: {{ 2 }}\n')));
    expect(failure).toMatchObject({ code: 'manifest-invalid', at: { template: 'single/templates/one.yaml' } });
    expect(failure.message).toMatch(/line 2/);
  });

  test('a release name that Kubernetes would not take', async () => {
    expect(await failing(requestFor(reader, { release: { name: 'Not OK', namespace: 'store' } }))).toMatchObject({ code: 'release-name-invalid' });
  });
});

describe('the pool survives its charts', () => {
  const endless = single('{{ range $i := untilStep 0 2000000000 1 }}{{ end }}');
  const spinning = single(`{{ $d := dict "n" 0 }}{{ range until 30000 }}{{ range until 30000 }}{{ $_ := set $d "n" 1 }}{{ end }}{{ end }}`);

  test('a template without end is stopped, and the next render works', async () => {
    await withPool({ timeoutMs: 2_500 }, async (pool) => {
      const [stopped, next] = await Promise.all([failing(requestFor(spinning), pool), rendered(requestFor(reader), pool)]);
      expect(stopped).toMatchObject({ kind: 'fatal', code: 'render-timeout', at: { chart: 'single' } });
      expect(stopped.message).toContain('2500 ms');
      expect(next.manifests).toHaveLength(2);
      const packed = packTgz(Object.fromEntries(Object.entries(spinning).map(([name, text]) => [`single/${name}`, text])));
      expect(await failing(requestFor({ kind: 'archive', bytes: packed }), pool)).toMatchObject({ code: 'render-timeout', at: { chart: 'single' } });
      expect(pool.stats()).toMatchObject({ workers: 0, busy: 0, waiting: 0 });
    });
  });

  test.each([
    ['a huge list', endless],
    ['a huge text', single('{{ range until 200000 }}{{ range until 1000 }}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{ end }}{{ end }}')],
    ['a text that doubles', single('{{ $s := "aaaaaaaa" }}{{ range until 60 }}{{ $s = printf "%s%s" $s $s }}{{ end }}{{ $s }}')],
  ])('%s ends as a failure, and the next render works', async (_name, chart) => {
    await withPool({ memoryMaxBytes: 128 * 2 ** 20 }, async (pool) => {
      expect(await failing(requestFor(chart), pool)).toMatchObject({ code: 'render-memory', at: { chart: 'single' } });
      expect((await rendered(requestFor(reader), pool)).manifests).toHaveLength(2);
    });
  });

  test('templates may call each other as deeply as Helm allows', async () => {
    const chart = single('{{ define "x" }}{{ if gt . 0 }}{{ include "x" (sub . 1) }}{{ else }}end{{ end }}{{ end }}a: {{ include "x" 990 }}\n');
    expect(objectsOf(await rendered(requestFor(chart)))).toEqual([{ a: 'end' }]);
  });

  test.each([
    ['include', 'template-failed', single('{{ define "x" }}{{ include "x" . }}{{ end }}a: {{ include "x" . }}\n')],
    ['template', 'template-failed', single('{{ define "x" }}{{ template "x" . }}{{ end }}a: {{ template "x" . }}\n')],
    ['tpl', 'render-memory', single('a: {{ tpl .Values.t . }}\n', { 'values.yaml': 't: "{{ tpl .Values.t . }}"\n' })],
  ])('templates that call themselves by %s end as a failure', async (_name, code, chart) => {
    expect(await failing(requestFor(chart))).toMatchObject({ kind: 'fatal', code });
    expect((await rendered(requestFor(reader))).manifests).toHaveLength(2);
  });

  test('values that unfold without end are refused', async () => {
    const row = (index: number): string => `a${index + 1}: &a${index + 1} [${Array<string>(9).fill(`*a${index}`).join(', ')}]\n`;
    const bomb = `a0: &a0 [x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 9 }, (_, index) => row(index)).join('')}`;
    expect(await failing(requestFor(reader, { values: [bomb] }))).toMatchObject({ code: 'values-invalid' });
    expect(await failing(requestFor({ ...reader, 'values.yaml': bomb }))).toMatchObject({ code: 'chart-invalid' });
  });

  test('an answer beyond its bound is refused', async () => {
    const notes = (kilobytes: number): ChartFiles =>
      single('a: 1\n', { 'templates/NOTES.txt': `{{ range until ${kilobytes} }}{{ repeat 1024 "a" }}{{ end }}` });
    await withPool({ memoryMaxBytes: 1024 * 2 ** 20 }, async (pool) => {
      expect(await failing(requestFor(notes(65 * 1024)), pool)).toMatchObject({ code: 'render-output-too-large', at: { chart: 'single' } });
      expect((await rendered(requestFor(notes(60 * 1024)), pool)).notes).toHaveLength(60 * 2 ** 20);
    });
  });

  test('nothing is loaded before the first render and after idling', async () => {
    await withPool({ idleMs: 50, workers: 2 }, async (pool) => {
      expect(pool.stats()).toEqual({ workers: 0, busy: 0, waiting: 0, loaded: false });
      const renders = Array.from({ length: 6 }, (_, index) => rendered(requestFor(reader, { values: [`keep: ${index}`] }), pool));
      await Promise.all(renders);
      expect(pool.stats()).toMatchObject({ workers: 2, loaded: true });
      await expect.poll(() => pool.stats(), { timeout: 5_000 }).toEqual({ workers: 0, busy: 0, waiting: 0, loaded: false });
      expect((await rendered(requestFor(reader), pool)).manifests).toHaveLength(2);
    });
  });

  test('the queue is bounded, and closing settles everybody', async () => {
    const pool = createHelmPool({ ...defaults, queueMax: 2 });
    const results = [1, 2, 3].map(async () => await pool.render(requestFor(spinning)));
    expect(await results[2]).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'render-queue-full' } });
    await pool.close();
    for (const result of await Promise.all(results.slice(0, 2))) expect(result).toMatchObject({ ok: false, failure: { code: 'render-closed' } });
    expect(await pool.render(requestFor(reader))).toMatchObject({ ok: false, failure: { code: 'render-closed' } });
  });

  test('closing stops a running render at once', async () => {
    const pool = createHelmPool(defaults);
    const result = pool.render(requestFor(spinning));
    await expect.poll(() => pool.stats().busy, { timeout: 10_000 }).toBe(1);
    await pool.close();
    expect(await result).toMatchObject({ ok: false, failure: { code: 'render-closed' } });
    expect(pool.stats()).toEqual({ workers: 0, busy: 0, waiting: 0, loaded: false });
  });

  test('a missing or changed engine is told, not thrown', async () => {
    await withPool({ artefactUrl: new URL('file:///nowhere/helm-engine.wasm.zst') }, async (pool) => {
      expect(await failing(requestFor(reader), pool)).toMatchObject({ kind: 'blocked', code: 'render-engine-missing' });
    });
    const folder = await mkdtemp(path.join(tmpdir(), 'helm-engine-'));
    try {
      const artefact = path.join(folder, 'helm-engine.wasm.zst');
      const changed = zstdDecompressSync(await readFile(defaultArtefactUrl));
      changed[changed.length - 1]! ^= 1;
      await writeFile(artefact, zstdCompressSync(changed));
      await copyFile(new URL('helm-engine.json', defaultArtefactUrl), path.join(folder, 'helm-engine.json'));
      await withPool({ artefactUrl: pathToFileURL(artefact) }, async (pool) => {
        expect(await failing(requestFor(reader), pool)).toMatchObject({ kind: 'blocked', code: 'render-engine-damaged' });
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
