import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseObjects } from '@groundplane/hub/render/objects';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { packChart } from '../../hub/cli/authoring/chart.ts';
import { findHelmBinary, helmVersion } from '../oracle/helm-binary.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { requestFor, single, type ChartFiles } from './helm-charts.ts';
import { corpus, refusals } from './helm-corpus.ts';
import { asHelmPrints, createTestPool, parsedYaml, runHelm, sourcesOf } from './helm-oracle.ts';

vi.setConfig({ testTimeout: 120_000 });
const oracle = await findHelmBinary();
const missing = 'missing' in oracle && !isRequired('go') ? oracle.missing : '';
const helm = 'path' in oracle ? oracle.path : '';
const pool = createTestPool();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'helm-conformance-'));
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const root = path.join(import.meta.dirname, '..', '..');

/** All charts in installed packages. There are none today; one that comes is compared too. */
const installedCharts = async (): Promise<string[]> => {
  const names = await readdir(path.join(root, 'node_modules'), { recursive: true }).catch(() => []);
  return names.filter((name) => /(?:^|\/)Chart\.yaml$/.test(name) || /-\d+\.\d+\.\d+\.tgz$/.test(name)).map((name) => path.join(root, 'node_modules', name));
};

describe.skipIf(missing !== '')(`the engine against helm ${helmVersion()}${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
  test.each(corpus)('renders alike: %s', async (_name, chart, rest) => {
    const request = requestFor(chart, rest);
    const [theirs, ours] = await Promise.all([runHelm(helm, folder, chart, request), pool.render(request)]);
    expect(theirs.stdout, theirs.stderr).not.toBe('');
    const text = asHelmPrints(ours);
    expect(sourcesOf(text)).toEqual(sourcesOf(theirs.stdout));
    expect(parsedYaml(text)).toEqual(parsedYaml(theirs.stdout));
  });

  test.each(refusals)('fails alike: %s', async (_name, chart, rest) => {
    const request = requestFor(chart, rest);
    const [theirs, ours] = await Promise.all([runHelm(helm, folder, chart, request), pool.render(request)]);
    expect(theirs.stdout).toBe('');
    const words = ours.ok ? 'rendered' : ours.failure.message.split('\n').slice(0, -1).join('\n');
    // Line by line, because Helm lists what breaks a schema in the order of a Go map. The number of a layer stands where Helm names its file.
    const lines = words
      .split('\n')
      .map((line) =>
        line
          .trim()
          .replace(/^failed to parse values layer \d+: /, '')
          .replace(/^failed parsing --set(?:-string)? data ".*?": /, '')
          // Helm does not say what is wrong there; we do.
          .replace(/^(failed parsing --set-json data) "(.*?)": .*$/, '$1 $2'),
      )
      .filter((line) => line !== '');
    expect(lines).not.toEqual([]);
    for (const line of lines) expect(theirs.stderr).toContain(line);
  });

  test('values of all kinds: what the chart sees is what helm shows it', async () => {
    // Each run of helm takes a tenth of a second, so many values go into one: each sample is a key of its own.
    // Written as JSON, which is YAML too, besides words that mean something to YAML: those stand there bare.
    const words = ['yes', 'no', 'on', 'null', '~', '0644', '0o17', '0x1F', '1_000', '22:22', '2026-01-02', '1e3', '08', '+1', '-0', 'y', 'N', '.5'];
    const key = fc.oneof(
      fc.stringMatching(/^[a-zA-Z][\w.-]{0,12}$/),
      fc.string({ maxLength: 8 }),
      fc.constantFrom('yes', 'null', '0644', '~', '<<', '2026-01-02', 'ünï'),
    );
    const scalar = fc.oneof(
      fc.constantFrom(...words).map((word) => `@@${word}@@`),
      fc.string({ maxLength: 30 }),
      fc.string({ unit: 'grapheme', maxLength: 10 }),
      fc.constantFrom('yes', '0644', '22:22', '- a', '# c', 'a: b', '{{ .x }}', '---', '', ' ', '\n', 'a\n\nb\n'),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }),
      fc.boolean(),
      fc.constant(null),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 4, withCrossShrink: true }, scalar, fc.array(tie('any'), { maxLength: 4 }), fc.dictionary(key, tie('any'), { maxKeys: 4 })),
    })).any;
    const written = (data: unknown): string =>
      JSON.stringify(data)
        .replaceAll(/"@@([^"@]+)@@"/g, '$1')
        .replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
    const chart = single(
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: all}\ndata:\n  json: {{ .Values | toJson | quote }}\n  yaml: {{ .Values | toYaml | quote }}\n',
      {
        'values.yaml': 'samples: {}\n',
      },
    );
    let rendered = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 20, maxLength: 60 }), async (samples) => {
        const text = written({ samples: Object.fromEntries(samples.map((sample, index) => [`s${index}`, sample])) });
        const request = requestFor(chart, { values: [text] });
        const [theirs, ours] = await Promise.all([runHelm(helm, folder, chart, request), pool.render(request)]);
        if (theirs.stdout === '') expect(ours.ok, theirs.stderr).toBe(false);
        else {
          rendered += 1;
          expect(parsedYaml(asHelmPrints(ours))).toEqual(parsedYaml(theirs.stdout));
        }
      }),
      { numRuns: 25 },
    );
    // Some samples are refused by both; most must be compared.
    expect(rendered).toBeGreaterThan(12);
  });

  test('notes, and those of a subchart left out', async () => {
    const [, chart] = corpus.find(([name]) => name === 'notes') ?? [];
    if (chart === undefined) throw new Error('the corpus has a chart with notes');
    const [theirs, ours] = await Promise.all([
      runHelm(helm, folder, chart, requestFor(chart), ['install', '--dry-run=client']),
      pool.render(requestFor(chart)),
    ]);
    expect(theirs.stdout.slice(theirs.stdout.indexOf('NOTES:\n') + 7), theirs.stderr).toBe(ours.ok ? `${ours.value.notes.trim()}\n` : '');
  });

  test('objects are read as Kubernetes reads them', async () => {
    const text = `a: 2026-01-02\nb: 22:22\nc: 0644\nd: yes\ne: y\nf: on\ng: 1_000\nh: 0x1F\ni: .5\nj: 1e3\nk: ~\nl: "yes"\nm: 0b11\nn: 1:30.5\no: -0\np: !!binary aGk=\nq: !!str 5\nr: +1\ns: 2026-01-02T03:04:05Z\nt: 09\nu: 0o14\nv: No\nw: OFF\nx: NULL\ny1: N\nz: "\\u00e9"\n`;
    const chart = single(`apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {json: {{ .Files.Get "x.yaml" | fromYaml | toJson | quote }}}\n`, {
      'x.yaml': text,
    });
    const { stdout } = await runHelm(helm, folder, chart, requestFor(chart));
    const [shown] = parsedYaml(stdout) as { data: { json: string } }[];
    const read = parseObjects(`apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec:\n${text.replaceAll(/^/gm, '  ')}`, 'x');
    expect(JSON.parse(JSON.stringify(read.ok ? read.value[0]?.['spec'] : read))).toEqual(JSON.parse(shown!.data.json));
  });

  test('the example chart, as gp packs it, with .helmignore', async () => {
    const at = path.join(root, 'examples', 'retail-store', 'charts', 'shop');
    const packed = await packChart(at);
    if (!packed.ok) throw new Error(packed.failure.message);
    for (const name of ['shop-1.0.0.yaml', 'shop-1.1.0.yaml']) {
      const values = await readFile(path.join(root, 'examples', 'retail-store', 'values', name), 'utf8').then((text) =>
        text.replaceAll(/\{\{ *\.spectro\.[^}]*\}\}/g, '2'),
      );
      const request = requestFor({ kind: 'archive', bytes: packed.value.bytes }, { values: [values] });
      const [theirs, ours] = await Promise.all([runHelm(helm, folder, at, request), pool.render(request)]);
      expect(theirs.stdout, theirs.stderr).not.toBe('');
      const secretless = (text: string) =>
        parsedYaml(text).map((object) => ((object as { kind: string }).kind === 'Secret' ? 'a Secret, whose password is random' : object));
      expect(secretless(asHelmPrints(ours))).toEqual(secretless(theirs.stdout));
    }
  });

  test('.helmignore: what is left out of a folder is left out of ours', async () => {
    const chart: ChartFiles = {
      'Chart.yaml': 'apiVersion: v2\nname: ign\nversion: 1.0.0\n',
      '.helmignore': '# comment\n*.bak\n/secret/\ntemplates/skip.yaml\n',
      'a.bak': 'x',
      'secret/key': 'x',
      'conf/a.bak': 'x',
      'conf/b.txt': 'x',
      'templates/skip.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: skipped}\n',
      'templates/t.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata: {names: "{{ range $p, $_ := .Files.Glob "**" }}{{ $p }} {{ end }}"}\n',
    };
    const at = path.join(folder, 'ignoring');
    for (const [name, text] of Object.entries(chart)) {
      await mkdir(path.dirname(path.join(at, name)), { recursive: true });
      await writeFile(path.join(at, name), text);
    }
    const theirs = await runHelm(helm, folder, at, requestFor(chart));
    expect(theirs.stdout, theirs.stderr).not.toBe('');
    const packed = await packChart(at);
    if (!packed.ok) throw new Error(packed.failure.message);
    const ours = await pool.render(requestFor({ kind: 'archive', bytes: packed.value.bytes }));
    expect(parsedYaml(asHelmPrints(ours))).toEqual(parsedYaml(theirs.stdout));
  });

  test('charts in installed packages', async () => {
    for (const at of await installedCharts()) {
      const packed = await packChart(at.endsWith('.tgz') ? at : path.dirname(at));
      if (!packed.ok) continue;
      const request = requestFor({ kind: 'archive', bytes: packed.value.bytes });
      const [theirs, ours] = await Promise.all([runHelm(helm, folder, at.endsWith('.tgz') ? at : path.dirname(at), request), pool.render(request)]);
      if (theirs.stdout !== '') expect(parsedYaml(asHelmPrints(ours)), at).toEqual(parsedYaml(theirs.stdout));
    }
    expect((await installedCharts()).length).toBeLessThan(100);
  });
});
