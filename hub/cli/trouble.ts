import type { ApiError } from '@groundplane/protocol/api/client';
import { printable } from './output/printable.ts';

/** Exit codes are part of the interface: scripts rely on them. */
export const exits = { ok: 0, error: 1, usage: 2, different: 3, partly: 4, denied: 5 } as const;

/** What a person reads when something went wrong: the thing, the cause, and what to do next. */
export interface Trouble {
  what: string;
  why: string;
  /** One line each, shown between cause and next command; for lists of problems. */
  details?: readonly string[];
  next?: string;
  exit: number;
}

export type Attempt<T> = { ok: true; value: T } | { ok: false; trouble: Trouble };

/** What a command ends with: an exit code, or what went wrong. */
export type Outcome = number | Trouble;

export const done = <T>(value: T): Attempt<T> => ({ ok: true, value });
export const trouble = (what: string, why: string, next?: string): Trouble => ({ what, why, ...(next === undefined ? {} : { next }), exit: exits.error });
export const usage = (what: string, why: string, next?: string): Trouble => ({ ...trouble(what, why, next), exit: exits.usage });

const nextFor = (failure: ApiError): string | undefined => {
  if (failure.status === 401) return 'gp login';
  if (failure.status === 403) return 'gp whoami   (shows what you may do)';
  if (failure.status === 0) return 'check that the hub runs and that this is its address: gp context';
  if (failure.status === 429 || failure.status >= 500) return 'try again in a moment; the hub says more in its own log';
  return undefined;
};

/** A failed call as trouble. The hub's messages often name the next command themselves; then nothing is added. */
export const apiTrouble = (failure: ApiError, next?: string): Trouble => {
  const hint = next ?? nextFor(failure);
  const isNamed = failure.message.includes('gp ') && next === undefined && failure.status !== 401 && failure.status !== 403;
  return {
    what: failure.element,
    why: failure.message,
    ...(hint === undefined || isNamed ? {} : { next: hint }),
    exit: failure.status === 401 || failure.status === 403 ? exits.denied : exits.error,
  };
};

/** Text of a trouble for stderr. Parts come from files and from the hub, so nothing in them may steer the terminal. */
export const troubleText = (item: Trouble, paint: (text: string) => string): string => {
  const lines = [`${paint('error:')} ${printable(item.what)}: ${printable(item.why)}`];
  for (const detail of item.details ?? []) lines.push(`  ${printable(detail)}`);
  if (item.next !== undefined) lines.push(`  next: ${printable(item.next)}`);
  return `${lines.join('\n')}\n`;
};
