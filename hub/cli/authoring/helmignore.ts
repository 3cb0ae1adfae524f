import { fail, ok, type Result } from '@groundplane/protocol/failure';

interface Rule {
  isNegated: boolean;
  onlyFolders: boolean;
  matches: (path: string) => boolean;
}

const rulesMax = 1_000;

/** A shell pattern as Go's `filepath.Match` reads it: `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes, `\` quotes. Undefined when it is malformed. */
const globExpression = (glob: string): RegExp | undefined => {
  let text = '';
  for (let at = 0; at < glob.length; at += 1) {
    const char = glob.charAt(at);
    if (char === '*') {
      // Many stars in a row mean the same as one; as an expression they would take exponential time.
      while (glob.charAt(at + 1) === '*') at += 1;
      text += '[^/]*';
    } else if (char === '?') text += '[^/]';
    else if (char === '[') {
      const close = glob.indexOf(']', at + 2);
      if (close < 0) return undefined;
      const body = glob.slice(at + 1, close);
      const isNegated = body.startsWith('^');
      text += `[${isNegated ? '^/' : ''}${(isNegated ? body.slice(1) : body).replaceAll(/[\\\]^]/g, String.raw`\$&`)}]`;
      at = close;
    } else {
      const literal = char === '\\' ? glob.charAt((at += 1)) : char;
      if (literal === '') return undefined;
      text += literal.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
    }
  }
  try {
    return new RegExp(`^${text}$`, 's');
  } catch {
    return undefined;
  }
};

const parseRule = (line: string): Rule | undefined => {
  const isNegated = line.startsWith('!');
  const body = isNegated ? line.slice(1) : line;
  const onlyFolders = body.endsWith('/');
  const pattern = onlyFolders ? body.slice(0, -1) : body;
  const isWhole = pattern.includes('/');
  const expression = globExpression(pattern.startsWith('/') ? pattern.slice(1) : pattern);
  if (expression === undefined) return undefined;
  return { isNegated, onlyFolders, matches: (path) => expression.test(isWhole ? path : path.slice(path.lastIndexOf('/') + 1)) };
};

/** Whether a path (relative to the chart, with `/`) stays out of the archive. */
export type Ignore = (path: string, isFolder: boolean) => boolean;

/**
 * Reads a `.helmignore` with Helm's semantics, which are not git's: the first rule that speaks decides, `**` is refused, and a line with `!` leaves out everything
 * that it does not match. Helm itself adds the rule that hidden files in `templates` stay out.
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
