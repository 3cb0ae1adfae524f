import type { Digest } from '@groundplane/protocol/digest';
import { isDigest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ZarfComponent, ZarfPackage } from '@groundplane/protocol/zarf/package';
import { z } from 'zod';
import { imageText, normaliseImage, parseImage } from '../render/image-reference.ts';
import { zarfReadLimits } from './limits.ts';
import type { ZarfFiles } from './verify.ts';

/** An image that the package carries, in its OCI layout. */
export interface ZarfImage {
  /** As the package names it. */
  reference: string;
  /** Of its manifest or index; absent when the package leaves images where they are. */
  digest?: Digest;
}

const descriptor = z.looseObject({
  mediaType: z.string().max(256).optional(),
  digest: z.string().max(256),
  annotations: z.record(z.string(), z.string()).nullable().optional(),
});
const indexSchema = z.looseObject({ manifests: z.array(descriptor).max(100_000).nullable().optional() });
const manifestSchema = z.looseObject({
  config: descriptor.optional(),
  layers: z.array(descriptor).max(10_000).nullable().optional(),
  manifests: z.array(descriptor).max(10_000).nullable().optional(),
});

const blobPath = (digest: string): string => `images/blobs/sha256/${digest.replace(/^sha256:/, '')}`;

const readJson = <T extends z.ZodType>(bytes: Buffer, schema: T): z.output<T> | undefined => {
  try {
    const parsed = schema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
};

/** Image names to digests, from images/index.json. Old versions of Zarf left `docker.io/` out, hence the comparison by meaning. */
export const readImageIndex = (index: Buffer | undefined, element: string): Result<Map<string, Digest>> => {
  const found = new Map<string, Digest>();
  if (index === undefined) return ok(found);
  const parsed = readJson(index, indexSchema);
  if (parsed === undefined) return fail('fatal', 'zarf-image-index', element, 'images/index.json is no OCI index');
  for (const item of parsed.manifests ?? []) {
    if (!isDigest(item.digest))
      return fail(
        'fatal',
        'zarf-image-index',
        element,
        `images/index.json names the digest ${JSON.stringify(item.digest.slice(0, 80))}; only SHA-256 is known`,
      );
    const names = [item.annotations?.['org.opencontainers.image.base.name'], item.annotations?.['org.opencontainers.image.ref.name']];
    for (const name of names) {
      if (name === undefined || name === '') continue;
      const key = normaliseImage(name);
      const other = found.get(key);
      if (other !== undefined && other !== item.digest)
        return fail('fatal', 'zarf-image-index', element, `images/index.json names ${name.slice(0, 200)} twice, with different digests`);
      found.set(key, item.digest);
    }
  }
  return ok(found);
};

const withoutTag = (reference: string): string => {
  const parsed = parseImage(reference);
  if (parsed?.digest === undefined) return reference;
  const { tag: _tag, ...pinned } = parsed;
  return imageText(pinned);
};

/** The digest of a listed image. A reference by digest names it itself. */
export const digestOfImage = (reference: string, index: ReadonlyMap<string, Digest>): Digest | undefined => {
  const key = normaliseImage(reference);
  const listed = index.get(key) ?? index.get(withoutTag(reference));
  if (listed !== undefined) return listed;
  const pinned = parseImage(reference)?.digest;
  return pinned !== undefined && isDigest(pinned) && [...index.values()].includes(pinned) ? pinned : undefined;
};

const checkBlob = (digest: string, files: ZarfFiles, read: (name: string) => Buffer | undefined, depth: number, image: string): string | undefined => {
  const name = blobPath(digest);
  if (!isDigest(digest) || !files.has(name)) return `${image}: the blob ${digest.slice(0, 80)} is not in the package`;
  const bytes = read(name);
  const manifest = bytes === undefined ? undefined : readJson(bytes, manifestSchema);
  if (manifest === undefined) return `${image}: ${name} is no manifest`;
  if (depth > zarfReadLimits.imageDepth) return `${image}: indexes point to indexes more than ${zarfReadLimits.imageDepth} deep`;
  const layers = [...(manifest.config === undefined ? [] : [manifest.config]), ...(manifest.layers ?? [])];
  const missing = layers.find((layer) => !isDigest(layer.digest) || !files.has(blobPath(layer.digest)));
  if (missing !== undefined) return `${image}: its blob ${missing.digest.slice(0, 80)} is not in the package`;
  for (const item of manifest.manifests ?? []) {
    const problem = checkBlob(item.digest, files, read, depth + 1, image);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

/** Every image that a component names is in the package, with its manifest, configuration and layers. */
export const checkImages = (zarf: ZarfPackage, files: ZarfFiles, read: (name: string) => Buffer | undefined, element: string): Result<void> => {
  if (zarf.isOnline) return ok(undefined);
  const index = readImageIndex(read('images/index.json'), element);
  if (!index.ok) return index;
  for (const reference of new Set(zarf.components.flatMap((component) => component.images))) {
    if (parseImage(reference) === undefined)
      return fail('fatal', 'zarf-image-name', element, `${JSON.stringify(reference.slice(0, 200))} is no image reference`);
    const digest = digestOfImage(reference, index.value);
    if (digest === undefined) return fail('fatal', 'zarf-image-missing', element, `the image ${reference} is listed and not in the package; build it again`);
    const problem = checkBlob(digest, files, read, 0, reference);
    if (problem !== undefined) return fail('fatal', 'zarf-image-missing', element, problem);
  }
  return ok(undefined);
};

/** Images of the chosen components, and where they shall be pulled from: the site's registry, same repository, pinned by digest. */
export const imagesOfComponents = (
  components: readonly ZarfComponent[],
  index: ReadonlyMap<string, Digest>,
  registry: string | undefined,
): { images: ZarfImage[]; rewrites: Map<string, string> } => {
  const rewrites = new Map<string, string>();
  const images = [...new Set(components.flatMap((component) => component.images))].map((reference): ZarfImage => {
    const digest = digestOfImage(reference, index);
    const parsed = parseImage(reference);
    if (registry !== undefined && digest !== undefined && parsed !== undefined)
      rewrites.set(reference, `${registry}/${parsed.repository}${parsed.tag === undefined ? '' : `:${parsed.tag}`}@${digest}`);
    return digest === undefined ? { reference } : { reference, digest };
  });
  return { images, rewrites };
};
