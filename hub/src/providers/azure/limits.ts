/** Bounds of what is read from Azure, and Azure's own. */
export const azureLimits = {
  /** customData before base64 (Microsoft.Compute: 64 KB after it); the port allows 16 KiB. */
  userDataBytes: 16_384,
  /** Things of one list; more than that in one subscription is somebody else's mistake, and would fill the hub. */
  listItems: 20_000,
  /** Of an error's words that are passed on. */
  wordsLength: 600,
} as const;

/** When it makes sense to look again, in milliseconds. */
export const azureWaits = { network: 3_000, machine: 5_000, group: 10_000, cluster: 15_000 } as const;
