import type { Clock } from '@groundplane/agent/port/clock';

export interface FakeClock extends Clock {
  /** Moves time on, running what is due in order. Between two timers, promises get their turn. */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  waiting(): number;
}

interface Timer {
  atMs: number;
  order: number;
  callback: () => void;
}

/** Turns of the microtask queue that a chain of awaited promises may need between two timers. */
const turns = 50;

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
};

/** Time that stands still until it is moved. */
export const fakeClock = (wallStartMs: number = Date.UTC(2026, 0, 1)): FakeClock => {
  let nowMs = 0;
  let order = 0;
  const timers = new Set<Timer>();
  const nextDue = (endMs: number): Timer | undefined =>
    [...timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
  return {
    monotonicMs: () => nowMs,
    wallMs: () => wallStartMs + nowMs,
    after: (delayMs, callback) => {
      order += 1;
      const timer = { atMs: nowMs + Math.max(0, delayMs), order, callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance: async (ms) => {
      const endMs = nowMs + ms;
      await settle();
      for (let due = nextDue(endMs); due !== undefined; due = nextDue(endMs)) {
        timers.delete(due);
        nowMs = Math.max(nowMs, due.atMs);
        due.callback();
        await settle();
      }
      nowMs = endMs;
    },
    waiting: () => timers.size,
  };
};
