/** Bounds of what comes from a Prism Central; the size of one answer is bounded by the door behind `Http`. */
export const nutanixLimits = {
  /** Most that a page may have. */
  pageItems: 100,
  pages: 200,
  /** Of somebody else's error text, in a message. */
  wordsLength: 600,
  userDataBytes: 16 * 1_024,
  /** How often one machine is asked for anew after what was made of it failed or went away; in one round. */
  attempts: 64,
  /** A failed task that is older was told already; what a younger one made may not be readable yet. */
  staleTaskMs: 60_000,
  /** Looks after which a machine that was there, and is not, is gone. */
  missedLooks: 4,
} as const;
