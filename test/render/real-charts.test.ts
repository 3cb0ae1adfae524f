import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { packChart } from '../../hub/cli/authoring/chart.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { findHelmBinary } from '../oracle/helm-binary.ts';
import { requestFor } from './helm-charts.ts';
import { asHelmPrints, createTestPool, parsedYaml, runHelm, sourcesOf } from './helm-oracle.ts';
import { findRealCharts, type RealChart } from './real-charts.ts';

vi.setConfig({ testTimeout: 120_000 });
const oracle = await findHelmBinary();
const helm = 'path' in oracle ? oracle.path : '';
const { charts, missing } = await findRealCharts();
const reasons = [...('missing' in oracle ? [oracle.missing] : []), ...missing];
const isThere = helm !== '' && charts.length > 0;
const pool = createTestPool();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'real-charts-'));
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const counts = { rendered: 0, refused: 0, byChance: 0 };

/** What we make of a chart: the text as Helm prints it, or why not. */
const ours = async (chart: RealChart): Promise<{ text: string } | { why: string }> => {
  const packed = await packChart(chart.path);
  if (!packed.ok) return { why: packed.failure.message };
  const rendered = await pool.render(requestFor({ kind: 'archive', bytes: packed.value.bytes }));
  return rendered.ok ? { text: asHelmPrints(rendered) } : { why: rendered.failure.message };
};

/** Where we refuse on purpose what Helm takes. */
const stricter: Readonly<Record<string, string>> = {
  'helm.sh/helm/v4 internal/chart/v3/lint/rules/testdata/invalidchartfile': 'keys must be unique',
};

/** What is different in each run, like a generated password, becomes one word in both. */
const withoutChance = (value: unknown, again: unknown): unknown => {
  if (typeof value === 'string' || typeof value === 'number') return value === again ? value : '(by chance)';
  if (Array.isArray(value)) return value.map((item: unknown, index) => withoutChance(item, Array.isArray(again) ? (again as unknown[])[index] : undefined));
  if (typeof value !== 'object' || value === null) return value;
  const other = (typeof again === 'object' && again !== null ? again : {}) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutChance(item, other[key])]));
};

test('Helm and its module are there where they are required', () => {
  expect(isRequired('go') && !isThere ? reasons : []).toEqual([]);
});

describe.skipIf(!isThere)(`charts that others wrote${reasons.length === 0 ? '' : ` (skipped: ${reasons.join('; ')})`}`, () => {
  test.each(charts.map((chart): [string, RealChart] => [chart.name, chart]))('%s', async (_, chart) => {
    const [theirs, own] = await Promise.all([runHelm(helm, folder, chart.path, requestFor({})), ours(chart)]);
    // Helm 4.3.1 panics at some charts of apiVersion v3, which is not finished there.
    const hasFailed = /^(Error|panic): /m.test(theirs.stderr);
    const strict = stricter[chart.name];
    if (strict !== undefined) {
      expect(hasFailed).toBe(false);
      expect('why' in own ? own.why.toLowerCase() : 'rendered').toContain(strict);
      return;
    }
    if (hasFailed) {
      counts.refused += 1;
      expect('why' in own ? '' : own.text, theirs.stderr).toBe('');
      return;
    }
    counts.rendered += 1;
    const text = 'text' in own ? own.text : own.why;
    expect(sourcesOf(text), text).toEqual(sourcesOf(theirs.stdout));
    const [mine, helms] = [parsedYaml(text), parsedYaml(theirs.stdout)];
    if (JSON.stringify(mine) === JSON.stringify(helms)) return;
    const again = parsedYaml((await runHelm(helm, folder, chart.path, requestFor({}))).stdout);
    const steady = withoutChance(helms, again);
    if (JSON.stringify(steady) !== JSON.stringify(helms)) counts.byChance += 1;
    expect(withoutChance(mine, steady)).toEqual(steady);
    // And ours does not roll dice: the same inputs, the same bytes.
    expect(await ours(chart)).toEqual(own);
  });

  test('there were enough of them to mean something', () => {
    expect(counts.rendered).toBeGreaterThan(15);
    expect(counts.refused).toBeGreaterThan(5);
    expect(counts.byChance).toBeGreaterThan(0);
  });
});
