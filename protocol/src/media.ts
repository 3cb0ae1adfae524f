import { z } from 'zod';
import { versionSchema } from './bundle.ts';
import { canonicalJson } from './canonical.ts';
import { digestSchema } from './digest.ts';
import { idSchema } from './ids.ts';
import { limits } from './limits.ts';
import { desiredMessageSchema } from './messages.ts';
import { hostEventSchema, hostStatusSchema } from './observed.ts';
import { publicKeySchema, rootStatementSchema, signedSchema } from './trust.ts';

/** Media types and file names that a medium of ours has; whoever reads one in a place without hub goes by these. */
export const mediaType = 'application/vnd.groundplane.media.v1+json';

/**
 * What the hosts of a cluster should be, as it lies on a medium: the signed messages that the hub would have sent, without the bundle, which lies beside. A host
 * takes its own and believes no more of it than of what comes over the line.
 */
export const mediaDesiredSchema = z.object({
  schema: z.literal('groundplane.dev/media-desired/1'),
  hub: z.string().max(64),
  root: signedSchema(rootStatementSchema),
  hosts: z.array(z.object({ host: idSchema, name: z.string().max(63), message: desiredMessageSchema })).max(limits.hostsPerCluster),
});
export type MediaDesired = z.infer<typeof mediaDesiredSchema>;

/** What a host says on a medium that goes back: how it is, what happened, and what it holds, so that the next medium needs to carry only the rest. */
export const siteReceiptSchema = z.object({
  schema: z.literal('groundplane.dev/site-receipt/1'),
  hub: z.string().max(64),
  host: idSchema,
  key: publicKeySchema,
  /** Counts this host's receipts. */
  seq: z.int().min(1),
  /** As the host's clock says, which may be wrong. */
  atMs: z.number(),
  medium: z.object({ index: digestSchema }).optional(),
  version: versionSchema.optional(),
  status: hostStatusSchema,
  events: z.array(hostEventSchema).max(limits.outboxEvents),
  digests: z.array(digestSchema).max(limits.receiptDigests),
});
export type SiteReceipt = z.infer<typeof siteReceiptSchema>;

export const signedReceiptSchema = z.object({ receipt: siteReceiptSchema, signature: z.string().max(128) });
export type SignedReceipt = z.infer<typeof signedReceiptSchema>;

/** What the device key signs. */
export const receiptText = (receipt: SiteReceipt): string => `groundplane receipt 1\n${canonicalJson(receipt)}`;

/** Folder of receipts on a medium, and the name of one. */
export const receiptsFolder = 'receipts';
export const receiptFile = (receipt: Pick<SiteReceipt, 'host' | 'seq'>): string => `${receipt.host}-${receipt.seq}.json`;
