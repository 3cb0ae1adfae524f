import { chunksOf, type Chunk } from '@groundplane/protocol/chunk/cut';
import { chunkedBytesMax, chunkedBytesMin } from '@groundplane/protocol/chunk/limits';
import { readChunkList, writeChunkList } from '@groundplane/protocol/chunk/list';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ContentStore } from '../port/content.ts';
import { sha256Hasher } from './digest.ts';

/** Lists that may wait to be made: each reads a whole blob. */
const waitingMax = 16;

const make = async (content: ContentStore, digest: Digest, size: number): Promise<Result<Uint8Array>> => {
  const chunks: Chunk[] = [];
  for await (const chunk of chunksOf(content.stream(digest, 0, size - 1) as AsyncIterable<Buffer>, sha256Hasher)) chunks.push(chunk);
  const list = writeChunkList(chunks);
  const checked = readChunkList(list, size, digest);
  if (!checked.ok) return fail('retry', 'content-cut', digest, 'it was cut while it was read');
  await content.beside?.write(digest, list).catch(() => undefined);
  return ok(list);
};

/** Lists of the chunks of large blobs, as they travel. Each is made once, one at a time, and kept beside its blob. */
export const createChunkLists = (content: ContentStore) => {
  const running = new Map<Digest, Promise<Result<Uint8Array>>>();
  let turn: Promise<unknown> = Promise.resolve();
  return {
    of: async (digest: Digest, size: number): Promise<Result<Uint8Array>> => {
      if (size <= chunkedBytesMin || size > chunkedBytesMax)
        return fail(
          'fatal',
          'not-found',
          `chunks of ${digest}`,
          `only blobs of more than ${chunkedBytesMin} and at most ${chunkedBytesMax} bytes have a list of chunks`,
        );
      const begun = running.get(digest);
      if (begun !== undefined) return begun;
      const kept = await content.beside?.read(digest);
      if (kept !== undefined && readChunkList(kept, size, digest).ok) return ok(kept);
      const meanwhile = running.get(digest);
      if (meanwhile !== undefined) return meanwhile;
      if (running.size >= waitingMax) return fail('retry', 'chunks-pending', `chunks of ${digest}`, 'other lists are being made; ask again');
      const making = turn
        .then(() => make(content, digest, size))
        .catch((error: unknown) => fail('retry', 'content-cut', digest, `cannot be read: ${String(error)}`))
        .finally(() => running.delete(digest));
      turn = making;
      running.set(digest, making);
      return making;
    },
  };
};
export type ChunkLists = ReturnType<typeof createChunkLists>;
