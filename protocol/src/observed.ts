import { z } from 'zod';
import { versionSchema } from './bundle.ts';
import { insideViewSchema } from './inside/agent.ts';
import { failureSchema } from './failure.ts';
import { layerKinds } from './layer.ts';
import { limits } from './limits.ts';

/** States of a layer on a host. One sentence each; the dashboard shows the same words. */
export const layerStates = {
  pending: 'Not begun yet; a layer below it is not ready.',
  applying: 'Its objects, files or settings are being written.',
  waiting: 'Everything is written; it is not ready yet.',
  ready: 'It runs as desired.',
  degraded: 'It was ready, and something in it stopped being ready.',
  blocked: 'It cannot go on until something outside of it changes.',
  failed: 'It did not become ready, or it cannot be applied.',
  removing: 'It left the profile and is being taken away.',
} as const;
export type LayerState = keyof typeof layerStates;

/** Phases of a host's desired state. */
export const hostPhases = {
  idle: 'It belongs to no cluster.',
  staging: 'It is fetching what the new generation needs; nothing has changed yet.',
  applying: 'It is bringing its layers to the new generation.',
  converged: 'It is as desired.',
  degraded: 'It is at the desired generation, and something in it is not ready.',
  blocked: 'It cannot go on until something outside of it changes.',
  'rolled-back': 'The desired generation failed; it went back to the last good one and will not retry by itself.',
  failed: 'The desired generation failed, and there is no earlier good one to go back to.',
} as const;
export type HostPhase = keyof typeof hostPhases;

/** What a host is among those that share the duty to apply: it holds the cluster's Lease, waits for it, or cannot hold it. */
export const applierStates = ['holds', 'waits', 'cannot'] as const;
/** The same for people. `held`: it held the Lease when it was last heard of. */
export const applierWords = { holds: 'applies', held: 'applied when last heard of', waits: 'would take over', cannot: 'cannot take over' } as const;

const keysOf = <T extends Record<string, string>>(table: T): [keyof T & string, ...(keyof T & string)[]] => Object.keys(table) as [keyof T & string];

export const layerStatusSchema = z.object({
  name: z.string().max(63),
  kind: z.enum(layerKinds),
  /** What runs now. */
  pack: z.object({ name: z.string().max(128), version: z.string().max(128) }),
  digest: z.string().max(80),
  state: z.enum(keysOf(layerStates)),
  message: z.string().max(1024).optional(),
  objects: z.object({ total: z.int(), ready: z.int() }),
  drift: z.object({ healed: z.int(), lastAtMs: z.number().optional(), last: z.string().max(512).optional() }),
});
export type LayerStatus = z.infer<typeof layerStatusSchema>;

export const hostStatusSchema = z.object({
  /** The desired state that this report speaks of; absent before the first. Rollouts ignore reports about any other. */
  version: versionSchema.optional(),
  committed: versionSchema.optional(),
  phase: z.enum(keysOf(hostPhases)),
  /** How far the large content of the new generation has come. */
  staging: z.object({ doneBytes: z.number(), totalBytes: z.number(), blob: z.string().max(512).optional() }).optional(),
  layers: z.array(layerStatusSchema).max(limits.layersPerProfile * 2),
  kubernetes: z.object({
    state: z.enum(['reachable', 'unreachable', 'unknown']),
    version: z.string().max(128).optional(),
    /** Only where the agents bring Kubernetes up: `waiting` for an invitation, or a member of the cluster. */
    node: z.enum(['none', 'waiting', 'joined']).optional(),
    /** It looks after the whole cluster. */
    keeper: z.boolean().optional(),
    /** Only where hosts share the duty to apply: whether it applies, would take that over, or cannot, and why. */
    applier: z.enum(applierStates).optional(),
    why: z.string().max(1024).optional(),
  }),
  failure: failureSchema.optional(),
  /** The generation that failed and will not be retried, and why. */
  poisoned: z.object({ version: versionSchema, failure: failureSchema }).optional(),
});
export type HostStatus = z.infer<typeof hostStatusSchema>;

/** Slow facts about the machine; sent when they change. */
export const hostInfoSchema = z.object({
  hostname: z.string().max(253),
  os: z.string().max(256),
  kernel: z.string().max(256),
  arch: z.string().max(32),
  cpus: z.int(),
  memoryBytes: z.number(),
  agentVersion: z.string().max(64),
  privileged: z.boolean(),
  /** The machine or its Kubernetes is a simulation; must be shown wherever the host is shown. */
  simulated: z.boolean(),
  /** Address that other hosts of its site reach it at. */
  address: z.string().max(64).optional(),
  /** It can share the duty to apply with other hosts, by a Lease in a cluster that was there before them. */
  canTakeOver: z.boolean().optional(),
  /** Public key that other hosts seal secrets for it with. */
  sealKey: z.string().max(64).optional(),
  /** Where neighbours reach it, and the port at which it gives them large content. */
  addresses: z
    .array(z.union([z.ipv4(), z.ipv6()]))
    .max(limits.addressesPerHost)
    .optional(),
  blobPort: z.int().min(1).max(65_535).optional(),
  /** Of an agent that runs inside of a cluster: what it sees there. */
  inside: insideViewSchema.optional(),
});
export type HostInfo = z.infer<typeof hostInfoSchema>;

export const eventTypes = ['normal', 'warning'] as const;
export const hostEventSchema = z.object({
  atMs: z.number(),
  type: z.enum(eventTypes),
  /** CamelCase reason in the manner of Kubernetes events: DriftHealed, LayerReady, RolledBack. */
  reason: z.string().max(64),
  layer: z.string().max(63).optional(),
  generation: z.int().optional(),
  message: z.string().max(2048),
});
export type HostEvent = z.infer<typeof hostEventSchema>;
