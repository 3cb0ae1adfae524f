/** Bounds of what comes from a MAAS; the size of one answer is bounded by the door behind `Http`. */
export const maasLimits = {
  /** Of somebody else's error text, in a message. */
  wordsLength: 600,
  userDataBytes: 16 * 1_024,
  /** Machines of one answer. MAAS has no pages; 60 KiB each, so that the door's bound comes first. */
  machines: 5_000,
} as const;
