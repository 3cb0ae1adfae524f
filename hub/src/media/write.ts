import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pack } from 'tar-stream';
import type { ContentStore } from '../port/content.ts';
import { registryLimits } from '../registry/limits.ts';
import { manifestBytes, mediaTypes, type Descriptor } from '../registry/oci-manifest.ts';
import { artifactTypes } from '../registry/units.ts';
import { signatureFile } from './signature.ts';
import { mediaBlobs, type MediaDocument, type MediaItem } from './document.ts';

const layerTypes: Record<MediaItem['kind'], string> = {
  profile: artifactTypes.profileDocument,
  bundle: artifactTypes.bundle,
  object: artifactTypes.blob,
  blob: artifactTypes.blob,
  desired: artifactTypes.blob,
  chart: artifactTypes.helmChart,
  pack: artifactTypes.packLayer,
  zarf: artifactTypes.blob,
};

const layersPerPart = registryLimits.layersPerManifest;

export interface MediaSources {
  /** Opens one blob of the document. */
  blob(item: { digest: Digest; size: number }): Promise<Result<Readable>>;
  /** Brings an image with everything below it into the store; answers its root. Absent: images are left out. */
  image?: (reference: string, store: ContentStore) => Promise<Result<Descriptor>>;
  progress(text: string): Promise<void>;
  /** Makes the signature file for an index. Absent: the medium is not signed. */
  sign?: (index: Uint8Array) => string;
}

export interface WrittenMedia {
  document: MediaDocument;
  blobs: number;
  /** Blobs that were there from an earlier, cut run. */
  kept: number;
  missing: string[];
}

const itemDescriptor = (item: MediaItem): Descriptor => ({
  mediaType: layerTypes[item.kind],
  digest: item.digest,
  size: item.size,
  annotations: { 'org.opencontainers.image.title': item.name, ...(item.version === undefined ? {} : { 'org.opencontainers.image.version': item.version }) },
});

/** What a layout has beside what its document names: the document itself, the manifests that name it all, and the index. */
export const layoutParts = (document: MediaDocument, roots: ReadonlyMap<string, Descriptor>): { blobs: Map<Digest, Buffer>; index: string } => {
  const blobs = new Map<Digest, Buffer>();
  const keep = (bytes: Buffer): Digest => {
    const digest = digestBytes(bytes);
    blobs.set(digest, bytes);
    return digest;
  };
  const config = Buffer.from(canonicalJson(document));
  const configDigest = keep(config);
  const unique = [...new Map(document.items.filter((item) => item.held !== true).map((item) => [item.digest, item])).values()];
  const entries: Descriptor[] = [];
  // A manifest may name so many layers only; large media have several, each with the same config.
  for (let at = 0; at === 0 || at < unique.length; at += layersPerPart) {
    const bytes = manifestBytes({
      artifactType: artifactTypes.media,
      config: { mediaType: artifactTypes.media, digest: configDigest, size: config.length },
      layers: unique.slice(at, at + layersPerPart).map(itemDescriptor),
    });
    entries.push({ mediaType: mediaTypes.manifest, artifactType: artifactTypes.media, digest: keep(bytes), size: bytes.length });
  }
  for (const [reference, root] of roots)
    entries.push({ ...root, annotations: { ...root.annotations, 'org.opencontainers.image.ref.name': reference, 'io.containerd.image.name': reference } });
  return { blobs, index: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: entries }) };
};

export const layoutFile = '{"imageLayoutVersion":"1.0.0"}';

/** The part of a layout that is not blobs; last, so that a cut run leaves no layout that looks complete. */
const finishLayout = async (
  folder: string,
  store: ContentStore,
  document: MediaDocument,
  roots: ReadonlyMap<string, Descriptor>,
  sign: MediaSources['sign'],
): Promise<void> => {
  const { blobs, index } = layoutParts(document, roots);
  for (const bytes of blobs.values()) await store.put(bytes);
  const put = async (name: string, data: string | Buffer): Promise<void> => {
    await rm(join(folder, name), { force: true });
    // Never through a link that somebody left on a stick.
    await writeFile(join(folder, name), data, { flag: 'wx' });
  };
  await put('oci-layout', layoutFile);
  if (sign !== undefined) await put(signatureFile, sign(Buffer.from(index)));
  await put('index.json.new', index);
  await rename(join(folder, 'index.json.new'), join(folder, 'index.json'));
};

/**
 * Fills an OCI image layout with everything that a document names. Run again after a cut it goes on: blobs that are there were verified when they were placed.
 * An image that cannot be had is reported as missing; a blob that cannot be had ends it.
 */
export const writeMedia = async (folder: string, store: ContentStore, document: MediaDocument, sources: MediaSources): Promise<Result<WrittenMedia>> => {
  for (const name of ['index.json', signatureFile]) await rm(join(folder, name), { force: true });
  let [blobs, kept] = [0, 0];
  for (const [digest, size] of mediaBlobs(document)) {
    blobs += 1;
    const held = await store.size(digest);
    if (held === size) {
      kept += 1;
      continue;
    }
    const opened = await sources.blob({ digest: digest as Digest, size });
    if (!opened.ok) return opened;
    const received = await store.receive(digest as Digest, opened.value, size);
    if (!received.ok) return received;
    if (received.value !== size) return fail('fatal', 'content-wrong', digest, `has ${received.value} bytes instead of ${size}`);
    if (blobs % 100 === 0) await sources.progress(`${blobs} blobs`);
  }
  const roots = new Map<string, Descriptor>();
  const missing: string[] = [];
  for (const { reference } of document.images) {
    const root = sources.image === undefined ? undefined : await sources.image(reference, store);
    if (root?.ok === true) {
      roots.set(reference, root.value);
      await sources.progress(`image ${reference}`);
    } else missing.push(root === undefined ? reference : `${reference}: ${root.failure.message}`);
  }
  const whole: MediaDocument = {
    ...document,
    images: document.images.map(({ reference }) => {
      const root = roots.get(reference);
      return { reference, ...(root === undefined ? {} : { digest: root.digest }) };
    }),
  };
  await finishLayout(folder, store, whole, roots, sources.sign);
  return ok({ document: whole, blobs, kept, missing });
};

/** A layout as one tar archive: index first, then blobs by name; equal layouts give equal archives. Written beside and renamed when it is whole. */
export const packLayout = async (folder: string, file: string): Promise<void> => {
  const archive = pack();
  // A file of an earlier try would keep its mode.
  await rm(`${file}.part`, { force: true });
  const written = pipeline(archive, createWriteStream(`${file}.part`, { mode: 0o600 }));
  const add = async (name: string): Promise<void> => {
    const { size } = await stat(join(folder, name));
    const entry = archive.entry({ name, size, mode: 0o644, mtime: new Date(0) });
    await pipeline(createReadStream(join(folder, name)), entry);
  };
  await add('oci-layout');
  await add('index.json');
  if (existsSync(join(folder, signatureFile))) await add(signatureFile);
  for (const name of (await readdir(join(folder, 'blobs', 'sha256'))).toSorted()) await add(`blobs/sha256/${name}`);
  archive.finalize();
  await written;
  const handle = await open(`${file}.part`, 'r+');
  await handle.sync();
  await handle.close();
  await rename(`${file}.part`, file);
};
