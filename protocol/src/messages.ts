import { z } from 'zod';
import { answerSchema, askSchema } from './ask.ts';
import { bundleSchema, bundleLayerSchema, desiredSchema, versionSchema, type Bundle } from './bundle.ts';
import { digestSchema } from './digest.ts';
import { failureSchema } from './failure.ts';
import { idSchema } from './ids.ts';
import { limits } from './limits.ts';
import { merkleProofSchema } from './merkle.ts';
import { hostEventSchema, hostInfoSchema, hostStatusSchema } from './observed.ts';
import { directorStatementSchema, publicKeySchema, releaseStatementSchema, rootStatementSchema, signedSchema } from './trust.ts';

/** Spoken by this build. A hub of version n understands agents n-2 … n+1. */
export const protocolVersion = 1;

/** Optional abilities, named in hello and answered in welcome; only what both name is used. */
export const capabilities = ['bundle-patch', 'attach', 'neighbours', 'site', 'ask'] as const;

const nonce = z.string().regex(/^[A-Za-z0-9_-]{22,64}$/, 'must be 16 to 48 bytes in base64url');
const signature = z.string().max(128);

/** Hub, first word on every connection. */
export const challengeSchema = z.object({ t: z.literal('challenge'), v: z.int(), hub: z.string().max(64), nonce });

/** What the host holds, so that coming back costs one round trip. */
export const resumeSchema = z.object({ version: versionSchema.optional(), bundle: digestSchema.optional(), poisoned: versionSchema.optional() });

/** Agent, in answer. `proof` is the device key's signature over `helloText`; `ticket` only until the host is approved. */
export const helloSchema = z.object({
  t: z.literal('hello'),
  v: z.int(),
  key: publicKeySchema,
  nonce,
  bootId: z.string().max(64),
  capabilities: z.array(z.string().max(32)).max(32),
  resume: resumeSchema,
  name: z.string().max(63).optional(),
  serial: z.string().max(128).optional(),
  ticket: z.object({ id: z.string().max(64), mac: z.string().max(64) }).optional(),
  proof: signature,
});
export type Hello = z.infer<typeof helloSchema>;

/** Hub: in. `proof` is the time key's signature over `welcomeText`: a hub with the right name and the wrong key is refused. */
export const welcomeSchema = z.object({
  t: z.literal('welcome'),
  host: z.string().max(64),
  tenant: z.string().max(64),
  epoch: z.string().max(64),
  timeMs: z.number(),
  heartbeatMs: z.int().min(1),
  capabilities: z.array(z.string().max(32)),
  /** `unchanged`: what you resumed with is what you should be. `follows`: a desired state comes next. */
  resume: z.enum(['unchanged', 'follows']),
  /** The last report that the hub remembers. A hub that was restored from a back-up may have forgotten one that it once confirmed; the host then tells it again. */
  reported: z.object({ phase: z.string().max(32), version: versionSchema.optional() }).optional(),
  /** Bearer for content requests; valid for this session only. */
  contentToken: z.string().max(256),
  root: signedSchema(rootStatementSchema).optional(),
  proof: signature,
});
export type Welcome = z.infer<typeof welcomeSchema>;

/** Hub: known, but a person has to say yes. The words are the same on console and dashboard. */
export const lobbySchema = z.object({
  t: z.literal('lobby'),
  words: z.string().max(128),
  retryMs: z.int().min(1),
  timeMs: z.number(),
  proof: signature,
  root: signedSchema(rootStatementSchema).optional(),
});
export const rejectSchema = z.object({ t: z.literal('reject'), failure: failureSchema, retryMs: z.int().min(0) });

/** The new bundle as the old one's layers by number and the changed ones whole; the result must have the announced digest. */
export const bundlePatchSchema = z.object({
  base: digestSchema,
  engine: z.string().max(128),
  profiles: bundleSchema.shape.profiles,
  layers: z.array(z.union([z.int().min(0), bundleLayerSchema])).max(2_000),
});
export type BundlePatch = z.infer<typeof bundlePatchSchema>;

/** Hub: what you should be. Content named by the bundle comes by HTTP; small new blobs may ride along in `attach` (text by digest). */
export const desiredMessageSchema = z.object({
  t: z.literal('desired'),
  desired: desiredSchema,
  proof: merkleProofSchema,
  director: signedSchema(directorStatementSchema),
  adopted: versionSchema.optional(),
  bundle: bundleSchema.optional(),
  patch: bundlePatchSchema.optional(),
  releases: z.array(signedSchema(releaseStatementSchema)).max(limits.profilesPerCluster).optional(),
  attach: z.record(digestSchema, z.string()).optional(),
});
export type DesiredMessage = z.infer<typeof desiredMessageSchema>;

/** Agent: the patch or the attachments did not fit; send everything. */
export const refetchSchema = z.object({ t: z.literal('refetch'), generation: z.int().min(1), reason: z.string().max(256) });

/** Agent: state and events. `seq` is acknowledged by the hub once everything is on its disk. */
export const reportSchema = z.object({
  t: z.literal('report'),
  seq: z.int().min(1),
  status: hostStatusSchema.optional(),
  info: hostInfoSchema.optional(),
  events: z.array(hostEventSchema).max(limits.reportEvents).optional(),
  /** Events that had to be thrown away because the queue was full. */
  dropped: z.int().min(0).optional(),
});
export type Report = z.infer<typeof reportSchema>;

