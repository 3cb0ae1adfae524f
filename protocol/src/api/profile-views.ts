import { z } from 'zod';
import { layerKinds } from '../layer.ts';
import { macroScopes } from '../resolve/references.ts';

const change = z.enum(['add', 'change', 'remove', 'same']);
const ref = z.object({ name: z.string(), version: z.string() });

/** Two profile versions, or two bundles made of them: texts of layers, objects, images. */
export const profileComparisonView = z.object({
  from: ref,
  to: ref,
  layers: z.array(z.object({ name: z.string(), change, before: z.string(), after: z.string() })),
  /** With `rendered`: what clusters would get, with the variables given. Data of Secrets is hidden. */
  rendered: z
    .object({
      objects: z.array(z.object({ layer: z.string(), object: z.string(), change: z.enum(['add', 'change', 'remove']), before: z.string(), after: z.string() })),
      images: z.object({ added: z.array(z.string()), removed: z.array(z.string()), same: z.int() }),
      hidden: z.int(),
    })
    .optional(),
});
export type ProfileComparisonView = z.infer<typeof profileComparisonView>;

const origin = z.discriminatedUnion('from', [
  z.object({ from: z.literal('cluster') }),
  z.object({ from: z.literal('default'), profile: z.string() }),
  z.object({ from: z.literal('unset'), profile: z.string() }),
  z.object({ from: z.literal('macro'), scope: z.enum(macroScopes) }),
  z.object({ from: z.literal('system') }),
  z.object({ from: z.literal('pack'), layer: z.string() }),
]);

/** One reference of a layer and where its value came from. */
export const useView = z.object({ where: z.string(), reference: z.string(), origin, sensitive: z.boolean() });
export type UseView = z.infer<typeof useView>;

export const findingView = z.object({
  severity: z.enum(['error', 'warning', 'info']),
  code: z.string(),
  file: z.string(),
  line: z.int().optional(),
  column: z.int().optional(),
  message: z.string(),
});

/** What a profile makes before it is saved: its layers as a cluster would get them. */
export const profilePreviewView = z.object({
  layers: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(layerKinds),
      pack: ref,
      namespace: z.string().optional(),
      objects: z.array(z.string()),
      hooks: z.array(z.string()),
      images: z.array(z.string()),
      uses: z.array(useView),
    }),
  ),
  warnings: z.array(findingView),
});
export type ProfilePreviewView = z.infer<typeof profilePreviewView>;

/** Values of a cluster's layers, resolved, and who said what: per field the source that won. Sensitive ones are hidden. */
export const clusterValuesView = z.object({
  layers: z.array(
    z.object({
      name: z.string(),
      fields: z.array(z.object({ path: z.string(), value: z.string(), from: z.string(), over: z.array(z.string()) })),
      uses: z.array(useView),
    }),
  ),
});
export type ClusterValuesView = z.infer<typeof clusterValuesView>;
