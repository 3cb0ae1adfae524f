import type { PackView } from '@groundplane/protocol/api/packs';
import { describeRules, parseSchema, type PackField, type PackRule } from '@groundplane/protocol/pack/schema';
import { isPlainMap, own, readSource, type PackSource } from '@groundplane/protocol/pack/source';

/** What is known about the values of a unit: what completion, hovering, checks and forms are made of. */
export interface Guide {
  /** The unit's own values. */
  defaults: PackSource | undefined;
  rules: PackRule[];
  fields: PackField[];
  /** JSON Schema of a chart, as plain data. */
  jsonSchema: unknown;
  /** References that may be written: `{{.spectro.var.size}}`. */
  references: string[];
}

const readJson = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
};

export const guideOf = (unit: PackView | undefined, references: readonly string[]): Guide => {
  const rules = unit?.schema === undefined ? [] : parseSchema(unit.schema).rules;
  return {
    defaults: readSource(unit?.values ?? '', 'values.yaml').source,
    rules,
    fields: describeRules(rules),
    jsonSchema: readJson(unit?.valuesSchema),
    references: [...references],
  };
};

export interface Offer {
  label: string;
  /** `number, default 3` */
  detail?: string;
  /** A sentence. */
  info?: string;
  kind: 'key' | 'value' | 'reference';
}

export interface Place {
  /** Keys above, outermost first; lists have no part of their own. */
  path: string[];
  /** The key whose value is written; `undefined` when a key is. */
  key: string | undefined;
  /** Where the word begins that is typed. */
  from: number;
}

const keyLine = /^(\s*(?:- +)*)(?:"([^"]+)"|'([^']+)'|([^\s"'#:-][^:#]*?))\s*:(?:\s|$)/;
/** Lines above the cursor that are looked at; deeper places are not completed. */
const linesMax = 5_000;

/** What is being written at an offset, by indentation: it works while the text is no YAML yet. */
export const placeAt = (text: string, offset: number): Place | undefined => {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const line = text.slice(start, offset);
  if (/^\s*#/.test(line)) return undefined;
  const bare = /^(\s*(?:- +)*)([\w./-]*)$/.exec(line);
  const inValue = bare === null ? keyLine.exec(`${line} `) : null;
  const lead = bare?.[1] ?? inValue?.[1];
  if (lead === undefined) return undefined;
  const path: string[] = [];
  let indent = lead.length;
  const above = text.slice(0, start).split('\n').slice(0, -1);
  for (let at = above.length - 1; at >= 0 && at > above.length - linesMax && indent > 0; at -= 1) {
    const found = keyLine.exec(above[at] ?? '');
    const depth = found?.[1]?.length ?? indent;
    if (found === null || depth >= indent) continue;
    path.unshift((found[2] ?? found[3] ?? found[4] ?? '').trim());
    // Below `- key:` stands the key of the list at the dash.
    indent = depth;
  }
  if (bare !== null) return { path, key: undefined, from: offset - (bare[2]?.length ?? 0) };
  const key = (inValue?.[2] ?? inValue?.[3] ?? inValue?.[4] ?? '').trim();
  const colon = line.indexOf(':', lead.length + key.length);
  const written = line.slice(colon + 1);
  return { path, key, from: start + colon + 1 + (written.length - written.trimStart().length) };
};

/** Follows keys through maps, and through the elements of lists. */
const below = (value: unknown, path: readonly string[]): unknown => {
  let node: unknown = value;
  for (const key of path) {
    while (Array.isArray(node)) node = (node as unknown[])[0];
    node = own(node, key);
  }
  while (Array.isArray(node)) node = (node as unknown[])[0];
  return node;
};

const schemaBelow = (root: unknown, path: readonly string[]): unknown => {
  let node: unknown = root;
  const settle = (): void => {
    for (let steps = 0; steps < 20; steps += 1) {
      const ref = own(node, '$ref');
      if (typeof ref === 'string' && ref.startsWith('#/'))
        node = ref
          .slice(2)
          .split('/')
          .reduce<unknown>((held, part) => own(held, part), root);
      else if (own(node, 'items') !== undefined && own(node, 'properties') === undefined) node = own(node, 'items');
      else return;
    }
  };
  settle();
  for (const key of path) {
    node = own(own(node, 'properties'), key);
    settle();
  }
  return node;
};

const plainPath = (path: string): string => path.replaceAll('.$[]', '').replaceAll(/\[\d+\]/g, '');
const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, 60);

