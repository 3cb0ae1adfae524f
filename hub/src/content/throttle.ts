import { Transform } from 'node:stream';
import type { Clock } from '../port/clock.ts';

/** Shares a number of bytes a second among all streams that pass through it. */
export interface Throttle {
  /** A stream that passes everything on, as slowly as asked. */
  through(): Transform;
}

/**
 * Token bucket: one second's worth may go at once, then the rate holds. Chunks larger than the bucket are let through and paid for afterwards, so that
 * none has to be cut. Streams are served in the order in which they ask.
 */
export const createThrottle = (clock: Pick<Clock, 'monotonicMs' | 'after'>, bytesPerSecond: number): Throttle => {
  let tokens = bytesPerSecond;
  let atMs = clock.monotonicMs();
  let queue: Promise<void> = Promise.resolve();

  const refill = (): void => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(bytesPerSecond, tokens + ((nowMs - atMs) * bytesPerSecond) / 1_000);
    atMs = nowMs;
  };
  const take = async (bytes: number): Promise<void> => {
    refill();
    while (tokens <= 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.after(Math.ceil((-tokens * 1_000) / bytesPerSecond) + 1, resolve);
      await promise;
      refill();
    }
    tokens -= bytes;
  };

  return {
    through: () =>
      new Transform({
        transform: (chunk: Buffer, _, done) => {
          queue = queue.then(() => take(chunk.length));
          void queue.then(() => done(null, chunk));
        },
      }),
  };
};
