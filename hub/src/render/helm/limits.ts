/** Bounds of rendering. Units are in the names. */
export const helmLimits = {
  /** Packed chart, or the sum of loose files. Helm refuses charts that unpack to more. */
  chartBytes: 100 * 1024 * 1024,
  chartFiles: 20_000,
  fileNameChars: 1_024,
  valuesLayers: 200,
  valuesBytes: 5 * 1024 * 1024,
  sets: 1_000,
  apiVersions: 5_000,
  lookupObjects: 1_000,
  /** The whole answer as JSON: manifests, notes and values. */
  answerBytes: 64 * 1024 * 1024,
  stderrBytes: 16 * 1024,
  queue: 1_000,
  workers: 64,
  wasmPageBytes: 65_536,
  /** Go wants about 40 MiB before a chart is read. */
  memoryMinBytes: 96 * 1024 * 1024,
  memoryMaxBytes: 4 * 1024 * 1024 * 1024 - 65_536,
} as const;

/** Names under which the engine's globals are exported for copying a started instance. */
export const globalPrefix = 'global';
