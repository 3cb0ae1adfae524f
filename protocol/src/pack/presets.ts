import { fail, ok, type Result } from '../failure.ts';
import type { Finding } from '../finding.ts';
import { packLimits } from './limits.ts';
import { findPath, pathTextOf, valueAt } from './path.ts';
import { isSame, leavesOf } from './plain.ts';
import { isPlainMap, own, placeOf, readSource, type PackSource } from './source.ts';
import { deleteValue, mergeValues, setValue } from './values.ts';

/** One choice of a group, from presets.yaml. At most one of a group is enabled. */
export interface Preset {
  name: string;
  displayName: string;
  group: string;
  description?: string;
  /** Dotted paths that go first. */
  remove: string[];
  /** YAML that is merged in then. */
  add: string;
  /** `add` as plain data. */
  added: unknown;
  /** In presets.yaml, from 1. */
  line: number;
}

export interface PresetChoice {
  group: string;
  name: string;
}

export const choiceText = ({ group, name }: PresetChoice): string => `${group}:${name}`;

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.trim() : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;

interface Reading {
  source: PackSource;
  findings: Finding[];
  file: string;
}

const report = (reading: Reading, severity: Finding['severity'], code: string, path: readonly (string | number)[], message: string): void =>
  void reading.findings.push({ severity, code, file: reading.file, ...placeOf(reading.source, path), message });

const addedOf = (reading: Reading, value: unknown, path: readonly (string | number)[]): { add: string; added: unknown } | undefined => {
  if (value === undefined || value === null || value === '') return { add: '', added: null };
  // Some write the map itself instead of a text that holds it.
  const add = typeof value === 'string' ? value : JSON.stringify(value);
  if (typeof value !== 'string') report(reading, 'warning', 'preset-add-form', path, 'add should be a text (add: |); read as the map it is');
  const inner = readSource(add, reading.file);
  if (inner.source !== undefined && (inner.source.plain === null || isPlainMap(inner.source.plain))) return { add, added: inner.source.plain };
  report(reading, 'error', 'preset-add-malformed', path, `add is no YAML map: ${inner.findings[0]?.message ?? 'it holds something else'}`);
  return undefined;
};

const removeOf = (reading: Reading, value: unknown, path: readonly (string | number)[]): string[] => {
  if (value === undefined || value === null || value === '') return [];
  const items: unknown[] = Array.isArray(value) ? value : [value];
  return items.flatMap((item, index) => {
    const written = text(item);
    const found = written === undefined || written === '' ? undefined : findPath({}, written);
    if (written !== undefined && found?.ok === true) return [written];
    report(reading, 'error', 'preset-path-invalid', [...path, index], found?.ok === false ? found.failure.message : 'remove must list dotted paths');
    return [];
  });
};

const presetAt = (reading: Reading, item: unknown, index: number): Preset | undefined => {
  const path = ['presets', index];
  const name = text(own(item, 'name')) ?? '';
  const group = text(own(item, 'group')) ?? '';
  if (!isPlainMap(item) || name === '') {
    report(reading, 'error', 'preset-invalid', path, 'a preset needs a name, a group, and what it adds or removes');
    return undefined;
  }
  if (group === '') report(reading, 'warning', 'preset-group-missing', path, `preset ${name} has no group; it stands alone in one of its own name`);
  if (/[,\n]/.test(name + group))
    report(reading, 'error', 'preset-invalid', path, `preset ${name}: commas cannot be in names and groups, they separate the enabled ones`);
  const added = addedOf(reading, own(item, 'add'), [...path, 'add']);
  if (added === undefined) return undefined;
  const remove = removeOf(reading, own(item, 'remove'), [...path, 'remove']);
  if (remove.length === 0 && added.added === null) report(reading, 'warning', 'preset-empty', path, `preset ${name} changes nothing`);
  const description = text(own(item, 'description'));
  return {
    name,
    displayName: text(own(item, 'displayName')) ?? name,
    group: group === '' ? name : group,
    ...(description === undefined ? {} : { description }),
    remove,
    ...added,
    line: placeOf(reading.source, path).line,
  };
};

