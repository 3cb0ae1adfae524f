import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseKubernetesContent, type KubernetesContent } from '@groundplane/protocol/distribution/content';
import type { Architecture, ManagedDistribution } from '@groundplane/protocol/distribution/spec';
import { digestBytes, isDigest, type Digest } from '@groundplane/protocol/digest';
import { childrenOf, parseManifest } from '../../src/registry/oci-manifest.ts';
import { connect } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { uploadBlob } from '../upload.ts';
import { failureTrouble } from './pack-registry.ts';

const listName = 'content.json';
const blobPath = (folder: string, digest: string): string => join(folder, 'images/blobs', digest.replace(':', '/'));
const layout = 'FOLDER has programs under files/ by the path they go to (files/usr/bin/kubelet) and images as an OCI layout under images/';

/** Where each blob of a folder lies; a program that stands at several paths is one blob. */
const sources = (folder: string, list: KubernetesContent): Map<Digest, { path: string; size: number; name: string }> => {
  const found = new Map<Digest, { path: string; size: number; name: string }>();
  for (const file of list.files) found.set(file.digest, { path: join(folder, 'files', file.path), size: file.size, name: file.path });
  for (const item of list.blobs)
    if (!found.has(item.digest))
      found.set(item.digest, { path: blobPath(folder, item.digest), size: item.size, name: `image part ${item.digest.slice(7, 19)}` });
  return found;
};

/** `gp kubernetes upload FOLDER`: brings what a Kubernetes version is made of into the hub's content store. What is there already is not sent again. */
export const uploadKubernetes = async (context: Context, given: string): Promise<Outcome> => {
  const folder = resolve(context.io.cwd, given);
  const text = await readFile(join(folder, listName), 'utf8').catch(() => undefined);
  if (text === undefined) return usage(`folder ${given}`, `has no ${listName}. ${layout}`, `gp kubernetes pack ${given} --kubernetes-version v1.37.2`);
  const list = parseKubernetesContent(text, join(given, listName));
  if (!list.ok) return failureTrouble(list.failure);
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  let sent = 0;
  for (const [digest, { path, size, name }] of sources(folder, list.value)) {
    const seen = await stat(path).catch(() => undefined);
    if (seen?.size !== size)
      return usage(`file ${path}`, seen === undefined ? 'is missing' : `has ${seen.size} bytes, and the list says ${size}`, `gp kubernetes pack ${given} …`);
    const there = await connection.value.client.call('headContent', { params: { digest } });
    if (there.ok) continue;
    if (there.failure.status !== 404) return apiTrouble(there.failure);
    await notice(context, `uploading ${name} (${Math.ceil(size / 1024)} KiB)`);
    const put = await uploadBlob(context, connection.value, { digest, size, body: createReadStream(path), name });
    if (!put.ok) return apiTrouble(put.failure);
    sent += 1;
  }
  const bytes = Buffer.from(text);
  const digest = digestBytes(bytes);
  const put = await uploadBlob(context, connection.value, { digest, size: bytes.length, body: Readable.from([bytes]), name: listName });
  if (!put.ok) return apiTrouble(put.failure);
  const { distribution, version, architecture } = list.value;
  const done = { distribution, version, architecture, digest, sent, programs: list.value.files.length, images: list.value.images.length };
  await printOne(
    context,
    done,
    digest,
    () =>
      `${distribution} ${version} for ${architecture}: ${sent} blobs sent\nfor the profile:\n  kubernetes:\n    distribution: ${distribution}\n    version: ${version.replace(/^v/, '')}\n    content:\n      ${architecture}: ${digest}\n`,
  );
  return exits.ok;
};

const sha256File = async (path: string): Promise<Digest> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest('hex')}`;
};

const walk = async (folder: string, below = ''): Promise<string[]> => {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => []);
  const paths: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) paths.push(...(await walk(folder, `${below}/${entry.name}`)));
    else if (entry.isFile()) paths.push(`${below}/${entry.name}`);
  }
  return paths.toSorted();
};

interface IndexEntry {
  digest?: string;
  size?: number;
  mediaType?: string;
  annotations?: Record<string, string>;
}

/** Every image of an OCI layout by the full name that its annotation gives, with all blobs behind it. */
const readImages = async (folder: string): Promise<Pick<KubernetesContent, 'images' | 'blobs'> | string> => {
  const text = await readFile(join(folder, 'images/index.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return { images: [], blobs: [] };
  const { manifests = [] } = JSON.parse(text) as { manifests?: IndexEntry[] };
  const images: KubernetesContent['images'] = [];
  const blobs = new Map<string, { digest: Digest; size: number }>();
  const take = async (digest: string): Promise<void> => {
    if (!isDigest(digest) || blobs.has(digest)) return;
    const bytes = await readFile(blobPath(folder, digest));
    blobs.set(digest, { digest, size: bytes.length });
    const manifest = parseManifest(bytes, undefined, digest);
    if (!manifest.ok) return;
    for (const child of childrenOf(manifest.value)) {
      if (manifest.value.kind === 'index') await take(child.digest);
      else if (isDigest(child.digest)) blobs.set(child.digest, { digest: child.digest, size: (await stat(blobPath(folder, child.digest))).size });
    }
  };
  for (const { digest = '', size = 0, mediaType = '', annotations = {} } of manifests) {
    const ref = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'];
    if (ref === undefined || !ref.includes('/'))
      return `image ${digest} in images/index.json has no full name. Set the annotation io.containerd.image.name, as "ctr image export" and "skopeo" do`;
    if (!isDigest(digest)) return `image ${ref} has no digest`;
    await take(digest);
    images.push({ ref, digest, size, mediaType });
  }
  return { images, blobs: [...blobs.values()] };
};

/** `gp kubernetes pack FOLDER`: writes the list of what lies in a folder. */
export const packKubernetes = async (
  context: Context,
  given: string,
  options: { kubernetesVersion: string; distribution: ManagedDistribution; arch: Architecture },
): Promise<Outcome> => {
  const folder = resolve(context.io.cwd, given);
  const paths = await walk(join(folder, 'files'));
  if (paths.length === 0) return usage(`folder ${given}`, `has no programs. ${layout}`);
  const files: KubernetesContent['files'] = [];
  for (const path of paths) {
    const full = join(folder, 'files', path);
    files.push({ path, digest: await sha256File(full), size: (await stat(full)).size, mode: '0755' });
  }
  const images = await readImages(folder).catch((error: unknown) => `images cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  if (typeof images === 'string') return usage(`folder ${given}`, images);
  const list = {
    schema: 'groundplane.dev/kubernetes-content/1',
    distribution: options.distribution,
    version: options.kubernetesVersion,
    architecture: options.arch,
    files,
    ...images,
  };
  const text = `${JSON.stringify(list, null, 2)}\n`;
  const checked = parseKubernetesContent(text, join(given, listName));
  if (!checked.ok) return failureTrouble(checked.failure);
  await writeFile(join(folder, listName), text);
  await printOne(
    context,
    { file: join(folder, listName), programs: files.length, images: images.images.length },
    listName,
    () => `${join(given, listName)}: ${files.length} programs, ${images.images.length} images\n  next: gp kubernetes upload ${given}\n`,
  );
  return exits.ok;
};
