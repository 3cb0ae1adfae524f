import { z } from 'zod';
import { zarfLimits } from './limits.ts';
import {
  architecture,
  buildFields,
  chartValue,
  flag,
  list,
  pathPart,
  plainName,
  retries,
  seconds,
  serverSideApply,
  setValue,
  setVariable,
  shell,
  text,
  textMap,
  texts,
  variableName,
  wait,
} from './schema-shared.ts';

/** `zarf.dev/v1alpha1`, as zarf-dev/zarf defines it in src/api/v1alpha1. Packages from before that version have no apiVersion and the same fields. */
const action = z.strictObject({
  mute: flag.nullable().optional(),
  maxTotalSeconds: seconds.nullable().optional(),
  maxRetries: retries.nullable().optional(),
  dir: text.nullable().optional(),
  env: texts,
  cmd: text.optional(),
  shell,
  setVariable: z.union([variableName, z.literal('')]).optional(),
  setVariables: list(setVariable),
  setValues: list(setValue),
  description: text.optional(),
  wait,
  template: flag.nullable().optional(),
});
const actionSet = z
  .strictObject({
    defaults: z
      .strictObject({ mute: flag.optional(), maxTotalSeconds: seconds.optional(), maxRetries: retries.optional(), dir: text.optional(), env: texts, shell })
      .nullable()
      .optional(),
    before: list(action),
    after: list(action),
    onSuccess: list(action),
    onFailure: list(action),
  })
  .nullable()
  .optional();

const chart = z.strictObject({
  name: pathPart,
  version: z.string().max(250).optional(),
  url: text.optional(),
  repoName: text.optional(),
  gitPath: text.optional(),
  localPath: text.optional(),
  namespace: text.optional(),
  releaseName: text.optional(),
  noWait: flag.optional(),
  valuesFiles: texts,
  variables: list(z.strictObject({ name: variableName, description: text.optional(), path: text })),
  values: list(chartValue),
  schemaValidation: flag.nullable().optional(),
  serverSideApply,
});
const manifest = z.strictObject({
  name: pathPart,
  namespace: text.optional(),
  files: texts,
  kustomizations: texts,
  kustomizeAllowAnyDirectory: flag.optional(),
  enableKustomizePlugins: flag.optional(),
  noWait: flag.optional(),
  template: flag.nullable().optional(),
  serverSideApply,
});
const file = z.strictObject({
  source: text,
  shasum: text.optional(),
  target: text,
  executable: flag.optional(),
  symlinks: texts,
  extractPath: text.optional(),
  template: flag.nullable().optional(),
});
const imageArchive = z.strictObject({ path: text, images: texts });

const component = z.strictObject({
  name: plainName,
  description: text.optional(),
  default: flag.optional(),
  required: flag.nullable().optional(),
  only: z
    .strictObject({
      localOS: text.optional(),
      cluster: z.strictObject({ architecture, distros: texts }).nullable().optional(),
      flavor: text.optional(),
    })
    .nullable()
    .optional(),
  group: text.optional(),
  import: z.strictObject({ name: text.optional(), path: text.optional(), url: text.optional() }).nullable().optional(),
  manifests: list(manifest),
  charts: list(chart),
  dataInjections: list(z.unknown()),
  files: list(file),
  images: texts,
  imageArchives: list(imageArchive),
  imageTars: list(imageArchive),
  repos: texts,
  scripts: z
    .strictObject({
      showOutput: flag.optional(),
      timeoutSeconds: seconds.optional(),
      retry: flag.optional(),
      prepare: texts,
      before: texts,
      after: texts,
    })
    .nullable()
    .optional(),
  actions: z.strictObject({ onCreate: z.unknown().optional(), onDeploy: actionSet, onRemove: actionSet }).nullable().optional(),
  healthChecks: list(z.strictObject({ apiVersion: text, kind: text, namespace: text.optional(), name: text })),
});

export const alphaSchema = z.strictObject({
  apiVersion: z.literal(['zarf.dev/v1alpha1', '']).optional(),
  kind: z.enum(['ZarfPackageConfig', 'ZarfInitConfig']),
  metadata: z.strictObject({
    name: plainName,
    description: text.optional(),
    version: z.string().max(128).optional(),
    url: text.optional(),
    image: text.optional(),
    uncompressed: flag.optional(),
    architecture,
    yolo: flag.optional(),
    authors: text.optional(),
    documentation: text.optional(),
    source: text.optional(),
    vendor: text.optional(),
    aggregateChecksum: text.optional(),
    annotations: textMap,
    allowNamespaceOverride: flag.nullable().optional(),
  }),
  build: z
    .strictObject({ ...buildFields, terminal: text.optional(), differentialMissing: texts, lastNonBreakingVersion: text.optional() })
    .nullable()
    .optional(),
  components: z.array(component).min(1).max(zarfLimits.components),
  constants: list(z.strictObject({ name: variableName, value: text, description: text.optional(), autoIndent: flag.optional(), pattern: text.optional() })),
  variables: list(z.strictObject({ ...setVariable.shape, description: text.optional(), default: text.optional(), prompt: flag.optional() })),
  values: z.strictObject({ files: texts, schema: text.optional() }).nullable().optional(),
  documentation: textMap,
});

export type AlphaPackage = z.infer<typeof alphaSchema>;
export type AlphaComponent = AlphaPackage['components'][number];
export type AlphaActionSet = z.infer<typeof actionSet>;
