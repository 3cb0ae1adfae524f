import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { canonicalJson } from '@groundplane/protocol/canonical';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import type { ZarfPackage } from '@groundplane/protocol/zarf/package';
import { readBody, walkArchive } from '../archive/read.ts';
import type { ContentStore } from '../port/content.ts';
import { checkImages } from './images.ts';
import { zarfReadLimits } from './limits.ts';
import type { ZarfSignature } from './signature.ts';
import { textFiles, verifyZarf, type ZarfFiles } from './verify.ts';

export const zarfMediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.zarf.config.v1+json',
  layer: 'application/vnd.zarf.layer.v1.blob',
  title: 'org.opencontainers.image.title',
} as const;

export interface ZarfInspection {
  package: ZarfPackage;
  definition: unknown;
  signature: ZarfSignature;
  files: ZarfFiles;
  findings: Finding[];
}

export interface StoredZarf extends ZarfInspection {
  /** Of the OCI manifest: what `zarf.package.digest` of a layer names. */
  digest: Digest;
  /** All blobs: manifest, configuration and files, each once. */
  blobs: { digest: Digest; size: number }[];
}

/** Opens the package anew; it is read twice, so that nothing of a bad one is stored. */
export type OpenPackage = () => Readable | Uint8Array;

/** Smaller files of images that checking needs: indexes and manifests. */
const isJson = (name: string): boolean => name === 'images/index.json' || name === 'images/oci-layout';
const manifestBytesMax = 4 * 1024 * 1024;
const keptBytesMax = 4 * zarfReadLimits.textBytes;

interface Scanned {
  files: Map<string, { digest: Digest; size: number }>;
  texts: Map<string, Buffer>;
}

/** Hashes every file; keeps the small ones that are looked at. */
const scan = async (source: Readable | Uint8Array, element: string): Promise<Result<Scanned>> => {
  const scanned: Scanned = { files: new Map(), texts: new Map() };
  let keptBytes = 0;
  const walked = await walkArchive(source, zarfReadLimits.archive, element, async (entry) => {
    if (entry.kind !== 'file') return ok(undefined);
    const hash = createHash('sha256');
    const isText = textFiles.includes(entry.name) || isJson(entry.name);
    // Manifests among the blobs of images are small and begin with a brace.
    const isBlob = entry.name.startsWith('images/blobs/') && entry.size <= manifestBytesMax;
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of entry.body as AsyncIterable<Buffer>) {
      if (isText && size + part.length > zarfReadLimits.textBytes)
        return fail('fatal', 'zarf-invalid', element, `${entry.name} has more than ${zarfReadLimits.textBytes} bytes`);
      if (isText || (isBlob && (size > 0 ? parts.length > 0 : part[0] === 0x7b))) parts.push(part);
      size += part.length;
      hash.update(part);
    }
    scanned.files.set(entry.name, { digest: `sha256:${hash.digest('hex')}`, size });
    const whole = Buffer.concat(parts);
    if (!isText && !whole.includes('"schemaVersion"')) return ok(undefined);
    keptBytes += whole.length;
    if (keptBytes > keptBytesMax) return fail('fatal', 'zarf-invalid', element, `its indexes and manifests have more than ${keptBytesMax} bytes`);
    scanned.texts.set(entry.name, whole);
    return ok(undefined);
  });
  return walked.ok ? ok(scanned) : walked;
};

/**
 * Reads and checks a package without storing anything: archive, signature, checksums of every file, definition, and that its images are whole.
 * Findings of severity error say what the package needs and does not get here.
 */
export const inspectZarf = async (open: OpenPackage, element: string, publicKey?: string): Promise<Result<ZarfInspection>> => {
  const scanned = await scan(open(), element);
  if (!scanned.ok) return scanned;
  const { files, texts } = scanned.value;
  const verified = verifyZarf(files, texts, publicKey, element);
  if (!verified.ok) return verified;
  const { parsed, signature } = verified.value;
  const images = checkImages(parsed.package, files, (name) => texts.get(name), element);
  if (!images.ok) return images;
  const unchecked: Finding[] =
    signature === 'unchecked'
      ? [
          {
            severity: 'warning',
            code: 'zarf-signature-unchecked',
            file: 'zarf.yaml',
            message: 'the package is signed, and no public key was given to check that',
          },
        ]
      : [];
  return ok({ package: parsed.package, definition: parsed.definition, signature, files, findings: [...parsed.findings, ...unchecked] });
};

/** The OCI form of a package as Zarf publishes it: one layer per file, with the path as its title. Equal packages give equal bytes. */
const manifestOf = (inspection: ZarfInspection, config: { digest: Digest; size: number }): string => {
  const layers = [...inspection.files]
    .map(([name, { digest, size }]) => ({ mediaType: zarfMediaTypes.layer, digest, size, annotations: { [zarfMediaTypes.title]: name } }))
    .toSorted((a, b) =>
      a.digest === b.digest ? (a.annotations[zarfMediaTypes.title] < b.annotations[zarfMediaTypes.title] ? -1 : 1) : a.digest < b.digest ? -1 : 1,
    );
  return canonicalJson({
    schemaVersion: 2,
    mediaType: zarfMediaTypes.manifest,
    config: { mediaType: zarfMediaTypes.config, ...config },
    layers,
    annotations: { [zarfMediaTypes.title]: inspection.package.name, 'org.opencontainers.image.version': inspection.package.version },
  });
};

/** What cannot work is said before anything is stored. */
export const firstError = (findings: readonly Finding[], element: string): Result<void> => {
  const errors = findings.filter((finding) => finding.severity === 'error');
  const [first] = errors;
  if (first === undefined) return ok(undefined);
  return fail('fatal', first.code, element, errors.map((finding) => finding.message).join('; '));
};

/** Puts a checked package into the content store in its OCI form. A package with error findings is refused. */
export const storeZarf = async (open: OpenPackage, content: ContentStore, element: string, publicKey?: string): Promise<Result<StoredZarf>> => {
  const inspected = await inspectZarf(open, element, publicKey);
  if (!inspected.ok) return inspected;
  const { files, findings, definition } = inspected.value;
  const usable = firstError(findings, element);
  if (!usable.ok) return usable;
  const walked = await walkArchive(open(), zarfReadLimits.archive, element, async (entry) => {
    if (entry.kind !== 'file') return ok(undefined);
    const known = files.get(entry.name);
    if (known === undefined) return fail('fatal', 'zarf-file-changed', element, `${entry.name} was not there a moment ago; the file changes while it is read`);
    if ((await content.size(known.digest)) !== undefined) return ok(undefined);
    if (known.size > zarfReadLimits.bufferBytes) {
      const received = await content.receive(known.digest, entry.body, known.size);
      return received.ok ? ok(undefined) : received;
    }
    const body = await readBody(entry.body, known.size, `${element}, ${entry.name}`);
    if (!body.ok) return body;
    const digest = await content.put(body.value);
    return digest === known.digest ? ok(undefined) : fail('fatal', 'zarf-file-changed', element, `${entry.name} changes while it is read`);
  });
  if (!walked.ok) return walked;
  const config = canonicalJson(definition);
  const stored = { digest: await content.put(config), size: Buffer.byteLength(config) };
  const manifest = manifestOf(inspected.value, stored);
  const digest = await content.put(manifest);
  const blobs = new Map([...files.values(), stored, { digest, size: Buffer.byteLength(manifest) }].map((blob) => [blob.digest, blob]));
  return ok({ ...inspected.value, digest, blobs: [...blobs.values()] });
};
