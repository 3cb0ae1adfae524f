import type { DocumentOptions, ParseOptions, ScalarTag, SchemaOptions, Tags } from 'yaml';

/** Go's YAML readers know no base 60 (`22:22` is text) and, when they read into JSON, no dates (`2026-01-02` is text) and no sets and ordered maps. */
const foreign: ReadonlySet<string> = new Set(['timestamp', 'binary', 'set', 'omap', 'pairs'].map((name) => `tag:yaml.org,2002:${name}`));

/** JSON has no bytes: Go reads them as text. */
const binary: ScalarTag = { tag: 'tag:yaml.org,2002:binary', resolve: (text) => Buffer.from(text, 'base64').toString('utf8') };

/** YAML 1.2's spelling of octal numbers, which Go knows besides that of 1.1. */
const octal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^-?0o[0-7_]+$/,
  resolve: (text) => Number.parseInt(text.replace('0o', '').replaceAll('_', ''), 8),
};

const kubernetesTags = (tags: Tags): Tags => [
  ...tags.filter((tag) => typeof tag === 'string' || !(foreign.has(tag.tag) || ('format' in tag && tag.format === 'TIME'))),
  binary,
  octal,
];

/**
 * How Kubernetes and Helm read YAML (`sigs.k8s.io/yaml`): by the rules of YAML 1.1, where `yes`, `on` and `0644` are no text, but without base 60 and without
 * dates, which become text. Keys must not repeat.
 */
export const kubernetesYaml = {
  uniqueKeys: true,
  version: '1.1',
  merge: true,
  intAsBigInt: false,
  customTags: kubernetesTags,
} as const satisfies ParseOptions & DocumentOptions & SchemaOptions;
