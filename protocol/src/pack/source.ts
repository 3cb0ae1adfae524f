import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, Schema, type Document, type ScalarTag, type Tags } from 'yaml';
import type { Finding } from '../finding.ts';
import { limits } from '../limits.ts';
import { packLimits } from './limits.ts';
import { maskTemplates, unmask } from './template.ts';

/** One YAML (or JSON) text of a pack, read so that it can be checked, edited and pointed at. */
export interface PackSource {
  file: string;
  /** As given. Offsets of `document` are offsets of this text. */
  text: string;
  /** Template actions in it are masked (`template.ts`); plain data below is not. */
  document: Document;
  /** Plain data as Helm would read it. `null` for an empty text. */
  plain: unknown;
  /** Line and column, from 1, of an offset. */
  at(offset: number): { line: number; column: number };
}

/**
 * Octal as `0o17`, which Helm's YAML takes beside the old `017`; a leading zero before an 8 or 9 is decimal there.
 * Found by asking the engine, see `test/pack/helm-yaml.test.ts`.
 */
const newOctal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  identify: () => false,
  default: true,
  test: /^0o[0-7]+$/,
  resolve: (text) => Number.parseInt(text.slice(2), 8),
};

/** YAML 1.1 without what Helm's parser (go-yaml 2) leaves out: base-60 numbers and timestamps are texts, sets and ordered maps are maps. */
const helmTags = (tags: Tags): Tags => [
  newOctal,
  ...tags
    .filter((tag) => typeof tag === 'string' || !('format' in tag && tag.format === 'TIME'))
    .filter((tag) => typeof tag === 'string' || !/:(timestamp|binary|omap|pairs|set)$/.test(tag.tag)),
];

/** Made once: making it costs as much as reading a small text. */
const helmSchema = new Schema({ schema: 'yaml-1.1', customTags: helmTags, merge: true });

/** Walks without recursion: depth is what this is about. */
const depthOf = (root: unknown, depthMax: number): number => {
  const open: [unknown, number][] = [[root, 1]];
  let deepest = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [node, depth] = next;
    deepest = Math.max(deepest, depth);
    if (deepest > depthMax) return deepest;
    if (isPair(node)) open.push([node.key, depth], [node.value, depth]);
    else if (isMap(node) || isSeq(node)) for (const item of node.items) open.push([item, depth + 1]);
  }
  return deepest;
};

/** Puts masked actions back into keys and texts. */
const unmaskPlain = (value: unknown): unknown => {
  if (typeof value === 'string') return unmask(value);
  // There is no minus zero in Go.
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(unmaskPlain);
  if (typeof value !== 'object' || value === null) return value;
  const plain: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value))
    // `__proto__` is a key like any other here.
    Object.defineProperty(plain, unmask(key), { value: unmaskPlain(item), enumerable: true, configurable: true, writable: true });
  return plain;
};

interface OddKey {
  key: string;
  isTwice: boolean;
  offset: number;
}

/** Keys that stand in one map twice (the last one counts, in Helm as here), and those that are no text, which Helm refuses. */
const oddKeys = (document: Document): OddKey[] => {
  const found: OddKey[] = [];
  const open: unknown[] = [document.contents];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isPair(node)) open.push(node.key ?? undefined, node.value ?? undefined);
    if (isSeq(node)) for (const item of node.items) open.push(item);
    if (!isMap(node)) continue;
    const seen = new Set<string>();
    for (const pair of node.items) {
      open.push(pair);
      const { key } = pair;
      const isText = isScalar(key) && key.value !== null && key.value !== undefined;
      const text = isText ? unmask(String(key.value)) : '';
      const offset = (isNode(key) ? key.range?.[0] : undefined) ?? node.range?.[0] ?? 0;
      if (!isText && !isAlias(key)) found.push({ key: text, isTwice: false, offset });
      if (isText && text !== '<<' && seen.has(text)) found.push({ key: text, isTwice: true, offset });
      seen.add(text);
    }
  }
  return found.toSorted((a, b) => a.offset - b.offset);
};

/** Template actions outside of quotes: YAML only when something replaces them first. */
const bareActions = (document: Document): { text: string; offset: number }[] => {
  const found: { text: string; offset: number }[] = [];
  const open: unknown[] = [document.contents];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isPair(node)) open.push(node.key ?? undefined, node.value ?? undefined);
    else if (isMap(node) || isSeq(node)) for (const item of node.items) open.push(item);
    else if (isScalar(node) && node.type === 'PLAIN' && typeof node.value === 'string') {
      const text = unmask(node.value);
      if (text !== node.value && text.startsWith('{{')) found.push({ text, offset: node.range?.[0] ?? 0 });
    }
  }
  return found.toSorted((a, b) => a.offset - b.offset);
};

export type ReadSource = { source: PackSource; findings: Finding[] } | { source?: undefined; findings: Finding[] };

