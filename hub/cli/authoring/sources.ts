import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { limits } from '@groundplane/protocol/limits';
import { packChart, type PackedChart } from './chart.ts';
import { problemAt, type Path, type Problem, type Source } from './place.ts';
import { resolvePack } from './pack.ts';
import { readText } from './read.ts';
import { resolveRegistrySource, type RegistryRequest } from './registry-source.ts';
import { resolveZarf } from './zarf-source.ts';

interface ResolvedSources {
  problems: Problem[];
  charts: PackedChart[];
  imports: RegistryRequest[];
  /** Path of the resolved value → path in the file. */
  origin: (path: Path) => Path;
}

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

const manifestFilesMax = 500;

interface Work {
  source: Source;
  folder: string;
  problems: Problem[];
  charts: PackedChart[];
  /** Per layer, for each manifest of the result the entry of the file that it came from. */
  manifestOrigins: Map<number, number[]>;
}

const report = (work: Work, path: Path, message: string): void => void work.problems.push(problemAt(work.source, path, message));

const readContent = async (work: Work, path: Path, name: string): Promise<string | undefined> => {
  const full = resolve(work.folder, name);
  const text = await readText(full, limits.objectBytes);
  if (text.ok) return text.value;
  report(work, path, `${name}: ${text.trouble.why}. Paths count from the folder of this file (looked for ${full})`);
  return undefined;
};

const isPath = (work: Work, path: Path, value: unknown, like: string): value is string => {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return true;
  report(work, path, `must be a path, like ${like}`);
  return false;
};

const resolveHelm = async (work: Work, path: Path, helm: Plain): Promise<void> => {
  if (Object.hasOwn(helm, 'path')) {
    const at = [...path, 'path'];
    const name = helm.path;
    delete helm.path;
    const isBoth = helm.chart !== undefined;
    // The problem is told already; without a chart the schema would tell it again in other words.
    helm.chart = { digest: `sha256:${'0'.repeat(64)}`, name: 'unknown', version: '0.0.0' };
    if (isBoth) report(work, at, 'give either "path" (a chart of yours) or "chart" (one that was uploaded before), not both');
    else if (isPath(work, at, name, './charts/web')) {
      const packed = await packChart(resolve(work.folder, name));
      if (packed.ok) {
        work.charts.push(packed.value);
        helm.chart = { digest: packed.value.digest, name: packed.value.name, version: packed.value.version };
      } else report(work, at, `${packed.failure.element}: ${packed.failure.message}`);
    }
  }
  if (!Object.hasOwn(helm, 'valuesFile')) return;
  const at = [...path, 'valuesFile'];
  const name = helm.valuesFile;
  delete helm.valuesFile;
  if (helm.values !== undefined) report(work, at, 'give either "valuesFile" or "values", not both');
  else if (isPath(work, at, name, './values.yaml')) {
    const text = await readContent(work, at, name);
    if (text !== undefined) helm.values = text;
  }
};

const resolveZarfLayer = async (work: Work, path: Path, zarf: Plain): Promise<void> => {
  const { blobs, problems } = await resolveZarf(zarf, path, work.source, work.folder);
  work.charts.push(...blobs);
  work.problems.push(...problems);
};

/** Manifest files of a folder and of those below it, in the order of their names. */
const manifestFiles = async (folder: string, below = ''): Promise<string[]> => {
  const found: string[] = [];
  for (const entry of (await readdir(join(folder, below), { withFileTypes: true })).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory() && name.split('/').length < 16) found.push(...(await manifestFiles(folder, name)));
    else if (/\.(ya?ml|json)$/i.test(entry.name)) found.push(name);
    if (found.length > manifestFilesMax) break;
  }
  return found;
};

