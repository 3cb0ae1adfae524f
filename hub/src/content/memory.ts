import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok } from '@groundplane/protocol/failure';
import type { ContentStore } from '../port/content.ts';
import { sha256 } from './digest.ts';

/** Blobs in memory: what commands work on that need no hub and leave nothing behind. */
export const memoryContent = (): ContentStore => {
  const blobs = new Map<string, Buffer>();
  const put = (data: Uint8Array | string): Digest => {
    const digest = sha256(data);
    if (!blobs.has(digest)) blobs.set(digest, Buffer.from(data));
    return digest;
  };
  return {
    put: (data) => Promise.resolve(put(data)),
    receive: async (digest, source, sizeMax) => {
      const bytes = await buffer(source);
      if (bytes.length > sizeMax) return fail('fatal', 'content-too-large', digest, `a blob has at most ${sizeMax} bytes`);
      if (sha256(bytes) !== digest) return fail('fatal', 'content-wrong', digest, 'the bytes that came have another digest');
      put(bytes);
      return ok(bytes.length);
    },
    read: (digest) => Promise.resolve(blobs.get(digest)),
    size: (digest) => Promise.resolve(blobs.get(digest)?.length),
    stream: (digest, start, end) => Readable.from([(blobs.get(digest) ?? Buffer.alloc(0)).subarray(start, end + 1)]),
  };
};