/** The first `*name` that no `&name` comes before; often a text that begins with a star. In one walk: a text may hold very many. */
const lostAlias = (document: Document): { name: string; offset: number } | undefined => {
  const anchors = new Map<string, number>();
  const aliases: { name: string; offset: number }[] = [];
  const open: unknown[] = [document.contents];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isPair(node)) open.push(node.key ?? undefined, node.value ?? undefined);
    else if (isAlias(node)) aliases.push({ name: node.source, offset: node.range?.[0] ?? 0 });
    else if (isMap(node) || isSeq(node)) for (const item of node.items) open.push(item);
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) continue;
    const [anchor, offset] = [node.anchor, node.range?.[0] ?? 0];
    if (anchor !== undefined) anchors.set(anchor, Math.min(offset, anchors.get(anchor) ?? offset));
  }
  return aliases.filter(({ name, offset }) => (anchors.get(name) ?? offset) >= offset).toSorted((a, b) => a.offset - b.offset)[0];
};

const yamlError = (error: { code: string; message: string }): string => {
  if (error.code === 'TAB_AS_INDENT') return 'a tab indents this line; YAML wants spaces';
  if (error.code === 'MULTIPLE_DOCS') return 'a second document begins here (---), and only one is read. Put everything into one';
  return unmask(firstLine(error));
};

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

/**
 * Reads one text of a pack. Broken YAML is an `error` finding and no source; what reality does and Helm takes (keys twice, actions without quotes) is a warning.
 * Never throws.
 */
export const readSource = (text: string, file: string): ReadSource => {
  const broken = (message: string, place: { line?: number; column?: number } = {}): ReadSource => ({
    findings: [{ severity: 'error', code: 'yaml-malformed', file, ...place, message }],
  });
  if (text.length > packLimits.textBytes) return broken(`has more than ${packLimits.textBytes} characters`);
  const lines = new LineCounter();
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const masked = maskTemplates(text);
    const document = parseDocument(masked, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      version: '1.1',
      merge: true,
      schema: helmSchema,
      logLevel: 'error',
    }) as Document;
    const [error] = document.errors;
    if (error !== undefined) return broken(yamlError(error), at(error.pos[0]));
    if (depthOf(document.contents, packLimits.yamlDepth) > packLimits.yamlDepth) return broken(`is nested more than ${packLimits.yamlDepth} deep`);
    const lost = text.includes('*') ? lostAlias(document) : undefined;
    if (lost !== undefined)
      return broken(
        `*${lost.name.slice(0, 100)} is read as an alias, and nothing is named &${lost.name.slice(0, 100)} before it. A text goes in quotes`,
        at(lost.offset),
      );
    const read: unknown = document.toJS({ maxAliasCount: limits.yamlAliases }) ?? null;
    const plain = masked === text ? read : unmaskPlain(read);
    const twice = oddKeys(document).map(({ key, isTwice, offset }): Finding => ({
      severity: isTwice ? 'warning' : 'error',
      code: isTwice ? 'key-twice' : 'key-invalid',
      file,
      ...at(offset),
      message: isTwice ? `the key ${key.slice(0, 100)} is here twice; the last one counts` : 'a key is empty or no single text, which Helm refuses',
    }));
    const bare = bareActions(document).map(({ text: action, offset }): Finding => {
      const isOurs = /^\{\{-?\s*\.spectro\./.test(action);
      return {
        severity: isOurs ? 'warning' : 'error',
        code: 'template-unquoted',
        file,
        ...at(offset),
        message: isOurs
          ? `${action.slice(0, 100)} is not in quotes; it is read as the text that replaces it. Put it in quotes`
          : `${action.slice(0, 100)} is not in quotes, so Helm cannot read it. Put it in quotes`,
      };
    });
    return { source: { file, text, document, plain, at }, findings: [...twice, ...bare].slice(0, packLimits.findings) };
  } catch (error) {
    return broken(error instanceof RangeError ? 'is nested too deeply' : `its aliases (*name) expand to too much or lead nowhere: ${firstLine(error)}`);
  }
};

/** Plain data of a source below a key, when it is a map with it. */
export const isPlainMap = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A map's own value; `toString` and `__proto__` are no keys unless somebody wrote them. */
export const own = (value: unknown, key: string): unknown => (isPlainMap(value) && Object.hasOwn(value, key) ? value[key] : undefined);

/** Where something stands: the key of the last map on the path that exists. Resolves aliases. */
export const placeOf = (source: PackSource, path: readonly (string | number)[]): { line: number; column: number } => {
  let node: unknown = source.document.contents;
  let offset = 0;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(source.document);
    if (isMap(node)) {
      const pair = node.items.findLast((item) => isScalar(item.key) && unmask(String(item.key.value)) === String(part));
      if (pair === undefined) break;
      offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      const item: unknown = node.items[part];
      if (item === undefined) break;
      node = item;
      if (isScalar(item) || isMap(item) || isSeq(item)) offset = item.range?.[0] ?? offset;
    } else break;
  }
  return source.at(offset);
};
