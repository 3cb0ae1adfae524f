/** Bounds of what this provider asks for and believes. */
export const awsLimits = {
  /** Of EC2, before base64. */
  userDataBytes: 16 * 1024,
  /** Pages of a list, each of up to a thousand things: more is a runaway, not an account. */
  pagesMax: 200,
  /** How long EC2 may not list what it said it made. */
  listingLagMs: 60_000,
  /** How long a resolved image is believed; SSM's parameters of Canonical change about once a week. */
  imageKeptMs: 10 * 60_000,
  imagesKeptMax: 200,
  /** Zones of a cluster whose placement names none. */
  zonesDefault: 3,
  zonesMax: 6,
  rootDiskGiB: 40,
  /** A throttled account is left alone for so long, doubled each time. */
  pauseMinMs: 500,
  pauseMaxMs: 30_000,
  roleSessionSeconds: 3_600,
  /** An assumed role is renewed so long before it ends. */
  renewMs: 5 * 60_000,
} as const;
