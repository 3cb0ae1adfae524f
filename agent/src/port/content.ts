import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';

/** Where blobs come from: hub, mirror, neighbour or media alike. The caller checks the digest. */
export interface ContentSource {
  /** Failures: `content-unreachable` (retry), `content-missing` (retry), `content-denied` (blocked), `content-wrong` (fatal). */
  fetch(digest: Digest, sizeBytes: number): Promise<Result<string>>;
}
