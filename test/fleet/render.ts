import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packTgz } from '@groundplane/hub/archive/write';
import { createBundler } from '@groundplane/hub/render/bundle';
import { createHelmPool, type HelmPool, type HelmRenderer, type HelmRequest } from '@groundplane/hub/render/helm/index';
import { digestOf } from '@groundplane/protocol/digest';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { packChart } from '../../hub/cli/authoring/chart.ts';
import { systemClock } from '@groundplane/hub/system/clock';
import { fakeContent } from '../fake/content.ts';
import { findHelmBinary, helmVersion } from '../oracle/helm-binary.ts';
import { corpus } from '../render/helm-corpus.ts';
import { requestFor, type ChartFiles } from '../render/helm-charts.ts';
import { percentile } from './measure.ts';

const run = promisify(execFile);
type Figures = Record<string, number | string>;
const round = (value: number, digits = 1): number => Number(value.toFixed(digits));
const rounds = 5;
const clusters = 200;
const root = join(import.meta.dirname, '..', '..');

interface CorpusChart {
  name: string;
  bytes: Buffer;
}

const packed = (name: string, chart: ChartFiles): CorpusChart => ({
  name,
  bytes: packTgz(Object.entries(chart).map(([file, data]) => ({ name: `${name}/${file}`, data: Buffer.from(data) }))),
});

/** A chart as large as those of monitoring stacks: sixty templates of two hundred lines. */
const large = (): ChartFiles => {
  const template = `{{- range until 20 }}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ include "large.name" $ }}-{{ . }}\nspec:\n  replicas: {{ $.Values.replicas }}\n  template:\n    metadata:\n      labels: {{- toYaml $.Values.labels | nindent 8 }}\n    spec:\n      containers:\n        - name: main\n          image: "{{ $.Values.image.repository }}:{{ $.Values.image.tag }}"\n          resources: {{- toYaml $.Values.resources | nindent 12 }}\n{{- end }}\n`;
  return {
    'Chart.yaml': 'apiVersion: v2\nname: large\nversion: 1.0.0\n',
    'values.yaml':
      'replicas: 2\nlabels: {a: b, c: d}\nimage: {repository: ghcr.io/a/b, tag: "1"}\nresources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 1Gi}}\n',
    'templates/_name.tpl': '{{ define "large.name" }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}',
    ...Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`templates/t${index}.yaml`, template.replaceAll('name: {{ include', `name: t${index}-{{ include`)]),
    ),
  };
};

/** Charts of the conformance corpus, the example's, the one that `helm create` writes, and a large one. */
const charts = async (helm: string, folder: string): Promise<CorpusChart[]> => {
  const seen = new Map(corpus.map(([, chart]) => [/^name: (\S+)/m.exec(chart['Chart.yaml'] ?? '')?.[1] ?? '', chart]));
  const own = [...seen].filter(([name]) => name !== '' && name.length < 60).map(([name, chart]) => packed(name, chart));
  await run(helm, ['create', join(folder, 'web')], { env: { HOME: folder, PATH: '/usr/bin:/bin' } });
  const created = await packChart(join(folder, 'web'));
  const shop = await packChart(join(root, 'examples', 'retail-store', 'charts', 'shop'));
  if (!created.ok || !shop.ok) throw new Error('a chart of the corpus cannot be packed');
  return [...own, { name: 'web', bytes: Buffer.from(created.value.bytes) }, { name: 'shop', bytes: Buffer.from(shop.value.bytes) }, packed('large', large())];
};

/** CPU of this process with its threads, and of children that have ended, in seconds. */
const cpuSeconds = (): { own: number; children: number } => {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)!.split(' ');
  return { own: (Number(fields[11]) + Number(fields[12])) / 100, children: (Number(fields[13]) + Number(fields[14])) / 100 };
};

const requestOf = (chart: CorpusChart, salt: number): HelmRequest => requestFor({ kind: 'archive', bytes: chart.bytes }, { values: [`salt: ${salt}\n`] });

const byHelm = async (helm: string, folder: string, list: readonly CorpusChart[]): Promise<{ seconds: number; cpu: number }> => {
  const before = cpuSeconds().children;
  const began = performance.now();
  for (const chart of list) {
    const file = join(folder, `${chart.name}.tgz`);
    writeFileSync(file, chart.bytes);
    const args = [
      'template',
      'shop',
      file,
      '--namespace',
      'store',
      '--kube-version',
      'v1.34.2',
      '--include-crds',
      '--set',
      'salt=1',
      '--skip-schema-validation',
    ];
    await run(helm, args, { env: { PATH: '/usr/bin:/bin', HOME: folder, KUBECONFIG: '/none' }, maxBuffer: 1 << 27 });
  }
  return { seconds: (performance.now() - began) / 1000, cpu: cpuSeconds().children - before };
};

