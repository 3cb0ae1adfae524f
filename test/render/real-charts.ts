import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { helmVersion } from '../oracle/helm-binary.ts';
import { versions } from '../lab/recipe.ts';

const run = promisify(execFile);

export interface RealChart {
  /** Module and place in it. */
  name: string;
  /** Folder or archive, read-only. */
  path: string;
}

/**
 * Programs that other tests build from their Go modules anyway, and that bring Helm charts along. Their sources lie in Go's module cache; nothing is downloaded
 * for this, and nothing of them is kept here. Helm's own are the hardest: charts that its authors wrote to break it.
 */
const modules = [
  { module: 'helm.sh/helm/v4', version: helmVersion() },
  { module: 'sigs.k8s.io/kwok', version: versions.kwok },
  { module: 'github.com/zarf-dev/zarf', version: 'v0.60.0' },
] as const;

const cacheFolder = async (): Promise<string | undefined> => {
  try {
    return (await run('go', ['env', 'GOMODCACHE'], { timeout: 20_000 })).stdout.trim();
  } catch {
    return undefined;
  }
};

const chartsIn = async (root: string, module: string): Promise<RealChart[]> => {
  const entries = (await readdir(root, { recursive: true })).toSorted();
  const folders = entries.filter((name) => path.basename(name) === 'Chart.yaml').map((name) => path.dirname(name));
  // A subchart is rendered with its parent.
  const tops = folders.filter((folder) => !folders.some((other) => folder !== other && folder.startsWith(`${other}/charts/`)));
  const archives = entries.filter((name) => name.endsWith('.tgz') && !folders.some((folder) => name.startsWith(`${folder}/charts/`)));
  return [...tops, ...archives].map((name) => ({ name: `${module} ${name}`, path: path.join(root, name) }));
};

/** Equal archives lie in several places. */
const withoutCopies = async (charts: readonly RealChart[]): Promise<RealChart[]> => {
  const seen = new Set<string>();
  const kept: RealChart[] = [];
  for (const chart of charts) {
    const names = chart.path.endsWith('.tgz')
      ? [chart.path]
      : (await readdir(chart.path, { recursive: true })).toSorted().map((name) => path.join(chart.path, name));
    const hash = createHash('sha256');
    for (const name of names) hash.update(path.relative(chart.path, name)).update(await readFile(name).catch(() => ''));
    const digest = hash.digest('hex');
    if (!seen.has(digest)) kept.push(chart);
    seen.add(digest);
  }
  return kept;
};

/** Charts of the modules that are there, and why others are not. */
export const findRealCharts = async (): Promise<{ charts: RealChart[]; missing: string[] }> => {
  const cache = await cacheFolder();
  if (cache === undefined) return { charts: [], missing: ['Go is not installed'] };
  const charts: RealChart[] = [];
  const missing: string[] = [];
  for (const { module, version } of modules) {
    const root = path.join(cache, `${module}@${version}`);
    if (existsSync(root)) charts.push(...(await chartsIn(root, module)));
    else missing.push(`${module} ${version} is not in Go's module cache`);
  }
  return { charts: await withoutCopies(charts), missing };
};
