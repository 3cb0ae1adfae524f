import { RE2JS } from 're2js';
import { packLimits } from './limits.ts';

/** Types of a placeholder. `input` occurs in public packs and is taken as a text; so is `any` other word, with a finding. */
export const formatTypes = ['string', 'number', 'boolean', 'password', 'list', 'ipv4', 'version', 'input'] as const;
export type FormatType = (typeof formatTypes)[number];

/** One piece of a format: what stands there literally, or a placeholder `${number:[1-10]}`. */
export type FormatPart =
  | { literal: string }
  | {
      type: FormatType;
      /** RE2. */
      pattern?: string;
      range?: { min: number; max: number };
      options?: string[];
    };

export type Placeholder = Exclude<FormatPart, { literal: string }>;
export const isPlaceholder = (part: FormatPart): part is Placeholder => 'type' in part;

export type ParsedFormat = { ok: true; parts: FormatPart[]; remarks: string[] } | { ok: false; why: string };

interface Constraint {
  pattern?: string;
  range?: { min: number; max: number };
  options?: string[];
}

const patternOf = (body: string): { ok: true; value: Constraint } | { ok: false; why: string } => {
  if (body.length > packLimits.patternBytes) return { ok: false, why: `its pattern has more than ${packLimits.patternBytes} characters` };
  try {
    RE2JS.compile(body);
    return { ok: true, value: { pattern: body } };
  } catch {
    return { ok: false, why: `the pattern /${body.slice(0, 100)}/ is not RE2` };
  }
};

const bracketOf = (type: FormatType, body: string): { ok: true; value: Constraint } | { ok: false; why: string } => {
  if (type !== 'number') {
    const options = body
      .split(',')
      .map((option) => option.trim())
      .filter((option) => option !== '');
    return options.length === 0 ? { ok: false, why: 'its list of options is empty' } : { ok: true, value: { options } };
  }
  const bounds = /^\s*(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)\s*$/.exec(body);
  if (bounds === null) return { ok: false, why: `the range [${body.slice(0, 50)}] is not [low-high]` };
  const [min, max] = [Number(bounds[1]), Number(bounds[2])];
  return min <= max ? { ok: true, value: { range: { min, max } } } : { ok: false, why: `the range [${body}] has its ends the wrong way round` };
};

