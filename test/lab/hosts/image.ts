import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { Digest } from '@groundplane/protocol/digest';
import { pack } from 'tar-stream';

/** Container images as an OCI layout (image-spec 1.1), made from folders: the same content has the same digests. */
export interface Blob {
  digest: Digest;
  size: number;
}

export interface LayerBlob extends Blob {
  /** Digest of the layer before it was compressed. */
  diffId: Digest;
}

export interface ImageEntry extends Blob {
  ref: string;
  mediaType: string;
}

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

const digestOfBuffer = (data: Buffer): Digest => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** Stores a blob in the layout. */
const putBlob = (layout: string, data: Buffer): Blob => {
  const digest = digestOfBuffer(data);
  const folder = join(layout, 'blobs/sha256');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, digest.slice('sha256:'.length)), data);
  return { digest, size: data.length };
};

const pathsBelow = (folder: string, below = ''): string[] =>
  readdirSync(join(folder, below))
    .toSorted()
    .flatMap((name) => {
      const path = below === '' ? name : `${below}/${name}`;
      return lstatSync(join(folder, path)).isDirectory() ? [path, ...pathsBelow(folder, path)] : [path];
    });

/** Packs a folder as a layer: sorted, owned by root, from 1970. */
export const putLayer = async (layout: string, folder: string): Promise<LayerBlob> => {
  const tar = pack();
  const packed = buffer(tar);
  for (const path of pathsBelow(folder)) {
    const full = join(folder, path);
    const stats = lstatSync(full);
    const header = { name: path, mode: stats.mode & 0o7777, mtime: new Date(0), uid: 0, gid: 0 };
    if (stats.isDirectory()) tar.entry({ ...header, type: 'directory' });
    else if (stats.isSymbolicLink()) tar.entry({ ...header, type: 'symlink', linkname: readlinkSync(full) });
    else tar.entry(header, readFileSync(full));
  }
  tar.finalize();
  const data = await packed;
  return { ...putBlob(layout, gzipSync(data, { level: 4 })), diffId: digestOfBuffer(data) };
};

export interface ImageSpec {
  ref: string;
  layers: readonly LayerBlob[];
  entrypoint: readonly string[];
  env?: readonly string[];
}

/** Stores configuration and manifest of an image. */
export const putImage = (layout: string, { ref, layers, entrypoint, env = [] }: ImageSpec): { entry: ImageEntry; blobs: Blob[] } => {
  const config = putBlob(
    layout,
    Buffer.from(
      JSON.stringify({
        architecture,
        os: 'linux',
        created: '1970-01-01T00:00:00Z',
        config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env], Entrypoint: entrypoint },
        rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
        history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'test hosts' })),
      }),
    ),
  );
  const manifest = putBlob(
    layout,
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: { mediaType: configType, ...config },
        layers: layers.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
      }),
    ),
  );
  return { entry: { ref, ...manifest, mediaType: manifestType }, blobs: [manifest, config, ...layers.map(({ digest, size }) => ({ digest, size }))] };
};

/** The index of the layout, with the names under which containerd's `ctr images import` takes the images in. */
export const writeLayout = (layout: string, images: readonly ImageEntry[]): void => {
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const manifests = images.map(({ ref, mediaType, digest, size }) => ({
    mediaType,
    digest,
    size,
    annotations: { 'io.containerd.image.name': ref, 'org.opencontainers.image.ref.name': ref.split(':').at(-1) ?? ref },
    platform: { architecture, os: 'linux' },
  }));
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
};

export const blobPath = (layout: string, digest: string): string => join(layout, 'blobs/sha256', digest.slice('sha256:'.length));

export const hasBlob = (layout: string, digest: string): boolean => existsSync(blobPath(layout, digest));
