import { createHash } from 'node:crypto';
import type { Digest } from '@groundplane/protocol/digest';

/** The digest of bytes or of a text, by Node's own SHA-256: charts and images are too large for the portable one. */
export const sha256 = (data: Uint8Array | string): Digest => `sha256:${createHash('sha256').update(data).digest('hex')}`;
