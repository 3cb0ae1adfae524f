/** Time comes in by this door only. */
export interface Clock {
  monotonicMs(): number;
  wallMs(): number;
  /** Calls back once; returns a cancel function. Delays beyond 2^31-1 ms are the implementation's business. */
  after(delayMs: number, callback: () => void): () => void;
}
