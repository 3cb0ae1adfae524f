import { findingText, type Finding } from '@groundplane/protocol/finding';
import type { Context } from '../io.ts';
import { printable } from './printable.ts';
import { painter } from './style.ts';

const tones = { error: 'bad', warning: 'warn', info: 'dim' } as const;

/** Findings on stderr, one a line, so that stdout stays the result. With `-q` errors only. */
export const printFindings = async (context: Context, findings: readonly Finding[]): Promise<void> => {
  const paint = painter(context, context.io.stderr);
  for (const finding of findings) {
    if (context.globals.quiet && finding.severity !== 'error') continue;
    await context.io.stderr.write(`${paint(tones[finding.severity], printable(findingText(finding)))}\n`);
  }
};

export const hasErrors = (findings: readonly Finding[]): boolean => findings.some((finding) => finding.severity === 'error');
