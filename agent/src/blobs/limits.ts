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
  /** Neighbours that are asked for one blob. */
  neighboursAsked: 4,
  neighbourIdleMs: 5_000,
  /** So long a host leaves a blob to the neighbour that is to bring it first, before anybody has begun. */
  headStartMs: 10_000,
  /** And so long while that neighbour brings it. */
  comingMs: 1_800_000,
  /** Transfers that neighbours may have open here, all together and each. */
  doorTransfers: 8,
  doorTransfersEach: 2,
  /** Requests with a wrong token that one address may send in a minute. */
  doorWrongPerMinute: 20,
  copyBytes: 256 * 1024,
  /** Progress is told after so many bytes. */
  progressBytes: 4 * 1024 * 1024,
} as const;
