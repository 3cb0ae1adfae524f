import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { readBody, walkArchive } from '../archive/read.ts';
import { registryLimits } from '../registry/limits.ts';
import { artifactTypeOf, childrenOf, isManifestType, parseManifest, type Descriptor, type Index } from '../registry/oci-manifest.ts';
import { artifactTypes } from '../registry/units.ts';
import { sha256 } from '../content/digest.ts';
import { checkSignature, signatureBytesMax, signatureFile, type MediaSignature } from './signature.ts';
import { mediaDocumentSchema, type MediaDocument } from './document.ts';

const mediaLimits = { bytesMax: 2 ** 42, entriesMax: 500_000, fileBytesMax: registryLimits.manifestBytes };
const depthMax = 4;

export interface MediaRoot {
  reference: string | undefined;
  descriptor: Descriptor;
  /** Every digest below it and its own. */
  digests: Digest[];
}

export interface InspectedMedia {
  document: MediaDocument | undefined;
  /** Digest of index.json, which names all the rest. */
  index: Digest;
  signature: MediaSignature;
  roots: MediaRoot[];
  /** Blobs that are there and whole. */
  blobs: Map<string, number>;
  bytes: number;
  /** What is named and not there. */
  missing: { digest: string; neededBy: string }[];
  /** What is there and nobody names. */
  unnamed: string[];
}

/** One pass over a medium: each file with its content; the visitor reads or skips it. */
type Walk = (visit: (name: string, size: number, body: Readable) => Promise<Result<void>>) => Promise<Result<void>>;

const walkFolder =
  (folder: string): Walk =>
  async (visit) => {
    const names = [
      'oci-layout',
      'index.json',
      signatureFile,
      ...(await readdir(join(folder, 'blobs', 'sha256')).catch(() => [])).toSorted().map((name) => `blobs/sha256/${name}`),
    ];
    for (const name of names) {
      const info = await stat(join(folder, name)).catch(() => undefined);
      if (info === undefined || !info.isFile()) continue;
      const body = createReadStream(join(folder, name));
      const visited = await visit(name, info.size, body);
      body.destroy();
      if (!visited.ok) return visited;
    }
    return ok(undefined);
  };

const walkTar =
  (file: string): Walk =>
  async (visit) => {
    let current = 'its beginning';
    const walked = await walkArchive(createReadStream(file), mediaLimits, file, async (entry) => {
      if (entry.kind === 'folder') return ok(undefined);
      current = entry.name;
      return visit(entry.name, entry.size, entry.body);
    });
    if (walked.ok) return ok(undefined);
    return walked.failure.code === 'archive-invalid' ? fail('fatal', 'media-invalid', file, `${walked.failure.message}, at ${current}`) : walked;
  };

/** A medium by path: a folder or a tar archive. */
export const openMedia = async (path: string): Promise<Result<Walk>> => {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return fail('fatal', 'media-missing', path, 'there is no such file or folder');
  return ok(info.isDirectory() ? walkFolder(path) : walkTar(path));
};

const blobDigest = (name: string): Digest | undefined => {
  const hex = /^blobs\/sha256\/([^/]+)$/.exec(name)?.[1];
  const digest = `sha256:${hex ?? ''}`;
  return isDigest(digest) ? digest : undefined;
};

interface FirstPass {
  hasLayout: boolean;
  index: Buffer | undefined;
  signature: string | undefined;
  blobs: Map<string, number>;
  bytes: number;
}

