import { isCollection, isScalar, parseAllDocuments, visit, type Scalar } from 'yaml';
import { fail, ok, type Result } from '../failure.ts';
import { limits } from '../limits.ts';
import { readSource } from '../pack/source.ts';
import { unmask } from '../pack/template.ts';
import { isLaidOut, runAction, scanActions, tooLarge, type Action, type Lookup } from './template.ts';

/** Letters that mean nothing to YAML wherever they stand, so that no parsing is needed to put them in. */
const harmless = /^[A-Za-z0-9](?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9/]))*$/;

interface Place {
  type: Scalar.Type | 'comment' | 'unknown';
  inFlow: boolean;
  /** Spaces before the lines of a block text. */
  indent: string;
}

/** Actions replaced by plain words of our own, so that the rest can be read as YAML. */
interface Masked {
  text: string;
  /** By action: where its word stands in the masked text. */
  at: number[];
  word: (index: number) => string;
}

const mask = (text: string, actions: readonly Action[]): Masked => {
  let marker = 'gpref';
  while (text.includes(marker)) marker += 'x';
  const word = (index: number): string => `${marker}${index}z`;
  const at: number[] = [];
  let masked = '';
  let done = 0;
  for (const [index, action] of actions.entries()) {
    masked += text.slice(done, action.start);
    at.push(masked.length);
    masked += word(index);
    done = action.end;
  }
  return { text: masked + text.slice(done), at, word };
};

const blockIndent = (text: string, start: number, end: number): string => {
  const lines = text.slice(start, end).split('\n').slice(1);
  const widths = lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)?.[0].length ?? 0);
  return ' '.repeat(widths.length === 0 ? 0 : Math.min(...widths));
};

/** In which kind of text each action stands; undefined when the whole is no YAML even with plain words in their place. */
const placesOf = (masked: Masked): Place[] | undefined => {
  const scalars: { start: number; end: number; place: Place }[] = [];
  try {
    const documents = parseAllDocuments(masked.text, { keepSourceTokens: false, uniqueKeys: false, version: '1.1', merge: true });
    if (!Array.isArray(documents)) return undefined;
    for (const document of documents) {
      if (document.errors.length > 0) return undefined;
      visit(document, {
        Scalar: (_, node, path) => {
          const [start, end] = node.range ?? [0, 0];
          const type = node.type ?? 'PLAIN';
          const inFlow = path.some((ancestor) => isCollection(ancestor) && ancestor.flow === true);
          const indent = type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED' ? blockIndent(masked.text, start, end) : '';
          scalars.push({ start, end, place: { type, inFlow, indent } });
        },
      });
    }
  } catch {
    return undefined;
  }
  return masked.at.map((at) => scalars.find((scalar) => scalar.start <= at && at < scalar.end)?.place ?? { type: 'comment', inFlow: false, indent: '' });
};

