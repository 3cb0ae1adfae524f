import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createHelmPool, type HelmPool, type HelmRequest, type HelmResult } from '@groundplane/hub/render/helm/index';
import { parseAllDocuments } from 'yaml';
import type { ChartFiles } from './helm-charts.ts';

const run = promisify(execFile);

const clock = {
  after: (delayMs: number, callback: () => void) => {
    const abort = new AbortController();
    void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
    return () => abort.abort();
  },
};
export const createTestPool = (): HelmPool => createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock });

const writeChart = async (at: string, chart: ChartFiles): Promise<void> => {
  for (const [name, text] of Object.entries(chart)) {
    await mkdir(path.dirname(path.join(at, name)), { recursive: true });
    await writeFile(path.join(at, name), text);
  }
};

export interface HelmRun {
  stdout: string;
  stderr: string;
}

/**
 * Runs `helm template`, or another command with its flags (`more`), on the same chart with the same inputs. Nothing of this machine's Helm set-up is read.
 * `chart` is files or a path.
 */
export const runHelm = async (
  helm: string,
  folder: string,
  chart: ChartFiles | string,
  request: HelmRequest,
  more: readonly string[] = [],
): Promise<HelmRun> => {
  const at = await mkdtemp(path.join(folder, 'case-'));
  if (typeof chart !== 'string') await writeChart(path.join(at, 'chart'), chart);
  const { name: release, namespace } = request.release;
  const where = typeof chart === 'string' ? chart : path.join(at, 'chart');
  const how = more.length > 0 ? more : ['template', '--include-crds'];
  const [command = '', ...flags] = how;
  const args = [command, release, where, '--namespace', namespace, ...(command === 'template' ? ['--kube-version', request.kubeVersion] : []), ...flags];
  for (const [index, text] of request.values.entries()) {
    const file = path.join(at, `values-${index}.yaml`);
    await writeFile(file, text);
    args.push('--values', file);
  }
  for (const set of request.sets ?? []) {
    args.push(set.as === 'set' ? '--set' : `--set-${set.as}`, set.text);
    for (const [name, content] of set.as === 'file' ? Object.entries(set.files) : []) await writeFile(path.join(at, name), content);
  }
  for (const text of request.apiVersions) args.push('--api-versions', text);
  if (request.release.isUpgrade === true) args.push('--is-upgrade');
  if (request.skipSchema === true) args.push('--skip-schema-validation');
  const env = { PATH: '/usr/bin:/bin', HOME: at, XDG_CACHE_HOME: at, XDG_CONFIG_HOME: at, XDG_DATA_HOME: at, KUBECONFIG: path.join(at, 'none') };
  try {
    return await run(helm, args, { cwd: at, env, timeout: 60_000, maxBuffer: 1 << 26 });
  } catch (cause) {
    return { stdout: '', stderr: (cause as { stderr?: string }).stderr ?? String(cause) };
  }
};

/** Documents of Helm's output as data; empty ones do not count. */
export const parsedYaml = (text: string): unknown[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((object) => object !== null);
export const sourcesOf = (text: string): string[] => [...text.matchAll(/^# Source: (.+)$/gm)].map((match) => match[1] ?? '');

/** Our result in the words of `helm template`. */
export const asHelmPrints = (result: HelmResult): string => {
  if (!result.ok) throw new Error(result.failure.message);
  const { crds, manifests, hooks } = result.value;
  return [...crds, ...manifests, ...hooks].map(({ source, content }) => `---\n# Source: ${source}\n${content}\n`).join('');
};
