import { pipeline, Transform, type Readable } from 'node:stream';
import type { Clock } from '../port/clock.ts';

/** Shares a number of bytes a second among all streams that pass through it. */
export interface Throttle {
  /** A stream that passes everything on, as slowly as asked. */
  through(): Transform;
}

/** A stream at the pace of a throttle, or as it is. Whoever stops reading ends both. */
export const paced = (source: Readable, throttle: Throttle | undefined): Readable =>
  throttle === undefined ? source : pipeline(source, throttle.through(), () => undefined);

/**
 * Token bucket: one second's worth may go at once, then the rate holds. Chunks larger than the bucket are let through and paid for afterwards, so that
 * none has to be cut. Streams are served in the order in which they ask, and each has one chunk in the queue at most, so that they take turns.
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
    through: () => {
      const stream: Transform = new Transform({
        transform: (chunk: Buffer, _, done) => {
          // Who hung up while waiting pays nothing.
          queue = queue.then(() => (stream.destroyed ? undefined : take(chunk.length)));
          void queue.then(() => done(null, chunk));
        },
      });
      return stream;
    },
  };
};
