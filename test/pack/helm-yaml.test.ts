import { setTimeout as delay } from 'node:timers/promises';
import { createHelmPool } from '@groundplane/hub/render/helm/index';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { packParts } from '@groundplane/hub/pack/parts';
import { readSource } from '@groundplane/protocol/pack/source';
import { requestFor } from '../render/helm-charts.ts';
import { packOf, plainPack } from './packs.ts';

// The engine is loaded once; a busy machine may take its time.
vi.setConfig({ testTimeout: 120_000 });
const pool = createHelmPool({
  workers: 1,
  timeoutMs: 60_000,
  idleMs: 60_000,
  memoryMaxBytes: 512 * 2 ** 20,
  clock: {
    after: (delayMs, callback) => {
      const abort = new AbortController();
      void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
      return () => abort.abort();
    },
  },
});
afterAll(() => pool.close());

const chart = { 'Chart.yaml': 'apiVersion: v2\nname: t\nversion: 1.0.0\n' };

/** Each line is one way to write a scalar, or one part of YAML, about which parsers differ. */
const written = `
bools: [y, Y, yes, on, off, n, no, NO, true, True, ~, null, "y", 'on']
numbers: [0777, 0o17, 0x1f, 0b11, 1_000, 1.10, .5, 1., 1e3, +1, -0, 08, 0o9, 5000000, 12:30:45, 190:20:30.15]
times: [2020-01-01, 2020-01-01T00:00:00Z, 2001-12-14 21:59:43.10 -5]
keys: {y: 1, on: 2, 1: 3, 1.5: 4, "<": 6}
texts: ["a\\tb", 'it''s', plain text, "{{ .spectro.var.x }}", "", '#', 1.2.3, 10.0.0.1, 1-2, v1]
block: |
  one
   two
folded: >-
  one
  two
base: &base {a: 1, b: 2}
merged: {<<: *base, b: 3}
alias: *base
set: !!set {a, b}
twice: 1
twice: 2
empty:
`;

describe('values are read as Helm reads them', () => {
  test('every way of writing gives the same data', async () => {
    const rendered = await pool.render(requestFor(chart, { values: [written] }));
    if (!rendered.ok) throw new Error(rendered.failure.message);
    // Helm drops what is null at the top; everything below has to be the same.
    const { empty, ...ours } = (readSource(written, 'values.yaml').source?.plain ?? {}) as Record<string, unknown>;
    expect(empty).toBeNull();
    const { empty: _theirs, ...theirs } = rendered.value.values;
    expect(ours).toEqual(theirs);
  });

  test('keys that Helm refuses are errors', async () => {
    for (const text of ['a: {~: 1}\n', '? {b: 1}\n: 2\n', ': 1\n']) {
      expect(await pool.render(requestFor(chart, { values: [text] }))).toMatchObject({ ok: false });
      expect(readSource(text, 'values.yaml').findings.map((finding) => `${finding.severity} ${finding.code}`)).toEqual(['error key-invalid']);
    }
  });

  test('the chart of a pack gets exactly what the pack says', async () => {
    const parts = await packParts(
      packOf(plainPack({ 'values.yaml': 'pack: {namespace: shop}\ncharts: {web: {replicas: 012, flag: on, image: {tag: "1.10"}}}\n' })),
      { layerName: 'shop' },
    );
    if (!parts.ok) throw new Error(parts.failure.message);
    const [part] = parts.value.charts;
    if (part === undefined) throw new Error('no chart');
    const rendered = await pool.render({
      chart: { kind: 'archive', bytes: part.archive },
      values: part.values,
      release: { name: part.releaseName, namespace: part.namespace },
      kubeVersion: 'v1.34.2',
      apiVersions: [],
      seed: '',
      nowMs: 0,
    });
    if (!rendered.ok) throw new Error(rendered.failure.message);
    expect(rendered.value.values).toEqual({ replicas: 10, flag: true, image: { tag: '1.10' } });
    expect(rendered.value.manifests[0]?.content).toContain('name: shop-web');
  });
});
