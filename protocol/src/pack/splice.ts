import { isAlias, isMap, isPair, isScalar, isSeq, stringify, type Pair, type YAMLMap, type YAMLSeq } from 'yaml';
import type { PackSource } from './source.ts';
import { unmask } from './template.ts';

/** One change of a text: what is between two offsets becomes something else. */
export interface Splice {
  from: number;
  to: number;
  text: string;
}

/** How a value may be written, best first. Each gives the text of `key: value` at an indent, without the indent of its first line and without a last line break. */
export type Render = (indent: number) => string;

const indented = (text: string, indent: number): string =>
  text
    .split('\n')
    .map((line, index) => (index === 0 || line === '' ? line : ' '.repeat(indent) + line))
    .join('\n');

/** YAML 1.1 rules decide what needs quotes, since that is how Helm reads it back. */
const yamlOf = (value: unknown, isFlow = false): string =>
  stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false, ...(isFlow ? { collectionStyle: 'flow' as const } : {}) }).replace(/\n$/, '');

export const pairRender =
  (key: string, value: unknown): Render =>
  (indent) =>
    indented(yamlOf({ [key]: value }), indent);

export const itemRender =
  (value: unknown): Render =>
  (indent) =>
    indented(yamlOf([value]), indent);

/** The value alone on one line, or nothing when it needs more. */
export const inlineText = (value: unknown): string | undefined => {
  const text = yamlOf([value]).slice(2);
  return text.includes('\n') ? undefined : text;
};

const lineStart = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1) + 1;
const lineEnd = (text: string, offset: number): number => {
  const end = text.indexOf('\n', offset);
  if (end < 0) return text.length;
  return text.charAt(end - 1) === '\r' ? end - 1 : end;
};
export const columnOf = (text: string, offset: number): number => offset - lineStart(text, offset);
const isOwnLine = (text: string, offset: number): boolean => text.slice(lineStart(text, offset), offset).trim() === '';

const rangeOf = (node: unknown): [number, number] | undefined => {
  if ((isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) && node.range !== undefined && node.range !== null) return [node.range[0], node.range[1]];
  return undefined;
};

