import { assembleChunks, memoryChunks } from '@groundplane/protocol/chunk/assemble';
import { chunksOf } from '@groundplane/protocol/chunk/cut';
import { writeChunkList } from '@groundplane/protocol/chunk/list';
import { sha256, sha256Hasher } from '@groundplane/hub/content/digest';
import { dice, zstdBytes } from './delta.ts';

interface ChunkFigures {
  change: string;
  wholeBytes: number;
  /** The list and what had to be fetched. */
  movedBytes: number;
  ofWhole: number;
  /** Requests for ranges. */
  requests: number;
  listBytes: number;
  cutMs: number;
  assembleMs: number;
  /** Bytes of `zstd -3 --long=28 --patch-from`; absent without the command. */
  zstdBytes?: number;
}

const MB = 1_000_000;

/** Bytes that cannot be compressed, as images are. */
const image = (size: number): Buffer => {
  const bytes = Buffer.alloc(size);
  let state = 0x2545f491;
  for (let at = 0; at + 4 <= size; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
};

/** As many places replaced by other bytes of another length. */
const scattered = (old: Buffer, places: number): Buffer => {
  const roll = dice();
  const parts: Buffer[] = [];
  const stride = Math.floor(old.length / places);
  for (let place = 0; place < places; place += 1) {
    const part = old.subarray(place * stride, place === places - 1 ? old.length : (place + 1) * stride);
    const at = roll(part.length - 1_000);
    parts.push(part.subarray(0, at), Buffer.from(Array.from({ length: roll(400) }, () => roll(256))), part.subarray(at + roll(400)));
  }
  return Buffer.concat(parts);
};

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

const measure = async (change: string, old: Buffer, fresh: Buffer): Promise<ChunkFigures> => {
  const began = performance.now();
  const chunks = await Array.fromAsync(chunksOf(pieces(fresh), sha256Hasher));
  const cut = performance.now();
  let [requests, fetched] = [0, 0];
  const target = memoryChunks(fresh.length);
  const made = await assembleChunks(sha256(fresh), fresh.length, chunks, {
    old: { size: old.length, read: (offset, size) => Promise.resolve(old.subarray(offset, offset + size)) },
    target,
    fetch: (offset, size) => {
      requests += 1;
      fetched += size;
      return pieces(fresh.subarray(offset, offset + size));
    },
    makeHasher: sha256Hasher,
  });
  if (!made.ok) throw new Error(made.failure.message);
  const assembled = performance.now();
  const listBytes = writeChunkList(chunks).length;
  const theirs = zstdBytes(old, fresh, ['-3', '--long=28']);
  return {
    change,
    wholeBytes: fresh.length,
    movedBytes: listBytes + fetched,
    ofWhole: Number(((listBytes + fetched) / fresh.length).toFixed(4)),
    requests,
    listBytes,
    cutMs: Math.round(cut - began),
    assembleMs: Math.round(assembled - cut),
    ...(theirs === undefined ? {} : { zstdBytes: theirs }),
  };
};

/** Blobs above the limit of patches: what travels by chunks for changes all over the blob, and for one in one place. */
export const chunkFigures = async (): Promise<ChunkFigures[]> => {
  const old = image(200 * MB);
  const middle = 100 * MB;
  return [
    await measure('200 MB, 20 scattered changes', old, scattered(old, 20)),
    await measure('200 MB, 200 scattered changes', old, scattered(old, 200)),
    await measure('200 MB, 1 MB inserted', old, Buffer.concat([old.subarray(0, middle), image(MB).reverse(), old.subarray(middle)])),
  ];
};
