import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';

/** A blob of the same thing from the bundle before: the source may send what changed only. */
export interface PatchBase {
  digest: string;
  text: string;
  /** The bundle that names it. */
  bundle: string;
}

/** Where blobs come from: hub, mirror, neighbour or media alike. The caller checks the digest. */
export interface ContentSource {
  /** Failures: `content-unreachable` (retry), `content-missing` (retry), `content-denied` (blocked), `content-wrong` (fatal). */
  fetch(digest: Digest, sizeBytes: number, base?: PatchBase): Promise<Result<string>>;
}
