import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestSchema, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { mediaType } from '@groundplane/protocol/media';

/** What a host reads of a medium: an OCI image layout (image specification 1.1) in a folder. Everything is named by digest from `index.json` on. */
const descriptorSchema = z.object({
  mediaType: z.string().max(255),
  artifactType: z.string().max(255).optional(),
  digest: digestSchema,
  size: z.int().min(0).max(limits.largeBlobBytes),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const indexSchema = z.object({ manifests: z.array(descriptorSchema).max(50_000) });
const manifestSchema = z.object({ config: descriptorSchema, layers: z.array(descriptorSchema).max(50_000) });
const documentSchema = z.object({
  schema: z.literal('groundplane.dev/media/1'),
  bundle: digestSchema.optional(),
  items: z.array(z.object({ kind: z.string().max(32), name: z.string().max(512), digest: digestSchema, size: z.int().min(0) })).max(200_000),
});

export interface CarriedImage {
  ref: string;
  root: Descriptor;
  /** Everything below it, manifests and all, and itself. */
  blobs: { digest: Digest; size: number }[];
}

export interface Medium {
  folder: string;
  /** Digest of `index.json`, which names all the rest. */
  index: Digest;
  items: z.infer<typeof documentSchema>['items'];
  images: CarriedImage[];
}

const sha256 = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
export const indexBytesMax = 64 * 1024 * 1024;
const depthMax = 3;

/** A file of a medium, never by a link: whoever wrote the medium must not make this host read its own secrets. */
export const readPlain = async (file: string, bytesMax: number): Promise<Result<Buffer>> => {
  const info = await lstat(file).catch(() => undefined);
  if (info === undefined) return fail('fatal', 'media-incomplete', file, 'is missing on the medium. Export it again');
  if (!info.isFile()) return fail('fatal', 'media-invalid', file, 'is no plain file');
  if (info.size > bytesMax) return fail('fatal', 'media-invalid', file, `has ${info.size} bytes; at most ${bytesMax} are expected`);
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return fail('blocked', 'media-unreadable', file, 'cannot be read');
  try {
    return ok(await handle.readFile());
  } catch (error) {
    return fail('blocked', 'media-unreadable', file, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await handle.close();
  }
};

const fileOf = (folder: string, digest: string): string => join(folder, 'blobs', 'sha256', digest.slice(7));

/** A small blob, checked by its digest. */
export const readBlob = async (folder: string, digest: Digest, bytesMax: number): Promise<Result<Buffer>> => {
  const bytes = await readPlain(fileOf(folder, digest), bytesMax);
  if (!bytes.ok) return bytes;
  return sha256(bytes.value) === digest ? bytes : fail('fatal', 'media-invalid', `${folder}, blob ${digest}`, 'has other bytes than its name says');
};

/** A large one as a stream; whoever takes it checks it. */
export const streamBlob = async (folder: string, digest: Digest): Promise<Result<AsyncIterable<Uint8Array>>> => {
  const info = await lstat(fileOf(folder, digest)).catch(() => undefined);
  if (info === undefined || !info.isFile()) return fail('fatal', 'media-incomplete', `${folder}, blob ${digest}`, 'is missing on the medium. Export it again');
  return ok(createReadStream(fileOf(folder, digest)));
};

const parse = <T>(schema: z.ZodType<T>, bytes: Buffer, element: string): Result<T> => {
  try {
    const parsed = schema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? ok(parsed.data) : fail('fatal', 'media-invalid', element, `cannot be understood: ${parsed.error.issues[0]?.message ?? ''}`);
  } catch {
    return fail('fatal', 'media-invalid', element, 'is not JSON');
  }
};

/** Everything below a manifest or an index. */
const imageBlobs = async (folder: string, root: Descriptor, depth = 0): Promise<Result<{ digest: Digest; size: number }[]>> => {
  if (depth > depthMax) return fail('fatal', 'media-invalid', `${folder}, blob ${root.digest}`, `is nested more than ${depthMax} deep`);
  const bytes = await readBlob(folder, root.digest, limits.ociManifestBytes);
  if (!bytes.ok) return bytes;
  const found = [{ digest: root.digest, size: bytes.value.length }];
  const parsed = parse(z.union([indexSchema, manifestSchema]), bytes.value, `${folder}, blob ${root.digest}`);
  if (!parsed.ok) return parsed;
  if (!('manifests' in parsed.value)) {
    const { config, layers } = parsed.value;
    return ok([...found, ...[config, ...layers].map(({ digest, size }) => ({ digest, size }))]);
  }
  for (const child of parsed.value.manifests) {
    // An index may name more platforms than the medium carries.
    if ((await lstat(fileOf(folder, child.digest)).catch(() => undefined)) === undefined) continue;
    const below = await imageBlobs(folder, child, depth + 1);
    if (!below.ok) return below;
    found.push(...below.value);
  }
  return ok(found);
};

/** Reads what a medium says about itself. What is not there is found when it is taken. */
export const openMedium = async (folder: string): Promise<Result<Medium>> => {
  const bytes = await readPlain(join(folder, 'index.json'), indexBytesMax);
  if (!bytes.ok)
    return fail(
      'fatal',
      'media-invalid',
      folder,
      'has no index.json, so it is no medium of ours, or the writing of it was cut. Write one with: gp media export CLUSTER FOLDER',
    );
  const index = parse(indexSchema, bytes.value, `${folder}, index.json`);
  if (!index.ok) return index;
  const own = index.value.manifests.find((item) => item.artifactType === mediaType);
  if (own === undefined) return fail('fatal', 'media-invalid', folder, 'has no list of contents of ours. Write one with: gp media export CLUSTER FOLDER');
  const manifest = await readBlob(folder, own.digest, limits.ociManifestBytes);
  const parsed = manifest.ok ? parse(manifestSchema, manifest.value, `${folder}, blob ${own.digest}`) : manifest;
  if (!parsed.ok) return parsed;
  const config = await readBlob(folder, parsed.value.config.digest, indexBytesMax);
  const document = config.ok ? parse(documentSchema, config.value, `${folder}, list of contents`) : config;
  if (!document.ok) return document;
  const images: CarriedImage[] = [];
  for (const root of index.value.manifests) {
    const ref = root.annotations?.['org.opencontainers.image.ref.name'];
    if (root.artifactType === mediaType || ref === undefined) continue;
    const blobs = await imageBlobs(folder, root);
    if (!blobs.ok) return blobs;
    images.push({ ref, root, blobs: blobs.value });
  }
  return ok({ folder, index: sha256(bytes.value), items: document.value.items, images });
};
