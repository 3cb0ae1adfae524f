import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { fail, ok, type Result } from '../failure.ts';
import { limits } from '../limits.ts';

/** What templates may ask for, by full dotted path without the leading dot: `spectro.var.replicas`. Undefined: there is no such thing. */
export type Lookup = (path: string) => string | undefined | Result<never>;

type Token = { kind: 'path'; text: string } | { kind: 'word'; text: string } | { kind: 'string'; text: string } | { kind: 'pipe' };

/** One `{{ .spectro… }}` of a text. */
export interface Action {
  start: number;
  end: number;
  /** From 1. */
  line: number;
  /** `spectro.var.replicas` */
  path: string;
  /** As it is written, with the braces. */
  raw: string;
  tokens: readonly Token[];
}

const encode = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

const decode = (text: string): string => {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
  } catch {
    return '';
  }
};

const indent = (width: string | undefined, value: string): string => {
  const spaces = ' '.repeat(Math.min(100, Math.max(0, Number(width) || 0)));
  return spaces + value.replaceAll('\n', `\n${spaces}`);
};
const firstLetters = (value: string, change: (letter: string) => string): string =>
  value.replaceAll(/(^|\s)(\S)/g, (_, gap: string, letter: string) => gap + change(letter));
const words = (value: string): string[] =>
  value
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
const trimAll = (cut: string, value: string): string => {
  let [start, end] = [0, value.length];
  while (start < end && cut.includes(value.charAt(start))) start += 1;
  while (end > start && cut.includes(value.charAt(end - 1))) end -= 1;
  return value.slice(start, end);
};

/** The sprig functions that make sense on one text. The last argument is the piped value, as in Go templates. */
const functions: Record<string, { args: number; run: (args: string[], value: string) => string }> = {
  upper: { args: 0, run: (_, value) => value.toUpperCase() },
  lower: { args: 0, run: (_, value) => value.toLowerCase() },
  title: { args: 0, run: (_, value) => firstLetters(value, (letter) => letter.toUpperCase()) },
  untitle: { args: 0, run: (_, value) => firstLetters(value, (letter) => letter.toLowerCase()) },
  snakecase: { args: 0, run: (_, value) => words(value).join('_').toLowerCase() },
  kebabcase: { args: 0, run: (_, value) => words(value).join('-').toLowerCase() },
  trim: { args: 0, run: (_, value) => value.trim() },
  trimAll: { args: 1, run: ([cut], value) => trimAll(cut ?? '', value) },
  nospace: { args: 0, run: (_, value) => value.replaceAll(/\s+/g, '') },
  quote: { args: 0, run: (_, value) => JSON.stringify(value) },
  squote: { args: 0, run: (_, value) => `'${value}'` },
  ['toString' as string]: { args: 0, run: (_, value) => value },
  toJson: { args: 0, run: (_, value) => JSON.stringify(value) },
  int: { args: 0, run: (_, value) => String(Math.trunc(Number(value)) || 0) },
  b64enc: { args: 0, run: (_, value) => encode(value) },
  b64dec: { args: 0, run: (_, value) => decode(value) },
  sha256sum: { args: 0, run: (_, value) => bytesToHex(sha256(new TextEncoder().encode(value))) },
  indent: { args: 1, run: ([width], value) => indent(width, value) },
  nindent: { args: 1, run: ([width], value) => `\n${indent(width, value)}` },
  default: { args: 1, run: ([otherwise], value) => (value === '' ? (otherwise ?? '') : value) },
  replace: { args: 2, run: ([from, to], value) => value.replaceAll(from ?? '', to ?? '') },
  trunc: { args: 1, run: ([length], value) => (Number(length) < 0 ? value.slice(Number(length)) : value.slice(0, Number(length))) },
  substr: { args: 2, run: ([start, end], value) => value.slice(Number(start), Number(end) < 0 ? undefined : Number(end)) },
  trimPrefix: { args: 1, run: ([prefix], value) => (value.startsWith(prefix ?? '') ? value.slice((prefix ?? '').length) : value) },
  trimSuffix: { args: 1, run: ([suffix], value) => (suffix !== undefined && suffix !== '' && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value) },
};

/** The author says with these that the text is laid out by hand, so that it is put in as it comes. */
export const isLaidOut = (action: Action): boolean => action.tokens.some((token) => token.kind === 'word' && ['indent', 'nindent'].includes(token.text));

const isSpace = (char: string): boolean => char === ' ' || char === '\t' || char === '\n' || char === '\r';

