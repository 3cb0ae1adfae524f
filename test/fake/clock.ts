import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '@groundplane/agent/port/clock';

/** Fits the Clock ports of agent and hub. */
export interface VirtualClock extends Clock {
  /**
   * Moves time on, running what is due in order of time, then of asking. Between two timers everything that promises and Node's immediates set off gets
   * its turn; real I/O does not (give `settle` for that). Callbacks that fall due while it runs, run too.
   */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  waiting(): number;
  /** When the next timer is due, on the monotonic scale; undefined when none waits. */
  nextMs(): number | undefined;
  /** Somebody sets the machine's wall clock. The monotonic one does not notice. */
  setWall(ms: number): void;
}

interface Timer {
  atMs: number;
  order: number;
  callback: () => void;
}

/** A zero-delay loop would never end; more than this in one `advance` is a bug in the code under test. */
const timersMax = 1_000_000;

/** An immediate runs when the queue of promises is empty; a second and third one let immediates of immediates follow. */
const settleTurns = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
};

const before = (a: Timer, b: Timer): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** Timers by due time; a binary heap, since a simulated fleet has tens of thousands. Cancelled ones are thrown away when they come up. */
const timerHeap = () => {
  const heap: Timer[] = [];
  const at = (index: number): Timer => heap[index] as Timer;
  const swap = (a: number, b: number): void => void ([heap[a], heap[b]] = [at(b), at(a)]);
  return {
    peek: (): Timer | undefined => heap[0],
    push: (timer: Timer): void => {
      heap.push(timer);
      let index = heap.length - 1;
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (!before(at(index), at(parent))) return;
        swap(index, parent);
        index = parent;
      }
    },
    pop: (): void => {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return;
      heap[0] = last;
      let index = 0;
      for (;;) {
        const children = [2 * index + 1, 2 * index + 2].filter((child) => child < heap.length);
        const least = children.reduce((best, child) => (before(at(child), at(best)) ? child : best), index);
        if (least === index) return;
        swap(index, least);
        index = least;
      }
    },
  };
};

export interface VirtualClockOptions {
  wallStartMs?: number;
  /** Waits until the code under test has nothing left to do at this moment. Default: promises and immediates. */
  settle?: () => Promise<void>;
}

/** Time that stands still until it is moved. */
export const virtualClock = ({ wallStartMs = Date.UTC(2026, 0, 1), settle = settleTurns }: VirtualClockOptions = {}): VirtualClock => {
  let nowMs = 0;
  let wallOffsetMs = wallStartMs;
  let order = 0;
  const heap = timerHeap();
  const live = new Set<Timer>();
  const next = (): Timer | undefined => {
    for (let timer = heap.peek(); timer !== undefined; timer = heap.peek()) {
      if (live.has(timer)) return timer;
      heap.pop();
    }
    return undefined;
  };
  return {
    monotonicMs: () => nowMs,
    wallMs: () => Math.floor(wallOffsetMs + nowMs),
    after: (delayMs, callback) => {
      order += 1;
      const timer = { atMs: nowMs + Math.max(0, delayMs), order, callback };
      heap.push(timer);
      live.add(timer);
      return () => void live.delete(timer);
    },
    advance: async (ms) => {
      const endMs = nowMs + ms;
      await settle();
      let ran = 0;
      for (let due = next(); due !== undefined && due.atMs <= endMs; due = next()) {
        ran += 1;
        if (ran > timersMax) throw new Error(`more than ${timersMax} timers in ${ms} ms: something re-arms itself without delay`);
        heap.pop();
        live.delete(due);
        nowMs = Math.max(nowMs, due.atMs);
        due.callback();
        await settle();
      }
      nowMs = Math.max(nowMs, endMs);
    },
    waiting: () => live.size,
    nextMs: () => next()?.atMs,
    setWall: (ms) => void (wallOffsetMs = ms - nowMs),
  };
};

export type FakeClock = VirtualClock;

/** The same, for tests that only say when the wall clock starts. */
export const fakeClock = (wallStartMs?: number): FakeClock => virtualClock(wallStartMs === undefined ? {} : { wallStartMs });
