import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import type { ChosenChart, PackChartFacts } from '@groundplane/protocol/pack/layout';
import { chartsOfFolders } from '@groundplane/protocol/pack/lint';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { isPlainMap, own, readSource } from '@groundplane/protocol/pack/source';
import { readArchive } from '../archive/read.ts';
import { packTgz } from '../archive/write.ts';
import { chartFactsLimits } from './limits.ts';
import { lintFiles, type PackFile, type PackFiles } from './read.ts';

const plainOf = (data: Buffer | undefined): unknown => (data === undefined ? undefined : readSource(data.toString('utf8'), 'chart').source?.plain);

const factsOfArchive = async (file: PackFile): Promise<Result<PackChartFacts>> => {
  const read = await readArchive(file.data, chartFactsLimits, file.name, (name) => /^[^/]+\/(Chart|values)\.yaml$/.test(name));
  if (!read.ok) return read;
  const chart = plainOf(read.value.find((item) => item.name.endsWith('/Chart.yaml'))?.data);
  const [name, version] = [own(chart, 'name'), own(chart, 'version')];
  if (typeof name !== 'string' || name === '') return fail('fatal', 'chart-invalid', file.name, 'holds no Chart.yaml with a name, so it is not a chart');
  const values = plainOf(read.value.find((item) => item.name.endsWith('/values.yaml'))?.data);
  const shown = typeof version === 'string' || typeof version === 'number' ? String(version) : '';
  return ok({ file: file.name, name, version: shown, valueKeys: isPlainMap(values) ? Object.keys(values) : [] });
};

/** What the charts of a pack say of themselves. Archives that cannot be read are findings of severity error. */
export const readCharts = async (pack: PackFiles, listed: readonly string[]): Promise<{ charts: PackChartFacts[]; findings: Finding[] }> => {
  const charts = chartsOfFolders(lintFiles(pack));
  const findings: Finding[] = [];
  const wanted = pack.files.filter((file) => listed.includes(file.name) || /^charts\/[^/]+\.(tgz|tar\.gz)$/.test(file.name));
  for (const file of wanted.slice(0, packLimits.charts)) {
    const facts = await factsOfArchive(file);
    if (facts.ok) charts.push(facts.value);
    // One that is not installed may be as broken as it likes, but people should know.
    else
      findings.push({
        severity: listed.length === 0 || listed.includes(file.name) ? 'error' : 'warning',
        code: 'chart-unreadable',
        file: file.name,
        message: facts.failure.message,
      });
  }
  if (wanted.length > packLimits.charts)
    findings.push({ severity: 'error', code: 'pack-too-large', file: 'pack.json', message: `has more than ${packLimits.charts} charts` });
  return { charts, findings };
};

/** The archive of a chart: as it lies there, or packed from its folder. */
export const archiveOf = (pack: PackFiles, chart: ChosenChart): Uint8Array | undefined => {
  if (!chart.isFolder) return pack.files.find((file) => file.name === chart.file)?.data;
  const inside = pack.files.filter((file) => file.name.startsWith(`${chart.file}/`));
  const top = chart.facts?.name ?? chart.file.slice('charts/'.length);
  return packTgz(
    inside
      .map((file) => ({ name: `${top}/${file.name.slice(chart.file.length + 1)}`, data: file.data }))
      .toSorted((a, b) => Number(b.name === `${top}/Chart.yaml`) - Number(a.name === `${top}/Chart.yaml`) || (a.name < b.name ? -1 : 1)),
  );
};
