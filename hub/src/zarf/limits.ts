import { helmLimits } from '../render/helm/limits.ts';

const mebibyte = 1024 * 1024;

/** Bounds of reading a Zarf package. Real ones have a few gibibytes (they carry images) and some thousand files. */
export const zarfReadLimits = {
  /** The whole package, unpacked. */
  archive: { bytesMax: 256 * 1024 * mebibyte, entriesMax: 200_000, fileBytesMax: 64 * 1024 * mebibyte },
  /** zarf.yaml, checksums.txt, signatures, values, indexes: what is looked at as a whole. */
  textBytes: 32 * mebibyte,
  /** A component's own archive. */
  component: { bytesMax: 16 * 1024 * mebibyte, entriesMax: 100_000, fileBytesMax: helmLimits.chartBytes },
  /** Files of a component larger than this are hashed first and stored in a second pass, so that they are never in memory. */
  bufferBytes: 8 * mebibyte,
  chart: { bytesMax: helmLimits.chartBytes, entriesMax: helmLimits.chartFiles, fileBytesMax: helmLimits.chartBytes },
  /** Indexes of images may point to indexes. */
  imageDepth: 4,
  splitParts: 999,
} as const;
