/** Time comes in by this door only. The monotonic clock never jumps; the wall clock may be 1970 or next year. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. Use it for back-off, leases and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since 1970 as the machine believes; only for display and logs. */
  wallMs(): number;
  /** Calls back once after the delay. Any delay is allowed (Node's own timers fire at once beyond 2^31-1 ms). Returns a cancel function. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Resolves after the delay, or earlier when the signal aborts. Never rejects. */
export const sleep = async (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> => {
  if (signal?.aborted === true) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(delayMs, resolve);
  const stop = (): void => {
    cancel();
    resolve();
  };
  signal?.addEventListener('abort', stop, { once: true });
  await promise;
  signal?.removeEventListener('abort', stop);
};
