import type { Result } from '@groundplane/protocol/failure';
import type { OsImageManifest } from '@groundplane/protocol/os-image';
import type { ObservedImage } from '@groundplane/protocol/plan/os-image';

/** Where the files of an image lie, complete and checked by digest: those of `osImageFiles`, by name. */
export type ImagePaths = ReadonlyMap<string, string>;

/**
 * The slots of a host that runs from an image, and its boot loader. Every effect is idempotent and durable when it returns, and none touches the running slot or
 * the data. Failures: `image-busy` (retry: another update runs), `image-write` (retry: with the tool's last words), `image-wrong` (retry: what lies in the slot
 * is not what was written), `image-running` (fatal: it is the one that runs), `content-missing` (retry), `image-space` (blocked: the slot or the boot partition is too small), `host-denied` (blocked).
 */
export interface OsImages {
  /** Undefined: this host does not run from an image of this driver. */
  status(): Promise<Result<ObservedImage | undefined>>;
  /** Keys whose signature on a manifest counts, as the running image names them. */
  keys(): Promise<Result<readonly string[]>>;
  /** Files of the running image by the name of `osImageFiles`, as far as they lie where they can be read. */
  files(): Promise<ReadonlyMap<string, { path: string; sizeBytes: number }>>;
  /** Digest of one of those; undefined when it cannot be read. */
  digest(file: { path: string; sizeBytes: number }): Promise<string | undefined>;
  /** Writes the image to the slot that is free and reads it back. No boot takes it yet. */
  stage(manifest: OsImageManifest, paths: ImagePaths, signal: AbortSignal): Promise<Result<void>>;
  /** The next boot tries it, as often as the image says; then the one that runs now is taken up again. What is kept from before needs no files. */
  activate(manifest: OsImageManifest, paths: ImagePaths): Promise<Result<void>>;
}