/** Reads one action up to its `}}`, minding quoted text. Undefined when it never closes. */
const tokenize = (text: string, start: number): { tokens: Token[]; end: number } | undefined => {
  const tokens: Token[] = [];
  let at = start;
  while (at < text.length) {
    const char = text.charAt(at);
    if (text.startsWith('}}', at)) return { tokens, end: at + 2 };
    if (text.startsWith('-}}', at)) return { tokens, end: at + 3 };
    if (isSpace(char)) at += 1;
    else if (char === '|') {
      tokens.push({ kind: 'pipe' });
      at += 1;
    } else if (text.startsWith('\\"', at)) {
      // Inside of a double-quoted YAML text the quotes of an argument are escaped: "{{ .spectro.macro.a | default \"b\" }}".
      const close = text.indexOf('\\"', at + 2);
      if (close < 0) return undefined;
      tokens.push({ kind: 'string', text: text.slice(at + 2, close) });
      at = close + 2;
    } else if (char === '"' || char === '`') {
      const close = closingQuote(text, at, char);
      if (close < 0) return undefined;
      const raw = text.slice(at, close + 1);
      const body = char === '`' ? raw.slice(1, -1) : unescape(raw);
      if (body === undefined) return undefined;
      tokens.push({ kind: 'string', text: body });
      at = close + 1;
    } else {
      let end = at;
      while (end < text.length && !isSpace(text.charAt(end)) && text.charAt(end) !== '|' && !text.startsWith('}}', end) && !text.startsWith('-}}', end))
        end += 1;
      const word = text.slice(at, end);
      tokens.push(word.startsWith('.') ? { kind: 'path', text: word.slice(1) } : { kind: 'word', text: word });
      at = end;
    }
  }
  return undefined;
};

const closingQuote = (text: string, open: number, quote: string): number => {
  for (let at = open + 1; at < text.length; at += 1) {
    if (quote === '"' && text.charAt(at) === '\\') at += 1;
    else if (text.charAt(at) === quote) return at;
  }
  return -1;
};

const unescape = (quoted: string): string | undefined => {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
};

/** A few bytes of template can ask for gigabytes; what does not fit into an object is refused before it is made. */
export const tooLarge = (element: string): Result<never> =>
  fail('fatal', 'text-too-large', element, `becomes longer than ${limits.objectBytes} characters when its references are replaced`);

const lengthReplaced = (value: string, from: string, to: string): number => {
  const places = from === '' ? value.length + 1 : value.split(from).length - 1;
  return value.length + places * Math.max(0, to.length - from.length);
};

/** The value of an action after its pipes. `element` names the place in messages. */
export const runAction = (action: Action, lookup: Lookup, element: string): Result<string> => {
  const [first, ...rest] = action.tokens;
  if (first?.kind !== 'path') return fail('fatal', 'template-invalid', element, 'a .spectro action starts with its reference');
  const found = lookup(first.text);
  if (typeof found === 'object') return found;
  let value = found;
  let at = 0;
  const hasDefault = rest.some((token) => token.kind === 'word' && token.text === 'default');
  if (value === undefined && !hasDefault) {
    return fail('fatal', 'reference-unknown', element, `{{.${first.text}}} refers to nothing. Declare the variable or macro, or add: | default "…"`);
  }
  value ??= '';
  while (at < rest.length) {
    const name = rest[at + 1];
    if (rest[at]?.kind !== 'pipe' || name?.kind !== 'word')
      return fail('fatal', 'template-invalid', element, `after {{.${first.text} only | function is understood`);
    const known = Object.hasOwn(functions, name.text) ? functions[name.text] : undefined;
    if (known === undefined) return fail('fatal', 'function-unknown', element, `the function ${name.text} is not one of ${Object.keys(functions).join(', ')}`);
    const args = rest.slice(at + 2, at + 2 + known.args);
    if (args.length < known.args || args.some((token) => token.kind === 'pipe'))
      return fail('fatal', 'template-invalid', element, `${name.text} takes ${known.args} arguments`);
    const texts = args.map((token) => ('text' in token ? token.text : ''));
    if (name.text === 'replace' && lengthReplaced(value, texts[0] ?? '', texts[1] ?? '') > limits.objectBytes) return tooLarge(element);
    value = known.run(texts, value);
    at += 2 + known.args;
  }
  return ok(value);
};

const opening = /\{\{-?\s*\.spectro\./g;

/** Every action of a text whose pipeline starts with `.spectro`, in order; every other `{{ }}` belongs to somebody else. */
export const scanActions = (text: string, element: string): Result<Action[]> => {
  if (!text.includes('.spectro.')) return ok([]);
  const actions: Action[] = [];
  let done = 0;
  let line = 1;
  for (const match of text.matchAll(opening)) {
    if (match.index < done) continue;
    line += text.slice(done, match.index).split('\n').length - 1;
    const found = tokenize(text, match.index + match[0].indexOf('.spectro.'));
    if (found === undefined) return fail('fatal', 'template-invalid', element, `line ${line}: a {{ .spectro action never closes`);
    const raw = text.slice(match.index, found.end);
    const [first] = found.tokens;
    actions.push({ start: match.index, end: found.end, line, path: first?.kind === 'path' ? first.text : '', raw, tokens: found.tokens });
    line += raw.split('\n').length - 1;
    done = found.end;
  }
  return ok(actions);
};
