import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { parse } from 'yaml';
import { readArchive } from '../../src/archive/read.ts';
import { packTgz, type TarFile } from '../../src/archive/write.ts';
import { parseHelmIgnore, type Ignore } from './helmignore.ts';

/** A chart or pack archive, ready to be uploaded. */
export interface PackedChart {
  /** What people call it in messages; a chart when nothing is said. */
  kind?: 'chart' | 'pack';
  digest: Digest;
  name: string;
  version: string;
  bytes: Uint8Array;
  /** Where it lies when it may be larger than memory; `bytes` is not asked for then. */
  file?: { path: string; size: number };
}

const filesMax = 5_000;
const chartArchiveLimits = { bytesMax: limits.contentBlobBytes, entriesMax: 20_000, fileBytesMax: limits.objectBytes };
const depthMax = 32;
const yamlLike = 'like:\n  apiVersion: v2\n  name: web\n  version: 1.0.0';

interface ChartFacts {
  name: string;
  version: string;
  dependencies: string[];
}

const chartFacts = (text: string, element: string): Result<ChartFacts> => {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: limits.yamlAliases });
  } catch (error) {
    return fail('fatal', 'chart-invalid', element, `is not YAML: ${(error as Error).message.split('\n')[0] ?? ''}`);
  }
  const facts = (typeof value === 'object' && value !== null ? value : {}) as { name?: unknown; version?: unknown; dependencies?: unknown };
  if (typeof facts.name !== 'string' || facts.name === '' || typeof facts.version !== 'string' || facts.version === '')
    return fail('fatal', 'chart-invalid', element, `needs a name and a version, both text; ${yamlLike}`);
  // The name becomes the folder inside the archive, so it must be one path segment.
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,249}$/.test(facts.name))
    return fail('fatal', 'chart-invalid', element, `the chart name ${facts.name} may have letters, digits, dots, dashes and underscores only`);
  const listed = Array.isArray(facts.dependencies) ? (facts.dependencies as unknown[]) : [];
  const dependencies = listed.flatMap((item) =>
    typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string' ? [item.name] : [],
  );
  return ok({ name: facts.name, version: facts.version, dependencies });
};

interface Walk {
  root: string;
  ignore: Ignore;
  files: TarFile[];
  bytes: number;
}

/** Adds what is below a folder. Links are followed inside of the chart only, so that packing cannot pick up a key from somewhere else. */
const walk = async (state: Walk, folder: string, depth: number): Promise<Result<void>> => {
  if (depth > depthMax) return fail('fatal', 'chart-too-deep', folder, `folders are nested more than ${depthMax} deep; is there a link to a folder above?`);
  const entries = await readdir(folder);
  for (const name of entries.toSorted()) {
    const path = join(folder, name);
    const inside = relative(state.root, path).split(sep).join('/');
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined) return fail('fatal', 'chart-link-broken', path, 'is a link to something that is not there; remove it or list it in .helmignore');
    const info = await stat(real);
    if (state.ignore(inside, info.isDirectory())) continue;
    if (real !== state.root && !real.startsWith(state.root + sep))
      return fail('fatal', 'chart-link-outside', path, 'is a link to a place outside of the chart; copy the file into the chart or list it in .helmignore');
    if (info.isDirectory()) {
      const below = await walk(state, path, depth + 1);
      if (!below.ok) return below;
      continue;
    }
    if (!info.isFile()) return fail('fatal', 'chart-file-odd', path, 'is neither a file nor a folder; list it in .helmignore');
    state.bytes += info.size;
    if (state.bytes > limits.contentBlobBytes / 2)
      return fail(
        'fatal',
        'chart-too-large',
        state.root,
        `holds more than ${limits.contentBlobBytes / 2 / 1024 / 1024} MiB; list what does not belong to it in .helmignore`,
      );
    if (state.files.length >= filesMax)
      return fail('fatal', 'chart-too-large', state.root, `holds more than ${filesMax} files; list what does not belong to it in .helmignore`);
    state.files.push({ name: inside, data: await readFile(real) });
  }
  return ok(undefined);
};

