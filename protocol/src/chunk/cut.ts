import { chunkBytesAverage, chunkBytesMax, chunkBytesMin } from './limits.ts';

/*
 * Content-defined chunking as in FastCDC (Xia and others, USENIX ATC 2016): a gear hash rolls over the bytes, and a chunk ends where its upper bits are zero. An
 * insertion therefore moves the cuts near it and no others. Own code, since the registry of npm has no such library that is kept: those there are Rabin chunkers
 * in WebAssembly of years ago.
 */

/** Each byte's number. Made by xorshift from a fixed seed: whoever changes it cuts elsewhere than everybody else. */
const gear: Int32Array = (() => {
  const table = new Int32Array(256);
  let state = 0x9e3779b9;
  for (let index = 0; index < 256; index += 1) {
    for (let turn = 0; turn < 4; turn += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
    }
    table[index] = state;
  }
  return table;
})();

const averageBits = Math.log2(chunkBytesAverage);
const upperBits = (count: number): number => -(2 ** (32 - count)) | 0;
/** Normalised chunking: cuts are four times rarer before the average size than by chance, and four times more frequent behind it. */
const rare = upperBits(averageBits + 2);
const frequent = upperBits(averageBits - 2);
/** The hash of 32 bits forgets a byte after as many steps, so that nothing before has to be hashed. */
const windowBytes = 32;

/** Finds where chunks end in a stream of bytes; keeps none of them. */
export interface Cutter {
  /** Takes the next bytes; answers the positions in them behind which a chunk ends. */
  push(bytes: Uint8Array): number[];
}

export const createCutter = (): Cutter => {
  let hash = 0;
  let size = 0;
  return {
    push: (bytes) => {
      const ends: number[] = [];
      let at = 0;
      while (at < bytes.length) {
        if (size < chunkBytesMin - windowBytes) {
          const skipped = Math.min(chunkBytesMin - windowBytes - size, bytes.length - at);
          size += skipped;
          at += skipped;
          continue;
        }
        const mask = size < chunkBytesAverage ? rare : frequent;
        // Runs to the next size at which another rule holds.
        const next = size < chunkBytesMin ? chunkBytesMin : size < chunkBytesAverage ? chunkBytesAverage : chunkBytesMax;
        const stop = Math.min(bytes.length, at + next - size);
        const isWarming = size < chunkBytesMin;
        const began = at;
        let isEnd = false;
        while (at < stop && !isEnd) {
          hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
          at += 1;
          isEnd = !isWarming && (hash & mask) === 0;
        }
        size += at - began;
        if (!isEnd && size < chunkBytesMax) continue;
        ends.push(at);
        hash = 0;
        size = 0;
      }
      return ends;
    },
  };
};

/** A part of a blob. */
export interface Chunk {
  /** SHA-256 of its bytes as 64 hex digits. */
  hash: string;
  offset: number;
  size: number;
}

/** SHA-256, given in since browsers and Node have it at different places. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** 64 hex digits; called once. */
  hex(): string;
}

/** The chunks of a stream, one after the other; holds no more of it than what comes at once. */
export async function* chunksOf(source: AsyncIterable<Uint8Array>, makeHasher: () => Hasher): AsyncGenerator<Chunk> {
  const cutter = createCutter();
  let hasher = makeHasher();
  let offset = 0;
  let size = 0;
  for await (const bytes of source) {
    let from = 0;
    for (const end of cutter.push(bytes)) {
      hasher.update(bytes.subarray(from, end));
      size += end - from;
      yield { hash: hasher.hex(), offset, size };
      hasher = makeHasher();
      offset += size;
      size = 0;
      from = end;
    }
    hasher.update(bytes.subarray(from));
    size += bytes.length - from;
  }
  if (size > 0) yield { hash: hasher.hex(), offset, size };
}
