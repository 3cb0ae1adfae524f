import { fail, ok, type Result } from '@groundplane/protocol/failure';

interface Rule {
  isNegated: boolean;
  onlyFolders: boolean;
  matches: (path: string) => boolean;
}

const rulesMax = 1_000;

type Part = { kind: 'star' } | { kind: 'any' } | { kind: 'literal'; char: string } | { kind: 'class'; isNegated: boolean; ranges: [string, string][] };

const parseClass = (body: string): Part | undefined => {
  const isNegated = body.startsWith('^');
  const chars = Array.from((isNegated ? body.slice(1) : body).replaceAll('\\', ''));
  const ranges: [string, string][] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const low = chars[at] ?? '';
    const isRange = chars[at + 1] === '-' && chars[at + 2] !== undefined;
    ranges.push([low, isRange ? (chars[at + 2] ?? low) : low]);
    if (isRange) at += 2;
  }
  return ranges.length === 0 ? undefined : { kind: 'class', isNegated, ranges };
};

/** A shell pattern as Go's `filepath.Match` reads it: `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes, `\` quotes. Undefined when it is malformed. */
const parseGlob = (glob: string): Part[] | undefined => {
  const parts: Part[] = [];
  for (let at = 0; at < glob.length; at += 1) {
    const char = glob.charAt(at);
    if (char === '*') {
      if (parts.at(-1)?.kind !== 'star') parts.push({ kind: 'star' });
    } else if (char === '?') parts.push({ kind: 'any' });
    else if (char === '[') {
      const close = glob.indexOf(']', at + 2);
      const part = close < 0 ? undefined : parseClass(glob.slice(at + 1, close));
      if (part === undefined) return undefined;
      parts.push(part);
      at = close;
    } else {
      if (char === '\\') at += 1;
      if (at >= glob.length) return undefined;
      parts.push({ kind: 'literal', char: glob.charAt(at) });
    }
  }
  return parts;
};

const fits = (part: Part, char: string): boolean => {
  if (part.kind === 'literal') return part.char === char;
  if (part.kind === 'star' || char === '/') return false;
  return part.kind === 'any' || part.ranges.some(([low, high]) => low <= char && char <= high) !== part.isNegated;
};

/** Looks back to the last star only, so that no pattern takes more than pattern × text steps. */
const matchGlob = (parts: readonly Part[], text: string): boolean => {
  let part = 0;
  let at = 0;
  let star = -1;
  let from = 0;
  while (at < text.length) {
    const current = parts[part];
    if (current?.kind === 'star') {
      star = part;
      from = at;
      part += 1;
    } else if (current !== undefined && fits(current, text.charAt(at))) {
      part += 1;
      at += 1;
    } else if (star >= 0 && text.charAt(from) !== '/') {
      from += 1;
      at = from;
      part = star + 1;
    } else return false;
  }
  while (parts[part]?.kind === 'star') part += 1;
  return part === parts.length;
};

const parseRule = (line: string): Rule | undefined => {
  const isNegated = line.startsWith('!');
  const body = isNegated ? line.slice(1) : line;
  const onlyFolders = body.endsWith('/');
  const pattern = onlyFolders ? body.slice(0, -1) : body;
  const isWhole = pattern.includes('/');
  const glob = parseGlob(pattern.startsWith('/') ? pattern.slice(1) : pattern);
  if (glob === undefined) return undefined;
  return { isNegated, onlyFolders, matches: (path) => matchGlob(glob, isWhole ? path : path.slice(path.lastIndexOf('/') + 1)) };
};

/** Whether a path (relative to the chart, with `/`) stays out of the archive. */
export type Ignore = (path: string, isFolder: boolean) => boolean;

/**
 * Reads a `.helmignore` with Helm's semantics, which are not git's: the first rule that speaks decides, `**` is refused, and a line with `!` leaves out
 * everything that it does not match. Helm itself adds the rule that hidden files in `templates` stay out.
 */
export const parseHelmIgnore = (text: string, element: string): Result<Ignore> => {
  const rules: Rule[] = [];
  const lines = [...text.split('\n').map((line) => line.trim()), 'templates/.?*'];
  if (lines.length > rulesMax) return fail('fatal', 'helmignore-invalid', element, `it has more than ${rulesMax} lines`);
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.includes('**')) return fail('fatal', 'helmignore-invalid', `${element}:${index + 1}`, 'Helm does not know **; name the folder, like vendor/');
    const rule = parseRule(line);
    if (rule === undefined) return fail('fatal', 'helmignore-invalid', `${element}:${index + 1}`, `${line} is not a pattern; like *.bak, /docs or vendor/`);
    rules.push(rule);
  }
  return ok((path, isFolder) => {
    for (const rule of rules) {
      if (rule.isNegated) {
        if ((rule.onlyFolders && !isFolder) || !rule.matches(path)) return true;
      } else if ((!rule.onlyFolders || isFolder) && rule.matches(path)) return true;
    }
    return false;
  });
};
