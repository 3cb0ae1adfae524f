import { z } from 'zod';
import { digestOf, digestSchema, type Digest } from './digest.ts';
import { idSchema, nameSchema } from './ids.ts';
import { architectures, managedDistributions, managedKubernetesSchema } from './distribution/spec.ts';
import { agentArchs, type AgentArch } from './agent-package.ts';
import { insideOrderSchema } from './inside/agent.ts';
import { layerKinds } from './layer.ts';
import { objectRefSchema } from './kubernetes.ts';
import { limits } from './limits.ts';
import { signedOsImageSchema } from './os-image.ts';
import { osExtensionSchema, osRebootSchema } from './os-spec.ts';
import { transferSchema } from './transfer.ts';

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
  /** The packages lie among the layer's blobs. */
  agent: z.object({ version: z.string().max(64), packages: z.object({ x64: z.object(blob).optional(), arm64: z.object(blob).optional() }) }).optional(),
});
export type BundleOs = z.infer<typeof bundleOsSchema>;

/** A file of any size that lies beside the agent's state, not in it: a root image, a binary, a layer of a container image. */
export const bundleBlobSchema = z.object({
  digest: digestSchema,
  size: z.int().min(0).max(limits.largeBlobBytes),
  /** What it is in its layer, the same in every version of it, so that the one before can serve as base: `root.erofs`, `kubelet`. */
  name: z.string().min(1).max(512),
  /** Absent: hosts of every architecture need it. */
  architecture: z.enum(agentArchs).optional(),
});
export type BundleBlob = z.infer<typeof bundleBlobSchema>;

/** An image reference that the host answers itself. The manifest or index, and all that it needs, are among the layer's blobs. */
export const bundleOciSchema = z.object({
  /** As pods name it, with registry and tag or digest: `registry.k8s.io/pause:3.10`. */
  ref: z.string().min(1).max(1024),
  digest: digestSchema,
  size: z.int().min(1).max(limits.ociManifestBytes),
  mediaType: z.string().min(1).max(255),
  architecture: z.enum(agentArchs).optional(),
});
export type BundleOci = z.infer<typeof bundleOciSchema>;

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
  kubernetes: z
    .object({
      distribution: z.enum(['existing', ...managedDistributions]),
      version: z.string().optional(),
      kubeconfigPath: z.string().optional(),
      /** The whole specification of one that the agent brings up. What it needs on the machine is in `os`. */
      managed: managedKubernetesSchema.optional(),
    })
    .optional(),
  /** Programs of the distribution; their content is large. */
  programs: z
    .array(z.object({ path: z.string(), ...blob, mode: z.string(), architecture: z.enum(architectures) }))
    .max(1_000)
    .optional(),
  objects: z.array(bundleObjectSchema).max(limits.objectsPerLayer),
  hooks: z.array(bundleHookSchema).max(500),
  notes: z.object(blob).optional(),
  /** Image references in its objects, for content and bills of materials. */
  images: z.array(z.string().max(1024)).max(2_000).optional(),
  /** Content that is fetched to files before the layer begins. */
  blobs: z.array(bundleBlobSchema).max(limits.blobsPerLayer).optional(),
  oci: z.array(bundleOciSchema).max(limits.ociPerLayer).optional(),
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

const desiredLabelsSchema = z.record(z.string().max(317), z.string().max(63));
const desiredTaintsSchema = z.array(z.object({ key: z.string().max(317), value: z.string().max(63).optional(), effect: z.string().max(32) })).max(50);

/** What a host has to know to be one of several that make a cluster. */
export const desiredSiteSchema = z.object({
  members: z.array(z.object({ host: idSchema, name: nameSchema, role: z.enum(['control-plane', 'worker']) })).max(limits.hostsPerCluster),
  /** This host makes the cluster; the others join it. */
  founder: z.boolean(),
  /** Name or address of the API server. `managed`: a name that the agents resolve themselves. */
  endpoint: z.object({ kind: z.enum(['managed', 'vip', 'external']), host: z.string().max(253), port: z.int().min(1).max(65_535) }),
  address: z.string().max(64).optional(),
  labels: desiredLabelsSchema,
  taints: desiredTaintsSchema,
  /**
   * Only for control planes: what has to stand on the nodes of which members, those that want the same together. Absent from hubs that do not say it; then
   * traits are given when a host joins and left alone.
   */
  traits: z
    .array(z.object({ nodes: z.array(nameSchema).max(limits.hostsPerCluster), labels: desiredLabelsSchema, taints: desiredTaintsSchema }))
    .max(limits.hostsPerCluster)
    .optional(),
});
export type DesiredSite = z.infer<typeof desiredSiteSchema>;

