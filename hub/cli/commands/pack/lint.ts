import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { lintPackFiles } from '../../../src/pack/lint.ts';
import { textOf } from '../../../src/pack/read.ts';
import { notice, type Context } from '../../io.ts';
import { formatOf, jsonText, yamlText } from '../../output/print.ts';
import { exits, type Outcome } from '../../trouble.ts';
import { findingLines, openPack } from './source.ts';

/** `gp pack lint DIR|FILE.tgz`: 1 when there are errors; warnings are what we put up with. */
export const packLint = async (context: Context, name: string): Promise<Outcome> => {
  const pack = await openPack(context, name);
  if (!pack.ok) return pack.trouble;
  const findings = await lintPackFiles(pack.value);
  const { facts } = parsePackJson(textOf(pack.value, 'pack.json') ?? '');
  const count = (severity: string): number => findings.filter((finding) => finding.severity === severity).length;
  const summary = { errors: count('error'), warnings: count('warning'), infos: count('info') };
  const result = { pack: facts === undefined ? null : { name: facts.name, version: facts.version, layer: facts.layer }, ...summary, findings };
  const format = formatOf(context);
  if (format === 'json') await context.io.stdout.write(jsonText(result));
  else if (format === 'yaml') await context.io.stdout.write(await yamlText(result));
  else {
    await context.io.stdout.write(findingLines(context, findings, false));
    await notice(context, `${summary.errors} errors, ${summary.warnings} warnings, ${summary.infos} remarks`);
  }
  return summary.errors > 0 ? exits.error : exits.ok;
};
