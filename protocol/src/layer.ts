import { z } from 'zod';
import { digestSchema } from './digest.ts';
import { managedDistributions, managedKubernetesSchema, type ManagedKubernetes } from './distribution/spec.ts';
import { managedEnvironments } from './environment/environments.ts';
import { limits } from './limits.ts';
import { nameSchema } from './ids.ts';
import { absolutePath, osSpecSchema, textContent } from './os-spec.ts';

export const layerKinds = ['os', 'kubernetes', 'network', 'storage', 'addon'] as const;
export type LayerKind = (typeof layerKinds)[number];

/** A cluster that is already there, through a kubeconfig on the host. */
const existingKubernetesSchema = z.strictObject({
  distribution: z.literal('existing'),
  /** Allowed server versions, as a semver range like `>=1.30 <1.39`. */
  version: z.string().max(128).optional(),
  /** Where the kubeconfig is on the host; the agent's own flag wins over it. */
  kubeconfigPath: absolutePath.optional(),
});

/** A cluster of a cloud's own service. Its control plane is brought to this version, then its pools. */
const cloudKubernetesSchema = z.strictObject({
  distribution: z.enum(managedEnvironments),
  version: z
    .string()
    .max(64)
    .regex(/^v?1\.\d{1,3}(\.\d{1,3}([-+][a-z0-9.]+)?)?$/, 'must be a version like 1.34, or as exact as the cloud knows it, like 1.34.1-gke.1'),
});

/** Kubernetes layer: one that the agent brings up, one of a cloud, or `existing`. */
export const kubernetesSpecSchema = z.discriminatedUnion('distribution', [existingKubernetesSchema, cloudKubernetesSchema, managedKubernetesSchema], {
  error: (issue) =>
    issue.code === 'invalid_union' ? `the distribution is one of existing, ${[...managedDistributions, ...managedEnvironments].join(', ')}` : undefined,
});

/** The specification of a Kubernetes that agents bring up; undefined for one that is there, or comes from a cloud. */
export const managedPart = (spec: z.infer<typeof kubernetesSpecSchema> | undefined): ManagedKubernetes | undefined =>
  spec !== undefined && 'cni' in spec ? spec : undefined;

export const helmSpecSchema = z.strictObject({
  chart: z.strictObject({
    /** The chart archive (.tgz) in the content store. `gp apply` uploads a local chart and fills this in. */
    digest: digestSchema,
    name: z.string().min(1).max(250),
    version: z.string().min(1).max(128),
  }),
  /** Values as YAML text, so that comments live on. */
  values: z.string().max(limits.objectBytes).default(''),
  /** More layers of values over `values`, later ones win, null deletes: as `helm -f` several times. */
  valuesLayers: z.array(z.string().max(limits.objectBytes)).max(20).optional(),
  /** Extra entries for `.Capabilities.APIVersions`: `monitoring.coreos.com/v1`. CRDs of the layers before this one are known without it. */
  apiVersions: z.array(z.string().max(253)).max(500).optional(),
  /** What `lookup` may find, as YAML objects. Everything else is empty, as in `helm template`. */
  lookup: textContent.optional(),
  releaseName: z
    .string()
    .max(53)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'not a Helm release name')
    .optional(),
  crds: z.enum(['apply', 'createOnly', 'skip']).default('apply'),
});

/**
 * What people call the unit that runs here. With `digest` it is the unit itself: a pack (a .tgz of pack.json, values.yaml, charts/, manifests/, presets.yaml,
 * schema.yaml) in the content store. `gp apply` uploads a local pack folder and fills this in.
 */
export const packSpecSchema = z.strictObject({
  name: z.string().min(1).max(128),
  version: z.string().min(1).max(128),
  digest: digestSchema.optional(),
  /** Where it was taken from: the name of a registry. For people; the digest decides. */
  registry: z.string().max(253).optional(),
  /** The pack's values.yaml as this profile edited it: `pack:` header, `charts:`, `manifests:`; comments are data. Absent: as the pack has it. */
  values: z.string().max(limits.objectBytes).optional(),
  /** More layers of values of the same shape over it, later ones win, null deletes. */
  valuesLayers: z.array(z.string().max(limits.objectBytes)).max(20).optional(),
});

/** A Zarf package in the content store, in its OCI form: a manifest whose layers carry the package's files by `org.opencontainers.image.title`. */
export const zarfSpecSchema = z.strictObject({
  package: z.strictObject({ digest: digestSchema, name: z.string().min(1).max(250), version: z.string().min(1).max(128) }),
  /** Optional components to take; `-name` leaves a default one out. Required ones always come. */
  components: z.array(z.string().min(1).max(128)).max(200).default([]),
  /** Zarf variables (`###ZARF_VAR_X###`), by upper-case name. */
  variables: z
    .record(z.string().regex(/^[A-Z0-9_]{1,128}$/, 'Zarf variables are written in capitals, digits and underscores'), z.string().max(65_536))
    .default({}),
  /** Values over the package's own ones (YAML), for packages that map values to charts. */
  values: z.string().max(limits.objectBytes).default(''),
});