/** Where a placeholder ends: behind `/}` of a pattern, `]}` of a list or range, or the first `}`. */
const closing = (text: string, from: number): { end: number; body: string } | undefined => {
  const colon = /^\$\{\s*([A-Za-z0-9_-]+)\s*:\s*/.exec(text.slice(from));
  const mark = colon === null ? '' : text.charAt(from + colon[0].length);
  const close = mark === '/' ? '/}' : mark === '[' ? ']}' : '}';
  const end = text.indexOf(close, from + (colon === null ? 2 : colon[0].length + (mark === '/' || mark === '[' ? 1 : 0)));
  return end < 0 ? undefined : { end: end + close.length, body: text.slice(from + 2, end + close.length - 1) };
};

const placeholderOf = (body: string): { ok: true; part: Placeholder; remark?: string } | { ok: false; why: string } => {
  const [, word = '', rest] = /^\s*([A-Za-z0-9_-]*)\s*(?::\s*([\s\S]*?)\s*)?$/.exec(body) ?? [];
  const known = formatTypes.find((type) => type === word.toLowerCase());
  if (word === '') return { ok: false, why: `\${${body.slice(0, 50)}} has no type` };
  const type = known ?? 'string';
  const remark =
    known === undefined
      ? `the type ${word} is not one of ${formatTypes.join(', ')}; taken as string`
      : known === 'input'
        ? 'the type input is not documented; taken as string'
        : undefined;
  const read =
    rest === undefined || rest === ''
      ? { ok: true as const, value: {} }
      : rest.length > 1 && rest.startsWith('/') && rest.endsWith('/')
        ? patternOf(rest.slice(1, -1))
        : rest.startsWith('[') && rest.endsWith(']')
          ? bracketOf(type, rest.slice(1, -1))
          : { ok: false as const, why: `${rest.slice(0, 50)} behind the type is neither /pattern/ nor [range or options]` };
  return read.ok ? { ok: true, part: { type, ...read.value }, ...(remark === undefined ? {} : { remark }) } : read;
};

/** Reads `${string}/${string}:${version}`. */
export const parseFormat = (text: string): ParsedFormat => {
  const parts: FormatPart[] = [];
  const remarks: string[] = [];
  for (let at = 0; at < text.length;) {
    const open = text.indexOf('${', at);
    if (open !== at) parts.push({ literal: text.slice(at, open < 0 ? text.length : open) });
    if (open < 0) break;
    const found = closing(text, open);
    if (found === undefined) return { ok: false, why: 'a ${ never closes' };
    const placeholder = placeholderOf(found.body);
    if (!placeholder.ok) return placeholder;
    parts.push(placeholder.part);
    if (placeholder.remark !== undefined) remarks.push(placeholder.remark);
    if (parts.length > packLimits.formatParts) return { ok: false, why: `has more than ${packLimits.formatParts} parts` };
    at = found.end;
  }
  return parts.some(isPlaceholder) ? { ok: true, parts, remarks } : { ok: false, why: 'has no placeholder like ${string}' };
};

const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const typePatterns: Readonly<Record<FormatType, string>> = {
  string: '.+',
  password: '.+',
  input: '.+',
  list: '.+',
  number: String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?`,
  boolean: 'true|false',
  ipv4: String.raw`${octet}(?:\.${octet}){3}`,
  version: String.raw`v?\d+(?:\.\d+){0,3}(?:[-+][0-9A-Za-z.+-]+)?`,
};

const like: Readonly<Record<FormatType, string>> = {
  string: 'a text',
  password: 'a text',
  input: 'a text',
  list: 'one of the options',
  number: 'a number',
  boolean: 'true or false',
  ipv4: 'an IPv4 address like 192.0.2.7',
  version: 'a version like 1.4.0',
};

const matchesWhole = (pattern: string, value: string): boolean => RE2JS.compile(`(?s:${pattern})`).matches(value);

const checkPart = (part: Placeholder, value: string): string | undefined => {
  if (part.type !== 'list' && !matchesWhole(typePatterns[part.type], value)) return `is not ${like[part.type]}`;
  if (part.options !== undefined && !part.options.includes(value)) return `is not one of ${part.options.join(', ')}`;
  if (part.range !== undefined && (Number(value) < part.range.min || Number(value) > part.range.max))
    return `is not from ${part.range.min} to ${part.range.max}`;
  if (part.pattern !== undefined && !RE2JS.compile(part.pattern).matcher(value).find()) return `does not match /${part.pattern}/`;
  return undefined;
};

/** Inside of a longer format a pattern speaks about its own part, so its anchors are those of the part. */
const innerPattern = (part: Placeholder): string =>
  part.pattern === undefined
    ? part.options === undefined
      ? typePatterns[part.type]
      : part.options.map((option) => RE2JS.quote(option)).join('|')
    : part.pattern.replace(/^\^/, '').replace(/\$$/, '');

/** What is wrong with a value that is not empty; nothing when it fits. Never throws: what the pattern engine cannot do is told as not matching. */
export const checkFormat = (parts: readonly FormatPart[], formatText: string, value: string): string | undefined => {
  const [only] = parts;
  try {
    if (parts.length === 1 && only !== undefined && isPlaceholder(only)) return checkPart(only, value);
    const names = parts.map((_, index) => `gp${index}`);
    const whole = parts.map((part, index) => (isPlaceholder(part) ? `(?P<${names[index] ?? ''}>${innerPattern(part)})` : RE2JS.quote(part.literal))).join('');
    const matcher = RE2JS.compile(`(?s:${whole})`).matcher(value);
    if (!matcher.matches()) return `does not look like ${formatText}`;
    for (const [index, part] of parts.entries()) {
      const piece = isPlaceholder(part) ? (matcher.group(names[index] ?? '') ?? '') : '';
      const why = isPlaceholder(part) ? checkPart({ ...part, ...(part.pattern === undefined ? {} : { pattern: innerPattern(part) }) }, piece) : undefined;
      if (why !== undefined) return `does not look like ${formatText}: ${piece} ${why}`;
    }
    return undefined;
  } catch {
    return `does not look like ${formatText}`;
  }
};
