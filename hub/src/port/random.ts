/** Unpredictable bytes for ids, nonces and secrets; the simulator brings its own. */
export interface Random {
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). */
  fraction(): number;
}
