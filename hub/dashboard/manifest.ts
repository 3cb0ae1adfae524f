import { z } from 'zod';

/** What a build of the page consists of. The server answers exactly these paths and no others, so no request can name a file. */
export const manifestSchema = z.strictObject({
  schema: z.literal('groundplane.dev/dashboard/1'),
  /** Digest over all files; a part of every ETag. */
  digest: z.string().regex(/^[0-9a-f]{16}$/),
  /** Bytes that a first visit downloads (page, entry script, its static chunks, style), gzipped. */
  firstLoadBytes: z.int(),
  files: z.record(
    z.string().regex(/^\/assets\/[A-Za-z0-9._-]+$/),
    z.strictObject({ type: z.string(), bytes: z.int(), gzipBytes: z.int(), brotliBytes: z.int() }),
  ),
});
export type Manifest = z.infer<typeof manifestSchema>;

export const manifestFile = 'manifest.json';
export const pageFile = 'index.html';
/** Stands in the built page where each response puts its own nonce. */
export const nonceMark = '{{nonce}}';
