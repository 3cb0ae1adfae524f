import { journalStates, type JournalEntry } from '@groundplane/protocol/ask';
import type { EventView } from '@groundplane/protocol/api/views';
import type { Tone } from './tone.ts';

/** One thing that happened on a host: what it said of itself, or a step that it took. */
export interface Moment {
  key: string;
  kind: 'event' | 'step';
  atMs: number;
  tone: Tone;
  title: string;
  text: string;
  layer: string | undefined;
  generation: number | undefined;
  /** Of a step: the how-manieth try this was. */
  attempt: number;
}

export const shows = ['all', 'steps', 'events'] as const;
export type Show = (typeof shows)[number];

/** More is for the command line. */
export const momentsMax = 300;

const stepTone: Readonly<Record<JournalEntry['state'], Tone>> = { intent: 'idle', done: 'good', failed: 'bad' };

const ofEvent = (event: EventView): Moment => ({
  key: `e${event.seq}`,
  kind: 'event',
  atMs: event.atMs,
  tone: event.type === 'warning' ? 'warn' : 'good',
  title: event.reason,
  text: event.message,
  layer: event.layer,
  generation: event.generation,
  attempt: 1,
});

const ofStep = (step: JournalEntry): Moment => ({
  key: `s${step.seq}`,
  kind: 'step',
  atMs: step.atMs,
  tone: stepTone[step.state],
  title: step.text,
  text: step.failure?.message ?? (step.state === 'done' ? '' : journalStates[step.state]),
  layer: step.layer,
  generation: step.generation,
  attempt: step.attempt,
});

const isRetryOf = (later: JournalEntry, step: JournalEntry): boolean =>
  later.generation === step.generation && later.layer === step.layer && later.step === step.step && later.text === step.text;

/** Of tries that follow each other only the last, which says how many there were. */
const withoutRetries = (steps: readonly JournalEntry[]): JournalEntry[] =>
  steps.filter((step, index) => {
    const next = steps[index + 1];
    return next === undefined || step.state !== 'failed' || !isRetryOf(next, step);
  });

/**
 * Events and steps, both oldest first, as one list, newest first. Each keeps its own order: the clock of a host may have jumped, and what happened later stands later.
 */
export const timeline = (events: readonly EventView[], steps: readonly JournalEntry[], show: Show): Moment[] => {
  const left = show === 'steps' ? [] : events.map(ofEvent);
  const right = show === 'events' ? [] : withoutRetries(steps).map(ofStep);
  const moments: Moment[] = [];
  while (moments.length < momentsMax) {
    const [event, step] = [left.at(-1), right.at(-1)];
    const next = event === undefined ? step : step === undefined || event.atMs >= step.atMs ? event : step;
    if (next === undefined) break;
    moments.push(next);
    (next === event ? left : right).pop();
  }
  return moments;
};
