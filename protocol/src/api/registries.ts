import { z } from 'zod';
import { digestSchema } from '../digest.ts';
import { registryKinds } from '../registry-kinds.ts';

/** Views and bodies of registries. */
const address = z
  .string()
  .min(1)
  .max(1_024)
  .regex(/^(oci|https?):\/\/[^\s@]+$/, 'must be an address like oci://registry.example/charts or https://charts.example/stable, without user and password');

const facts = {
  kind: z.enum(registryKinds),
  /** `oci://host[:port]/path` for everything in OCI registries; `https://…` for classic Helm repositories. */
  url: address,
  username: z.string().max(256).optional(),
  /** Asked before the registry itself when reading, in order. */
  mirrors: z.array(address).max(10).default([]),
  /** Plain http to another machine. */
  insecure: z.boolean().default(false),
  /** PEM of the authority that its certificate comes from. */
  ca: z.string().max(65_536).optional(),
  /** Hosts of another owner that may see the password when the registry sends us there for a token. */
  tokenHosts: z.array(z.string().max(253)).max(10).default([]),
};

export const registryBody = z
  .strictObject({
    ...facts,
    /** Kept sealed and never answered. Absent: the one that is there stays; empty: none. */
    password: z.string().max(16_384).optional(),
  })
  .refine((body) => (body.kind === 'helm') === !body.url.startsWith('oci://'), {
    message: 'a registry of kind helm has an https:// address; all other kinds have an oci:// address (charts in OCI registries are of kind oci)',
    path: ['url'],
  });

export const registryView = z.object({
  id: z.string(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
  rowVersion: z.int(),
  name: z.string(),
  project: z.string(),
  ...facts,
  hasPassword: z.boolean(),
});
export type RegistryView = z.infer<typeof registryView>;

export const registryCheckView = z.object({ reachable: z.boolean(), code: z.string().optional(), message: z.string() });

export const registryListView = z.object({
  artifact: z.string().optional(),
  /** Versions of the artifact, newest first; or names of artifacts. */
  items: z.array(z.string()),
  truncated: z.boolean(),
});

export const importedView = z.object({
  kind: z.enum(['chart', 'pack', 'zarf']),
  name: z.string(),
  version: z.string(),
  /** Of the archive in the content store: what a profile's layer names. */
  digest: z.string(),
  size: z.int(),
  reference: z.string(),
  warnings: z.array(z.string()),
});
export type ImportedView = z.infer<typeof importedView>;

export const artifactView = z.object({
  repository: z.string(),
  tag: z.string(),
  digest: z.string(),
  mediaType: z.string(),
  size: z.int(),
  createdAtMs: z.number(),
});
export type ArtifactView = z.infer<typeof artifactView>;

export const imagesView = z.object({ bundle: z.string(), items: z.array(z.object({ reference: z.string(), layers: z.array(z.string()) })) });

/** CycloneDX 1.6 as it is; its own schema says the rest. */
export const sbomView = z.looseObject({ bomFormat: z.literal('CycloneDX'), specVersion: z.literal('1.6') });

/** What a medium for a cluster must hold. The same shape lies on the medium. */
export const mediaView = z.object({
  schema: z.literal('groundplane.dev/media/1'),
  subject: z.object({ project: z.string(), cluster: z.string().optional(), profile: z.string().optional() }),
  bundle: digestSchema.optional(),
  items: z.array(
    z.object({
      kind: z.enum(['profile', 'bundle', 'object', 'blob', 'desired', 'chart', 'pack', 'zarf']),
      name: z.string(),
      version: z.string().optional(),
      digest: digestSchema,
      size: z.int(),
    }),
  ),
  images: z.array(z.object({ reference: z.string(), digest: digestSchema.optional() })),
});
export type MediaView = z.infer<typeof mediaView>;
