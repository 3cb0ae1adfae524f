export { helmCacheKey, helmChartDigest } from './cache-key.ts';
export { readHelmEngineIdentity } from './engine.ts';
export { createHelmPool, type HelmPool, type HelmPoolOptions } from './pool.ts';
export type {
  HelmChart,
  HelmChartFacts,
  HelmDocument,
  HelmEngineIdentity,
  HelmFile,
  HelmHook,
  HelmLookup,
  HelmPlace,
  HelmRendered,
  HelmRenderer,
  HelmRequest,
  HelmSet,
  HelmResult,
  HelmTimer,
} from './types.ts';
