import type { Finding } from '@groundplane/protocol/finding';
import { lintPack } from '@groundplane/protocol/pack/lint';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { readCharts } from './charts.ts';
import { lintFiles, textOf, type PackFiles } from './read.ts';
import { wrongArchives } from './upstream.ts';

/** Everything that there is to say about a pack, with its charts opened. Errors first. */
export const lintPackFiles = async (pack: PackFiles): Promise<Finding[]> => {
  const { facts } = parsePackJson(textOf(pack, 'pack.json') ?? '');
  const { charts, findings } = await readCharts(pack, facts?.charts ?? []);
  const all = [...lintPack({ files: lintFiles(pack), charts }), ...findings, ...wrongArchives(pack)];
  return [...all.filter((finding) => finding.severity === 'error'), ...all.filter((finding) => finding.severity !== 'error')];
};
