/** Bounds of large content on a host. Units are in the names. */
export const blobLimits = {
  /** What came is made durable after so many bytes; a power cut costs no more of a transfer. */
  syncBytes: 32 * 1024 * 1024,
  /** Stays free on the disk of the blobs: the state and the system want to write too. */
  reserveBytes: 256 * 1024 * 1024,
  /** A source that gave nothing new this many times in a row is left. */
  cutsMax: 5,
  /** A blob that nobody names yet stays this long: whoever brings content names it afterwards. */
  graceMs: 3_600_000,
  /** A source that gave wrong bytes is not asked again for so long. */
  distrustMs: 3_600_000,
  /** A neighbour that gives fewer bytes than this in a minute is left for the next source. */
  slowestBytes: 64 * 1024,
  copyBytes: 256 * 1024,
  /** Progress is told after so many bytes. */
  progressBytes: 4 * 1024 * 1024,
} as const;
