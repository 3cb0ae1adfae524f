/** Bounds of a Zarf definition. Units are in the names. */
export const zarfLimits = {
  definitionBytes: 4 * 1024 * 1024,
  components: 1_000,
  /** Charts, manifests, files, images, actions, variables: each list. */
  listItems: 5_000,
  textChars: 256 * 1024,
  yamlAliases: 100,
  /** A text in which variables are replaced: manifest, values file, file of a chart. */
  templateBytes: 16 * 1024 * 1024,
  /** After replacing. */
  expandedBytes: 64 * 1024 * 1024,
} as const;
