import { digestSchema } from '../digest.ts';
import type { Finding } from '../finding.ts';
import { packLimits } from './limits.ts';
import { isPlainMap, own, placeOf, readSource, type PackSource } from './source.ts';

/**
 * A chart that a pack installs without carrying it. `upstream.yaml` beside pack.json is ours; other readers of packs ignore it, and find a pack that is whole once
 * `gp pack fetch` has put the archives where pack.json lists them.
 */
export interface UpstreamChart {
  /** Name in Chart.yaml, and in the repository. */
  name: string;
  /** One version, never a range: what is fetched twice must be the same. */
  version: string;
  /** `https://…` of a Helm repository, or `oci://…` of the folder that the chart lies in. */
  repository: string;
  /** Of the archive. Absent: whatever comes is taken, with a warning that says the digest to add. */
  digest?: string;
  /** Where the archive belongs in the pack, as pack.json lists it. */
  file: string;
}

export const upstreamFile = 'upstream.yaml';

/** One name, so that nothing is written outside of charts/. */
const filePattern = /^charts\/[A-Za-z0-9][\w.+-]{0,240}\.(tgz|tar\.gz)$/;
const namePattern = /^[A-Za-z0-9]([\w.-]{0,248}[A-Za-z0-9])?$/;
/** Semantic versions, with the `v` and the two numbers that public charts have. */
const versionPattern = /^v?\d+(\.\d+){0,2}([-+][0-9A-Za-z.+-]{1,100})?$/;
const known = new Set(['name', 'version', 'repository', 'digest', 'file']);

interface Reading {
  source: PackSource;
  findings: Finding[];
}

type Path = readonly (string | number)[];
const report = (reading: Reading, severity: Finding['severity'], code: string, path: Path, message: string): void =>
  void reading.findings.push({ severity, code, file: upstreamFile, ...placeOf(reading.source, path), message });

/** What is wrong with a repository's address; nothing when a chart can come from there. */
const repositoryProblem = (text: string): string | undefined => {
  const url = text.length > 2_048 ? null : URL.parse(text);
  if (url === null || !['https:', 'http:', 'oci:'].includes(url.protocol) || url.host === '')
    return `must be an address like https://charts.example/stable or oci://registry.example/charts`;
  if (url.username !== '' || url.password !== '') return 'holds a password; give it to gp pack fetch instead (--username)';
  return url.search !== '' || url.hash !== '' ? 'must not have ? or # in it' : undefined;
};

const wordAt = (reading: Reading, item: unknown, path: Path, key: string, pattern: RegExp, what: string): string | undefined => {
  const value = own(item, key);
  if (typeof value === 'string' && pattern.test(value)) return value;
  const at = [...path, key];
  // A number has lost its zeros already: 1.10 is 1.1.
  if (typeof value === 'number') report(reading, 'error', 'upstream-invalid', at, `${key} is a number; write it in quotes`);
  else report(reading, 'error', 'upstream-invalid', at, value === undefined || value === null ? `needs ${key}, ${what}` : `${key} must be ${what}`);
  return undefined;
};

const digestAt = (reading: Reading, item: unknown, path: Path, name: string): string | false | undefined => {
  const value = own(item, 'digest');
  if (value === undefined || value === null || value === '') {
    report(
      reading,
      'warning',
      'upstream-unpinned',
      path,
      `the chart ${name} has no digest, so whoever holds the repository decides what it is; gp pack fetch --pin adds it`,
    );
    return undefined;
  }
  if (typeof value === 'string' && digestSchema.safeParse(value).success) return value;
  report(reading, 'error', 'upstream-invalid', [...path, 'digest'], 'digest must be sha256: and 64 lower-case hex digits');
  return false;
};

const chartAt = (reading: Reading, item: unknown, index: number): UpstreamChart | undefined => {
  const path = ['charts', index];
  if (!isPlainMap(item)) {
    report(reading, 'error', 'upstream-invalid', path, 'must be a map of name, version and repository');
    return undefined;
  }
  for (const key of Object.keys(item))
    if (!known.has(key)) report(reading, 'warning', 'upstream-field', [...path, key], `${key.slice(0, 100)} is not known here; it does nothing`);
  const name = wordAt(reading, item, path, 'name', namePattern, 'the name of a chart');
  const version = wordAt(reading, item, path, 'version', versionPattern, 'one version like "1.2.3", no range');
  const repository = wordAt(reading, item, path, 'repository', /^[^\s\0]+$/, 'an address like https://charts.example/stable');
  const problem = repository === undefined ? undefined : repositoryProblem(repository);
  if (problem !== undefined) report(reading, 'error', 'upstream-invalid', [...path, 'repository'], `repository ${problem}`);
  else if (repository?.startsWith('http:') === true)
    report(reading, 'warning', 'upstream-insecure', [...path, 'repository'], 'is not encrypted; gp pack fetch wants --insecure for it');
  if (name === undefined || version === undefined || repository === undefined || problem !== undefined) return undefined;
  const digest = digestAt(reading, item, path, name);
  const file = own(item, 'file') ?? `charts/${name}-${version}.tgz`;
  if (typeof file !== 'string' || !filePattern.test(file)) {
    report(reading, 'error', 'upstream-invalid', [...path, 'file'], 'file must be an archive in charts/, like charts/web-1.2.3.tgz');
    return undefined;
  }
  return digest === false ? undefined : { name, version, repository, file, ...(digest === undefined ? {} : { digest }) };
};

/** Reads upstream.yaml. Never throws. Only entries without errors are in the list. */
export const parseUpstream = (text: string): { charts: UpstreamChart[]; findings: Finding[] } => {
  const { source, findings } = readSource(text, upstreamFile);
  if (source === undefined) return { charts: [], findings };
  const reading: Reading = { source, findings: [...findings] };
  const listed = own(source.plain, 'charts');
  if (!Array.isArray(listed)) {
    report(reading, 'error', 'upstream-invalid', [], 'must be a map with charts:, a list of name, version and repository');
    return { charts: [], findings: reading.findings };
  }
  if (listed.length > packLimits.charts) report(reading, 'error', 'pack-too-large', ['charts'], `lists more than ${packLimits.charts} charts`);
  const charts: UpstreamChart[] = [];
  for (const [index, item] of listed.slice(0, packLimits.charts).entries()) {
    const chart = chartAt(reading, item, index);
    if (chart === undefined) continue;
    if (charts.some((other) => other.file === chart.file)) report(reading, 'error', 'upstream-invalid', ['charts', index], `${chart.file} is there twice`);
    else charts.push(chart);
  }
  return { charts, findings: reading.findings };
};

/** Charts that nobody installs because pack.json does not list their files. */
export const unlistedUpstream = (charts: readonly UpstreamChart[], listed: readonly string[]): Finding[] =>
  charts
    .filter((chart) => !listed.includes(chart.file))
    .map((chart) => ({
      severity: 'warning',
      code: 'upstream-unlisted',
      file: upstreamFile,
      message: `${chart.file} is not among the charts of pack.json; it is fetched and not installed`,
    }));
