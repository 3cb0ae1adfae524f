/** Bounds of what is read from Google, and Google's own. */
export const googleLimits = {
  /** A metadata value holds 256 KiB; the port allows 16 KiB. */
  userDataBytes: 16_384,
  /** Pages of one list, 500 things each. */
  listPages: 60,
  /** Of an error's words that are passed on. */
  wordsLength: 600,
  /** A token is renewed this long before it ends; one of a short life, in its last quarter. */
  tokenRenewMs: 300_000,
  /** `testIamPermissions` takes no more at once. */
  permissionsAtOnce: 100,
} as const;

/** When it makes sense to look again, in milliseconds. */
export const googleWaits = { network: 3_000, machine: 5_000, cluster: 15_000 } as const;