/** Reads presets.yaml. Presets that cannot be read are findings; the others work. Never throws. */
export const parsePresets = (given: string, file = 'presets.yaml'): { presets: Preset[]; findings: Finding[] } => {
  const { source, findings } = readSource(given, file);
  if (source === undefined) return { presets: [], findings };
  const reading: Reading = { source, findings: [...findings], file };
  if (source.plain === null) return { presets: [], findings: reading.findings };
  const list = own(source.plain, 'presets');
  if (!Array.isArray(list)) {
    report(reading, list === null ? 'info' : 'error', 'presets-malformed', [], 'must hold a list: presets: [{name, displayName, group, remove, add}]');
    return { presets: [], findings: reading.findings };
  }
  if (list.length > packLimits.presets) report(reading, 'error', 'presets-malformed', [], `has more than ${packLimits.presets} presets`);
  const presets: Preset[] = [];
  for (const [index, item] of (list as unknown[]).slice(0, packLimits.presets).entries()) {
    const preset = presetAt(reading, item, index);
    if (preset === undefined) continue;
    if (presets.some((other) => other.group === preset.group && other.name === preset.name))
      report(reading, 'error', 'preset-twice', ['presets', index], `the preset ${choiceText(preset)} is here twice; the first one counts`);
    else presets.push(preset);
  }
  return { presets, findings: reading.findings };
};

/** The comment that says which presets are enabled. It is data: it is read and written, and it stands above the first key. */
const marker = /^[ \t]*#[ \t]*spectrocloud\.com\/enabled-presets[ \t]*:(.*)$/;

interface CommentLine {
  /** Offsets of the line, without its line break. */
  from: number;
  to: number;
  list: string;
}

/** Looks at the lines before the first that is no comment, blank or `---`. */
const commentLine = (values: string): CommentLine | undefined => {
  for (const match of values.matchAll(/[^\r\n]*(?:\r?\n|$)/g)) {
    const line = match[0].replace(/\r?\n$/, '');
    const from = match.index + (line.startsWith('\uFEFF') ? 1 : 0);
    const found = marker.exec(values.slice(from, match.index + line.length))?.[1];
    if (found !== undefined) return { from, to: match.index + line.length, list: found };
    if (!/^\uFEFF?\s*(#.*|---\s*)?$/.test(line)) return undefined;
  }
  return undefined;
};

/** What the comment names, in its order. `undefined` when there is no such comment, which is not the same as an empty one. */
export const enabledPresets = (values: string): PresetChoice[] | undefined => {
  const line = commentLine(values);
  if (line === undefined) return undefined;
  return line.list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const colon = part.indexOf(':');
      return colon < 0 ? { group: part, name: part } : { group: part.slice(0, colon).trim(), name: part.slice(colon + 1).trim() };
    });
};

/** Values with the comment saying exactly these; without one when there are none. Nothing else of the text changes. */
export const withEnabledPresets = (values: string, choices: readonly PresetChoice[]): string => {
  const eol = values.includes('\r\n') ? '\r\n' : '\n';
  const line = commentLine(values);
  const written = `# spectrocloud.com/enabled-presets: ${choices.map(choiceText).join(',')}`;
  if (line === undefined) return choices.length === 0 ? values : `${written}${eol}${values}`;
  if (choices.length > 0) return values.slice(0, line.from) + written + values.slice(line.to);
  return values.slice(0, line.from) + values.slice(line.to).replace(/^\r?\n/, '');
};

/** Whether values are as this preset leaves them: nothing of what it removes, everything that it adds. */
const isAsLeft = (plain: unknown, preset: Preset): boolean =>
  leavesOf(preset.added).every(({ path, value }) => isSame(valueAt(plain, path) ?? null, value ?? null)) &&
  preset.remove.every((removed) => {
    const found = findPath(plain, removed);
    if (!found.ok || !found.value.isThere) return true;
    // What is removed may be added again; then only what was added may be there.
    const again = valueAt(preset.added, found.value.path);
    return again !== undefined && isSame(valueAt(plain, found.value.path), again);
  });

