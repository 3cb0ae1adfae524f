import { fail, ok, type Result } from '../failure.ts';
import { limits } from '../limits.ts';

/** What templates may ask for, by full dotted path without the leading dot: `spectro.var.replicas`. */
export type Lookup = (path: string) => string | undefined;

type Token = { kind: 'path'; text: string } | { kind: 'word'; text: string } | { kind: 'string'; text: string } | { kind: 'pipe' };

const encode = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** The sprig functions that make sense on one text. The last argument is the piped value, as in Go templates. */
const functions: Record<string, { args: number; run: (args: string[], value: string) => string }> = {
  upper: { args: 0, run: (_, value) => value.toUpperCase() },
  lower: { args: 0, run: (_, value) => value.toLowerCase() },
  trim: { args: 0, run: (_, value) => value.trim() },
  quote: { args: 0, run: (_, value) => JSON.stringify(value) },
  squote: { args: 0, run: (_, value) => `'${value}'` },
  b64enc: { args: 0, run: (_, value) => encode(value) },
  default: { args: 1, run: ([otherwise], value) => (value === '' ? (otherwise ?? '') : value) },
  replace: { args: 2, run: ([from, to], value) => value.replaceAll(from ?? '', to ?? '') },
  trunc: { args: 1, run: ([length], value) => (Number(length) < 0 ? value.slice(Number(length)) : value.slice(0, Number(length))) },
  substr: { args: 2, run: ([start, end], value) => value.slice(Number(start), Number(end) < 0 ? undefined : Number(end)) },
  trimPrefix: { args: 1, run: ([prefix], value) => (value.startsWith(prefix ?? '') ? value.slice((prefix ?? '').length) : value) },
  trimSuffix: { args: 1, run: ([suffix], value) => (suffix !== undefined && suffix !== '' && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value) },
};

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
const tooLarge = (element: string): Result<never> =>
  fail('fatal', 'text-too-large', element, `becomes longer than ${limits.objectBytes} characters when its references are replaced`);

const lengthReplaced = (value: string, from: string, to: string): number => {
  const places = from === '' ? value.length + 1 : value.split(from).length - 1;
  return value.length + places * Math.max(0, to.length - from.length);
};

const evaluate = (tokens: readonly Token[], lookup: Lookup, element: string): Result<string> => {
  const [first, ...rest] = tokens;
  if (first?.kind !== 'path') return fail('fatal', 'template-invalid', element, 'a .spectro action starts with its reference');
  let value = lookup(first.text);
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

/**
 * Replaces the template actions whose pipeline starts with `.spectro` and leaves every other `{{ }}` exactly as it is: values are full of other
 * people's templates. Failures name the reference and what to do. A replaced text is not looked at again, so values cannot inject references.
 */
export const substitute = (text: string, lookup: Lookup, element: string): Result<string> => {
  if (!text.includes('.spectro.')) return ok(text);
  const parts: string[] = [];
  let done = 0;
  let length = 0;
  let line = 1;
  for (const match of text.matchAll(opening)) {
    if (match.index < done) continue;
    const open = match.index + match[0].indexOf('.spectro.');
    const before = text.slice(done, match.index);
    line += before.split('\n').length - 1;
    const action = tokenize(text, open);
    if (action === undefined) return fail('fatal', 'template-invalid', element, `line ${line}: a {{ .spectro action never closes`);
    const value = evaluate(action.tokens, lookup, `${element}, line ${line}`);
    if (!value.ok) return value;
    parts.push(before, value.value);
    length += before.length + value.value.length;
    if (length > limits.objectBytes) return tooLarge(`${element}, line ${line}`);
    line += text.slice(match.index, action.end).split('\n').length - 1;
    done = action.end;
  }
  const rest = text.slice(done);
  if (parts.length > 0 && length + rest.length > limits.objectBytes) return tooLarge(element);
  return ok(parts.join('') + rest);
};

/** Every `.spectro` reference of a text, for "used by" and for checks before anything is set. */
export const references = (text: string): string[] => {
  const found = new Set<string>();
  for (const match of text.matchAll(opening)) {
    const action = tokenize(text, match.index + match[0].indexOf('.spectro.'));
    const first = action?.tokens[0];
    if (first?.kind === 'path') found.add(first.text);
  }
  return [...found];
};
