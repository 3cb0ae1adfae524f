/** Bounds of what comes from an OpenStack cloud; the size of one answer is bounded by the door behind `Http`. */
export const openStackLimits = {
  /** Pages of one list; nova gives 1,000 items a page, neutron what the operator set. */
  pages: 100,
  items: 20_000,
  /** Catalogue entries that are looked at. */
  catalogue: 1_000,
  /** A token is renewed this long before it expires: a request of ours may take that long. */
  tokenRenewMs: 2 * 60_000,
  /** Of somebody else's error text, in a message. */
  wordsLength: 600,
  /** Nova takes 64 KiB of base64; ours comes with at most 16 KiB. */
  userDataBytes: 16 * 1024,
} as const;