export interface DetectedPreset extends PresetChoice {
  /** `comment`: named there. `content`: the values are as it leaves them, and it is the only one of its group of which that is so. */
  by: 'comment' | 'content';
  /** The values still are as it leaves them. */
  isUnchanged: boolean;
  /** presets.yaml knows it. A comment copied from another pack names some that it does not. */
  isKnown: boolean;
}

const leafCount = (preset: Preset): number => leavesOf(preset.added).length + preset.remove.length;

/** Of each group the preset that fits the values; of several that fit, the one that says most. None when two say equally much. */
const detectByContent = (plain: unknown, presets: readonly Preset[]): Preset[] => {
  const groups = new Map<string, Preset[]>();
  for (const preset of presets) if (leafCount(preset) > 0 && isAsLeft(plain, preset)) groups.set(preset.group, [...(groups.get(preset.group) ?? []), preset]);
  return [...groups.values()].flatMap((fitting) => {
    const most = Math.max(...fitting.map(leafCount));
    const best = fitting.filter((preset) => leafCount(preset) === most);
    return best.length === 1 ? best : [];
  });
};

/** Which presets are enabled: what the comment says, and for groups that it does not name, what the values look like. */
export const detectPresets = (values: string, presets: readonly Preset[]): Result<DetectedPreset[]> => {
  const { source, findings } = readSource(values, 'values.yaml');
  if (source === undefined) return fail('fatal', 'values-malformed', 'values.yaml', findings[0]?.message ?? 'cannot be read');
  const named = (enabledPresets(values) ?? []).map((choice): DetectedPreset => {
    const preset = presets.find((item) => item.group === choice.group && item.name === choice.name);
    return { ...choice, by: 'comment', isUnchanged: preset !== undefined && isAsLeft(source.plain, preset), isKnown: preset !== undefined };
  });
  const groups = new Set(named.map((item) => item.group));
  const seen = detectByContent(source.plain, presets)
    .filter((preset) => !groups.has(preset.group))
    .map(({ group, name }): DetectedPreset => ({ group, name, by: 'content', isUnchanged: true, isKnown: true }));
  return ok([...named, ...seen]);
};

interface Undoing {
  values: string;
  preset: Preset;
  /** The pack's own values, as far as known: what undoing goes back to. */
  defaults: unknown;
  kept: string[];
}

const plainOf = (values: string): unknown => readSource(values, 'values.yaml').source?.plain;

/** Deletes a place and the maps above it that have nothing left and that the pack's own values do not have. */
const prune = (values: string, path: readonly (string | number)[], defaults: unknown): Result<string> => {
  let edited = deleteValue(values, path);
  for (let length = path.length - 1; length > 0 && edited.ok; length -= 1) {
    const above = valueAt(plainOf(edited.value), path.slice(0, length));
    if (!isPlainMap(above) || Object.keys(above).length > 0 || valueAt(defaults, path.slice(0, length)) !== undefined) break;
    edited = deleteValue(edited.value, path.slice(0, length));
  }
  return edited;
};

const restore = (values: string, path: readonly (string | number)[], defaults: unknown): Result<string> => {
  const before = valueAt(defaults, path);
  return before === undefined ? prune(values, path, defaults) : setValue(values, path, before);
};

/** Takes back what a preset did: what it added and nobody changed since becomes what the pack has there, what it removed comes back. Edits of people stay. */
const undo = ({ values, preset, defaults, kept }: Undoing): Result<string> => {
  let edited = values;
  for (const { path, value } of leavesOf(preset.added)) {
    const current = valueAt(plainOf(edited), path);
    if (current === undefined) continue;
    if (!isSame(current, value)) {
      kept.push(pathTextOf(path));
      continue;
    }
    const step = restore(edited, path, defaults);
    if (!step.ok) return step;
    edited = step.value;
  }
  for (const removed of preset.remove) {
    const found = findPath(defaults, removed);
    if (!found.ok || !found.value.isThere || valueAt(plainOf(edited), found.value.path) !== undefined) continue;
    const step = setValue(edited, found.value.path, valueAt(defaults, found.value.path));
    if (!step.ok) return step;
    edited = step.value;
  }
  return ok(edited);
};

