import { z } from 'zod';
import { versionSchema } from '../bundle.ts';
import { failureSchema } from '../failure.ts';
import { labelsSchema } from '../ids.ts';
import { layerKinds } from '../layer.ts';
import { applierWords, eventTypes, hostInfoSchema, hostStatusSchema, layerStatusSchema } from '../observed.ts';
import { clusterSpecSchema, profileSpecSchema } from '../profile.ts';
import { permissions, roleNames } from '../access.ts';
import { clusterStates } from '../cluster-state.ts';
import { trustModes } from '../trust.ts';

/** What the API answers. Every view is an allow-list: nothing that is not named here leaves the hub. */
export const stamp = {
  id: z.string(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
  /** Counts changes; sent back as `ifVersion` to guard an update. */ rowVersion: z.int(),
};

const keysOf = <T extends Record<string, string>>(table: T): [keyof T & string, ...(keyof T & string)[]] => Object.keys(table) as [keyof T & string];

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), /** Pass as `after` for the next page; absent on the last. */ next: z.string().optional() });

export const tenantView = z.object({ ...stamp, name: z.string(), trustMode: z.enum(trustModes) });
export const newTenantView = tenantView.extend({ setupToken: z.string() });
export const projectView = z.object({ ...stamp, name: z.string() });

export const profileView = z.object({
  ...stamp,
  name: z.string(),
  project: z.string(),
  version: z.string(),
  labels: labelsSchema,
  state: z.enum(['draft', 'released']),
  digest: z.string(),
  spec: profileSpecSchema,
  usedBy: z.array(z.string()),
});
export const profileSummaryView = profileView.omit({ spec: true, usedBy: true }).extend({
  type: z.string(),
  description: z.string().optional(),
  layers: z.array(z.object({ name: z.string(), kind: z.enum(layerKinds), pack: z.object({ name: z.string(), version: z.string() }) })),
  clusters: z.int(),
});

/** One layer of a cluster: what should run and what does. */
export const clusterLayerView = z.object({
  name: z.string(),
  kind: z.enum(layerKinds),
  profile: z.object({ name: z.string(), version: z.string() }).optional(),
  desired: z.object({ pack: z.object({ name: z.string(), version: z.string() }), digest: z.string() }).optional(),
  observed: layerStatusSchema.optional(),
  /** Desired and observed are the same digest and it is ready. */
  isCurrent: z.boolean(),
});

export const conditionView = z.object({ type: z.string(), status: z.enum(['True', 'False', 'Unknown']), reason: z.string(), message: z.string() });

export const hostSummaryView = z.object({
  id: z.string(),
  name: z.string(),
  project: z.string(),
  state: z.enum(['lobby', 'approved', 'revoked']),
  online: z.boolean(),
  lastSeenMs: z.number().optional(),
  simulated: z.boolean(),
  cluster: z.string().optional(),
  phase: hostStatusSchema.shape.phase.optional(),
  generation: z.int(),
  reportedGeneration: z.int().optional(),
  drifted: z.int(),
  labels: labelsSchema,
  /** Its part in a cluster that the agents bring up. */
  kubernetes: z
    .object({
      role: z.enum(['control-plane', 'worker']),
      node: z.enum(['none', 'waiting', 'joined']),
      /** It looks after the whole cluster. */
      keeper: z.boolean(),
      version: z.string().optional(),
    })
    .optional(),
  /** Only where hosts share the duty to apply: it holds the Lease, held it when it was last heard of, waits for it, or cannot hold it; and why. */
  applier: z.enum(keysOf(applierWords)).optional(),
  why: z.string().optional(),
  /** Why a person has to look at this one in the lobby: it claims the place of a known host, or two machines have its key. Only lists and hosts say it. */
  question: z.enum(['replaces', 'clone']).optional(),
});

export const clusterSummaryView = z.object({
  ...stamp,
  name: z.string(),
  project: z.string(),
  labels: labelsSchema,
  state: z.enum(keysOf(clusterStates)),
  message: z.string(),
  profiles: clusterSpecSchema.shape.profiles,
  hosts: z.int(),
  online: z.int(),
  layersReady: z.int(),
  layersTotal: z.int(),
  drifted: z.int(),
  simulated: z.boolean(),
});
export const clusterView = clusterSummaryView.omit({ hosts: true, online: true }).extend({
  spec: clusterSpecSchema,
  bundle: z.string().optional(),
  kubernetesVersion: z.string().optional(),
  layers: z.array(clusterLayerView),
  conditions: z.array(conditionView),
  hosts: z.array(hostSummaryView),
  failure: failureSchema.optional(),
  deleting: z.boolean(),
});

