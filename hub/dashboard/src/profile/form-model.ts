import { findPath, pathTextOf, valueAt, everyItem, type ValuesPath } from '@groundplane/protocol/pack/path';
import { leavesOf } from '@groundplane/protocol/pack/plain';
import { expandPath, type PackField } from '@groundplane/protocol/pack/schema';
import { readSource } from '@groundplane/protocol/pack/source';
import type { Guide } from './guide.ts';

/** One line of the form: a place in the values, and how it is written. */
export interface FormField {
  path: ValuesPath;
  label: string;
  type: PackField['type'];
  text: string;
  /** It stands in the values; otherwise it is empty. */
  isThere: boolean;
  required: boolean;
  readonly: boolean;
  isSecret: boolean;
  options: readonly string[];
  hint: string;
  /** A map or a list: only the text editor can change it. */
  isNested: boolean;
}

/** More fields than this are for the text editor: a rule about a list makes one for each of its elements. */
export const fieldsMax = 300;

const textOf = (value: unknown): string => (value === undefined || value === null ? '' : typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

const ruleFields = (plain: unknown, rule: PackField): FormField[] => {
  const found = findPath(plain, rule.path);
  if (!found.ok) return [];
  const places = found.value.path.includes(everyItem) ? expandPath(plain, found.value.path) : [{ path: found.value.path }];
  const range = rule.range === undefined ? [] : [`from ${rule.range.min} to ${rule.range.max}`];
  const form = rule.format === undefined ? (rule.pattern === undefined ? [] : [`like ${rule.pattern}`]) : [`like ${rule.format}`];
  return places.map(({ path }) => {
    const value = valueAt(plain, path);
    return {
      path,
      label: pathTextOf(path),
      type: rule.type,
      text: textOf(value),
      isThere: value !== undefined,
      required: rule.required,
      readonly: rule.readonly,
      isSecret: rule.isSecret,
      options: rule.options ?? [],
      hint: [...rule.hints, ...range, ...form].join('. '),
      isNested: typeof value === 'object' && value !== null,
    };
  });
};

const ruled = (plain: unknown, rules: readonly PackField[]): FormField[] => {
  const fields: FormField[] = [];
  for (const rule of rules) {
    if (fields.length >= fieldsMax) break;
    fields.push(...ruleFields(plain, rule));
  }
  return fields.slice(0, fieldsMax);
};

const typeOf = (value: unknown): PackField['type'] => (typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'string');

/** Names under which people write secrets. Without rules nothing else tells. */
const secretName = /(password|passwd|secret|token|apikey|privatekey)$/i;

const plainFields = (plain: unknown, defaults: unknown): FormField[] => {
  const places = new Map([...leavesOf(defaults), ...leavesOf(plain)].map(({ path }) => [pathTextOf(path), path]));
  return [...places].slice(0, fieldsMax).map(([label, path]) => {
    const [value, held] = [valueAt(plain, path), valueAt(defaults, path)];
    const shown = value ?? held;
    return {
      path,
      label,
      type: typeOf(shown),
      text: textOf(shown),
      isThere: value !== undefined,
      required: false,
      readonly: false,
      isSecret: typeof shown !== 'object' && secretName.test(String(path.at(-1) ?? '').replaceAll(/[-_]/g, '')),
      options: [],
      hint: '',
      isNested: typeof shown === 'object' && shown !== null,
    };
  });
};

/** The form of these values: the fields of the pack's schema, or, without one, what the unit sets itself. `undefined` when the values are no YAML. */
export const formOf = (values: string, guide: Guide): { fields: FormField[]; isOfRules: boolean } | undefined => {
  const { source } = readSource(values, 'values.yaml');
  if (source === undefined) return undefined;
  if (guide.fields.length > 0) return { fields: ruled(source.plain, guide.fields), isOfRules: true };
  return { fields: plainFields(source.plain, guide.defaults?.plain).filter((field) => !field.isNested), isOfRules: false };
};

/** What somebody typed, as the value that it means: numbers and booleans stay what they are, references are texts. */
export const typedValue = (field: Pick<FormField, 'type'>, text: string): unknown => {
  if (text.includes('{{')) return text;
  if (field.type === 'number' && /^-?\d+(\.\d+)?$/.test(text.trim()) && Number.isFinite(Number(text))) return Number(text);
  if (field.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
};