export interface AppliedPresets {
  values: string;
  /** Places that a replaced preset had set and that somebody changed since; they were left. */
  kept: string[];
}

const applyOne = (values: string, presets: readonly Preset[], choice: PresetChoice, defaults: unknown): Result<AppliedPresets> => {
  const preset = presets.find((item) => item.group === choice.group && item.name === choice.name);
  if (preset === undefined)
    return fail(
      'fatal',
      'preset-unknown',
      `preset ${choiceText(choice).slice(0, 200)}`,
      presets.length === 0 ? 'the pack has no presets' : `is not one of ${presets.map(choiceText).join(', ').slice(0, 2_000)}`,
    );
  const detected = detectPresets(values, presets);
  if (!detected.ok) return detected;
  const before = detected.value.find((item) => item.group === choice.group);
  const previous =
    before === undefined || before.name === choice.name ? undefined : presets.find((item) => item.group === before.group && item.name === before.name);
  const kept: string[] = [];
  const undone = previous === undefined ? ok(values) : undo({ values, preset: previous, defaults, kept });
  if (!undone.ok) return undone;
  let edited = undone.value;
  for (const removed of preset.remove) {
    const found = findPath(plainOf(edited), removed);
    if (!found.ok) return found;
    if (!found.value.isThere) continue;
    // What comes back just as it is stays where it is.
    if (isSame(valueAt(plainOf(edited), found.value.path), valueAt(preset.added, found.value.path))) continue;
    const step = deleteValue(edited, found.value.path);
    if (!step.ok) return step;
    edited = step.value;
  }
  const merged = mergeValues(edited, preset.add);
  if (!merged.ok) return merged;
  const enabled = enabledPresets(values) ?? [];
  const isNamed = enabled.some((item) => item.group === choice.group);
  const list = isNamed ? enabled.map((item) => (item.group === choice.group ? choice : item)) : [...enabled, choice];
  return ok({ values: withEnabledPresets(merged.value, list), kept });
};

/**
 * Applies presets in the order given: of each, first `remove`, then `add` merged in, then the comment. Another preset of the same group is taken back before.
 * `defaults` is the pack's own values.yaml; without it, undoing only takes away.
 */
export const applyPresets = (values: string, presets: readonly Preset[], choices: readonly PresetChoice[], defaults?: string): Result<AppliedPresets> => {
  const plain = defaults === undefined ? undefined : plainOf(defaults);
  const kept: string[] = [];
  let edited = values;
  for (const choice of choices) {
    const applied = applyOne(edited, presets, choice, plain);
    if (!applied.ok) return applied;
    edited = applied.value.values;
    kept.push(...applied.value.kept);
  }
  return ok({ values: edited, kept });
};

/** `Group:name` as people write it; a name alone when only one group has it. */
export const parseChoice = (written: string, presets: readonly Preset[]): Result<PresetChoice> => {
  const exact =
    presets.find((preset) => choiceText(preset) === written.trim()) ??
    presets.find((preset) => choiceText(preset).toLowerCase() === written.trim().toLowerCase());
  if (exact !== undefined) return ok({ group: exact.group, name: exact.name });
  const byName = presets.filter((preset) => preset.name === written.trim());
  const [only] = byName;
  if (only !== undefined && byName.length === 1) return ok({ group: only.group, name: only.name });
  const list = presets.map(choiceText).join(', ').slice(0, 2_000);
  return fail(
    'fatal',
    'preset-unknown',
    `preset ${written.slice(0, 200)}`,
    presets.length === 0
      ? 'the pack has no presets'
      : byName.length > 1
        ? `is in several groups; write Group:name. There are: ${list}`
        : `is not one of ${list}`,
  );
};
