import { answerSchema, type Answer, type Ask, type JournalEntry, type Vitals } from '@groundplane/protocol/ask';
import { fail, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { Clock } from '../port/clock.ts';
import type { AgentStore } from '../port/store.ts';
import type { VitalsSource } from '../port/vitals.ts';
import type { JournalRow } from '../store/state.ts';
import { isNotable } from './notable.ts';

const identity = (row: JournalRow): string => JSON.stringify([row.generation, row.layer ?? '', row.step, row.text]);
const clip = (text: string): string => text.slice(0, limits.journalTextChars);

/** The newest steps, oldest first. Reads no more rows than it looks through for earlier tries: a journal may have 20,000. */
export const lastSteps = (store: Pick<AgentStore, 'keys' | 'get'>, last: number): JournalEntry[] => {
  const rows = store
    .keys('journal')
    .slice(-Math.max(limits.journalLook, last))
    .flatMap((key) => {
      const text = store.get('journal', key);
      return text === undefined ? [] : [JSON.parse(text) as JournalRow];
    });
  const tries = new Map<string, number>();
  return rows
    .map((row): JournalEntry => {
      const attempt = (tries.get(identity(row)) ?? 0) + 1;
      tries.set(identity(row), attempt);
      return {
        seq: row.seq,
        atMs: row.atMs,
        generation: row.generation,
        ...(row.layer === undefined ? {} : { layer: row.layer }),
        step: row.step.slice(0, 64),
        text: clip(row.text),
        state: row.state,
        attempt,
        ...(row.failure === undefined ? {} : { failure: { code: row.failure.code.slice(0, 64), message: clip(row.failure.message) } }),
      };
    })
    .slice(-last);
};

/** The newest that fit into half a frame, whatever signs their texts are made of. */
const fitting = (entries: readonly JournalEntry[]): JournalEntry[] => {
  let bytes = 0;
  const first = entries.findLastIndex((entry) => (bytes += Buffer.byteLength(JSON.stringify(entry)) + 1) > limits.frameBytes / 2);
  return entries.slice(first + 1);
};

/** The hub ends a conversation in which a message is malformed; a row that nobody thought of must not cost the host its line. */
const checked = (answer: Answer): Answer =>
  answerSchema.safeParse(answer).success
    ? answer
    : {
        t: 'answer',
        id: answer.id,
        failure: fail('blocked', 'answer-invalid', 'host', 'has something to tell that has not the form which the protocol asks for').failure,
      };

/** What the hub may ask for, and vitals that are told unasked: seldom, and only when they changed notably. */
export const createAnswers = (deps: { store: Pick<AgentStore, 'keys' | 'get'>; clock: Clock; vitals: VitalsSource | undefined }) => {
  const { store, clock } = deps;
  let reading: Promise<Result<Vitals>> | undefined;
  let told: Vitals | undefined;
  let readAtMs: number | undefined;

  /** One reading at a time, whoever wants it. */
  const read = async (): Promise<Result<Vitals>> => {
    if (deps.vitals === undefined) return fail('blocked', 'vitals-unknown', 'machine', 'has no vitals to tell, as simulated ones have none');
    reading ??= deps.vitals.read().finally(() => (reading = undefined));
    return reading;
  };

  const tell = (vitals: Vitals): Vitals => {
    readAtMs = clock.monotonicMs();
    told = vitals;
    return vitals;
  };

  return {
    answer: async ({ id, want, last }: Ask): Promise<Answer> => {
      if (want === 'journal') return checked({ t: 'answer', id, journal: fitting(lastSteps(store, last ?? limits.journalAnswer)) });
      const vitals = await read();
      return checked(vitals.ok ? { t: 'answer', id, vitals: tell(vitals.value) } : { t: 'answer', id, failure: vitals.failure });
    },
    /** Another hub, or the same one after a restart: it knows nothing. */
    forget: (): void => {
      told = undefined;
      readAtMs = undefined;
    },
    /** Called with each sign of life; undefined when there is nothing worth telling. */
    unasked: async (): Promise<Answer | undefined> => {
      if (deps.vitals === undefined || (readAtMs !== undefined && clock.monotonicMs() - readAtMs < limits.vitalsPauseMs)) return undefined;
      readAtMs = clock.monotonicMs();
      const vitals = await read();
      return vitals.ok && isNotable(told, vitals.value) ? checked({ t: 'answer', id: 0, vitals: tell(vitals.value) }) : undefined;
    },
  };
};
export type Answers = ReturnType<typeof createAnswers>;
