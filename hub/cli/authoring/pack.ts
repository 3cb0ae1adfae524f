import { resolve } from 'node:path';
import { findingText, type Finding } from '@groundplane/protocol/finding';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { applyPresets, parseChoice, parsePresets, type PresetChoice } from '@groundplane/protocol/pack/presets';
import { checkValues, misplacedRules, parseSchema } from '@groundplane/protocol/pack/schema';
import { readSource } from '@groundplane/protocol/pack/source';
import { lintPackFiles } from '../../src/pack/lint.ts';
import { readPack, textOf, type PackFiles } from '../../src/pack/read.ts';
import { packFiles } from '../../src/pack/write.ts';
import type { PackedChart } from './chart.ts';
import { problemAt, type Path, type Problem, type Source } from './place.ts';
import { readText } from './read.ts';

type Plain = Record<string, unknown>;

interface Work {
  source: Source;
  folder: string;
  at: Path;
  /** An OS or Kubernetes layer takes name, version and values of a pack; the pack installs nothing there. */
  isMachine: boolean;
  problems: Problem[];
  charts: PackedChart[];
}

const report = (work: Work, key: string, message: string): void => void work.problems.push(problemAt(work.source, [...work.at, key], message));

const shown = 5;
const reportFindings = (work: Work, key: string, findings: readonly Finding[]): void => {
  for (const finding of findings.slice(0, shown)) report(work, key, findingText(finding));
  if (findings.length > shown) report(work, key, `${findings.length - shown} more errors; see all of them: gp pack lint`);
};

/** Values as the layer gives them: written there, in a file, or the pack's own. */
const valuesOf = async (work: Work, pack: Plain): Promise<string | undefined> => {
  if (!Object.hasOwn(pack, 'valuesFile')) return typeof pack.values === 'string' ? pack.values : undefined;
  const name = pack.valuesFile;
  delete pack.valuesFile;
  if (pack.values !== undefined) report(work, 'valuesFile', 'give either "valuesFile" or "values", not both');
  else if (typeof name !== 'string' || name === '' || name.includes('\0')) report(work, 'valuesFile', 'must be a path, like ./values.yaml');
  else {
    const text = await readText(resolve(work.folder, name), packLimits.textBytes);
    if (text.ok) return text.value;
    report(work, 'valuesFile', `${name}: ${text.trouble.why}. Paths count from the folder of this file`);
  }
  return undefined;
};

const withPresets = (work: Work, pack: Plain, files: PackFiles, values: string | undefined): string | undefined => {
  if (!Object.hasOwn(pack, 'presets')) return values;
  const wanted = pack.presets;
  delete pack.presets;
  if (!Array.isArray(wanted) || wanted.some((item) => typeof item !== 'string')) {
    report(work, 'presets', 'must be a list of texts like Group:name');
    return values;
  }
  const { presets } = parsePresets(textOf(files, 'presets.yaml') ?? '');
  const choices: PresetChoice[] = [];
  for (const written of wanted as string[]) {
    const choice = parseChoice(written, presets);
    if (choice.ok) choices.push(choice.value);
    else report(work, 'presets', `${choice.failure.element} ${choice.failure.message}`);
  }
  const own = textOf(files, 'values.yaml') ?? '';
  const applied = applyPresets(values ?? own, presets, choices, own);
  if (applied.ok) return applied.value.values;
  report(work, 'presets', `${applied.failure.element}: ${applied.failure.message}`);
  return values;
};

/** Values that break the pack's own rules would be refused later, without the line. References are checked when they are replaced. */
const checkEdited = (work: Work, files: PackFiles, values: string, key: string): void => {
  const { source, findings } = readSource(values, 'values.yaml');
  const own = readSource(textOf(files, 'values.yaml') ?? '', 'values.yaml').source;
  const { rules } = parseSchema(textOf(files, 'schema.yaml') ?? '');
  const misplaced = new Set(own === undefined ? [] : misplacedRules(own, rules).map((rule) => rule.path));
  const kept = rules.filter((rule) => !misplaced.has(rule.path));
  reportFindings(work, key, [...findings.filter((finding) => finding.severity === 'error'), ...(source === undefined ? [] : checkValues(source, kept, own))]);
};

const fill = (work: Work, pack: Plain, key: 'name' | 'version', value: string): void => {
  if (pack[key] !== undefined && pack[key] !== value) report(work, key, `says ${JSON.stringify(pack[key])}, and the pack in path is ${value}; leave it out`);
  pack[key] = value;
};

const takePack = async (work: Work, pack: Plain, name: string): Promise<void> => {
  const read = await readPack(resolve(work.folder, name));
  if (!read.ok) return report(work, 'path', `${read.failure.element}: ${read.failure.message}`);
  const errors = (await lintPackFiles(read.value)).filter((finding) => finding.severity === 'error');
  const built = packFiles(read.value);
  if (errors.length > 0) return reportFindings(work, 'path', errors);
  if (!built.ok) return report(work, 'path', `${built.failure.element}: ${built.failure.message}`);
  const key = Object.hasOwn(pack, 'valuesFile') ? 'valuesFile' : Object.hasOwn(pack, 'presets') ? 'presets' : 'values';
  const given = await valuesOf(work, pack);
  const values = withPresets(work, pack, read.value, given);
  if (values !== undefined) {
    pack.values = values;
    checkEdited(work, read.value, values, key);
  } else if (work.isMachine) pack.values = textOf(read.value, 'values.yaml') ?? '';
  fill(work, pack, 'name', built.value.name);
  fill(work, pack, 'version', built.value.version);
  if (work.isMachine) return;
  pack.digest = built.value.digest;
  work.charts.push({ kind: 'pack', ...built.value });
};

/**
 * Replaces `pack: {path, valuesFile, presets}` by the pack itself: name, version, digest, values. A pack without a path is a label, or one that was uploaded
 * before, and stays as it is. In an OS or Kubernetes layer (`isMachine`) name, version and values are taken, and nothing is uploaded.
 */
export const resolvePack = async (
  source: Source,
  folder: string,
  at: Path,
  pack: Plain,
  isMachine = false,
): Promise<{ problems: Problem[]; charts: PackedChart[] }> => {
  const work: Work = { source, folder, at, isMachine, problems: [], charts: [] };
  if (!Object.hasOwn(pack, 'path')) {
    for (const key of ['valuesFile', 'presets']) {
      if (!Object.hasOwn(pack, key)) continue;
      report(work, key, 'needs "path", the folder or archive of the pack');
      delete pack[key];
    }
    return { problems: work.problems, charts: work.charts };
  }
  const name = pack.path;
  const isBoth = pack.digest !== undefined;
  delete pack.path;
  if (isBoth) report(work, 'path', 'give either "path" (a pack of yours) or "digest" (one that was uploaded before), not both');
  else if (typeof name !== 'string' || name === '' || name.includes('\0')) report(work, 'path', 'must be a path, like ./packs/web');
  else await takePack(work, pack, name);
  // The problem is told already; without these the schema would tell it again in other words.
  delete pack.valuesFile;
  delete pack.presets;
  pack.name ??= 'unknown';
  pack.version ??= '0.0.0';
  if (!isMachine) pack.digest ??= `sha256:${'0'.repeat(64)}`;
  return { problems: work.problems, charts: work.charts };
};
