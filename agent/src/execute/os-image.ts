import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { osImageFiles, type OsImageManifest, type SignedOsImage } from '@groundplane/protocol/os-image';
import { isSignedBy } from '@groundplane/protocol/trust';
import type { ImagePaths, OsImages } from '../port/os-images.ts';
import type { ExecuteContext, Executor } from './context.ts';

interface Ready {
  images: OsImages;
  manifest: OsImageManifest;
  paths: ImagePaths;
}

const signedImage = (context: ExecuteContext, layer: string, version: string, architecture: string): SignedOsImage | undefined =>
  context.target.bundle?.layers
    .find((item) => item.name === layer)
    ?.os?.image?.find(({ signed }) => signed.version === version && signed.architecture === architecture);

/** The manifest, if a key of the running image has signed it, and the files that it names. */
const prepare = async (context: ExecuteContext, layer: string, version: string, mustBeHere: boolean): Promise<Result<Ready>> => {
  const element = `layer ${layer}, image ${version}`;
  const { images } = context;
  const status = images === undefined ? ok(undefined) : await images.status();
  if (!status.ok) return status;
  if (images === undefined || status.value === undefined) return fail('blocked', 'image-unsupported', element, 'this host does not run from an image');
  const image = signedImage(context, layer, version, status.value.architecture);
  if (image === undefined) return fail('fatal', 'image-architecture', element, `the profile has no image for ${status.value.architecture}`);
  const keys = await images.keys();
  if (!keys.ok) return keys;
  if (!isSignedBy(image, { keys: keys.value, threshold: 1 }, context.verify))
    return fail(
      'fatal',
      'image-untrusted',
      element,
      keys.value.length === 0
        ? 'the running image names no key, so it takes no other image. Build images with: npm run installer -- build --sign KEY.pem'
        : `its manifest is not signed by a key of the running image (${keys.value.join(', ')}). Nothing was written`,
    );
  const paths = new Map<string, string>();
  for (const file of osImageFiles(image.signed)) {
    const path = await context.blobs.path(file.digest);
    if (path === undefined && mustBeHere) return fail('retry', 'content-missing', element, `${file.name} (${file.digest}) is not here yet`);
    if (path !== undefined) paths.set(file.name, path);
  }
  return ok({ images, manifest: image.signed, paths });
};

export const stageImage: Executor<'stageImage'> = async (args, context) => {
  const ready = await prepare(context, args.layer, args.version, true);
  if (!ready.ok) return ready;
  const staged = await ready.value.images.stage(ready.value.manifest, ready.value.paths, context.signal);
  if (!staged.ok) return staged;
  context.event({ type: 'normal', reason: 'ImageStaged', layer: args.layer, message: `image ${args.version} is in its slot` });
  return ok([]);
};

/**
 * Signature and files once more: hours may lie between staging and activation. A slot that carries the right name and the wrong bytes (an image built twice under
 * one version, a cell that lost its charge) is written anew.
 */
export const activateImage: Executor<'activateImage'> = async (args, context) => {
  // What is kept from before needs no files: a host that was flashed with it never fetched them.
  const ready = await prepare(context, args.layer, args.version, false);
  if (!ready.ok) return ready;
  const { images, manifest, paths } = ready.value;
  const done = await images.activate(manifest, paths);
  if (done.ok) return ok([]);
  if (done.failure.code !== 'image-wrong') return done;
  const staged = await images.stage(manifest, paths, context.signal);
  if (!staged.ok) return staged;
  const again = await images.activate(manifest, paths);
  return again.ok ? ok([]) : again;
};
