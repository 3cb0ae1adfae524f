import {
  applyPresets,
  choiceText,
  detectPresets,
  enabledPresets,
  parseChoice,
  parsePresets,
  type Preset,
  type PresetChoice,
} from '@groundplane/protocol/pack/presets';
import { textOf, type PackFiles } from '../../../src/pack/read.ts';
import { notice, type Context } from '../../io.ts';
import { formatOf, jsonText, printList, yamlText } from '../../output/print.ts';
import { printable } from '../../output/printable.ts';
import { exits, usage, type Outcome } from '../../trouble.ts';
import { failureTrouble, findingLines, openPack, openValues, writeYaml } from './source.ts';

interface PresetOptions {
  apply: readonly string[];
  detect: boolean;
  file?: string;
}

const presetsOf = async (context: Context, pack: PackFiles): Promise<Preset[]> => {
  const { presets, findings } = parsePresets(textOf(pack, 'presets.yaml') ?? '');
  if (findings.length > 0) await context.io.stderr.write(findingLines(context, findings, true));
  return presets;
};

const applyAll = async (context: Context, pack: PackFiles, presets: readonly Preset[], options: PresetOptions): Promise<Outcome> => {
  const values = await openValues(context, pack, options.file);
  if (!values.ok) return values.trouble;
  const choices: PresetChoice[] = [];
  for (const written of options.apply) {
    const choice = parseChoice(written, presets);
    if (!choice.ok) return failureTrouble(choice.failure, `gp pack presets ${pack.from}   (lists them)`);
    choices.push(choice.value);
  }
  const applied = applyPresets(values.value, presets, choices, textOf(pack, 'values.yaml') ?? '');
  if (!applied.ok) return failureTrouble(applied.failure);
  if (applied.value.kept.length > 0) await notice(context, `left as they were, since somebody changed them: ${printable(applied.value.kept.join(', '))}`);
  const result = { values: applied.value.values, enabled: (enabledPresets(applied.value.values) ?? []).map(choiceText), kept: applied.value.kept };
  // The edited text is what is asked for; JSON only when somebody says so.
  if (context.globals.output === 'json') await context.io.stdout.write(jsonText(result));
  else await writeYaml(context, result.values);
  return exits.ok;
};

const detectAll = async (context: Context, pack: PackFiles, presets: readonly Preset[], options: PresetOptions): Promise<Outcome> => {
  const values = await openValues(context, pack, options.file);
  if (!values.ok) return values.trouble;
  const detected = detectPresets(values.value, presets);
  if (!detected.ok) return failureTrouble(detected.failure);
  await printList(context, detected.value, {
    name: (item) => choiceText(item),
    columns: [
      { title: 'GROUP', value: (item) => item.group },
      { title: 'PRESET', value: (item) => item.name },
      { title: 'KNOWN BY', value: (item) => item.by },
      { title: 'VALUES', value: (item) => (!item.isKnown ? 'no such preset' : item.isUnchanged ? 'as it sets them' : 'changed since') },
    ],
    empty: 'no preset is enabled',
  });
  return exits.ok;
};

const listAll = async (context: Context, pack: PackFiles, presets: readonly Preset[], options: PresetOptions): Promise<Outcome> => {
  const values = await openValues(context, pack, options.file);
  if (!values.ok) return values.trouble;
  const detected = detectPresets(values.value, presets);
  const enabled = new Set(detected.ok ? detected.value.map(choiceText) : []);
  const items = presets.map(({ group, name, displayName, description, remove, added }) => ({
    group,
    name,
    displayName,
    ...(description === undefined ? {} : { description }),
    enabled: enabled.has(choiceText({ group, name })),
    remove,
    add: added,
  }));
  const format = formatOf(context);
  if (format === 'json') await context.io.stdout.write(jsonText(items));
  else if (format === 'yaml') await context.io.stdout.write(await yamlText(items));
  else
    await printList(context, items, {
      name: choiceText,
      columns: [
        { title: 'GROUP', value: (item) => item.group },
        { title: 'PRESET', value: (item) => item.name },
        { title: 'ENABLED', value: (item) => (item.enabled ? 'yes' : '-') },
        { title: 'MEANS', value: (item) => item.displayName, max: 80 },
      ],
      empty: 'the pack has no presets',
    });
  return exits.ok;
};

/** `gp pack presets DIR`: lists, applies (and prints the edited values), or recognises presets. */
export const packPresets = async (context: Context, name: string, options: PresetOptions): Promise<Outcome> => {
  if (options.apply.length > 0 && options.detect) return usage('pack presets', '--apply and --detect do not go together', 'run one after the other');
  const pack = await openPack(context, name);
  if (!pack.ok) return pack.trouble;
  const presets = await presetsOf(context, pack.value);
  if (options.apply.length > 0) return applyAll(context, pack.value, presets, options);
  return options.detect ? detectAll(context, pack.value, presets, options) : listAll(context, pack.value, presets, options);
};