const byPool = async (pool: HelmPool, list: readonly CorpusChart[], salt: number): Promise<{ seconds: number; cpu: number }> => {
  const before = cpuSeconds().own;
  const began = performance.now();
  for (const result of await Promise.all(list.map((chart) => pool.render({ ...requestOf(chart, salt), skipSchema: true }))))
    if (!result.ok) throw new Error(`${result.failure.element}: ${result.failure.message}`);
  return { seconds: (performance.now() - began) / 1000, cpu: cpuSeconds().own - before };
};

const poolOf = (workers: number): HelmPool => createHelmPool({ workers, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock: systemClock });

/** Renders that the hub does for 200 clusters with a profile of four charts, of which one takes a variable. */
const cached = async (pool: HelmPool, list: readonly CorpusChart[], isEqual: boolean): Promise<{ renders: number; asked: number }> => {
  let renders = 0;
  const counting: HelmRenderer = {
    render: async (request) => {
      renders += 1;
      return await pool.render(request);
    },
    close: async () => await pool.close(),
  };
  const content = fakeContent();
  const chosen = list.filter((chart) => ['web', 'large', 'files', 'root'].includes(chart.name));
  const layers = [];
  for (const [index, chart] of chosen.entries())
    layers.push({
      name: `layer-${index}`,
      kind: 'addon',
      helm: {
        chart: { digest: await content.put(chart.bytes), name: chart.name, version: '1.0.0' },
        values: index === 0 ? 'salt: "{{.spectro.var.site}}"\n' : '',
      },
    });
  const spec = profileSpecSchema.parse({ type: 'addon', variables: [{ name: 'site', default: 'x' }], layers });
  const bundler = createBundler({ content, helm: counting, seed: (cluster, release) => `${cluster}/${release}` }, helmVersion());
  for (let cluster = 0; cluster < clusters; cluster += 1) {
    const built = await bundler.make({
      cluster: `c${cluster}`,
      profiles: [{ name: 'bench', version: '1.0.0', digest: digestOf(spec), spec }],
      variables: isEqual ? {} : { site: `s${cluster}` },
      macros: {},
      system: { 'cluster.name': `c${cluster}` },
      kubeVersion: 'v1.34.2',
    });
    if (!built.ok) throw new Error(`${built.failure.element}: ${built.failure.message}`);
  }
  return { renders, asked: clusters * chosen.length };
};

const median = (numbers: readonly number[]): number => percentile(numbers, 0.5);

/** Charts a second against spawning helm on the same corpus, each ratio within one round, and what the hub's caches save. */
export const render = async (): Promise<Figures> => {
  const found = await findHelmBinary();
  if ('missing' in found) throw new Error(found.missing);
  const folder = mkdtempSync(join(tmpdir(), 'gp-bench-render-'));
  const warm = poolOf(1);
  const both = poolOf(2);
  try {
    const list = await charts(found.path, folder);
    const coldMs: number[] = [];
    for (let at = 0; at < 3; at += 1) {
      const cold = poolOf(1);
      const began = performance.now();
      await cold.render(requestOf(list[0]!, 0));
      coldMs.push(performance.now() - began);
      await cold.close();
    }
    await byPool(warm, list, 0);
    await byPool(both, list, 0);
    await byHelm(found.path, folder, list);
    const measured = [];
    for (let at = 1; at <= rounds; at += 1) {
      const theirs = await byHelm(found.path, folder, list);
      measured.push({ theirs, ours: await byPool(warm, list, at), two: await byPool(both, list, at) });
    }
    const equal = await cached(warm, list, true);
    const different = await cached(warm, list, false);
    return {
      charts: list.length,
      rounds,
      helmChartsPerSecond: round(median(measured.map((item) => list.length / item.theirs.seconds))),
      oneWorkerChartsPerSecond: round(median(measured.map((item) => list.length / item.ours.seconds))),
      twoWorkersChartsPerSecond: round(median(measured.map((item) => list.length / item.two.seconds))),
      ratioOneWorker: round(median(measured.map((item) => item.theirs.seconds / item.ours.seconds)), 2),
      ratioTwoWorkers: round(median(measured.map((item) => item.theirs.seconds / item.two.seconds)), 2),
      helmCpuMsPerChart: round((median(measured.map((item) => item.theirs.cpu)) / list.length) * 1000),
      ourCpuMsPerChart: round((median(measured.map((item) => item.ours.cpu)) / list.length) * 1000),
      ratioCpu: round(median(measured.map((item) => item.theirs.cpu / item.ours.cpu)), 2),
      coldFirstRenderMs: round(median(coldMs), 0),
      clusters,
      cacheHitEqualPercent: round((1 - equal.renders / equal.asked) * 100, 2),
      cacheHitDifferentPercent: round((1 - different.renders / different.asked) * 100, 2),
      rendersEqual: equal.renders,
      rendersDifferent: different.renders,
    };
  } finally {
    await warm.close();
    await both.close();
    rmSync(folder, { recursive: true, force: true });
  }
};
