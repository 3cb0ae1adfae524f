import { z } from 'zod';

/**
 * Palette's profile JSON as its API exports and imports it (`v1ClusterProfileImportEntity`). Everything that exports leave out in practice is optional;
 * what is not named here is kept aside and told.
 */
const text = z.string().nullish();
const flag = z.boolean().nullish();

export const paletteManifest = z.looseObject({ name: z.string(), content: text });
export const palettePack = z.looseObject({
  name: z.string().min(1),
  type: text,
  layer: text,
  version: text,
  tag: text,
  values: text,
  uid: text,
  registryUid: text,
  registry: z.looseObject({ metadata: z.looseObject({ uid: text, name: text, kind: text, isPrivate: flag }).nullish() }).nullish(),
  manifests: z.array(paletteManifest).nullish(),
});
export const paletteVariable = z.looseObject({
  name: z.string().min(1),
  displayName: text,
  description: text,
  inputType: text,
  format: text,
  defaultValue: z.union([z.string(), z.number(), z.boolean()]).nullish(),
  required: flag,
  regex: text,
  immutable: flag,
  hidden: flag,
  isSensitive: flag,
  options: z.array(z.looseObject({ value: z.union([z.string(), z.number(), z.boolean()]), label: text, description: text, default: flag })).nullish(),
});
export const paletteProfile = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    description: text,
    labels: z.record(z.string(), z.string().nullable()).nullish(),
    annotations: z.record(z.string(), z.string().nullable()).nullish(),
  }),
  spec: z.looseObject({
    version: text,
    template: z.looseObject({ type: text, cloudType: text, packs: z.array(palettePack).nullish() }),
    variables: z.array(paletteVariable).nullish(),
  }),
});
export type PaletteProfile = z.infer<typeof paletteProfile>;
export type PalettePack = z.infer<typeof palettePack>;
export type PaletteVariable = z.infer<typeof paletteVariable>;

/** Our word on the left, theirs on the right. */
export const typeNames = { infrastructure: 'infra', addon: 'add-on', full: 'cluster' } as const;
export const layerNames = { os: 'os', kubernetes: 'k8s', network: 'cni', storage: 'csi', addon: 'addon' } as const;
