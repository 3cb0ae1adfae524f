import type { Context } from './io.ts';
import { usage, type Trouble } from './trouble.ts';
import { printable } from './output/printable.ts';

/** Asks on a terminal; without one, the option that stands for "yes" has to be given. Undefined means go on. */
export const confirm = async (context: Context, question: string, what: string, isSure: boolean, option = '--yes'): Promise<Trouble | undefined> => {
  if (isSure) return undefined;
  if (!context.io.stdin.isTTY || !context.io.stderr.isTTY) return usage(what, 'there is no terminal to ask whether you are sure', `add ${option}`);
  const answer = await context.io.ask(`${printable(question)} [y/N] `);
  return /^(y|yes)$/i.test(answer.trim()) ? undefined : usage(what, 'nothing was done', `answer y, or add ${option}`);
};
