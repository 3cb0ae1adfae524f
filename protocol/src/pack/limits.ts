/** Bounds of what a pack may ask for. Real packs stay far below: the deepest values seen are 20 levels, the largest presets.yaml 130 KiB. */
export const packLimits = {
  /** Of one text of a pack: values.yaml, presets.yaml, schema.yaml, pack.json. */
  textBytes: 3 * 1024 * 1024,
  yamlDepth: 100,
  /** Of one file; more are counted, not listed. */
  findings: 500,
  presets: 500,
  rules: 2_000,
  /** Of one format of a rule: `${string}/${string}:${version}` has three. */
  formatParts: 20,
  patternBytes: 2_048,
  /** Elements of a list that `.$[]` is checked on. */
  listItems: 1_000,
  /** Places that one preset or one call may change; each costs a pass over the text. */
  edits: 500,
  pathBytes: 1_024,
  charts: 50,
  manifests: 500,
  namespaces: 100,
  images: 2_000,
  /** Helm's own limit: a release name becomes a label value with a suffix. */
  releaseName: 53,
} as const;
