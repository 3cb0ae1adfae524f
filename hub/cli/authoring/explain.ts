import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { pathText, problemAt, writtenAt, type Path, type Problem, type Source } from './place.ts';

type Issue = z.core.$ZodIssue;

/** What files may say beyond the schema, since gp replaces it before the hub sees it. */
const conveniences: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^spec\.layers\[\d+\]\.helm$/, ['path', 'valuesFile', 'registry']],
  [/^spec\.layers\[\d+\]\.zarf$/, ['path', 'publicKey', 'registry']],
  [/^spec\.layers\[\d+\]\.pack$/, ['path', 'valuesFile', 'presets']],
  [/^spec\.layers\[\d+\]\.manifests\[\d+\]$/, ['path']],
  [/^spec\.layers\[\d+\]\.os\.files\[\d+\]$/, ['source']],
];

interface SchemaDef {
  type: string;
  innerType?: SchemaLike;
  element?: SchemaLike;
  valueType?: SchemaLike;
  shape?: Readonly<Record<string, SchemaLike>>;
}
interface SchemaLike {
  def: SchemaDef;
}

const unwrap = (schema: SchemaLike | undefined): SchemaLike | undefined => {
  let inner = schema;
  for (let depth = 0; depth < 10 && inner?.def.innerType !== undefined; depth += 1) inner = inner.def.innerType;
  return inner;
};

/** Fields that the schema knows at a path; none where it is no object. */
const fieldsAt = (schema: z.ZodType, path: Path): string[] => {
  let at: SchemaLike | undefined = unwrap(schema);
  for (const part of path) {
    const def: SchemaDef | undefined = at?.def;
    at = unwrap(def?.type === 'array' ? def.element : def?.type === 'record' ? def.valueType : def?.shape?.[String(part)]);
  }
  const text = pathText(path);
  const extra = conveniences.filter(([where]) => where.test(text)).flatMap(([, names]) => names);
  return [...Object.keys(at?.def.shape ?? {}), ...extra];
};

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list (lines that begin with "- ")',
  object: 'a map (lines like "key: value")',
  record: 'a map (lines like "key: value")',
};

const wrongType = (issue: Issue & { code: 'invalid_type' }, source: Source, where: string): string => {
  const key = String(issue.path.at(-1) ?? '');
  const wanted = kinds[issue.expected] ?? issue.expected;
  if (issue.message.includes('received undefined')) {
    if (where.endsWith('.helm.chart'))
      return `${where.replace(/chart$/, 'path')} is missing; it is the folder of a chart or a .tgz file, like path: ./charts/web`;
    return `${where} is missing; it is ${wanted}`;
  }
  const written = writtenAt(source, issue.path as Path);
  if (issue.expected === 'string' && written !== undefined && written !== '' && !written.includes('\n'))
    return `${where} must be text; write it in quotes: ${/^\d+$/.test(key) ? '- ' : `${key}: `}"${written.slice(0, 64)}"`;
  return `${where} must be ${wanted}`;
};

/** One sentence: what is wrong and what to write instead. */
const sentence = (issue: Issue, source: Source, schema: z.ZodType): string => {
  const path = issue.path as Path;
  const where = path.length === 0 ? 'the document' : pathText(path);
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue, source, where);
    case 'invalid_value':
      return issue.message.startsWith('Invalid')
        ? `${where} must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`
        : `${where}: ${issue.message}`;
    case 'too_small':
    case 'too_big': {
      const isOwn = !/^Too (small|big)/.test(issue.message);
      const bound = issue.code === 'too_small' ? `at least ${String(issue.minimum)}` : `at most ${String(issue.maximum)}`;
      const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : '';
      return isOwn ? `${where}: ${issue.message}` : `${where} must have ${bound}${unit}`.replace(/have (at \w+ -?\d+)$/, 'be $1');
    }
    case 'unrecognized_keys': {
      const fields = fieldsAt(schema, path);
      const [key = ''] = issue.keys;
      const meant = nearest(key, fields);
      const parts = [`${path.length === 0 ? '' : `${where}: `}there is no field "${key}"`];
      if (meant !== undefined) parts.push(`; did you mean "${meant}"?`);
      if (fields.length > 0) parts.push(`${meant === undefined ? '.' : ''} Known fields: ${fields.join(', ')}`);
      return parts.join('');
    }
    case 'invalid_key':
      return `${where}: ${issue.issues[0]?.message ?? 'the key is not valid'}`;
    default:
      return path.length <= 1 || /^(layer|variable) /.test(issue.message) ? issue.message : `${where}: ${issue.message}`;
  }
};

/** `layer web: …` found while checking the whole is about the layer; where it is said helps more than the start of the document. */
const positionOf = (issue: Issue, value: unknown): Path => {
  const path = issue.path as Path;
  if (issue.code !== 'custom') return path;
  const named = /^(?:layer|variable) ([^:]+):|named ([^;]+)/.exec(issue.message);
  const name = named?.[1] ?? named?.[2];
  const spec = (value as { spec?: { layers?: unknown; variables?: unknown } } | undefined)?.spec;
  const list = issue.message.includes('variable') ? spec?.variables : spec?.layers;
  if (name === undefined || !Array.isArray(list) || path.length > 3) return path;
  const index = (list as unknown[]).findLastIndex((item) => typeof item === 'object' && item !== null && 'name' in item && item.name === name);
  return index < 0 ? path : ['spec', issue.message.includes('variable') ? 'variables' : 'layers', index];
};

/** Turns what the schema found into problems at lines. `origin` maps a path of the checked value back to the file, where things were expanded. */
export const explain = (issues: readonly Issue[], source: Source, schema: z.ZodType, value: unknown, origin: (path: Path) => Path): Problem[] =>
  issues.flatMap((issue) => {
    const mapped = { ...issue, path: [...origin(issue.path as Path)] } as Issue;
    if (mapped.code === 'unrecognized_keys') {
      return mapped.keys.map((key) => problemAt(source, [...(mapped.path as Path), key], sentence({ ...mapped, keys: [key] }, source, schema), true));
    }
    return [problemAt(source, positionOf(mapped, value), sentence(mapped, source, schema))];
  });
