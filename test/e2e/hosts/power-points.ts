import { setTimeout as delay } from 'node:timers/promises';
import type { TestHost } from '../../lab/hosts/host.ts';
import { secondsSince } from './scenario.ts';

/** Numbers from 0 to 1 that depend on the seed only (mulberry32), so that a point that got stuck can be tried again. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export interface PowerPoints {
  host: TestHost;
  points: number;
  random: () => number;
  /** Cuts fall between the begin of a change and this much later. */
  spanMs: number;
  /** Begins the change number `index`; it is not waited for. */
  begin: (index: number) => Promise<void>;
  /** Waits until the change has arrived after all, and checks it. Throws when it does not. */
  settle: (index: number) => Promise<void>;
  /** What the host has to say when it got stuck. */
  words?: () => Promise<string>;
  say: (line: string) => void;
}

export interface PowerReport {
  points: number;
  stuck: number;
  slowestSeconds: number;
  meanSeconds: number;
  failures: string[];
}

/** More would say nothing new, and each costs its whole patience. */
const stuckMax = 3;

/** Cuts the power at random points of a change, again and again, and counts those after which a person would be needed. */
export const tryPowerPoints = async ({ host, points, random, spanMs, begin, settle, words, say }: PowerPoints): Promise<PowerReport> => {
  const seconds: number[] = [];
  const failures: string[] = [];
  let tried = 0;
  for (let index = 0; index < points && failures.length < stuckMax; index += 1) {
    const cutMs = Math.round(random() * spanMs);
    await begin(index);
    await delay(cutMs);
    await host.powerCut();
    const began = performance.now();
    await host.boot();
    tried += 1;
    try {
      await settle(index);
      seconds.push(secondsSince(began));
      say(`point ${index + 1} of ${points}: cut ${cutMs} ms after the begin, settled ${seconds.at(-1)} s after power-on`);
    } catch (error) {
      const text = `${error instanceof Error ? error.message : String(error)}\n${(await words?.().catch(String)) ?? ''}`;
      failures.push(`point ${index + 1}, cut after ${cutMs} ms: ${text}`);
      say(`point ${index + 1} of ${points}: STUCK, cut ${cutMs} ms after the begin: ${text}`);
    }
  }
  const sum = seconds.reduce((total, each) => total + each, 0);
  return {
    points: tried,
    stuck: failures.length,
    slowestSeconds: Math.max(0, ...seconds),
    meanSeconds: seconds.length === 0 ? 0 : Math.round((sum / seconds.length) * 10) / 10,
    failures,
  };
};