/** How the hosts of a cluster that was there before them share the duty to apply. */
const desiredLeaseSchema = z.object({
  /** Who may hold it. A holder that is not among them has left the cluster, whether it knows or not. */
  hosts: z.array(idSchema).max(limits.hostsPerCluster),
  /** When this list was made, by the hub's clock. Of two lists the newer one counts. */
  sinceMs: z.number(),
  /** Who applied before there was a Lease, and alone knows what it owns: nobody else may make the Lease. Absent: nobody did. */
  from: idSchema.optional(),
});
export type DesiredLease = z.infer<typeof desiredLeaseSchema>;

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
  cluster: z
    .object({
      id: idSchema,
      name: nameSchema,
      role: z.enum(['control-plane', 'worker']),
      /** It may apply Kubernetes objects; of several that may, the one that holds the cluster's Lease does. */
      applier: z.boolean(),
      /**
       * Only where several hosts use a Kubernetes that is there. Whoever of them holds the cluster's Lease applies; `applier` is false for all, so that an agent
       * that knows no Lease never applies beside the holder.
       */
      lease: desiredLeaseSchema.optional(),
      /** Only for clusters that the agents bring up. */
      site: desiredSiteSchema.optional(),
      transfer: transferSchema.optional(),
    })
    .optional(),
  bundle: digestSchema.optional(),
  /** Only without a cluster: the cluster goes on under other hosts. Its Kubernetes objects stay; this host forgets that it ever owned them. */
  detached: z.boolean().optional(),
  /** Only for an agent that runs as a pod inside of a cluster. */
  inside: insideOrderSchema.optional(),
});
export type Desired = z.infer<typeof desiredSchema>;

/**
 * What makes a layer the same or another one: everything but the names that people gave it. A new profile version whose layer did not change upgrades nothing
 * and runs no hooks; only the label is written anew. Large content is what the layer may draw on; what it installs of it stands in its own fields by digest.
 */
export const layerDigest = (layer: BundleLayer): Digest =>
  digestOf({ ...layer, profile: undefined, images: undefined, blobs: undefined, oci: undefined, pack: { ...layer.pack, version: undefined } });

const isFor = (item: { architecture?: AgentArch | undefined }, architecture: AgentArch | undefined): boolean =>
  architecture === undefined || item.architecture === undefined || item.architecture === architecture;

/** The large blobs that a host of this architecture needs, each once, in the bundle's order; of every architecture when none is given. */
export const largeBlobs = (bundle: Pick<Bundle, 'layers'>, architecture?: AgentArch): Map<Digest, BundleBlob> => {
  const found = new Map<Digest, BundleBlob>();
  for (const layer of bundle.layers)
    for (const item of layer.blobs ?? []) if (isFor(item, architecture) && !found.has(item.digest)) found.set(item.digest, item);
  return found;
};

/** Image references that a host of this architecture answers itself. Of two with one name the later layer's counts. */
export const ociReferences = (bundle: Pick<Bundle, 'layers'>, architecture?: AgentArch): Map<string, BundleOci> =>
  new Map(bundle.layers.flatMap((layer) => (layer.oci ?? []).filter((item) => isFor(item, architecture)).map((item) => [item.ref, item] as const)));

/** `kubelet-1.34.2` and `kubelet-1.35.0` are one thing in two versions. */
const versionless = (name: string): string => name.replaceAll(/[0-9]+([._-][0-9]+)*/g, '#');

/** For each new large blob the old one of the same thing, by layer and name, then by the name without its numbers where that is unique. */
export const largeBases = (old: Pick<Bundle, 'layers'>, next: Pick<Bundle, 'layers'>): Map<Digest, Digest> => {
  const before = new Map<string, Digest | undefined>();
  const keyOf = (layer: string, item: BundleBlob, name: string): string => JSON.stringify([layer, item.architecture ?? '', name]);
  for (const layer of old.layers)
    for (const item of layer.blobs ?? []) {
      before.set(keyOf(layer.name, item, item.name), item.digest);
      const loose = keyOf(layer.name, item, `~${versionless(item.name)}`);
      before.set(loose, before.has(loose) && before.get(loose) !== item.digest ? undefined : item.digest);
    }
  const bases = new Map<Digest, Digest>();
  for (const layer of next.layers)
    for (const item of layer.blobs ?? []) {
      const base = before.get(keyOf(layer.name, item, item.name)) ?? before.get(keyOf(layer.name, item, `~${versionless(item.name)}`));
      if (base !== undefined && base !== item.digest && !bases.has(item.digest)) bases.set(item.digest, base);
    }
  return bases;
};

/** Every blob of text that a bundle needs, each once. */
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