/** A change of rendered objects, as Kustomize patches: which ones, and how. Applied after rendering, in order. */
export const patchSchema = z
  .strictObject({
    target: z.strictObject({
      apiVersion: z.string().max(253).optional(),
      kind: z.string().max(128).optional(),
      name: z.string().max(253).optional(),
      namespace: nameSchema.optional(),
    }),
    /** RFC 7386: maps merge, null deletes, lists are replaced. YAML. */
    merge: textContent.optional(),
    /** RFC 6902: a YAML list of {op, path, value}. */
    json: textContent.optional(),
    /** No object that fits is an error unless this is set. */
    optional: z.boolean().default(false),
  })
  .refine((patch) => (patch.merge === undefined) !== (patch.json === undefined), 'a patch has either "merge" or "json"');

export const manifestSchema = z.strictObject({ name: z.string().min(1).max(128), content: textContent });

/** Fields that came after the first version are optional without a default: a default would change the digest of what was released before. */
export const layerSchema = z
  .strictObject({
    name: nameSchema,
    kind: z.enum(layerKinds),
    /** By default the chart's or package's name and version, or the layer's name and the profile's version. */
    pack: packSpecSchema.optional(),
    /** Lowest first; equal numbers together; the next group starts only when this one is ready; reverse on delete. */
    priority: z.int().min(-1_000_000).max(1_000_000).default(0),
    namespace: nameSchema.optional(),
    os: osSpecSchema.optional(),
    kubernetes: kubernetesSpecSchema.optional(),
    helm: helmSpecSchema.optional(),
    zarf: zarfSpecSchema.optional(),
    manifests: z.array(manifestSchema).max(500).optional(),
    patches: z.array(patchSchema).max(200).optional(),
    /** Which values a cluster may override (`spec.overrides`), as dotted paths with everything below them; `*` is all. Values can be root: default none. */
    settable: z.array(z.string().min(1).max(253)).max(200).optional(),
    /** A layer of this name, no longer in the profile, is removed before this one is installed (they would fight over a port, say). */
    replaces: nameSchema.optional(),
    /** Take over objects that somebody else made before. Without it, a conflict stops the layer with a message. */
    adopt: z.boolean().default(false),
    readiness: z.strictObject({ timeoutSeconds: z.int().min(1).max(86_400).default(300) }).prefault({}),
  })
  .superRefine((layer, context) => {
    const issue = (message: string): void => void context.addIssue({ code: 'custom', message: `layer ${layer.name}: ${message}` });
    const whole = [layer.helm, layer.zarf, layer.pack?.digest].filter((source) => source !== undefined).length;
    const sources = whole + [layer.os, layer.kubernetes, layer.manifests].filter((source) => source !== undefined).length;
    if (whole > 1) issue('has more than one of "helm", "zarf" and a pack; put each into a layer of its own');
    const isMachine = layer.kind === 'os' || layer.kind === 'kubernetes';
    // There they are data for `{{ .spectro.pack… }}`, as imported profiles have them.
    if (layer.pack?.values !== undefined && layer.pack.digest === undefined && !isMachine)
      issue('has values of a pack, but no pack; give pack.path or pack.digest');
    if ((layer.patches ?? []).length > 0 && (layer.os !== undefined || layer.kubernetes !== undefined))
      issue('patches change Kubernetes objects, and this layer has none');
    if (layer.kind === 'os' && (layer.os === undefined || sources !== 1)) issue('a layer of kind os has exactly the field "os"');
    if (layer.kind === 'kubernetes' && (layer.kubernetes === undefined || sources !== 1))
      issue('a layer of kind kubernetes has exactly the field "kubernetes"');
    if (layer.kind !== 'os' && layer.kind !== 'kubernetes') {
      if (layer.os !== undefined || layer.kubernetes !== undefined) issue(`a layer of kind ${layer.kind} has "pack", "helm", "zarf" or "manifests"`);
      else if (sources === 0) issue('says nothing to install: give "pack", "helm", "zarf" or "manifests"');
    }
  });
export type Layer = z.infer<typeof layerSchema>;
export type HelmSpec = z.infer<typeof helmSpecSchema>;
export type PackSpec = z.infer<typeof packSpecSchema>;
export type ZarfSpec = z.infer<typeof zarfSpecSchema>;
export type Patch = z.infer<typeof patchSchema>;

const kindOrder = new Map(layerKinds.map((kind, index) => [kind, index]));

/** Install order: kind, then priority, then the name so that the order is total. Delete order is the reverse. */
export const compareLayers = (a: { kind: LayerKind; priority: number; name: string }, b: { kind: LayerKind; priority: number; name: string }): number =>
  (kindOrder.get(a.kind) ?? 0) - (kindOrder.get(b.kind) ?? 0) || a.priority - b.priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
