import { limits } from '@groundplane/protocol/limits';
import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';

/** Something wrong in a document, and where: offsets for the editor, line (from 1) for people. */
export interface DocumentProblem {
  line: number;
  from: number;
  to: number;
  message: string;
  /** Absent: an error. */
  severity?: 'error' | 'warning';
}

export interface Checked<T> {
  /** Present when nothing is wrong. */
  value: T | undefined;
  /** The plain value, as far as it could be read. */
  raw: unknown;
  problems: DocumentProblem[];
}

const problemsMax = 50;

type Range = readonly [number, number];

const rangeOf = (node: unknown): Range | undefined => {
  const range = typeof node === 'object' && node !== null && 'range' in node ? (node.range as readonly number[] | null | undefined) : undefined;
  return range?.[0] === undefined || range[1] === undefined ? undefined : [range[0], range[1]];
};

/** Where a path of the schema is in the text: the nearest thing that exists. A key is marked rather than its value, when the value spans lines. */
const locate = (document: Document, path: readonly PropertyKey[]): Range => {
  let node: unknown = document.contents;
  let found: Range = [0, 0];
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      found = rangeOf(pair.key) ?? found;
      node = pair.value;
      if (isScalar(node)) found = rangeOf(node) ?? found;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      const range = rangeOf(node);
      if (range === undefined) break;
      found = [range[0], Math.min(range[1], range[0] + 1)];
    } else break;
  }
  return found;
};

const pathText = (path: readonly PropertyKey[]): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');

/**
 * Reads a document and checks it with the protocol's own schema: the words are the same that the hub would say. YAML errors come first, because after
 * them the shape means nothing. Alias bombs end at the limit of the protocol.
 */
export const checkDocument = <T>(text: string, schema: z.ZodType<T>): Checked<T> => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = ([from, to]: Range, message: string): DocumentProblem => ({
    line: Math.max(1, lines.linePos(from).line),
    from,
    to: Math.max(to, from),
    message,
  });
  const problems = document.errors.slice(0, problemsMax).map((error) => place(error.pos, error.message));
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: limits.yamlAliases });
  } catch (error) {
    return { value: undefined, raw: undefined, problems: [...problems, place([0, 0], error instanceof Error ? error.message : 'cannot be read')] };
  }
  if (problems.length > 0) return { value: undefined, raw, problems };
  const parsed = schema.safeParse(raw);
  if (parsed.success) return { value: parsed.data, raw, problems: [] };
  const issues = parsed.error.issues.slice(0, problemsMax).map((issue) => {
    const where = pathText(issue.path);
    return place(locate(document, issue.path), where === '' ? issue.message : `${where}: ${issue.message}`);
  });
  return { value: undefined, raw, problems: issues.toSorted((a, b) => a.from - b.from) };
};
