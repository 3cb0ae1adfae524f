import type { Finding } from '@groundplane/protocol/finding';
import { checkValues, misplacedRules } from '@groundplane/protocol/pack/schema';
import { readSource } from '@groundplane/protocol/pack/source';
import type { DocumentProblem } from '../edit/check-document.ts';
import type { Guide } from './guide.ts';

const problemsMax = 50;

const offsetOf = (text: string, line: number): number => {
  let offset = 0;
  for (let at = 1; at < line; at += 1) {
    const next = text.indexOf('\n', offset);
    if (next === -1) return text.length;
    offset = next + 1;
  }
  return offset;
};

/** Where a finding is: its line from its column to the end. */
const placed = (text: string, { line = 1, column = 1, message, severity }: Finding): DocumentProblem => {
  const start = offsetOf(text, line);
  const end = text.indexOf('\n', start);
  const from = Math.min(start + column - 1, text.length);
  return { line, from, to: Math.max(from, end === -1 ? text.length : end), message, severity: severity === 'error' ? 'error' : 'warning' };
};

/** What is wrong with values: their YAML, and the rules of the pack as the hub checks them. */
export const checkLayerValues = (text: string, guide: Guide): DocumentProblem[] => {
  const { source, findings } = readSource(text, 'values.yaml');
  const { defaults, rules } = guide;
  const misplaced = new Set(defaults === undefined ? [] : misplacedRules(defaults, rules).map((rule) => rule.path));
  const wrong =
    source === undefined
      ? []
      : checkValues(
          source,
          rules.filter((rule) => !misplaced.has(rule.path)),
          defaults,
        );
  return [...findings, ...wrong]
    .filter((finding) => finding.severity !== 'info')
    .slice(0, problemsMax)
    .map((finding) => placed(text, finding));
};
