import { fail, ok, type Result } from '../failure.ts';
import { packLimits } from './limits.ts';
import { isPlainMap } from './source.ts';

/** A place in values: keys of maps and positions in lists. */
export type ValuesPath = readonly (string | number)[];

/** `charts.web.hosts[0]`; keys that hold dots are quoted: `config["node.store.allow_mmap"]`. */
export const pathTextOf = (path: ValuesPath): string =>
  path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : /^[^.[\]"\\]+$/.test(part) ? `${index === 0 ? '' : '.'}${part}` : `[${JSON.stringify(part)}]`,
    )
    .join('');

interface Token {
  /** A number for `[0]`, `$[]` for the elements of a list, otherwise a key or a part of one. */
  part: string | number;
  /** Quoted or escaped: taken as one key as it is. */
  isWhole: boolean;
}

/** Every element of the list above it, as schema.yaml writes it: `addresses.$[]`. */
export const everyItem = '$[]';

const wrong = (text: string, why: string): { ok: false; failure: { kind: 'fatal'; code: string; element: string; message: string } } =>
  fail('fatal', 'path-invalid', `path ${text.slice(0, 100)}`, `${why}. Write it like charts.web.hosts[0] or config["key.with.dots"]`) as never;

const tokensOf = (text: string): Result<Token[]> => {
  if (text === '' || text.length > packLimits.pathBytes) return wrong(text, `is empty or has more than ${packLimits.pathBytes} characters`);
  const tokens: Token[] = [];
  const pattern = /\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]|\['([^']*)'\]|(\$\[\])|((?:[^.[\]\\]|\\.|\$(?=\[))+)|(\.)/gy;
  let isExpectingKey = true;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) return wrong(text, `is not understood from character ${at + 1} on`);
    const [whole, index, quoted, single, every, key, dot] = match;
    if (dot !== undefined) {
      if (isExpectingKey) return wrong(text, 'has a dot without a key before it');
      isExpectingKey = true;
      continue;
    }
    isExpectingKey = false;
    if (index !== undefined) tokens.push({ part: Number(index), isWhole: true });
    else if (every !== undefined) tokens.push({ part: everyItem, isWhole: true });
    else if (key !== undefined) tokens.push({ part: key.replaceAll(/\\(.)/g, '$1'), isWhole: key.includes('\\') });
    else tokens.push({ part: (quoted ?? single ?? whole).replaceAll(/\\(.)/g, '$1'), isWhole: true });
  }
  return isExpectingKey ? wrong(text, 'ends with a dot') : ok(tokens);
};

interface Search {
  tokens: readonly Token[];
  /** Places still to be looked at; a path over a strange tree must not take for ever. */
  left: number;
}

/** The keys that the next tokens may mean in a map, longest first: `a.b` may be the key `a.b` or `b` below `a`. */
const candidates = (tokens: readonly Token[], from: number): { key: string; next: number }[] => {
  const found: { key: string; next: number }[] = [];
  let key = '';
  for (let at = from; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined || typeof token.part === 'number' || token.part === everyItem || (token.isWhole && at > from)) break;
    key = at === from ? token.part : `${key}.${token.part}`;
    found.push({ key, next: at + 1 });
    if (token.isWhole) break;
  }
  return found.toReversed();
};

const search = (state: Search, value: unknown, from: number): (string | number)[] | undefined => {
  const token = state.tokens[from];
  if (token === undefined) return [];
  state.left -= 1;
  if (state.left < 0) return undefined;
  if (Array.isArray(value)) {
    if (typeof token.part === 'number') {
      if (token.part >= value.length) return undefined;
      const rest = search(state, value[token.part], from + 1);
      return rest === undefined ? undefined : [token.part, ...rest];
    }
    // What follows is looked up in the first element; an empty list has the place all the same.
    if (token.part === everyItem) return value.length === 0 ? [everyItem] : prefixed(everyItem, search(state, value[0], from + 1));
    return undefined;
  }
  if (!isPlainMap(value)) return undefined;
  for (const { key, next } of candidates(state.tokens, from)) {
    if (!Object.hasOwn(value, key)) continue;
    const rest = search(state, value[key], next);
    if (rest !== undefined) return [key, ...rest];
  }
  return undefined;
};

const prefixed = (part: string | number, rest: (string | number)[] | undefined): (string | number)[] | undefined =>
  rest === undefined ? undefined : [part, ...rest];

export interface FoundPath {
  path: (string | number)[];
  /** Whether it leads to something, be it null. */
  isThere: boolean;
}

/**
 * Finds what a dotted path means in these values. Keys may hold dots, so a path is only clear beside the values: the longest existing key wins. A path that
 * leads nowhere keeps what exists of it and takes the rest dot by dot.
 */
export const findPath = (values: unknown, text: string): Result<FoundPath> => {
  const tokens = tokensOf(text);
  if (!tokens.ok) return tokens;
  const whole = search({ tokens: tokens.value, left: 10_000 }, values, 0);
  if (whole !== undefined) return ok({ path: whole, isThere: true });
  for (let length = tokens.value.length - 1; length > 0; length -= 1) {
    const head = search({ tokens: tokens.value.slice(0, length), left: 10_000 }, values, 0);
    if (head !== undefined) return ok({ path: [...head, ...tokens.value.slice(length).map((token) => token.part)], isThere: false });
  }
  return ok({ path: tokens.value.map((token) => token.part), isThere: false });
};

/** What stands at a path; `undefined` where there is nothing. */
export const valueAt = (values: unknown, path: ValuesPath): unknown => {
  let value = values;
  for (const part of path) {
    if (Array.isArray(value) && typeof part === 'number') value = value[part];
    else if (isPlainMap(value) && Object.hasOwn(value, String(part))) value = value[String(part)];
    else return undefined;
  }
  return value;
};
