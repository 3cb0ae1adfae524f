import { z } from 'zod';
import { infrastructureSchema } from './environment/infrastructure.ts';
import { labelsSchema, nameSchema, semverSchema } from './ids.ts';
import { layerSchema, type LayerKind } from './layer.ts';
import { limits } from './limits.ts';
import { taintSchema } from './taint.ts';
import { transferSchema } from './transfer.ts';

export const profileTypes = ['infrastructure', 'addon', 'full'] as const;

export const variableSchema = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be letters, digits and underscores'),
    displayName: z.string().max(128).optional(),
    description: z.string().max(1024).optional(),
    inputType: z.enum(['text', 'dropdown', 'multiline']).default('text'),
    format: z.enum(['string', 'number', 'boolean', 'ipv4', 'ipv4cidr', 'ipv6', 'version', 'base64']).default('string'),
    default: z.string().max(65_536).optional(),
    required: z.boolean().default(false),
    /** RE2 syntax: no back-references and no look-around, so that no text can hang the check. */
    regex: z.string().max(512).optional(),
    immutable: z.boolean().default(false),
    hidden: z.boolean().default(false),
    sensitive: z.boolean().default(false),
    options: z
      .array(z.strictObject({ value: z.string(), label: z.string().optional(), description: z.string().optional() }))
      .max(200)
      .optional(),
  })
  .superRefine((variable, context) => {
    const issue = (message: string): void => void context.addIssue({ code: 'custom', message: `variable ${variable.name}: ${message}` });
    if (variable.immutable && variable.default === undefined) issue('an immutable variable needs a default');
    if (variable.hidden && variable.required && variable.default === undefined) issue('hidden and required needs a default');
    if (variable.inputType === 'dropdown' && (variable.options ?? []).length === 0) issue('a dropdown needs options');
    if (variable.regex !== undefined && /\(\?[=!<]|\\[1-9]/.test(variable.regex))
      issue('the regex uses look-around or back-references, which RE2 does not have');
  });
export type Variable = z.infer<typeof variableSchema>;

const allowedKinds: Record<(typeof profileTypes)[number], readonly LayerKind[]> = {
  infrastructure: ['os', 'kubernetes', 'network', 'storage'],
  addon: ['addon'],
  full: ['os', 'kubernetes', 'network', 'storage', 'addon'],
};

const firstTwice = (names: readonly string[]): string | undefined => names.find((name, index) => names.indexOf(name) !== index);

/** One version of a profile: what `gp apply` sends and the hub keeps, immutable once released. */
export const profileSpecSchema = z
  .strictObject({
    type: z.enum(profileTypes),
    description: z.string().max(1024).optional(),
    variables: z.array(variableSchema).max(limits.variablesPerProfile).default([]),
    layers: z.array(layerSchema).min(1, 'a profile needs at least one layer').max(limits.layersPerProfile),
  })
  .superRefine((spec, context) => {
    const issue = (message: string): void => void context.addIssue({ code: 'custom', message });
    const twice = firstTwice(spec.layers.map((layer) => layer.name));
    if (twice !== undefined) issue(`two layers are named ${twice}; layer names are unique in a profile`);
    const variableTwice = firstTwice(spec.variables.map((variable) => variable.name));
    if (variableTwice !== undefined) issue(`two variables are named ${variableTwice}`);
    for (const layer of spec.layers) {
      if (!allowedKinds[spec.type].includes(layer.kind)) issue(`layer ${layer.name}: a profile of type ${spec.type} has no layer of kind ${layer.kind}`);
    }
    for (const kind of ['os', 'kubernetes', 'network'] as const) {
      if (spec.layers.filter((layer) => layer.kind === kind).length > 1) issue(`a profile has at most one layer of kind ${kind}`);
    }
  });
export type ProfileSpec = z.infer<typeof profileSpecSchema>;

export const apiVersion = 'groundplane.dev/v1';

export const profileDocumentSchema = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('Profile'),
  metadata: z.strictObject({ name: nameSchema, version: semverSchema, project: nameSchema.optional(), labels: labelsSchema.optional() }),
  spec: profileSpecSchema,
});

const ipAddress = z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' });
const endpointHost = z
  .string()
  .max(253)
  .regex(/^([a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*|[0-9a-fA-F:]+)$/, 'must be a host name or an IP address');
export const clusterSpecSchema = z
  .strictObject({
    /** One infrastructure or full profile, then any number of add-on profiles. */
    profiles: z.array(z.strictObject({ name: nameSchema, version: semverSchema })).max(limits.profilesPerCluster),
    variables: z.record(z.string().max(64), z.string().max(65_536)).default({}),
    /** Values of one layer for this cluster only, over those of its profile, as far as the layer is `settable`. */
    overrides: z.record(nameSchema, z.strictObject({ values: z.string().max(limits.objectBytes) })).optional(),
    hosts: z.array(nameSchema).max(limits.hostsPerCluster).default([]),
    /** What is particular about a host. Without it, a host is a control plane. */
    hostSettings: z
      .record(
        nameSchema,
        z.strictObject({
          role: z.enum(['control-plane', 'worker']).default('control-plane'),
          /** Address that the other hosts reach it at; by default the one of its default route. */
          address: ipAddress.optional(),
          labels: labelsSchema.default({}),
          taints: z.array(taintSchema).max(50).default([]),
        }),
      )
      .optional(),
    /** Where the API server is reached. Without it, each host finds one by a name that the agents resolve. */
    endpoint: z.strictObject({ kind: z.enum(['vip', 'external']), host: endpointHost, port: z.int().min(1).max(65_535).default(6443) }).optional(),
    /** Machines or a managed cluster that the hub makes, and an account for it. */
    infrastructure: infrastructureSchema.optional(),
    /** When and how fast large content may come to its hosts. */
    transfer: transferSchema.optional(),
  })
  .superRefine((spec, context) => {
    const isLookedAt = spec.infrastructure?.environment === 'existing' && spec.infrastructure.placement['mode'] === 'read-only';
    if (spec.profiles.length === 0 && !isLookedAt)
      context.addIssue({ code: 'custom', path: ['profiles'], message: 'a cluster has at least one profile; only one that is imported read-only has none' });
    if (spec.profiles.length > 0 && isLookedAt)
      context.addIssue({
        code: 'custom',
        path: ['profiles'],
        message: 'a cluster that is imported read-only has no profiles: nothing of it is changed. Use mode: full',
      });
  });
export type ClusterSpec = z.infer<typeof clusterSpecSchema>;

export const clusterDocumentSchema = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('Cluster'),
  metadata: z.strictObject({ name: nameSchema, project: nameSchema.optional(), labels: labelsSchema.optional() }),
  spec: clusterSpecSchema,
});