export const hostView = hostSummaryView.extend({
  createdAtMs: z.number(),
  key: z.string(),
  words: z.string(),
  serial: z.string().optional(),
  /** Name of the approved host with the same serial number, whose place it can take. */
  replaces: z.string().optional(),
  /** Why it was put back from approved: two machines have its key. With what to do. */
  suspected: z.object({ atMs: z.number(), message: z.string() }).optional(),
  info: hostInfoSchema.optional(),
  status: hostStatusSchema.optional(),
  desired: versionSchema.optional(),
  /** When the hub wrote down the last report. */
  reportedAtMs: z.number().optional(),
  /** Its last receipt that came here on a medium: when that was, and what it spoke of. `atMs` is by the clock of the host. */
  carried: z.object({ seq: z.int(), atMs: z.number().optional(), receivedAtMs: z.number().optional(), generation: z.int().optional() }).optional(),
});

export const ticketView = z.object({
  ...stamp,
  name: z.string(),
  project: z.string(),
  expiresAtMs: z.number(),
  usesLeft: z.int(),
  labels: labelsSchema,
  autoApprove: z.boolean(),
  /** How many devices it is limited to; absent: any. */
  serials: z.int().optional(),
  /** How many of them have not come with it yet. */
  serialsToCome: z.int().optional(),
});
/** The only time the secret is shown. `ticket` is the text that goes onto the device. */
export const newTicketView = ticketView.extend({ ticket: z.string() });

export const eventView = z.object({
  seq: z.int(),
  atMs: z.number(),
  type: z.enum(eventTypes),
  reason: z.string(),
  message: z.string(),
  project: z.string().optional(),
  cluster: z.string().optional(),
  host: z.string().optional(),
  layer: z.string().optional(),
  generation: z.int().optional(),
  actor: z.string().optional(),
});

export const objectChangeView = z.object({ object: z.string(), change: z.enum(['add', 'change', 'prune', 'keep', 'hook']) });
/** What applying a cluster would do: the layers that come, go and change, and every object of theirs. */
export const planView = z.object({
  bundle: z.string(),
  changes: z.boolean(),
  layers: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(layerKinds),
      change: z.enum(['add', 'change', 'remove', 'same']),
      from: z.object({ name: z.string(), version: z.string() }).optional(),
      to: z.object({ name: z.string(), version: z.string() }).optional(),
      objects: z.array(objectChangeView),
    }),
  ),
  /** The steps that the agent will take when it holds what the hub last heard from it, in order, as sentences. */
  steps: z.array(z.string()),
  hosts: z.int(),
  warnings: z.array(z.string()),
});

export const profileDiffView = z.object({
  from: z.string(),
  to: z.string(),
  layers: z.array(z.object({ name: z.string(), change: z.enum(['add', 'change', 'remove', 'same']), before: z.string(), after: z.string() })),
});

export const whoView = z.object({
  subject: z.string(),
  name: z.string(),
  tenant: z.object({ id: z.string(), name: z.string() }),
  grants: z.array(z.object({ role: z.enum(roleNames), project: z.string().optional() })),
  permissions: z.array(z.enum(permissions)),
});
export const apiKeyView = z.object({ ...stamp, name: z.string(), role: z.enum(roleNames), project: z.string().optional(), expiresAtMs: z.number().optional() });
export const newApiKeyView = apiKeyView.extend({ key: z.string() });

/** `project` is empty for a macro of the tenant. The value of a sensitive one is never shown. */
export const macroView = z.object({ ...stamp, name: z.string(), project: z.string(), value: z.string(), sensitive: z.boolean() });

/** Counters of a fleet, kept up to date as reports come in. */
export const fleetView = z.object({
  hosts: z.int(),
  online: z.int(),
  lobby: z.int(),
  simulated: z.int(),
  clusters: z.int(),
  byState: z.record(z.string(), z.int()),
  drifted: z.int(),
  profiles: z.int(),
});

export type ClusterView = z.infer<typeof clusterView>;
export type ClusterSummaryView = z.infer<typeof clusterSummaryView>;
export type ClusterLayerView = z.infer<typeof clusterLayerView>;
export type HostView = z.infer<typeof hostView>;
export type HostSummaryView = z.infer<typeof hostSummaryView>;
export type ProfileView = z.infer<typeof profileView>;
export type ProfileSummaryView = z.infer<typeof profileSummaryView>;
export type EventView = z.infer<typeof eventView>;
export type PlanView = z.infer<typeof planView>;
export type FleetView = z.infer<typeof fleetView>;
export type TicketView = z.infer<typeof ticketView>;
export type ProfileDiffView = z.infer<typeof profileDiffView>;
export type WhoView = z.infer<typeof whoView>;
