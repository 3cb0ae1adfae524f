import { wants, type Answer, type Ask, type JournalEntry, type Vitals, type Want } from '@groundplane/protocol/ask';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { Clock } from '../port/clock.ts';

/** What a host told, and when the hub heard it. */
export interface Known<T> {
  atMs: number;
  value: T;
}

/** `live`: told just now. `last`: what was known, and why nothing newer. `none`: nothing was ever heard. */
export type Heard<T> = { state: 'live'; known: Known<T> } | { state: 'last'; known: Known<T>; why: Failure } | { state: 'none'; why: Failure };

/** What is needed of one connection. */
export interface AskSession {
  canAsk: boolean;
  say(message: Ask): void;
}

interface Waiting {
  id: number;
  /** The connection that was asked: an answer by another one answers nothing. */
  session: AskSession;
  settle(answer: Result<void>): void;
  done: Promise<Result<void>>;
}

const hostText = (host: string): string => `host ${host}`;

/** Keeps the newest `max` of a map that is filled in the order of use. */
const keep = <T>(map: Map<string, T>, max: number, key: string, value: T): void => {
  map.delete(key);
  map.set(key, value);
  const oldest = map.size > max ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
};

/**
 * Asks hosts for what they do not report by themselves, and remembers the last answer of each. Many who ask the same at once cost the host one answer. Nothing of this
 * is state: it is lost with the hub, except that vitals go to the disk with the end of a connection.
 */
export const createAsker = ({ clock, sessionOf }: { clock: Clock; sessionOf: (host: string) => AskSession | undefined }) => {
  const waiting = new Map<string, Waiting>();
  const vitals = new Map<string, Known<Vitals>>();
  const journals = new Map<string, Known<readonly JournalEntry[]>>();
  let lastId = 0;

  const begin = (key: string, session: AskSession, ask: Omit<Ask, 't' | 'id'>, host: string): Promise<Result<void>> => {
    lastId += 1;
    const id = lastId;
    const { promise, resolve } = Promise.withResolvers<Result<void>>();
    const settle = (answer: Result<void>): void => {
      cancel();
      if (waiting.get(key)?.id === id) waiting.delete(key);
      resolve(answer);
    };
    const cancel = clock.after(limits.askMs, () =>
      settle(fail('retry', 'host-silent', hostText(host), `is connected and did not answer within ${limits.askMs / 1_000} seconds. Try again`)),
    );
    waiting.set(key, { id, session, settle, done: promise });
    session.say({ t: 'ask', id, ...ask });
    return promise;
  };

  /** Has the host's answer in the maps when it is ok. */
  const ask = async (host: { id: string; name: string }, want: Want, last?: number): Promise<Result<void>> => {
    const session = sessionOf(host.id);
    if (session === undefined) return fail('blocked', 'host-offline', hostText(host.name), 'is offline');
    if (!session.canAsk) return fail('blocked', 'agent-too-old', hostText(host.name), 'has an agent that is too old to be asked. Update the agent');
    const key = `${host.id} ${want}`;
    const under = waiting.get(key);
    if (under !== undefined && under.session === session) return under.done;
    if (waiting.size >= limits.asksOpen)
      return fail('retry', 'hub-busy', hostText(host.name), 'is not asked now, since too many hosts are at this moment. Try again');
    return begin(key, session, { want, ...(last === undefined ? {} : { last }) }, host.name);
  };

  const heard = <T>(known: Known<T> | undefined, asked: Result<void>): Heard<T> => {
    if (asked.ok && known !== undefined) return { state: 'live', known };
    const why = asked.ok ? fail('retry', 'answer-gone', 'host', 'answered, and its answer made room for others already. Try again').failure : asked.failure;
    return known === undefined ? { state: 'none', why } : { state: 'last', known, why };
  };

  return {
    /** `kept`: what the store remembers of the time before this hub started. */
    vitals: async (host: { id: string; name: string }, kept: () => Promise<Known<Vitals> | undefined>): Promise<Heard<Vitals>> => {
      const fresh = vitals.get(host.id);
      if (fresh !== undefined && sessionOf(host.id) !== undefined && clock.wallMs() - fresh.atMs < limits.vitalsFreshMs) return { state: 'live', known: fresh };
      const asked = await ask(host, 'vitals');
      return heard(vitals.get(host.id) ?? (asked.ok ? undefined : await kept()), asked);
    },
    journal: async (host: { id: string; name: string }): Promise<Heard<readonly JournalEntry[]>> => {
      const asked = await ask(host, 'journal', limits.journalAnswer);
      return heard(journals.get(host.id), asked);
    },
    /** An answer that nobody waits for (late, twice, made up) changes nothing, except vitals that a host tells by itself. */
    onAnswer: (host: string, session: AskSession, answer: Answer): void => {
      const want = wants.find((item) => {
        const entry = waiting.get(`${host} ${item}`);
        return entry?.id === answer.id && entry.session === session;
      });
      if (want === undefined && answer.id !== 0) return;
      const atMs = clock.wallMs();
      if (answer.vitals !== undefined && want !== 'journal') keep(vitals, limits.knownVitals, host, { atMs, value: answer.vitals });
      if (answer.journal !== undefined && want === 'journal') keep(journals, limits.knownJournals, host, { atMs, value: answer.journal });
      if (want === undefined) return;
      const empty = fail('blocked', 'answer-empty', hostText(host), 'answered something else than it was asked for');
      const settled = answer.failure === undefined ? (answer[want] === undefined ? empty : ok(undefined)) : { ok: false as const, failure: answer.failure };
      waiting.get(`${host} ${want}`)?.settle(settled);
    },
    /** The connection is gone; whoever waits for it learns that now. */
    onLeave: (host: string, session: AskSession): void => {
      for (const want of wants) {
        const entry = waiting.get(`${host} ${want}`);
        if (entry?.session === session) entry.settle(fail('blocked', 'host-offline', 'host', 'went offline while it was asked'));
      }
    },
    /** The last vitals of a host, to be kept beside when it was seen last. */
    lastVitals: (host: string): Known<Vitals> | undefined => vitals.get(host),
    /** Another machine took its place, or it is no host any more. */
    forget: (host: string): void => {
      vitals.delete(host);
      journals.delete(host);
    },
  };
};
export type Asker = ReturnType<typeof createAsker>;
