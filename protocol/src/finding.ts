/** What a check says about a file that people wrote: one sentence at a line. Errors stop; warnings name what reality does and we put up with. */
export interface Finding {
  severity: 'error' | 'warning' | 'info';
  /** Stable, kebab-case: `pack-header-missing`. */
  code: string;
  /** Path inside the pack, package or profile: `values.yaml`. */
  file: string;
  /** From 1. */
  line?: number;
  column?: number;
  message: string;
}

/** Control characters, line and paragraph separators, and what turns the reading direction: keys of a file must not steer the terminal or console that shows them. */
const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
const shown = (text: string): string => text.replaceAll(steering, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** `values.yaml:3:1: warning: … (pack-header-missing)` */
export const findingText = (finding: Finding): string =>
  shown(
    `${finding.file}${finding.line === undefined ? '' : `:${finding.line}`}${finding.line === undefined || finding.column === undefined ? '' : `:${finding.column}`}: ${finding.severity}: ${finding.message} (${finding.code})`,
  );
