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
  shell,
  text,
  textMap,
  texts,
  wait,
} from './schema-shared.ts';

/** `zarf.dev/v1beta1`, as zarf-dev/zarf defines it in src/api/v1beta1. */
const action = z.strictObject({
  silent: flag.nullable().optional(),
  maxTotalSeconds: seconds.nullable().optional(),
  retries: retries.nullable().optional(),
  dir: text.nullable().optional(),
  env: texts,
  cmd: text.optional(),
  shell,
  setValues: list(setValue),
  description: text.optional(),
  wait,
  enableValues: flag.nullable().optional(),
});
const actionSet = z
  .strictObject({
    defaults: z
      .strictObject({ silent: flag.optional(), maxTotalSeconds: seconds.optional(), retries: retries.optional(), dir: text.optional(), env: texts, shell })
      .nullable()
      .optional(),
    before: list(action),
    onSuccess: list(action),
    onFailure: list(action),
  })
  .nullable()
  .optional();

const chart = z
  .strictObject({
    name: pathPart,
    helmRepository: z
      .strictObject({ name: text.optional(), url: text, version: z.string().max(250) })
      .nullable()
      .optional(),
    git: z.strictObject({ url: text, path: text.optional() }).nullable().optional(),
    local: z.strictObject({ path: text }).nullable().optional(),
    oci: z
      .strictObject({ url: text, version: z.string().max(250) })
      .nullable()
      .optional(),
    namespace: text.optional(),
    releaseName: text.optional(),
    skipWait: flag.optional(),
    valuesFiles: texts,
    values: list(chartValue),
    skipSchemaValidation: flag.optional(),
    serverSideApply,
  })
  .refine(
    ({ helmRepository, git, local, oci }) => [helmRepository, git, local, oci].filter((source) => source !== undefined && source !== null).length === 1,
    'has exactly one of helmRepository, git, local and oci',
  );
const manifest = z.strictObject({
  name: pathPart,
  namespace: text.optional(),
  files: texts,
  kustomize: z.strictObject({ files: texts, allowAnyDirectory: flag.optional(), enablePlugins: flag.optional() }).nullable().optional(),
  skipWait: flag.optional(),
  serverSideApply,
  enableValues: flag.optional(),
});
const file = z.strictObject({
  source: text,
  checksum: text.optional(),
  destination: text,
  executable: flag.optional(),
  symlinks: texts,
  extractPath: text.optional(),
  enableValues: flag.optional(),
});

const component = z.strictObject({
  name: plainName,
  description: text.optional(),
  optional: flag.nullable().optional(),
  target: z.strictObject({ os: text.optional(), architecture, flavor: text.optional() }).nullable().optional(),
  import: z
    .strictObject({ local: list(z.unknown()), remote: list(z.unknown()) })
    .nullable()
    .optional(),
  service: text.optional(),
  manifests: list(manifest),
  charts: list(chart),
  files: list(file),
  images: list(z.strictObject({ name: text, source: z.enum(['registry', 'daemon', '']).optional() })),
  imageArchives: list(z.strictObject({ path: text, images: texts })),
  repositories: texts,
  actions: z.strictObject({ onCreate: z.unknown().optional(), onDeploy: actionSet, onRemove: actionSet }).nullable().optional(),
});

export const betaSchema = z.strictObject({
  apiVersion: z.literal('zarf.dev/v1beta1'),
  kind: z.enum(['ZarfPackageConfig', 'ZarfComponentConfig']),
  metadata: z.strictObject({
    name: plainName,
    description: text.optional(),
    version: z.string().max(128).optional(),
    uncompressed: flag.optional(),
    architecture,
    annotations: textMap,
    allowNamespaceOverride: flag.nullable().optional(),
    preventNamespaceOverride: flag.optional(),
  }),
  build: z
    .strictObject({ ...buildFields, hostname: text.optional(), aggregateChecksum: text.optional() })
    .nullable()
    .optional(),
  components: z.array(component).min(1).max(zarfLimits.components),
  values: z.strictObject({ files: texts, schema: text.optional() }).nullable().optional(),
  documentation: textMap,
});

export type BetaPackage = z.infer<typeof betaSchema>;
export type BetaComponent = BetaPackage['components'][number];
export type BetaActionSet = z.infer<typeof actionSet>;
