import type { Chunk } from './cut.ts';
import { fail, ok, type Result } from '../failure.ts';
import { chunkBytesMax, chunkBytesMin, chunkCountMax, chunkedBytesMax } from './limits.ts';

/**
 * A list of chunks as it travels: `GPCHUNK1`, the size of the blob in 8 bytes, then for each chunk its size in 4 bytes and its SHA-256; numbers with the highest
 * byte first. Offsets follow from the sizes, so that a list with gaps or overlaps cannot be written.
 */
export const chunkListType = 'application/vnd.groundplane.chunks.v1';

const magic = [...'GPCHUNK1'].map((sign) => sign.charCodeAt(0));
const headBytes = 16;
const rowBytes = 36;

/** The largest list of a blob of this size. */
export const chunkListBytesMax = (size: number): number => headBytes + rowBytes * chunkCountMax(size);

const hexes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export const writeChunkList = (chunks: readonly Chunk[]): Uint8Array => {
  const bytes = new Uint8Array(headBytes + rowBytes * chunks.length);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setBigUint64(8, BigInt(chunks.reduce((sum, chunk) => sum + chunk.size, 0)));
  for (const [index, { hash, size }] of chunks.entries()) {
    const at = headBytes + rowBytes * index;
    view.setUint32(at, size);
    for (let byte = 0; byte < 32; byte += 1) bytes[at + 4 + byte] = Number.parseInt(hash.slice(byte * 2, byte * 2 + 2), 16);
  }
  return bytes;
};

/**
 * Whether chunks are those of a blob of this size: side by side from 0 to its end, each of a size that the cutter makes. With that their number is bounded too.
 * Whoever gets a list from elsewhere asks this first.
 */
export const checkChunks = (chunks: readonly Chunk[], size: number, element: string): Result<void> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'chunks-invalid', element, `its list of chunks is wrong: ${why}`);
  if (!Number.isSafeInteger(size) || size < 0 || size > chunkedBytesMax) return wrong(`no blob has ${size} bytes`);
  if (chunks.length > chunkCountMax(size)) return wrong(`it has more than ${chunkCountMax(size)} chunks`);
  let offset = 0;
  for (const [index, chunk] of chunks.entries()) {
    const isLast = index === chunks.length - 1;
    if (chunk.offset !== offset) return wrong(`chunk ${index} begins at ${chunk.offset} instead of ${offset}`);
    if (!Number.isSafeInteger(chunk.size) || chunk.size < (isLast ? 1 : chunkBytesMin) || chunk.size > chunkBytesMax)
      return wrong(`chunk ${index} has ${chunk.size} bytes`);
    if (!/^[0-9a-f]{64}$/.test(chunk.hash)) return wrong(`chunk ${index} has no SHA-256`);
    offset += chunk.size;
  }
  return offset === size ? ok(undefined) : wrong(`it reaches to ${offset} of ${size} bytes`);
};

/** Reads a list that came from elsewhere, for a blob of known size. */
export const readChunkList = (bytes: Uint8Array, size: number, element: string): Result<Chunk[]> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'chunks-invalid', element, `its list of chunks is wrong: ${why}`);
  if (bytes.length < headBytes || magic.some((byte, index) => bytes[index] !== byte)) return wrong('it does not begin with GPCHUNK1');
  if (bytes.length > chunkListBytesMax(size)) return wrong(`it has ${bytes.length} bytes, more than ${chunkListBytesMax(size)}`);
  if ((bytes.length - headBytes) % rowBytes !== 0) return wrong('it is cut');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(8) !== BigInt(size)) return wrong(`it is of a blob of ${view.getBigUint64(8)} bytes instead of ${size}`);
  const chunks: Chunk[] = [];
  let offset = 0;
  for (let at = headBytes; at < bytes.length; at += rowBytes) {
    const chunkSize = view.getUint32(at);
    let hash = '';
    for (let byte = 0; byte < 32; byte += 1) hash += hexes[bytes[at + 4 + byte] as number] as string;
    chunks.push({ hash, offset, size: chunkSize });
    offset += chunkSize;
  }
  const checked = checkChunks(chunks, size, element);
  return checked.ok ? ok(chunks) : checked;
};
