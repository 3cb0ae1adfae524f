import type { Finding } from '@groundplane/protocol/finding';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { checkValues, parseSchema } from '@groundplane/protocol/pack/schema';
import { readSource } from '@groundplane/protocol/pack/source';
import { setValue } from '@groundplane/protocol/pack/values';
import { textOf, type PackFiles } from '../../../src/pack/read.ts';
import type { Context } from '../../io.ts';
import { jsonText } from '../../output/print.ts';
import { exits, type Outcome } from '../../trouble.ts';
import { failureTrouble, findingLines, openPack, openValues, writeYaml } from './source.ts';

/** `3`, `true` and `[a, b]` are what YAML says they are; what YAML cannot read is a text. */
const parsed = (written: string): unknown => {
  const { source, findings } = readSource(written, '--set');
  if (source === undefined || findings.some((finding) => finding.severity === 'error')) return written;
  return source.plain === null && !/^\s*(~|null)?\s*$/i.test(written) ? written : source.plain;
};

/** The equals sign that ends the path: one inside of `["…"]` belongs to the key. */
const splitSet = (written: string): Result<{ path: string; value: unknown }> => {
  const [, path, value] = /^((?:\["(?:[^"\\]|\\.)*"\]|[^=])+)=([\s\S]*)$/.exec(written) ?? [];
  return path === undefined || value === undefined
    ? fail('fatal', 'set-invalid', `--set ${written.slice(0, 100)}`, 'write it like --set charts.web.replicas=3')
    : ok({ path: path.trim(), value: parsed(value) });
};

const withEdits = (text: string, sets: readonly string[]): Result<string> => {
  let edited = text;
  for (const written of sets) {
    const set = splitSet(written);
    const step = set.ok ? setValue(edited, set.value.path, set.value.value) : set;
    if (!step.ok) return step;
    edited = step.value;
  }
  return ok(edited);
};

const check = (pack: PackFiles, text: string): { plain: unknown; findings: Finding[] } => {
  const { source, findings } = readSource(text, 'values.yaml');
  const schema = parseSchema(textOf(pack, 'schema.yaml') ?? '');
  const defaults = readSource(textOf(pack, 'values.yaml') ?? '', 'values.yaml').source;
  return { plain: source?.plain, findings: [...findings, ...schema.findings, ...(source === undefined ? [] : checkValues(source, schema.rules, defaults))] };
};

/** `gp pack values DIR`: the values with edits, checked against the pack's schema. Findings go to stderr; 1 when one is an error. */
export const packValues = async (context: Context, name: string, options: { file?: string; set: readonly string[] }): Promise<Outcome> => {
  const pack = await openPack(context, name);
  if (!pack.ok) return pack.trouble;
  const values = await openValues(context, pack.value, options.file);
  if (!values.ok) return values.trouble;
  const edited = withEdits(values.value, options.set);
  if (!edited.ok) return failureTrouble(edited.failure);
  const { plain, findings } = check(pack.value, edited.value);
  if (findings.length > 0) await context.io.stderr.write(findingLines(context, findings, true));
  if (context.globals.output === 'json') await context.io.stdout.write(jsonText(plain ?? null));
  else await writeYaml(context, edited.value);
  return findings.some((finding) => finding.severity === 'error') ? exits.error : exits.ok;
};
