import { createHash } from 'node:crypto';
import type { Hasher } from '@groundplane/protocol/chunk/cut';
import type { Digest } from '@groundplane/protocol/digest';

/** The digest of bytes or of a text, by Node's own SHA-256: charts and images are too large for the portable one. */
export const sha256 = (data: Uint8Array | string): Digest => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** The same, bit by bit. */
export const sha256Hasher = (): Hasher => {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
};
