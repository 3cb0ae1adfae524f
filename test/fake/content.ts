import { Readable } from 'node:stream';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, FailureError, ok } from '@groundplane/protocol/failure';
import type { ContentStore } from '@groundplane/hub/port/content';

/** The hub's content in memory. */
export const fakeContent = (blobs: Map<string, Buffer> = new Map()): ContentStore => ({
  put: (data) => {
    const digest = digestBytes(data);
    blobs.set(digest, Buffer.from(data));
    return Promise.resolve(digest);
  },
  receive: async (digest, source, sizeMax) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of source) chunks.push(Buffer.from(chunk as Uint8Array));
    } catch (error) {
      if (error instanceof FailureError) return { ok: false, failure: error.failure };
      return fail('retry', 'content-cut', digest, 'the transfer broke');
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length > sizeMax) return fail('fatal', 'content-too-large', digest, 'too large');
    if (digestBytes(bytes) !== digest) return fail('fatal', 'content-wrong', digest, 'other bytes');
    blobs.set(digest, bytes);
    return ok(bytes.length);
  },
  read: (digest) => Promise.resolve(blobs.get(digest)),
  size: (digest) => Promise.resolve(blobs.get(digest)?.length),
  stream: (digest, start, end) => Readable.from([(blobs.get(digest) ?? Buffer.alloc(0)).subarray(start, end + 1)]),
});
