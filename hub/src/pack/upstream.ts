import { createHash } from 'node:crypto';
import type { Finding } from '@groundplane/protocol/finding';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { planLayout } from '@groundplane/protocol/pack/layout';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { parseUpstream, upstreamFile, type UpstreamChart } from '@groundplane/protocol/pack/upstream';
import { textOf, type PackFiles } from './read.ts';

/** The charts that a pack names at their upstream; none when it carries everything. */
export const upstreamOf = (pack: PackFiles): { charts: UpstreamChart[]; findings: Finding[] } => {
  const text = textOf(pack, upstreamFile);
  return text === undefined ? { charts: [], findings: [] } : parseUpstream(text);
};

/** Archives that lie in the pack and are not what upstream.yaml pins. */
export const wrongArchives = (pack: PackFiles): Finding[] =>
  upstreamOf(pack).charts.flatMap((chart): Finding[] => {
    const data = pack.files.find((file) => file.name === chart.file)?.data;
    const digest = data === undefined ? undefined : `sha256:${createHash('sha256').update(data).digest('hex')}`;
    if (digest === undefined || chart.digest === undefined || digest === chart.digest) return [];
    return [
      {
        severity: 'error',
        code: 'chart-digest-differs',
        file: chart.file,
        message: `has the digest ${digest}, and upstream.yaml pins ${chart.digest}. Remove the file and run gp pack fetch, or change the pin`,
      },
    ];
  });

/** A pack that leaves this machine is whole, and its charts are the pinned ones: whoever gets it cannot fetch them any more. */
export const requireFetched = (pack: PackFiles): Result<void> => {
  const upstream = upstreamOf(pack);
  const broken = upstream.findings.find((finding) => finding.severity === 'error') ?? wrongArchives(pack)[0];
  if (broken !== undefined) return fail('fatal', broken.code, `${pack.from}, ${broken.file}`, broken.message);
  const { facts } = parsePackJson(textOf(pack, 'pack.json') ?? '');
  if (facts === undefined || upstream.charts.length === 0) return ok(undefined);
  const names = pack.files.map((file) => file.name);
  const missing = planLayout(facts, names, [], null, upstream.charts).findings.filter((finding) => finding.code === 'chart-not-fetched');
  const [first] = missing;
  if (first === undefined) return ok(undefined);
  const more = missing.length > 1 ? ` (and ${missing.length - 1} more)` : '';
  return fail('blocked', 'chart-not-fetched', pack.from, `${first.message} ${pack.from}${more}`);
};