/** Hashes every blob, whatever it is. The first that is not what its name says ends it: a medium is trusted as a whole or not at all. */
const verifyAll = async (walk: Walk, path: string): Promise<Result<FirstPass>> => {
  const found: FirstPass = { hasLayout: false, index: undefined, signature: undefined, blobs: new Map(), bytes: 0 };
  const walked = await walk(async (name, size, body) => {
    if (name === 'oci-layout') {
      const text = await readBody(body, 4_096, `${path}, oci-layout`);
      if (!text.ok) return text;
      if (!/"imageLayoutVersion"\s*:\s*"1\./.test(text.value.toString('utf8')))
        return fail('fatal', 'media-invalid', path, 'its oci-layout is not of version 1');
      found.hasLayout = true;
      return ok(undefined);
    }
    if (name === signatureFile) {
      const read = await readBody(body, signatureBytesMax, `${path}, ${signatureFile}`);
      if (read.ok) found.signature = read.value.toString('utf8');
      return read.ok ? ok(undefined) : read;
    }
    if (name === 'index.json') {
      // Another reader would take the other one.
      if (found.index !== undefined) return fail('fatal', 'media-invalid', path, 'has two files index.json');
      const read = await readBody(body, registryLimits.manifestBytes, `${path}, index.json`);
      if (read.ok) found.index = read.value;
      return read.ok ? ok(undefined) : read;
    }
    const digest = blobDigest(name);
    if (digest === undefined) return ok(undefined);
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    if (bytes !== size) return fail('fatal', 'media-invalid', `${path}, blob ${digest}`, `is cut: ${bytes} of ${size} bytes`);
    if (`sha256:${hash.digest('hex')}` !== digest)
      return fail('fatal', 'content-wrong', `${path}, blob ${digest}`, 'was changed: its bytes have another digest');
    found.blobs.set(digest, size);
    found.bytes += size;
    return ok(undefined);
  });
  return walked.ok ? ok(found) : walked;
};

/** Small blobs by digest, in one more pass. */
const readSome = async (walk: Walk, path: string, wanted: ReadonlySet<string>): Promise<Result<Map<string, Buffer>>> => {
  const found = new Map<string, Buffer>();
  if (wanted.size === 0) return ok(found);
  const walked = await walk(async (name, _, body) => {
    const digest = blobDigest(name);
    if (digest === undefined || !wanted.has(digest)) return ok(undefined);
    const bytes = await readBody(body, registryLimits.manifestBytes * 16, `${path}, ${name}`);
    if (bytes.ok) found.set(digest, bytes.value);
    return bytes.ok ? ok(undefined) : bytes;
  });
  return walked.ok ? ok(found) : walked;
};

const parseRoot = (first: FirstPass, path: string): Result<Index> => {
  if (!first.hasLayout || first.index === undefined)
    return fail(
      'fatal',
      'media-invalid',
      path,
      `has no ${first.hasLayout ? 'index.json' : 'oci-layout'}, so it is no medium of ours (or the writing of it was cut)`,
    );
  const parsed = parseManifest(first.index, undefined, `${path}, index.json`);
  if (!parsed.ok) return parsed;
  return parsed.value.kind === 'index' ? ok(parsed.value.index) : fail('fatal', 'media-invalid', `${path}, index.json`, 'is no index');
};

const parseDocument = (bytes: Buffer | undefined, path: string): Result<MediaDocument> => {
  try {
    const parsed = mediaDocumentSchema.safeParse(JSON.parse(bytes?.toString('utf8') ?? 'null'));
    return parsed.success
      ? ok(parsed.data)
      : fail('fatal', 'media-invalid', path, `its list of contents cannot be read: ${parsed.error.issues[0]?.message ?? ''}`);
  } catch {
    return fail('fatal', 'media-invalid', path, 'its list of contents is not JSON');
  }
};

/** Our own list of contents, when a root names one and it is there. */
const readDocument = async (
  walk: Walk,
  path: string,
  digest: string | undefined,
  blobs: ReadonlyMap<string, number>,
): Promise<Result<MediaDocument | undefined>> => {
  if (digest === undefined || !blobs.has(digest)) return ok(undefined);
  const texts = await readSome(walk, path, new Set([digest]));
  return texts.ok ? parseDocument(texts.value.get(digest), path) : texts;
};

/**
 * Lists what a medium holds, verifies every byte of it, and says what is missing. Needs no hub and little memory, whatever its size. With a public key (PEM) the
 * medium must be signed with its private half.
 */
export const inspectMedia = async (path: string, publicPem?: string): Promise<Result<InspectedMedia>> => {
  const opened = await openMedia(path);
  if (!opened.ok) return opened;
  const walk = opened.value;
  const first = await verifyAll(walk, path);
  if (!first.ok) return first;
  const index = parseRoot(first.value, path);
  if (!index.ok) return index;
  const signature = checkSignature(first.value.signature, first.value.index ?? Buffer.alloc(0), publicPem, path);
  if (!signature.ok) return signature;
  const { blobs, bytes } = first.value;
  const missing = new Map<string, { digest: string; neededBy: string }>();
  const named = new Set<string>();
  const roots: MediaRoot[] = index.value.manifests.map((descriptor) => ({
    reference: descriptor.annotations?.['org.opencontainers.image.ref.name'],
    descriptor,
    digests: [],
  }));
  let level = roots.map((root) => ({ descriptor: root.descriptor, root }));
  let documentDigest: string | undefined;
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth >= depthMax) return fail('fatal', 'media-invalid', path, `its indexes are nested more than ${depthMax} deep`);
    const texts = await readSome(walk, path, new Set(level.map((item) => item.descriptor.digest)));
    if (!texts.ok) return texts;
    const next: typeof level = [];
    for (const { descriptor, root } of level) {
      const name = root.reference ?? descriptor.digest;
      named.add(descriptor.digest);
      root.digests.push(descriptor.digest);
      const text = texts.value.get(descriptor.digest);
      if (text === undefined) {
        missing.set(descriptor.digest, { digest: descriptor.digest, neededBy: name });
        continue;
      }
      if (text.length !== descriptor.size)
        return fail('fatal', 'media-invalid', `${path}, blob ${descriptor.digest}`, `has ${text.length} bytes, and is announced with ${descriptor.size}`);
      const parsed = parseManifest(text, descriptor.mediaType, `${path}, blob ${descriptor.digest}`);
      if (!parsed.ok) return parsed;
      if (parsed.value.kind === 'manifest' && artifactTypeOf(parsed.value) === artifactTypes.media) documentDigest = parsed.value.manifest.config.digest;
      for (const child of childrenOf(parsed.value)) {
        if (parsed.value.kind === 'index' && isManifestType(child.mediaType)) {
          next.push({ descriptor: child, root });
          continue;
        }
        named.add(child.digest);
        root.digests.push(child.digest);
        const size = blobs.get(child.digest);
        if (size === undefined) missing.set(child.digest, { digest: child.digest, neededBy: name });
        else if (size !== child.size)
          return fail('fatal', 'media-invalid', `${path}, blob ${child.digest}`, `has ${size} bytes, and is announced with ${child.size}`);
      }
    }
    level = next;
  }
  const document = await readDocument(walk, path, documentDigest, blobs);
  if (!document.ok) return document;
  for (const item of document.value?.items ?? [])
    if (item.held !== true && !blobs.has(item.digest)) missing.set(item.digest, { digest: item.digest, neededBy: `${item.kind} ${item.name}` });
  for (const image of document.value?.images ?? [])
    if (image.digest === undefined) missing.set(image.reference, { digest: '', neededBy: `image ${image.reference}` });
  return ok({
    document: document.value,
    index: sha256(first.value.index ?? ''),
    signature: signature.value,
    roots,
    blobs,
    bytes,
    missing: [...missing.values()],
    unnamed: [...blobs.keys()].filter((digest) => !named.has(digest)),
  });
};

/** Hands each wanted blob of a verified medium to somebody, in the order in which they lie. Verified again on the way by whoever receives it. */
export const eachBlob = async (
  path: string,
  isWanted: (digest: string) => boolean,
  take: (digest: Digest, size: number, body: Readable) => Promise<Result<void>>,
): Promise<Result<void>> => {
  const opened = await openMedia(path);
  if (!opened.ok) return opened;
  return opened.value(async (name, size, body) => {
    const digest = blobDigest(name);
    return digest === undefined || !isWanted(digest) ? ok(undefined) : take(digest, size, body);
  });
};
