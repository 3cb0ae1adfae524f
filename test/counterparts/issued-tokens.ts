import { systemClock } from '@groundplane/hub/system/clock';
import type { ReviewToken } from './control-plane.ts';

interface Issued {
  /** Whom it was given to. */
  to: string;
  /** What it is for: a scope or an audience. */
  for: string;
  untilMs: number;
}

/** Bearer tokens of a cloud's login: each its own, with an end, and revocable. */
export const createTokens = (prefix: string) => {
  const issued = new Map<string, Issued>();
  let count = 0;
  const state = {
    /** How long the next ones live. */
    lifeSeconds: 3_599,
  };
  return {
    state,
    issue: (to: string, purpose: string): string => {
      count += 1;
      const token = `${prefix}${count}`;
      issued.set(token, { to, for: purpose, untilMs: systemClock.wallMs() + state.lifeSeconds * 1_000 });
      return token;
    },
    /** Undefined: never issued, ended or revoked. */
    look: (token: string): Issued | undefined => {
      const known = issued.get(token);
      return known !== undefined && known.untilMs > systemClock.wallMs() ? known : undefined;
    },
    isOurs: (token: string): boolean => token.startsWith(prefix),
    /** All that were given so far. */
    revoke: (): void => issued.clear(),
  };
};
export type Tokens = ReturnType<typeof createTokens>;

/** What an API server's authenticator says of a cloud's tokens. `problem`: why one that is good elsewhere is not good there; what it may do is everything. */
export const reviewWith =
  (tokens: Tokens, problem: (issued: Issued) => string | undefined): ReviewToken =>
  (token) => {
    if (!tokens.isOurs(token)) return undefined;
    const known = tokens.look(token);
    if (known === undefined) return { error: 'the token is not valid (any more)' };
    const error = problem(known);
    return error === undefined ? { username: known.to, groups: ['system:masters'] } : { error };
  };