const resolveManifest = async (work: Work, path: Path, manifest: Plain): Promise<Plain[]> => {
  const at = [...path, 'path'];
  const { path: name, ...rest } = manifest;
  if (rest.content !== undefined) {
    report(work, at, 'give either "path" or "content", not both');
    return [];
  }
  if (!isPath(work, at, name, './manifests or ./manifests/web.yaml')) return [];
  const full = resolve(work.folder, name);
  const info = await stat(full).catch(() => undefined);
  if (info?.isDirectory() !== true) {
    const content = await readContent(work, at, name);
    return content === undefined ? [] : [{ name: basename(full), ...rest, content }];
  }
  const files = await manifestFiles(full);
  if (files.length === 0) report(work, at, `${name}: the folder holds no .yaml, .yml or .json file`);
  if (files.length > manifestFilesMax) report(work, at, `${name}: the folder holds more than ${manifestFilesMax} manifest files`);
  if (rest.name !== undefined) report(work, [...path, 'name'], 'the manifests of a folder are named after their files; leave "name" out');
  const manifests: Plain[] = [];
  for (const file of files.slice(0, manifestFilesMax)) {
    const content = await readContent(work, at, join(name, file));
    if (content !== undefined) manifests.push({ name: file, content });
  }
  return manifests;
};

const resolveManifests = async (work: Work, layer: number, manifests: readonly unknown[]): Promise<unknown[]> => {
  const result: unknown[] = [];
  const origins: number[] = [];
  for (const [index, manifest] of manifests.entries()) {
    const made =
      isPlain(manifest) && Object.hasOwn(manifest, 'path') ? await resolveManifest(work, ['spec', 'layers', layer, 'manifests', index], manifest) : [manifest];
    result.push(...made);
    origins.push(...made.map(() => index));
  }
  work.manifestOrigins.set(layer, origins);
  return result;
};

const resolveOs = async (work: Work, path: Path, os: Plain): Promise<void> => {
  for (const [index, file] of listOf(os.files).entries()) {
    if (!isPlain(file) || !Object.hasOwn(file, 'source')) continue;
    const at = [...path, 'files', index, 'source'];
    const name = file.source;
    delete file.source;
    if (file.content !== undefined) report(work, at, 'give either "source" or "content", not both');
    else if (isPath(work, at, name, './files/motd')) {
      const content = await readContent(work, at, name);
      if (content !== undefined) file.content = content;
    }
    // The problem is told already; without a text the schema would tell it again in other words.
    file.content ??= '';
  }
};

/**
 * Replaces what a file says by path (charts, packs, values, manifests, files of the OS layer) by what is there, in place. Paths count from the folder of the file;
 * they may lead out of it, since these are files of whoever runs gp.
 */
export const resolveSources = async (value: unknown, source: Source, folder: string): Promise<ResolvedSources> => {
  const work: Work = { source, folder, problems: [], charts: [], manifestOrigins: new Map() };
  const spec = isPlain(value) && isPlain(value.spec) ? value.spec : {};
  const imports: RegistryRequest[] = [];
  for (const [index, layer] of listOf(spec.layers).entries()) {
    if (!isPlain(layer)) continue;
    const path: Path = ['spec', 'layers', index];
    const remote = resolveRegistrySource(layer, index, source);
    work.problems.push(...remote.problems);
    if (remote.request !== undefined) imports.push(remote.request);
    if (isPlain(layer.pack)) {
      const { problems, charts } = await resolvePack(source, folder, [...path, 'pack'], layer.pack, layer.kind === 'os' || layer.kind === 'kubernetes');
      work.problems.push(...problems);
      work.charts.push(...charts);
    }
    if (isPlain(layer.helm)) await resolveHelm(work, [...path, 'helm'], layer.helm);
    if (Array.isArray(layer.manifests)) layer.manifests = await resolveManifests(work, index, layer.manifests as unknown[]);
    if (isPlain(layer.zarf)) await resolveZarfLayer(work, [...path, 'zarf'], layer.zarf);
    if (isPlain(layer.os)) await resolveOs(work, [...path, 'os'], layer.os);
  }
  const origin = (path: Path): Path => {
    const [, , layer, key, index, ...rest] = path;
    const from = typeof layer === 'number' && key === 'manifests' && typeof index === 'number' ? work.manifestOrigins.get(layer)?.[index] : undefined;
    return from === undefined ? path : [...path.slice(0, 4), from, ...rest];
  };
  return { problems: work.problems, charts: work.charts, imports, origin };
};
