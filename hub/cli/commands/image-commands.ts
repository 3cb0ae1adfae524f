import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { osImageFiles, osImageLabel, signedOsImageSchema, type SignedOsImage } from '@groundplane/protocol/os-image';
import { stringify } from 'yaml';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { uploadBlob } from '../upload.ts';
import { failureTrouble } from './pack-registry.ts';

const manifestBytesMax = 64 * 1024;

interface ImageFile {
  path: string;
  name: string;
  digest: Digest;
  size: number;
}

interface LocalImage {
  manifest: SignedOsImage;
  files: ImageFile[];
}

/** What `installer build` calls the files beside `NAME_VERSION-ARCH.json`. */
const endings: Readonly<Record<string, string>> = { 'root.erofs': '.root.erofs', 'uki.efi': '.efi', 'image.raucb': '.raucb' };

/** Reads a manifest and everything that it names: a damaged image is found here, not on a thousand hosts. */
const readImage = async (file: string): Promise<Result<LocalImage>> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'image-invalid', file, `${why}. Build it anew: npm run installer -- build`);
  const size = await stat(file).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return fail('fatal', 'image-missing', file, 'there is no such file; name the manifest of an image, NAME_VERSION-ARCH.json');
  if (size > manifestBytesMax) return wrong('is too large to be the manifest of an image');
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return wrong('is no JSON, so it is no manifest of an image');
  }
  const manifest = signedOsImageSchema.safeParse(json);
  if (!manifest.success)
    return wrong(`is no manifest of an image: ${manifest.error.issues[0]?.path.join('.') ?? ''}: ${manifest.error.issues[0]?.message ?? ''}`);
  const files: ImageFile[] = [];
  for (const item of osImageFiles(manifest.data.signed)) {
    const path = `${file.replace(/\.json$/, '')}${endings[item.name] ?? ''}`;
    const hash = createHash('sha256');
    try {
      for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
    } catch {
      return fail('fatal', 'image-missing', path, 'cannot be read; it lies beside the manifest');
    }
    if (`sha256:${hash.digest('hex')}` !== item.digest)
      return fail('fatal', 'image-invalid', path, 'is not what the manifest says. Build it anew: npm run installer -- build');
    files.push({ path, name: item.name, digest: item.digest, size: item.size });
  }
  return ok({ manifest: manifest.data, files });
};

/** `gp image upload MANIFEST…`: images into the hub, and what a profile's OS layer has to say for hosts to run this version. */
export const uploadImage = async (context: Context, manifests: readonly string[]): Promise<Outcome> => {
  const images: LocalImage[] = [];
  for (const file of manifests) {
    const read = await readImage(resolve(context.io.cwd, file));
    if (!read.ok) return failureTrouble(read.failure);
    images.push(read.value);
  }
  const labels = new Set(images.map(({ manifest }) => osImageLabel(manifest.signed)));
  const archs = new Set(images.map(({ manifest }) => manifest.signed.architecture));
  const [label = ''] = labels;
  if (labels.size !== 1 || archs.size < images.length)
    return usage(
      'gp image upload',
      `these are ${[...labels].join(' and ')}; a layer has one version, once for each architecture`,
      'gp image upload with the manifests of one version',
    );
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  for (const { manifest, files } of images)
    for (const { path, name, digest, size } of files) {
      const sent = await uploadBlob(context, connection.value, {
        digest,
        size,
        body: createReadStream(path),
        name: `${label} ${manifest.signed.architecture} ${name}`,
      });
      if (!sent.ok) return apiTrouble(sent.failure);
    }
  const os = { mode: 'image' as const, image: images.map(({ manifest }) => manifest) };
  await printOne(context, os, label, () => `# for the OS layer of a profile\nos:\n${stringify(os).replaceAll(/^(?=.)/gm, '  ')}`);
  return exits.ok;
};