const fieldDetail = (field: PackField): string => [field.type, ...(field.required ? ['required'] : []), ...(field.readonly ? ['read-only'] : [])].join(', ');

/** What is told of one place: of the pack's schema, of the chart's schema, and what the unit itself has there. */
export const tellAbout = (guide: Guide, path: readonly string[]): Offer | undefined => {
  const label = path.at(-1) ?? '';
  const field = guide.fields.find((each) => plainPath(each.path) === path.join('.'));
  const schema = schemaBelow(guide.jsonSchema, path);
  const held = below(guide.defaults?.plain, path);
  const hasDefault = held !== undefined && !isPlainMap(held);
  if (field === undefined && schema === undefined && held === undefined) return undefined;
  const description = own(schema, 'description');
  const type = own(schema, 'type');
  const shown = field?.isSecret === true ? '(hidden)' : textOf(held);
  const parts = [field === undefined ? (typeof type === 'string' ? type : undefined) : fieldDetail(field), hasDefault ? `default ${shown}` : undefined];
  const detail = parts.filter((part) => part !== undefined).join(', ');
  const info = [...(field?.hints ?? []), ...(typeof description === 'string' ? [description.slice(0, 500)] : [])].join('. ');
  return { label, kind: 'key', ...(detail === '' ? {} : { detail }), ...(info === '' ? {} : { info }) };
};

const keysAt = (guide: Guide, path: readonly string[]): string[] => {
  const held = below(guide.defaults?.plain, path);
  const properties = own(schemaBelow(guide.jsonSchema, path), 'properties');
  const lead = path.length === 0 ? '' : `${path.join('.')}.`;
  const ofRules = guide.rules.flatMap((rule) => {
    const plain = plainPath(rule.path);
    return plain.startsWith(lead) ? [plain.slice(lead.length).split('.')[0] ?? ''] : [];
  });
  const all = [...(isPlainMap(held) ? Object.keys(held) : []), ...(isPlainMap(properties) ? Object.keys(properties) : []), ...ofRules];
  return [...new Set(all)].filter((key) => key !== '');
};

const valuesAt = (guide: Guide, path: readonly string[]): Offer[] => {
  const field = guide.fields.find((each) => plainPath(each.path) === path.join('.'));
  const schema = schemaBelow(guide.jsonSchema, path);
  const held = below(guide.defaults?.plain, path);
  const listed = own(schema, 'enum');
  const isFlag = field?.type === 'boolean' || own(schema, 'type') === 'boolean' || typeof held === 'boolean';
  const words = [...(field?.options ?? []), ...(Array.isArray(listed) ? listed.map(textOf) : []), ...(isFlag ? ['true', 'false'] : [])];
  const own_ = held === undefined || isPlainMap(held) || held === null || field?.isSecret === true ? [] : [textOf(held)];
  return [
    ...[...new Set([...words, ...own_])].map((label): Offer => ({ label, kind: 'value', ...(own_.includes(label) ? { detail: 'default' } : {}) })),
    ...guide.references.map((label): Offer => ({ label: `"${label}"`, kind: 'reference', detail: 'filled in per cluster' })),
  ];
};

/** What may be written at a place. */
export const offersAt = (guide: Guide, place: Place): Offer[] =>
  place.key === undefined
    ? keysAt(guide, place.path).map((label): Offer => tellAbout(guide, [...place.path, label]) ?? { label, kind: 'key' })
    : valuesAt(guide, [...place.path, place.key]);
