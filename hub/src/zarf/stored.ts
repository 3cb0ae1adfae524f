import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { z } from 'zod';
import { entryName } from '../archive/read.ts';
import type { ContentStore } from '../port/content.ts';
import { zarfReadLimits } from './limits.ts';
import { textFiles, verifyZarf, type Verified, type ZarfFiles } from './verify.ts';

const manifestSchema = z.looseObject({
  schemaVersion: z.literal(2),
  layers: z
    .array(
      z.looseObject({
        digest: z.string().max(128),
        size: z.int().min(0),
        annotations: z.looseObject({ 'org.opencontainers.image.title': z.string().max(4_096) }),
      }),
    )
    .max(zarfReadLimits.archive.entriesMax),
});

export interface OpenedZarf extends Verified {
  files: ZarfFiles;
  /** A small file by its path; undefined when the package has none of that name. */
  text(name: string): Promise<Result<Buffer | undefined>>;
}

const missing = (element: string, what: string): Result<never> =>
  fail('blocked', 'zarf-missing', element, `${what} is not in the content store. Run gp apply with the package file again, or sync the registry`);

const readBlob = async (content: ContentStore, digest: Digest, element: string, what: string): Promise<Result<Buffer>> => {
  const size = await content.size(digest);
  if (size === undefined) return missing(element, what);
  if (size > zarfReadLimits.textBytes) return fail('fatal', 'zarf-invalid', element, `${what} has more than ${zarfReadLimits.textBytes} bytes`);
  const bytes = await content.read(digest);
  return bytes === undefined ? missing(element, what) : ok(bytes);
};

const filesOf = (bytes: Buffer, element: string): Result<Map<string, { digest: Digest; size: number }>> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'zarf-manifest-invalid', element, `the manifest ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return wrong('is no JSON');
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success)
    return wrong(`is none of a Zarf package (${parsed.error.issues[0]?.path.map(String).join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? ''})`);
  const files = new Map<string, { digest: Digest; size: number }>();
  for (const layer of parsed.data.layers) {
    const name = layer.annotations['org.opencontainers.image.title'];
    const plain = entryName(name);
    if (!plain.ok || plain.name !== name) return wrong(`names a file ${JSON.stringify(name.slice(0, 200))}, which is no path inside a package`);
    if (!isDigest(layer.digest)) return wrong(`names the digest ${JSON.stringify(layer.digest.slice(0, 80))}; only SHA-256 is known`);
    if (files.has(name)) return wrong(`names ${name} twice`);
    files.set(name, { digest: layer.digest, size: layer.size });
  }
  return ok(files);
};

/** Opens a package by the digest of its OCI manifest, and checks it again: it may have come from a registry and not through `storeZarf`. */
export const openZarf = async (content: ContentStore, digest: Digest, element: string, publicKey?: string): Promise<Result<OpenedZarf>> => {
  const manifest = await readBlob(content, digest, element, `the package ${digest}`);
  if (!manifest.ok) return manifest;
  const files = filesOf(manifest.value, element);
  if (!files.ok) return files;
  const text = async (name: string): Promise<Result<Buffer | undefined>> => {
    const file = files.value.get(name);
    return file === undefined ? ok(undefined) : readBlob(content, file.digest, element, name);
  };
  const texts = new Map<string, Buffer>();
  for (const name of textFiles) {
    const found = await text(name);
    if (!found.ok) return found;
    if (found.value !== undefined) texts.set(name, found.value);
  }
  const verified = verifyZarf(files.value, texts, publicKey, element);
  return verified.ok ? ok({ ...verified.value, files: files.value, text }) : verified;
};
