/** Bounds of what comes from a vCenter; the size of one answer is bounded by the door behind `Http`. */
export const vsphereLimits = {
  /** Objects in one answer of the property collector. A machine of ours has at most 64 KiB of user data with it. */
  objectsPerPage: 100,
  /** vCenter 8 holds 40,000 machines that run. */
  objects: 50_000,
  /** Of somebody else's error text, in a message. */
  wordsLength: 600,
  userDataBytes: 16 * 1_024,
} as const;
