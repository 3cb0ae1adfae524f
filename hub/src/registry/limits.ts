/** Bounds of everything that comes from a registry. Units are in the names; each is tested at its edge. */
export const registryLimits = {
  /** The OCI distribution specification (1.1, "Pushing Manifests") asks registries to take 4 MiB; nobody needs more. */
  manifestBytes: 4 * 1024 * 1024,
  /** Children of one index. Multi-architecture images have some ten. */
  indexManifests: 1_000,
  layersPerManifest: 2_000,
  /** One blob. Container images with models and drivers have layers of several GiB. */
  blobBytes: 16 * 1024 * 1024 * 1024,
  /** Most that an operator may allow instead. */
  blobBytesMax: 1024 ** 4,
  tokenBytes: 1024 * 1024,
  errorBytes: 64 * 1024,
  tagsPageBytes: 4 * 1024 * 1024,
  tagPages: 1_000,
  tags: 100_000,
  redirects: 5,
  /** Tries of one request after 429, 5xx and cut connections. */
  tries: 5,
  /** A blob that goes on after each cut may be cut this often. */
  resumes: 100,
  retryAfterMs: 5 * 60_000,
  idleTimeoutMs: 60_000,
  chunkBytes: 16 * 1024 * 1024,
  mirrors: 10,
  /** index.yaml of a Helm repository; large public ones have 30 MB. */
  helmIndexBytes: 64 * 1024 * 1024,
  helmVersionsPerChart: 20_000,
  chartBytes: 64 * 1024 * 1024,
  packBytes: 128 * 1024 * 1024,
  credentialsBytes: 1024 * 1024,
} as const;
