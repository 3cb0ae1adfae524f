import { z } from 'zod';
import { digestSchema } from '@groundplane/protocol/digest';

/** What a medium is for and what it holds. Lies in it as the config of our own manifest. */
export const mediaKinds = ['profile', 'bundle', 'object', 'blob', 'desired', 'chart', 'pack', 'zarf'] as const;
export type MediaKind = (typeof mediaKinds)[number];

export const mediaItemSchema = z.object({
  kind: z.enum(mediaKinds),
  name: z.string().max(512),
  version: z.string().max(128).optional(),
  digest: digestSchema,
  size: z.int().min(0),
  /** Left out, since the site said that it has it. */
  held: z.boolean().optional(),
});
export type MediaItem = z.infer<typeof mediaItemSchema>;

export const mediaDocumentSchema = z.object({
  schema: z.literal('groundplane.dev/media/1'),
  subject: z.object({ project: z.string().max(64), cluster: z.string().max(64).optional(), profile: z.string().max(256).optional() }),
  bundle: digestSchema.optional(),
  items: z.array(mediaItemSchema).max(200_000),
  /** As pods name them; with the digest of the manifest or index when the image lies on the medium. */
  images: z.array(z.object({ reference: z.string().max(1_024), digest: digestSchema.optional() })).max(10_000),
});
export type MediaDocument = z.infer<typeof mediaDocumentSchema>;

/** Leaves out what a site has already. What says what the site should be always comes along. */
export const withoutHeld = (document: MediaDocument, held: ReadonlySet<string>): MediaDocument => ({
  ...document,
  items: document.items.map((item) => ((item.kind === 'object' || item.kind === 'blob') && held.has(item.digest) ? { ...item, held: true } : item)),
});

/** Every blob once, the small ones first. */
export const mediaBlobs = (document: MediaDocument): Map<string, number> =>
  new Map(
    document.items
      .filter((item) => item.held !== true)
      .toSorted((a, b) => a.size - b.size || (a.digest < b.digest ? -1 : 1))
      .map((item) => [item.digest, item.size]),
  );