/** Whether a text stays one plain scalar when it stands for a word. */
const isPlainSafe = (value: string, inFlow: boolean): boolean => {
  if (/[\n\r]|^\s|\s$|:\s|:$|\s#|^[-?:](?:\s|$)|^[#&*!|>'"%@`{}[\],]|^---|^\.\.\.|\p{Cc}/u.test(value)) return value === '';
  return !inFlow || !/[,[\]{}]/.test(value);
};

const unsafe = (action: Action, place: string, why: string): Result<never> =>
  fail(
    'fatal',
    'reference-unsafe',
    place,
    `the value of ${action.raw.slice(0, 120)} ${why}. Put the reference into double quotes in the profile, or add | nindent N where lines of YAML are meant`,
  );

/** The value as it has to be written in this place, so that it stays inside of it. Values come from whoever may set a variable; the layout is the author's. */
const written = (action: Action, value: string, place: Place, element: string): Result<string> => {
  if (isLaidOut(action) && place.type !== 'QUOTE_DOUBLE' && place.type !== 'QUOTE_SINGLE') return ok(value);
  switch (place.type) {
    case 'QUOTE_DOUBLE':
      return ok(JSON.stringify(value).slice(1, -1));
    case 'QUOTE_SINGLE':
      return value.includes('\n') ? unsafe(action, element, 'has several lines, which single quotes do not keep') : ok(value.replaceAll("'", "''"));
    case 'BLOCK_LITERAL':
    case 'BLOCK_FOLDED':
      // The first line of a block says how far the others are indented, and a carriage return alone is a line break too.
      if (/^\s|\r(?!\n)/.test(value)) return unsafe(action, element, 'begins with a space or holds a carriage return, which a block text does not keep');
      return ok(value.replaceAll('\n', `\n${place.indent}`));
    case 'comment':
      return ok(value.replaceAll(/[\r\n]+/g, ' '));
    case 'unknown':
      return /[\r\n]/.test(value) ? unsafe(action, element, 'has several lines') : ok(value);
    default: {
      const isQuoted = action.tokens.some((token) => token.kind === 'word' && ['quote', 'squote', 'toJson'].includes(token.text));
      return isQuoted || isPlainSafe(value, place.inFlow) ? ok(value) : unsafe(action, element, 'would change the YAML around it');
    }
  }
};

/**
 * Like `substitute`, for texts that are YAML: a value is escaped for the quotes that it stands in, keeps to the indentation of its block, and may not turn
 * into other keys or documents (`reference-unsafe`). What is no YAML because of somebody else's templates is replaced as text, one line at most per value.
 */
export const substituteYaml = (text: string, lookup: Lookup, element: string): Result<string> => {
  const actions = scanActions(text, element);
  if (!actions.ok) return actions;
  if (actions.value.length === 0) return ok(text);
  const values: string[] = [];
  let length = text.length;
  for (const action of actions.value) {
    const value = runAction(action, lookup, `${element}, line ${action.line}`);
    if (!value.ok) return value;
    length += value.value.length - action.raw.length;
    if (length > limits.objectBytes) return tooLarge(`${element}, line ${action.line}`);
    values.push(value.value);
  }
  const masked = values.every((value) => harmless.test(value)) ? undefined : mask(text, actions.value);
  const places = masked === undefined ? undefined : (placesOf(masked) ?? masked.at.map((): Place => ({ type: 'unknown', inFlow: false, indent: '' })));
  let result = '';
  let done = 0;
  for (const [index, action] of actions.value.entries()) {
    const place = places?.[index];
    const value = values[index] ?? '';
    const put = place === undefined ? ok(value) : written(action, value, place, `${element}, line ${action.line}`);
    if (!put.ok) return put;
    result += text.slice(done, action.start) + put.value;
    done = action.end;
  }
  result += text.slice(done);
  return result.length > limits.objectBytes ? tooLarge(element) : ok(result);
};

/** A text with references in it, read as YAML: the values of its fields still hold the references. */
export interface Readable {
  /** The text of a scalar at a path, and the references in it; undefined when there is none, or no scalar. */
  scalarAt(path: readonly string[]): { text: string; actions: readonly Action[] } | undefined;
}

/** Reads it as Helm would. Undefined when it is no YAML. */
export const readWithReferences = (text: string): Readable | undefined => {
  const { source } = readSource(text, 'values.yaml');
  if (source === undefined) return undefined;
  return {
    scalarAt: (path) => {
      const node = nodeAt(source.document.contents, path);
      if (!isScalar(node)) return undefined;
      const plain = node.type === undefined || node.type === 'PLAIN' ? (node.source ?? '') : String(node.value);
      const found = unmask(node.value === null ? '' : plain);
      const actions = scanActions(found, '');
      return actions.ok ? { text: found, actions: actions.value } : undefined;
    },
  };
};

/** Walks by keys; keys may hold dots themselves, so the longest that fits is taken at each step. */
const nodeAt = (from: unknown, path: readonly string[]): unknown => {
  if (path.length === 0) return from;
  if (!isCollection(from)) return undefined;
  for (let end = path.length; end > 0; end -= 1) {
    const key = path.slice(0, end).join('.');
    const index = /^\d+$/.test(key) && !from.has(key) ? Number(key) : key;
    if (from.has(index)) return nodeAt(from.get(index, true), path.slice(end));
  }
  return undefined;
};