/** Where the last thing of a node ends, before comments and blank lines that follow it. */
export const contentEnd = (text: string, node: unknown): number | undefined => {
  if ((isMap(node) || isSeq(node)) && node.flow !== true) {
    const last: unknown = node.items.at(-1);
    if (isPair(last)) return contentEnd(text, last.value) ?? colonEnd(text, last);
    return last === undefined ? rangeOf(node)?.[1] : contentEnd(text, last);
  }
  const range = rangeOf(node);
  if (range === undefined) return undefined;
  // A block text owns its line breaks; what comes after it begins on the next line.
  const [from] = range;
  let end = range[1];
  if (isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED')) while (end > from && /\s/.test(text.charAt(end - 1))) end -= 1;
  return end;
};

/** Just behind the colon of a pair; nothing when it is written in the `? key` form. */
export const colonEnd = (text: string, pair: Pair): number | undefined => {
  const keyEnd = rangeOf(pair.key)?.[1];
  if (keyEnd === undefined) return undefined;
  const colon = /^[ \t]*:/.exec(text.slice(keyEnd, keyEnd + 100));
  return colon === null ? undefined : keyEnd + colon[0].length;
};

/** The last pair of a key: it is the one that counts. A key may be asked for as it is written (`y`) or as it is read (`true`). */
export const findPair = (map: YAMLMap, key: string): Pair | undefined =>
  map.items.findLast((item) => isScalar(item.key) && unmask(String(item.key.value)) === key) ??
  map.items.findLast((item) => isScalar(item.key) && typeof item.key.source === 'string' && unmask(item.key.source) === key);

/** Key of a pair in plain data. */
export const plainKey = (pair: Pair): string => (isScalar(pair.key) ? unmask(String(pair.key.value)) : '');

const splicesForValue = (text: string, pair: Pair, value: unknown, renders: readonly Render[]): Splice[] => {
  const found: Splice[] = [];
  const colon = colonEnd(text, pair);
  const range = rangeOf(pair.value);
  const inline = inlineText(value);
  const isEmpty = range === undefined || range[0] === range[1];
  const start = rangeOf(pair.key)?.[0];
  if (colon === undefined || start === undefined) return found;
  if (inline !== undefined && isEmpty) found.push({ from: colon, to: colon, text: ` ${inline}` });
  if (inline !== undefined && !isEmpty && lineEnd(text, colon) >= range[1] && !text.slice(range[0], range[1]).includes('\n'))
    found.push({ from: range[0], to: range[1], text: inline });
  const end = lineEnd(text, isEmpty ? colon : (contentEnd(text, pair.value) ?? range[1]));
  const indent = columnOf(text, start);
  // A remark behind the key stays where it is when the value goes on below it.
  const remark = /^[ \t]+#[^\r\n]*/.exec(text.slice(colon, lineEnd(text, colon)))?.[0] ?? '';
  for (const render of renders) {
    const made = render(indent);
    const head = /^[^\n]*:(?=\n)/.exec(made)?.[0];
    found.push({ from: start, to: end, text: remark !== '' && head !== undefined ? `${head}${remark}${made.slice(head.length)}` : made });
  }
  return found;
};

/** Ways to give an existing key another value, best first. */
export const replaceInMap = (source: PackSource, map: YAMLMap, key: string, value: unknown, renders: readonly Render[]): Splice[] => {
  const pair = findPair(map, key);
  return pair === undefined ? [] : splicesForValue(source.text, pair, value, renders);
};

/** Ways to add a key to a block map: below its last line, or below the blank lines that belong to its last text. */
export const appendToMap = (source: PackSource, map: YAMLMap, renders: readonly Render[]): Splice[] => {
  const { text } = source;
  const first = rangeOf(map.items[0]?.key)?.[0];
  const end = contentEnd(text, map);
  if (first === undefined || end === undefined) return [];
  const indent = columnOf(text, first);
  const places = [...new Set([lineEnd(text, end), lineEnd(text, Math.max(end, (rangeOf(map)?.[1] ?? end) - 1))])];
  return renders.flatMap((render) => places.map((at): Splice => ({ from: at, to: at, text: `\n${' '.repeat(indent)}${render(indent)}` })));
};

export const removeFromMap = (source: PackSource, map: YAMLMap, key: string): Splice[] => {
  const { text } = source;
  const pair = findPair(map, key);
  if (pair === undefined) return [];
  const start = rangeOf(pair.key)?.[0];
  const end = contentEnd(text, pair.value) ?? colonEnd(text, pair);
  if (start === undefined || end === undefined) return [];
  const next = rangeOf(map.items[map.items.indexOf(pair) + 1]?.key)?.[0];
  if (!isOwnLine(text, start)) return next === undefined ? [] : [{ from: start, to: next, text: '' }];
  return removeLines(text, start, end);
};

const removeLines = (text: string, start: number, end: number): Splice[] => {
  const from = lineStart(text, start);
  const stop = text.indexOf('\n', lineEnd(text, Math.max(end, start)));
  return stop < 0 ? [{ from: Math.max(0, from - 1), to: text.length, text: '' }] : [{ from, to: stop + 1, text: '' }];
};

export const replaceInList = (source: PackSource, list: YAMLSeq, index: number, value: unknown): Splice[] => {
  const { text } = source;
  const item: unknown = list.items[index];
  const range = rangeOf(item);
  const dash = rangeOf(list)?.[0];
  if (range === undefined || dash === undefined) return [];
  const inline = inlineText(value);
  const found: Splice[] = [];
  if (inline !== undefined && !text.slice(range[0], range[1]).includes('\n'))
    found.push({ from: range[0], to: range[1], text: range[0] === range[1] ? ` ${inline}` : inline });
  found.push({ from: range[0], to: lineEnd(text, contentEnd(text, item) ?? range[1]), text: itemRender(value)(columnOf(text, dash)).slice(2) });
  return found;
};

export const appendToList = (source: PackSource, list: YAMLSeq, value: unknown): Splice[] => {
  const { text } = source;
  const dash = rangeOf(list)?.[0];
  const end = contentEnd(text, list);
  if (dash === undefined || end === undefined) return [];
  const indent = columnOf(text, dash);
  return [{ from: lineEnd(text, end), to: lineEnd(text, end), text: `\n${' '.repeat(indent)}${itemRender(value)(indent)}` }];
};

export const removeFromList = (source: PackSource, list: YAMLSeq, index: number): Splice[] => {
  const { text } = source;
  const item: unknown = list.items[index];
  const range = rangeOf(item);
  if (range === undefined) return [];
  const dash = text.lastIndexOf('-', range[0] - 1);
  if (dash < 0 || !isOwnLine(text, dash)) return [];
  return removeLines(text, dash, contentEnd(text, item) ?? range[1]);
};

/** The value of a node as one line of flow style, for changes inside of `{…}` and `[…]`. */
export const flowText = (value: unknown): string => yamlOf(value, true);

/** Replaces the text of a whole flow collection. */
export const replaceFlow = (node: YAMLMap | YAMLSeq, value: unknown): Splice[] => {
  const range = rangeOf(node);
  return range === undefined ? [] : [{ from: range[0], to: range[1], text: flowText(value) }];
};

/** Does a splice; line breaks are those that the text has. */
export const spliced = (text: string, { from, to, text: part }: Splice): string =>
  text.slice(0, from) + (text.includes('\r\n') ? part.replaceAll(/\r?\n/g, '\r\n') : part) + text.slice(to);

/** Lines of `key: value` as somebody wrote them, with the remarks above, ready for another indent. */
export const copiedPair = (source: PackSource, pair: Pair): Render | undefined => {
  const { text } = source;
  const start = rangeOf(pair.key)?.[0];
  if (start === undefined || !isOwnLine(text, start)) return undefined;
  const end = lineEnd(text, contentEnd(text, pair.value) ?? colonEnd(text, pair) ?? start);
  const column = columnOf(text, start);
  let from = lineStart(text, start);
  for (let above = lineStart(text, from - 1); from > 0 && /^[ \t]*#/.test(text.slice(above, from)); above = lineStart(text, from - 1)) from = above;
  const lines = text.slice(from, end).split(/\r?\n/);
  const cut = lines.map((line) => (line.slice(0, column).trim() === '' ? line.slice(column) : line.trimStart()));
  return (indent) => indented(cut.join('\n'), indent);
};
