/** Bounds of user data. Tests try each at its edge. */
export const userDataLimits = {
  /** It lies on a FAT partition and is read before anything else runs. */
  textBytes: 256 * 1024,
  files: 100,
  fileChars: 64 * 1024,
  users: 50,
  interfaces: 32,
  certificates: 32,
  mirrors: 100,
} as const;
