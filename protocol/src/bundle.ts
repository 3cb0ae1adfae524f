import { z } from 'zod';
import { digestOf, digestSchema, type Digest } from './digest.ts';
import { idSchema, nameSchema } from './ids.ts';
import { layerKinds } from './layer.ts';
import { objectRefSchema } from './kubernetes.ts';
import { limits } from './limits.ts';
import { signedOsImageSchema } from './os-image.ts';
import { osExtensionSchema, osRebootSchema } from './os-spec.ts';

const blob = { digest: digestSchema, size: z.int().min(0) };

/** Where a layer's content comes from. */
export const packSources = ['manifest', 'helm', 'pack', 'zarf', 'os', 'kubernetes'] as const;

export const hookEvents = [
  'pre-install',
  'post-install',
  'pre-upgrade',
  'post-upgrade',
  'pre-delete',
  'post-delete',
  'pre-rollback',
  'post-rollback',
  'test',
] as const;
export type HookEvent = (typeof hookEvents)[number];

/** What an object has to say besides being ready by the usual rules. */
export const readyCheckSchema = z.object({
  condition: z.object({ type: z.string().max(316), status: z.string().max(64) }).optional(),
  /** Dotted path into the object: `status.phase`. */
  field: z.object({ path: z.string().max(512), value: z.string().max(512) }).optional(),
});
export type ReadyCheck = z.infer<typeof readyCheckSchema>;

export const bundleObjectSchema = z.object({
  ref: objectRefSchema,
  ...blob,
  /** `crd`: comes first and is never deleted unless asked. `createOnly`: made when missing, then left alone. */
  crd: z.enum(['apply', 'createOnly']).optional(),
  /** `helm.sh/resource-policy: keep`: stays when it leaves the layer. */
  keep: z.boolean().optional(),
  /** Made before the hooks: a namespace that the layer asked for. */
  early: z.boolean().optional(),
  /** Readiness checks that the pack asks for; all have to hold. */
  ready: z.array(readyCheckSchema).max(20).optional(),
});
export type BundleObject = z.infer<typeof bundleObjectSchema>;

export const bundleHookSchema = z.object({
  ref: objectRefSchema,
  ...blob,
  events: z.array(z.enum(hookEvents)),
  weight: z.int(),
  deletePolicies: z.array(z.enum(['before-hook-creation', 'hook-succeeded', 'hook-failed'])),
});
export type BundleHook = z.infer<typeof bundleHookSchema>;

export const bundleOsSchema = z.object({
  files: z.array(z.object({ path: z.string(), ...blob, mode: z.string(), owner: z.string(), group: z.string() })),
  sysctls: z.record(z.string(), z.string()),
  units: z.array(
    z.object({
      name: z.string(),
      file: z.object(blob).optional(),
      enabled: z.boolean(),
      active: z.boolean(),
      dropIns: z.array(z.object({ name: z.string(), ...blob })),
    }),
  ),
  packages: z.array(z.object({ name: z.string(), version: z.string().optional() })).optional(),
  modules: z.array(z.string()).optional(),
  users: z.array(z.object({ name: z.string(), groups: z.array(z.string()), shell: z.string() })).optional(),
  /** Image mode: the signed manifests of one version. Their files are among the layer's blobs. */
  image: z.array(signedOsImageSchema).min(1).optional(),
  extensions: z.array(osExtensionSchema).optional(),
  reboot: osRebootSchema.optional(),
});
export type BundleOs = z.infer<typeof bundleOsSchema>;

export const bundleLayerSchema = z.object({
  name: nameSchema,
  kind: z.enum(layerKinds),
  priority: z.int(),
  profile: z.object({ name: nameSchema, version: z.string() }),
  pack: z.object({ name: z.string(), version: z.string(), source: z.enum(packSources), digest: digestSchema }),
  namespace: z.string().optional(),
  replaces: nameSchema.optional(),
  adopt: z.boolean(),
  readinessTimeoutMs: z.int().min(1),
  os: bundleOsSchema.optional(),
  kubernetes: z.object({ distribution: z.literal('existing'), version: z.string().optional(), kubeconfigPath: z.string().optional() }).optional(),
  objects: z.array(bundleObjectSchema).max(limits.objectsPerLayer),
  hooks: z.array(bundleHookSchema).max(500),
  notes: z.object(blob).optional(),
  /** Image references in its objects, for content and bills of materials. */
  images: z.array(z.string().max(1024)).max(2_000).optional(),
});
export type BundleLayer = z.infer<typeof bundleLayerSchema>;

/**
 * The resolved result of a cluster's profiles and values: layers in install order, objects by digest. It names no cluster and no generation, so that
 * clusters with equal inputs share one bundle; the desired state binds it to a host. Immutable; its address is the digest of its canonical JSON.
 */
export const bundleSchema = z.object({
  schema: z.literal('groundplane.dev/bundle/1'),
  /** What rendered it; an engine upgrade must not look like drift. */
  engine: z.string().max(128),
  profiles: z.array(z.object({ name: nameSchema, version: z.string(), digest: digestSchema })),
  layers: z.array(bundleLayerSchema).max(limits.layersPerProfile * limits.profilesPerCluster),
});
export type Bundle = z.infer<typeof bundleSchema>;

/** (hubEpoch, generation, digest): names one desired state of one host for ever. */
export const versionSchema = z.object({ epoch: z.string().max(64), generation: z.int().min(0), digest: digestSchema });
export type Version = z.infer<typeof versionSchema>;

/** What one host should be. Small: everything heavy is behind the bundle's digest. */
export const desiredSchema = z.object({
  schema: z.literal('groundplane.dev/desired/1'),
  epoch: z.string().max(64),
  generation: z.int().min(1),
  /** Digest of the desired state that this one replaces; absent for the first. */
  parent: digestSchema.optional(),
  tenant: idSchema,
  host: idSchema,
  /** Absent: the host belongs to no cluster, and whatever it still runs for one is torn down. */
  cluster: z.object({ id: idSchema, name: nameSchema, role: z.enum(['control-plane', 'worker']), applier: z.boolean() }).optional(),
  bundle: digestSchema.optional(),
  /** Only without a cluster: the cluster goes on under other hosts. Its Kubernetes objects stay; this host forgets that it ever owned them. */
  detached: z.boolean().optional(),
});
export type Desired = z.infer<typeof desiredSchema>;

/**
 * What makes a layer the same or another one: everything but the names that people gave it. A new profile version whose layer did not change upgrades nothing
 * and runs no hooks; only the label is written anew.
 */
export const layerDigest = (layer: BundleLayer): Digest =>
  digestOf({ ...layer, profile: undefined, images: undefined, pack: { ...layer.pack, version: undefined } });

/** Every blob that a bundle needs, each once. */
export const bundleBlobs = (bundle: Pick<Bundle, 'layers'>): Map<string, number> => {
  const blobs = new Map<string, number>();
  for (const layer of bundle.layers) {
    for (const item of [...layer.objects, ...layer.hooks]) blobs.set(item.digest, item.size);
    if (layer.notes !== undefined) blobs.set(layer.notes.digest, layer.notes.size);
    for (const file of layer.os?.files ?? []) blobs.set(file.digest, file.size);
    for (const unit of layer.os?.units ?? []) {
      if (unit.file !== undefined) blobs.set(unit.file.digest, unit.file.size);
      for (const dropIn of unit.dropIns) blobs.set(dropIn.digest, dropIn.size);
    }
  }
  return blobs;
};
