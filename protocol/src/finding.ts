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

/** `values.yaml:3:1: warning: … (pack-header-missing)` */
export const findingText = (finding: Finding): string =>
  `${finding.file}${finding.line === undefined ? '' : `:${finding.line}`}${finding.line === undefined || finding.column === undefined ? '' : `:${finding.column}`}: ${finding.severity}: ${finding.message} (${finding.code})`;
