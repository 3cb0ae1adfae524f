import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import { isPassword } from '../system/password.ts';

export interface GuardDeps {
  clock: Pick<Clock, 'monotonicMs'>;
  random: Random;
  /** Hash of the password; undefined: nobody has set one, and nobody logs in. */
  passwordHash: () => string | undefined;
  /** What root on this machine knows from a file. */
  token: string;
}

/** Who may change something: a person with a session, or root on this machine. */
export type Caller = { kind: 'person'; csrf: string; session: string } | { kind: 'root' };

const cookieName = 'groundplane';
const sessionMs = 30 * 60_000;
const sessionsMax = 20;
/** After this many wrong passwords in a row the next try waits, each time twice as long. All callers together: they come from one machine. */
const freeTries = 3;
const waitMaxMs = 5 * 60_000;

const isEqual = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};

/** Only names of this machine and the address that was really asked: a name that somebody made up for this address would let his web page in. */
export const isOwnHost = (request: IncomingMessage): boolean => {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  const address = (request.socket.localAddress ?? '').replace(/^::ffff:/, '');
  return ['127.0.0.1', 'localhost', '[::1]'].includes(host) || (address !== '' && (host === address || host === `[${address}]`));
};

/** A form of our own page says so by its origin. Browsers that say nothing are held by the token in the form. */
export const isOwnOrigin = (request: IncomingMessage): boolean => {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  return (origin === undefined || origin === `http://${host ?? ''}`) && (site === undefined || site === 'same-origin' || site === 'none');
};

export const createGuard = (deps: GuardDeps) => {
  const sessions = new Map<string, number>();
  let failures = 0;
  let blockedUntilMs = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const csrfOf = (session: string): string => createHmac('sha256', deps.token).update(`csrf ${session}`).digest('base64url');

  const tryPassword = async (password: string): Promise<Result<string>> => {
    const hash = deps.passwordHash();
    if (hash === undefined)
      return fail('blocked', 'password-unset', 'login', 'nobody has set a password for this page. On the device: groundplane-agent local-password');
    const waitMs = blockedUntilMs - deps.clock.monotonicMs();
    if (waitMs > 0) return fail('retry', 'login-blocked', 'login', `too many wrong passwords; try again in ${Math.ceil(waitMs / 1_000)} s`);
    if (!(await isPassword(password, hash))) {
      failures += 1;
      if (failures >= freeTries) blockedUntilMs = deps.clock.monotonicMs() + Math.min(waitMaxMs, 1_000 * 2 ** Math.min(failures, 20));
      return fail('fatal', 'password-wrong', 'login', 'this is not the password');
    }
    failures = 0;
    const session = Buffer.from(deps.random.bytes(24)).toString('base64url');
    for (const oldest of sessions.keys()) if (sessions.size >= sessionsMax) sessions.delete(oldest);
    sessions.set(session, deps.clock.monotonicMs() + sessionMs);
    return ok(session);
  };

  return {
    /** One try at a time, since each costs memory and a tenth of a second. */
    login: (password: string): Promise<Result<string>> => {
      const mine = turn.then(() => tryPassword(password));
      turn = mine;
      return mine;
    },
    logout: (session: string): void => void sessions.delete(session),
    caller: (request: IncomingMessage): Caller | undefined => {
      const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
      if (bearer !== undefined) return isEqual(bearer, deps.token) ? { kind: 'root' } : undefined;
      const session = new RegExp(`(?:^|; )${cookieName}=([A-Za-z0-9_-]{32})(?:;|$)`).exec(request.headers.cookie ?? '')?.[1];
      const untilMs = session === undefined ? undefined : sessions.get(session);
      if (session === undefined || untilMs === undefined) return undefined;
      if (untilMs < deps.clock.monotonicMs()) {
        sessions.delete(session);
        return undefined;
      }
      sessions.set(session, deps.clock.monotonicMs() + sessionMs);
      return { kind: 'person', csrf: csrfOf(session), session };
    },
    /** Whether a form came from our own page in this session. Root has no browser that could be led astray. */
    isMeant: (request: IncomingMessage, caller: Caller, given: string): boolean =>
      caller.kind === 'root' || (isOwnOrigin(request) && isEqual(given, caller.csrf)),
    cookie: (session: string): string => `${cookieName}=${session}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${sessionMs / 1_000}`,
    noCookie: `${cookieName}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0`,
  };
};
export type Guard = ReturnType<typeof createGuard>;
