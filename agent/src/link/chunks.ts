import { createHash } from 'node:crypto';
import { assembleChunks, memoryChunks } from '@groundplane/protocol/chunk/assemble';
import type { Hasher } from '@groundplane/protocol/chunk/cut';
import { chunkListBytesMax, chunkListType, readChunkList } from '@groundplane/protocol/chunk/list';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, FailureError, ok, type Result } from '@groundplane/protocol/failure';
import type { PatchBase } from '../port/content.ts';
import type { Part } from './content-http.ts';

type Get = (digest: string, range: string | undefined, sizeMax: number, more?: string) => Promise<Result<Part>>;

const makeHasher = (): Hasher => {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
};

/** Bytes of a range. What comes of an answer that is cut is passed on, and asked for no more. */
async function* rangeOf(get: Get, digest: string, offset: number, size: number): AsyncGenerator<Uint8Array> {
  const part = await get(digest, `${offset}-${offset + size - 1}`, size);
  if (!part.ok) throw new Error(part.failure.message);
  const { status, bytes } = part.value;
  if (status === 401 || status === 403) throw new FailureError(fail('blocked', 'content-denied', digest, 'the hub does not give it to this host').failure);
  if (status === 404) throw new FailureError(fail('retry', 'content-missing', digest, 'the hub does not have it (any more)').failure);
  if (status === 206) yield bytes;
}

/**
 * Fetches a blob that is too large for a patch by the chunks that the old one of the same thing does not have. Answers undefined when the hub has no list or what
 * it says does not hold: then the whole is fetched. What came before a cut is kept in memory for the next call, for one blob.
 */
export const chunkedFetch = (get: Get) => {
  let partial: { digest: string; target: ReturnType<typeof memoryChunks> } | undefined;

  return async (digest: Digest, sizeBytes: number, from: PatchBase): Promise<Result<string> | undefined> => {
    const answer = await get(digest, undefined, chunkListBytesMax(sizeBytes), '/chunks');
    if (!answer.ok || answer.value.status !== 200 || answer.value.type !== chunkListType || !answer.value.isWhole) return undefined;
    const chunks = readChunkList(answer.value.bytes, sizeBytes, digest);
    if (!chunks.ok) return undefined;
    const old = Buffer.from(from.text, 'utf8');
    const target = partial?.digest === digest ? partial.target : memoryChunks(sizeBytes);
    partial = { digest, target };
    const made = await assembleChunks(digest, sizeBytes, chunks.value, {
      old: { size: old.length, read: (offset, size) => Promise.resolve(old.subarray(offset, offset + size)) },
      target,
      fetch: (offset, size) => rangeOf(get, digest, offset, size),
      makeHasher,
    });
    if (!made.ok && made.failure.code === 'content-cut') return fail('retry', 'content-unreachable', digest, made.failure.message);
    partial = undefined;
    if (!made.ok) return made.failure.kind === 'fatal' ? undefined : made;
    const bytes = target.bytes();
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
    return Buffer.byteLength(text) === bytes.length ? ok(text) : undefined;
  };
};
