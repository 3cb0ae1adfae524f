import type { Finding } from '../finding.ts';
import { checkFormat, isPlaceholder, parseFormat, type FormatPart, type FormatType } from './format.ts';
import { packLimits } from './limits.ts';
import { everyItem, findPath, pathTextOf, valueAt } from './path.ts';
import { isSame } from './plain.ts';
import { isPlainMap, own, placeOf, readSource, type PackSource } from './source.ts';
import { hasReference } from './template.ts';

/** One rule of schema.yaml: what may stand at a place of the values. */
export interface PackRule {
  /** As written: `charts.web.hosts.$[].name`. */
  path: string;
  required: boolean;
  readonly: boolean;
  format?: { text: string; parts: FormatPart[] };
  hints: string[];
  /** In schema.yaml, from 1. */
  line: number;
}

/** One field of a form. */
export interface PackField {
  path: string;
  type: FormatType;
  /** The value is a list whose elements are of this type. */
  isList: boolean;
  required: boolean;
  readonly: boolean;
  /** Not to be shown while it is typed, nor in plans. */
  isSecret: boolean;
  options?: string[];
  range?: { min: number; max: number };
  /** RE2. */
  pattern?: string;
  /** When the format has several parts. */
  format?: string;
  hints: string[];
}

/** Go text: `\"` and `\\` are undone; packs also write `\d` and mean it. */
const unquote = (text: string): string => (text.startsWith('`') ? text.slice(1, -1) : text.slice(1, -1).replaceAll(/\\(["\\])/g, '$1'));

type Word = { text: string; isText: boolean } | 'pipe';

const wordsOf = (template: string): Word[] | undefined => {
  const words: Word[] = [];
  const pattern = /\s+|(\|)|("(?:[^"\\]|\\[\s\S])*"|`[^`]*`)|([^\s|"`]+)/gy;
  while (pattern.lastIndex < template.length) {
    const match = pattern.exec(template);
    if (match === null) return undefined;
    const [, pipe, text, bare] = match;
    if (pipe !== undefined) words.push('pipe');
    else if (text !== undefined) words.push({ text: unquote(text), isText: true });
    else if (bare !== undefined) words.push({ text: bare, isText: false });
  }
  return words;
};

interface Draft {
  rule: Omit<PackRule, 'path' | 'line'>;
  remarks: string[];
  problems: string[];
}

const takeStage = (draft: Draft, stage: readonly Exclude<Word, 'pipe'>[]): void => {
  const [first, ...rest] = stage;
  if (first === undefined) return;
  const texts = rest.filter((word) => word.isText).map((word) => word.text);
  // Hints may go on behind a pipe.
  if (first.isText) return void draft.rule.hints.push(first.text, ...texts);
  if (rest.some((word) => !word.isText)) draft.problems.push(`${rest.find((word) => !word.isText)?.text ?? ''} behind ${first.text} is not understood`);
  if (first.text === 'required') draft.rule.required = true;
  else if (first.text === 'readonly') draft.rule.readonly = true;
  else if (first.text === 'hints') draft.rule.hints.push(...texts);
  else if (first.text === 'format') {
    const [format] = texts;
    const parsed = format === undefined ? { ok: false as const, why: 'has no text behind it' } : parseFormat(format);
    if (parsed.ok) {
      draft.rule.format = { text: format ?? '', parts: parsed.parts };
      draft.remarks.push(...parsed.remarks);
    } else draft.problems.push(`format ${parsed.why}`);
  } else draft.problems.push(`${first.text.slice(0, 50)} is not one of required, readonly, format, hints`);
};

/** Reads `{{ required | format "${number:[1-10]}" | hints "How many" }}`. */
const parseTemplate = (template: string): Draft => {
  const draft: Draft = { rule: { required: false, readonly: false, hints: [] }, remarks: [], problems: [] };
  const [, inner] = /^\s*\{\{-?([\s\S]*?)-?\}\}\s*$/.exec(template) ?? [];
  const words = inner === undefined ? undefined : wordsOf(inner);
  if (words === undefined) {
    draft.problems.push('is not of the form {{ required | readonly | format "${string}" | hints "text" }}');
    return draft;
  }
  let stage: Exclude<Word, 'pipe'>[] = [];
  for (const word of words) {
    if (word !== 'pipe') stage.push(word);
    else {
      takeStage(draft, stage);
      stage = [];
    }
  }
  takeStage(draft, stage);
  return draft;
};

/** Reads schema.yaml. A rule that is not understood is a finding; the others work. Never throws. */
export const parseSchema = (given: string, file = 'schema.yaml'): { rules: PackRule[]; findings: Finding[] } => {
  const { source, findings } = readSource(given, file);
  if (source === undefined) return { rules: [], findings };
  const all = [...findings];
  const report = (severity: Finding['severity'], code: string, path: readonly string[], message: string): void =>
    void all.push({ severity, code, file, ...placeOf(source, path), message });
  if (source.plain === null) return { rules: [], findings: all };
  if (!isPlainMap(source.plain)) {
    report('error', 'schema-malformed', [], 'must be a map of paths, like charts.web.port: {schema: \'{{ format "${number}" }}\'}');
    return { rules: [], findings: all };
  }
  const paths = Object.keys(source.plain);
  if (paths.length > packLimits.rules) report('error', 'schema-malformed', [], `has more than ${packLimits.rules} rules`);
  const rules: PackRule[] = [];
  for (const path of paths.slice(0, packLimits.rules)) {
    const holder = source.plain[path];
    const template = own(holder, 'schema') ?? (typeof holder === 'string' ? holder : undefined);
    const found = findPath({}, path);
    if (!found.ok) report('error', 'rule-path-invalid', [path], found.failure.message);
    else if (typeof template !== 'string') report('error', 'rule-malformed', [path], `${path} needs schema: '{{ … }}'`);
    else {
      const { rule, remarks, problems } = parseTemplate(template);
      for (const problem of problems) report('error', 'rule-malformed', [path], `${path}: ${problem}`);
      for (const remark of remarks) report('warning', 'rule-type', [path], `${path}: ${remark}`);
      rules.push({ path, ...rule, line: placeOf(source, [path]).line });
    }
  }
  return { rules, findings: all };
};

/** Rules as fields of a form, in the order of the file. */
export const describeRules = (rules: readonly PackRule[]): PackField[] =>
  rules.map((rule) => {
    const places = (rule.format?.parts ?? []).filter(isPlaceholder);
    const [only] = places;
    const isSingle = rule.format?.parts.length === 1 && only !== undefined;
    return {
      path: rule.path,
      type: isSingle ? only.type : 'string',
      isList: rule.path.includes(everyItem),
      required: rule.required,
      readonly: rule.readonly,
      isSecret: places.some((part) => part.type === 'password'),
      ...(isSingle && only.options !== undefined ? { options: only.options } : {}),
      ...(isSingle && only.range !== undefined ? { range: only.range } : {}),
      ...(isSingle && only.pattern !== undefined ? { pattern: only.pattern } : {}),
      ...(isSingle || rule.format === undefined ? {} : { format: rule.format.text }),
      hints: rule.hints,
    };
  });

/** Every place that a rule speaks about: one, or one for each element of the lists on its way. */
export const expandPath = (values: unknown, path: readonly (string | number)[]): { path: (string | number)[]; isCut: boolean }[] => {
  let open: (string | number)[][] = [[]];
  let isCut = false;
  for (const part of path) {
    if (part !== everyItem) {
      open = open.map((head) => [...head, part]);
      continue;
    }
    open = open.flatMap((head) => {
      const list = valueAt(values, head);
      return Array.isArray(list) ? list.map((_, index) => [...head, index]) : [];
    });
    if (open.length > packLimits.listItems) isCut = true;
    open = open.slice(0, packLimits.listItems);
  }
  return open.map((each) => ({ path: each, isCut }));
};

const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === '';

const checkValue = (rule: PackRule, value: unknown): string | undefined => {
  if (isEmpty(value)) return rule.required ? 'needs a value' : undefined;
  if (typeof value === 'string' && hasReference(value)) return undefined;
  if (rule.format === undefined) return undefined;
  // A list of options may be about a value that is a list itself.
  const items: unknown[] = Array.isArray(value) ? value : [value];
  for (const item of items) {
    if (typeof item === 'object' && item !== null) return `must be a single value, not a ${Array.isArray(item) ? 'list' : 'map'}`;
    const written = String(item);
    if (hasReference(written)) continue;
    const why = checkFormat(rule.format.parts, rule.format.text, written);
    const isSecret = rule.format.parts.some((part) => isPlaceholder(part) && part.type === 'password');
    if (why !== undefined) return isSecret ? 'does not have the form that is asked for' : `"${written.slice(0, 100)}" ${why}`;
  }
  return undefined;
};

const hintText = (rule: PackRule): string => (rule.hints.length === 0 ? '' : `. ${rule.hints.join('. ')}`);

/**
 * Checks values against the rules. References (`{{ .spectro… }}`) are not known yet and not checked. `defaults` is the pack's own values.yaml, which readonly
 * values are compared with.
 */
export const checkValues = (values: PackSource, rules: readonly PackRule[], defaults?: PackSource): Finding[] => {
  const findings: Finding[] = [];
  const report = (code: string, path: readonly (string | number)[], message: string): void =>
    void findings.push({ severity: 'error', code, file: values.file, ...placeOf(values, path), message });
  for (const rule of rules) {
    if (findings.length >= packLimits.findings) break;
    const found = findPath(values.plain, rule.path);
    if (!found.ok) continue;
    const places = found.value.path.includes(everyItem) ? expandPath(values.plain, found.value.path) : [{ path: found.value.path, isCut: false }];
    if (places.length === 0 && rule.required) report('value-missing', found.value.path, `${rule.path} needs at least one value${hintText(rule)}`);
    for (const { path } of places) {
      const value = valueAt(values.plain, path);
      const why = checkValue(rule, value);
      if (why !== undefined) report(isEmpty(value) ? 'value-missing' : 'value-invalid', path, `${pathTextOf(path)} ${why}${hintText(rule)}`);
      if (!rule.readonly || defaults === undefined) continue;
      const before = valueAt(defaults.plain, path);
      // What the pack leaves to a reference is whatever replaced it.
      if (typeof before === 'string' && hasReference(before)) continue;
      if (!isSame(value ?? null, before ?? null)) report('value-readonly', path, `${pathTextOf(path)} is read-only and differs from the pack's own value`);
    }
  }
  return findings.slice(0, packLimits.findings);
};

/** Rules whose place is not in the pack's own values; mostly a slip of the pen. */
export const misplacedRules = (values: PackSource, rules: readonly PackRule[]): PackRule[] =>
  rules.filter((rule) => {
    const found = findPath(values.plain, rule.path);
    return found.ok && !found.value.isThere;
  });
