import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { packTar } from '@groundplane/hub/archive/write';
import { createHelmPool } from '@groundplane/hub/render/helm/index';
import { parseObjects } from '@groundplane/hub/render/objects';
import { afterAll, expect, test } from 'vitest';
import { numbersFrom } from '../pack/mutate.ts';
import { family, lifecycle, reader, requestFor, schema, type ChartFiles } from './helm-charts.ts';

/** Charts broken on purpose. `GP_CHART_MUTANTS` and `GP_CHART_SEED` choose how many and which. */
const count = Number(process.env['GP_CHART_MUTANTS'] ?? 400);
const seed = Number(process.env['GP_CHART_SEED'] ?? 1);

const clock = {
  after: (delayMs: number, callback: () => void) => {
    const abort = new AbortController();
    void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
    return () => abort.abort();
  },
};
const pool = createHelmPool({ workers: 2, timeoutMs: 20_000, idleMs: 60_000, memoryMaxBytes: 256 * 2 ** 20, clock });
afterAll(() => pool.close());

const nasty = [
  '\0',
  '{{',
  '}}',
  '{{ range $i := until 100000000 }}x{{ end }}',
  '{{ include "self" . }}',
  '{{ define "self" }}{{ include "self" . }}{{ end }}',
  '{{ tpl .Values.text . }}',
  '{{ repeat 100000000 "a" }}',
  '{{ index .Values "none" "none" }}',
  '&a [*a, *a]',
  'a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c]\n',
  '---\n---\n',
  '%YAML 9.9\n---\n',
  '!!binary |\n  @@@\n',
  '? [a, b]\n: c\n',
  '__proto__: {polluted: true}\n',
  '\uFEFF',
  '\r\n\t',
  '9'.repeat(400),
  '['.repeat(2_000),
];

type Numbers = ReturnType<typeof numbersFrom>;

/** One to three changes of text: something inserted, cut, doubled, or moved to another file. */
const mutateFiles = (chart: ChartFiles, { below, pick }: Numbers): ChartFiles => {
  const files: ChartFiles = { ...chart };
  for (let change = 0; change <= below(3); change += 1) {
    const name = pick(Object.keys(files));
    const text = files[name] ?? '';
    const at = below(text.length + 1);
    const kind = below(100);
    if (kind < 45) files[name] = text.slice(0, at) + pick(nasty) + text.slice(at);
    else if (kind < 65) files[name] = text.slice(0, at) + text.slice(at + 1 + below(12));
    else if (kind < 75) files[name] = text.slice(0, at);
    else if (kind < 85) files[name] = text + text;
    else if (kind < 95) files[pick(Object.keys(files))] = text;
    else delete files[name];
  }
  return files;
};

const archive = (chart: ChartFiles, { below }: Numbers): Uint8Array => {
  const packed = gzipSync(packTar(Object.entries(chart).map(([name, text]) => ({ name: `chart/${name}`, data: Buffer.from(text) }))));
  if (below(10) < 7) return packed;
  const broken = Buffer.from(packed);
  for (let flips = 0; flips < 1 + below(4); flips += 1) broken[below(broken.length)] = below(256);
  return below(10) < 3 ? broken.subarray(0, below(broken.length)) : broken;
};

test(`${count} charts broken on purpose: an answer for each, no crash, and what is rendered can be read or is refused`, async () => {
  const numbers = numbersFrom(seed);
  const charts = [family, reader, lifecycle, schema];
  const ends = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    const chart = mutateFiles(numbers.pick(charts), numbers);
    const request = requestFor(numbers.below(2) === 0 ? { kind: 'archive', bytes: archive(chart, numbers) } : chart);
    const result = await pool.render(request);
    const end = result.ok ? 'rendered' : result.failure.code;
    ends.set(end, (ends.get(end) ?? 0) + 1);
    expect(end, `mutant ${index} of seed ${seed}: ${result.ok ? '' : result.failure.message}`).not.toBe('render-crashed');
    if (!result.ok) expect(result.failure.message).not.toBe('');
    else
      for (const document of [...result.value.crds, ...result.value.manifests, ...result.value.hooks]) {
        const objects = parseObjects(document.content, document.source);
        // What cannot be read is a failure with its place, never an exception and never nothing.
        if (!objects.ok) expect(objects.failure.element).toContain(document.source);
      }
  }
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(ends.get('rendered') ?? 0).toBeGreaterThan(count / 20);
}, 600_000);
