import { z } from 'zod';
import { layerKinds } from '../layer.ts';
import { findingView } from './profile-views.ts';

export const unitKinds = ['pack', 'chart', 'zarf'] as const;

/** Texts of a unit that editors need. Longer ones than `packLimits.textBytes` are left out and told as a finding; a README is cut. */
const texts = {
  values: z.string(),
  presets: z.string().optional(),
  schema: z.string().optional(),
  /** JSON Schema of a chart's values, as the chart has it. */
  valuesSchema: z.string().optional(),
  readme: z.string().optional(),
};

/** What a pack or a chart in the content store says of itself. */
export const packView = z.object({
  kind: z.enum(['pack', 'chart']),
  digest: z.string(),
  /** Of the archive, in bytes. */
  size: z.int(),
  name: z.string(),
  version: z.string(),
  displayName: z.string(),
  /** Absent when the pack names a layer that is not known. */
  layer: z.enum(layerKinds).optional(),
  description: z.string().optional(),
  /** What it asks of the other packs and of the machines, in words. */
  needs: z.array(z.string()),
  charts: z.array(z.object({ name: z.string(), version: z.string(), file: z.string() })),
  /** Kubernetes manifests that it lists. */
  manifests: z.array(z.string()),
  ...texts,
  findings: z.array(findingView),
});
export type PackView = z.infer<typeof packView>;

/** A pack, chart or Zarf package that a layer can name: profiles of the project use it, or it was imported into the project. */
export const unitView = z.object({
  kind: z.enum(unitKinds),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  /** The registry that it was imported from, as far as that is known. */
  registry: z.string().optional(),
  /** Profile versions of the project that have it, as `name@version`. */
  usedBy: z.array(z.string()),
});
export type UnitView = z.infer<typeof unitView>;
export const unitListView = z.object({ items: z.array(unitView), truncated: z.boolean() });
