/** Chance comes in by this door only, so that the simulator can replay it. */
export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** Unpredictable bytes; for ids and nonces. */
  bytes(length: number): Uint8Array;
}
