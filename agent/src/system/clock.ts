import type { Clock } from '../port/clock.ts';

/** Node's timers count in 32-bit milliseconds and fire at once beyond that; longer delays are made of several. */
const longestMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => {
    const end = performance.now() + Math.max(0, delayMs);
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = end - performance.now();
      timer = leftMs > longestMs ? setTimeout(arm, longestMs) : setTimeout(callback, Math.max(0, leftMs));
    };
    arm();
    return () => clearTimeout(timer);
  },
};