export const ackSchema = z.object({ t: z.literal('ack'), seq: z.int().min(1) });
/** `nextMs`: when the agent will speak again at the latest; the hub takes a host that stays silent for much longer as gone. */
export const pingSchema = z.object({ t: z.literal('ping'), nextMs: z.int().min(1).max(limits.heartbeatMaxMs).optional() });
export const pongSchema = z.object({ t: z.literal('pong'), timeMs: z.number() });

/** Hub: what the other hosts of its cluster say of themselves, and an invitation that one of them sealed for this host. Facts, not orders: nothing is signed. */
export const siteSchema = z.object({
  t: z.literal('site'),
  cluster: z.string().max(64),
  neighbours: z
    .array(
      z.object({
        host: z.string().max(64),
        name: z.string().max(63),
        address: z.string().max(64).optional(),
        sealKey: z.string().max(64).optional(),
        isWaiting: z.boolean(),
      }),
    )
    .max(limits.hostsPerCluster),
  invitation: z.string().max(limits.invitationChars).optional(),
});
/** Agent: secrets to join with, sealed for another host of its cluster. */
export const inviteSchema = z.object({
  t: z.literal('invite'),
  cluster: z.string().max(64),
  host: z.string().max(64),
  sealed: z.string().max(limits.invitationChars),
});

/** Hub: the poison for this version is lifted by a person; it may be tried again. */
export const retrySchema = z.object({ t: z.literal('retry'), version: versionSchema });
/** Hub: stop talking; come back after the delay (restart, overload, revoked). */
export const goodbyeSchema = z.object({ t: z.literal('goodbye'), retryMs: z.int().min(0), reason: z.string().max(256) });

/**
 * Hub: other hosts of your cluster that may have large content, nearest in rank first, and the secret by which you know each other. It replaces what was said
 * before; kept on disk, since neighbours help most while the hub is away.
 */
export const neighboursSchema = z.object({
  t: z.literal('neighbours'),
  cluster: idSchema,
  secret: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 32 bytes in base64url'),
  hosts: z
    .array(z.object({ host: idSchema, addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(limits.addressesPerHost), port: z.int().min(1).max(65_535) }))
    .max(limits.neighbours),
});
export type Neighbours = z.infer<typeof neighboursSchema>;

export const agentMessageSchema = z.discriminatedUnion('t', [helloSchema, reportSchema, refetchSchema, pingSchema, inviteSchema, answerSchema]);
export const hubMessageSchema = z.discriminatedUnion('t', [
  challengeSchema,
  welcomeSchema,
  lobbySchema,
  rejectSchema,
  desiredMessageSchema,
  ackSchema,
  pongSchema,
  retrySchema,
  siteSchema,
  goodbyeSchema,
  neighboursSchema,
  askSchema,
]);
export type AgentMessage = z.infer<typeof agentMessageSchema>;
export type HubMessage = z.infer<typeof hubMessageSchema>;

/** What the device key signs: both nonces, the hub, its own key and boot, and everything it claims. */
export const helloText = (challenge: { hub: string; nonce: string }, hello: Omit<Hello, 'proof'>): string =>
  `groundplane hello 1\n${challenge.hub}\n${challenge.nonce}\n${JSON.stringify([hello.v, hello.key, hello.nonce, hello.bootId, hello.capabilities, hello.resume.version ?? null, hello.resume.bundle ?? null, hello.resume.poisoned ?? null, hello.name ?? null, hello.serial ?? null, hello.ticket?.id ?? null])}`;

/** What the ticket's secret authenticates: this key, on this connection. */
export const ticketText = (challenge: { hub: string; nonce: string }, key: string, agentNonce: string): string =>
  `groundplane ticket 1\n${challenge.hub}\n${challenge.nonce}\n${key}\n${agentNonce}`;

/** What the hub's time key signs: the agent's nonce, its key, the time, and the session it opens. */
export const welcomeText = (agent: { key: string; nonce: string }, answer: { t: 'welcome' | 'lobby'; timeMs: number; host?: string; epoch?: string }): string =>
  `groundplane ${answer.t} 1\n${agent.key}\n${agent.nonce}\n${answer.timeMs}\n${answer.host ?? ''}\n${answer.epoch ?? ''}`;

/** Rebuilds a bundle from a patch; undefined when the base is another one or a number points nowhere. The caller checks the digest. */
export const applyBundlePatch = (base: Bundle, patch: BundlePatch): Bundle | undefined => {
  const layers = patch.layers.map((item) => (typeof item === 'number' ? base.layers[item] : item));
  return layers.includes(undefined) ? undefined : { schema: base.schema, engine: patch.engine, profiles: patch.profiles, layers: layers as Bundle['layers'] };
};

/** The smallest patch of this form: a layer that stands in the base, canonically equal, becomes its number. */
export const makeBundlePatch = (base: { digest: string; layerKeys: readonly string[] }, bundle: Bundle, layerKeys: readonly string[]): BundlePatch => ({
  base: base.digest as BundlePatch['base'],
  engine: bundle.engine,
  profiles: bundle.profiles,
  layers: bundle.layers.map((layer, index) => {
    const known = base.layerKeys.indexOf(layerKeys[index] ?? '');
    return known < 0 ? layer : known;
  }),
});