/** Names of the subcharts that are there, as folders or archives. */
const presentSubcharts = (files: readonly TarFile[]): Set<string> => {
  const found = new Set<string>();
  for (const file of files) {
    const archive = /^charts\/([^/]+?)-v?\d[^/]*\.tgz$/.exec(file.name)?.[1];
    if (archive !== undefined) found.add(archive);
    if (/^charts\/[^/]+\/Chart\.yaml$/.test(file.name)) {
      const facts = chartFacts(Buffer.from(file.data).toString('utf8'), file.name);
      if (facts.ok) found.add(facts.value.name);
    }
  }
  return found;
};

/** `Chart.yaml` first as `helm package` does it, then by name: the order of a folder's listing differs between machines. */
const byPosition = (a: TarFile, b: TarFile): number =>
  Number(b.name === 'Chart.yaml') - Number(a.name === 'Chart.yaml') || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

const packFolder = async (folder: string): Promise<Result<PackedChart>> => {
  const root = await realpath(folder);
  const rules = await readFile(join(root, '.helmignore'), 'utf8').catch(() => '');
  const ignore = parseHelmIgnore(rules, join(folder, '.helmignore'));
  if (!ignore.ok) return ignore;
  const state: Walk = { root, ignore: ignore.value, files: [], bytes: 0 };
  const walked = await walk(state, root, 0);
  if (!walked.ok) return walked;
  const chartFile = state.files.find((file) => file.name === 'Chart.yaml');
  if (chartFile === undefined) return fail('fatal', 'chart-invalid', folder, 'has no Chart.yaml, so it is not the folder of a chart');
  const facts = chartFacts(Buffer.from(chartFile.data).toString('utf8'), join(folder, 'Chart.yaml'));
  if (!facts.ok) return facts;
  const present = presentSubcharts(state.files);
  const missing = facts.value.dependencies.filter((name) => !present.has(name));
  if (missing.length > 0)
    return fail(
      'fatal',
      'chart-incomplete',
      join(folder, 'Chart.yaml'),
      `names dependencies that are not in charts/: ${missing.join(', ')}. Fetch them first: helm dependency update ${folder}`,
    );
  const { name, version } = facts.value;
  const bytes = packTgz(state.files.toSorted(byPosition).map((file) => ({ name: `${name}/${file.name}`, data: file.data })));
  return ok({ digest: digestBytes(bytes), name, version, bytes });
};

const takeArchive = async (path: string): Promise<Result<PackedChart>> => {
  const info = await stat(path);
  if (info.size > limits.contentBlobBytes) return fail('fatal', 'chart-too-large', path, `has more than ${limits.contentBlobBytes / 1024 / 1024} MiB`);
  const bytes = await readFile(path);
  const found = await readArchive(bytes, chartArchiveLimits, path, (name) => /^[^/]+\/Chart\.yaml$/.test(name));
  if (!found.ok)
    return fail(
      'fatal',
      'archive-invalid',
      path,
      `${found.failure.message}. A chart is a gzipped tar archive; make one with helm package, or name the folder of the chart`,
    );
  const [chartFile] = found.value;
  if (chartFile === undefined) return fail('fatal', 'chart-invalid', path, 'holds no <name>/Chart.yaml, so it is not a chart; make one with helm package');
  const facts = chartFacts(chartFile.data.toString('utf8'), `${path}, Chart.yaml`);
  return facts.ok ? ok({ digest: digestBytes(bytes), name: facts.value.name, version: facts.value.version, bytes }) : facts;
};

/** A chart by path: a folder is packed so that equal folders give equal bytes everywhere; a `.tgz` is taken as it is. */
export const packChart = async (path: string): Promise<Result<PackedChart>> => {
  try {
    const info = await stat(path);
    if (info.isDirectory()) return await packFolder(path);
    if (info.isFile()) return await takeArchive(path);
    return fail('fatal', 'chart-invalid', path, 'is neither a folder nor a .tgz file');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return fail('fatal', 'chart-missing', path, code === 'ENOENT' ? 'there is no such chart folder or .tgz file' : `cannot be read: ${message}`);
  }
};
