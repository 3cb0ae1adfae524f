import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assembleChunks, memoryChunks, type ChunkPorts } from '@groundplane/protocol/chunk/assemble';
import { chunksOf, createCutter, type Chunk, type Hasher } from '@groundplane/protocol/chunk/cut';
import { chunkBytesAverage, chunkBytesMax, chunkBytesMin, chunkCountMax, chunkCutsMax, chunkedBytesMax } from '@groundplane/protocol/chunk/limits';
import { checkChunks, readChunkList, writeChunkList } from '@groundplane/protocol/chunk/list';
import { planChunks } from '@groundplane/protocol/chunk/plan';
import { fail, FailureError } from '@groundplane/protocol/failure';
import { sha256 } from '@groundplane/hub/content/digest';
import { codeOf, value } from '../hub/world.ts';

const makeHasher = (): Hasher => {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
};
/** Bytes that look random, the same for each seed. */
const noise = (size: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(size);
  let state = (seed * 2 + 1) >>> 0;
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
};
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const chunked = async (bytes: Uint8Array, size = 64 * 1024): Promise<Chunk[]> => Array.fromAsync(chunksOf(pieces(bytes, size), makeHasher));

interface Rig extends ChunkPorts {
  asked: { offset: number; size: number }[];
}
const rigOf = (old: Uint8Array, fresh: Uint8Array, more: Partial<ChunkPorts> = {}): Rig & { made: () => Uint8Array } => {
  const target = memoryChunks(fresh.length);
  const asked: Rig['asked'] = [];
  return {
    asked,
    made: target.bytes,
    old: { size: old.length, read: (offset, size) => Promise.resolve(old.subarray(offset, offset + size)) },
    target,
    fetch: (offset, size) => {
      asked.push({ offset, size });
      return pieces(fresh.subarray(offset, offset + size), 10_000);
    },
    makeHasher,
    ...more,
  };
};
/** The new one from the old one by cutting, replacing, moving and repeating parts. */
const edits = fc.array(fc.record({ at: fc.nat(400_000), drop: fc.nat(90_000), add: fc.nat(90_000), seed: fc.nat(50) }), { maxLength: 6 });
const edited = (old: Buffer, list: readonly { at: number; drop: number; add: number; seed: number }[]): Buffer => {
  let bytes = old;
  for (const { at, drop, add, seed } of list) bytes = Buffer.concat([bytes.subarray(0, at), noise(add, seed), bytes.subarray(at + drop)]);
  return bytes;
};

describe('cutting', () => {
  test('depends on the bytes, not on the pieces in which they come', async () => {
    const bytes = noise(700_000, 1);
    const whole = await chunked(bytes, bytes.length);
    for (const size of [1_000, 4_096, 65_537]) expect(await chunked(bytes, size)).toEqual(whole);
    expect(createCutter().push(new Uint8Array())).toEqual([]);
  });

  test('makes chunks between the bounds, of about the average size', async () => {
    for (const bytes of [noise(4_000_000, 3), Buffer.alloc(1_000_000), Buffer.from('abcdefgh'.repeat(100_000))]) {
      const chunks = await chunked(bytes);
      expect(checkChunks(chunks, bytes.length, 'it').ok).toBe(true);
      for (const chunk of chunks.slice(0, -1)) {
        expect(chunk.size).toBeGreaterThanOrEqual(chunkBytesMin);
        expect(chunk.size).toBeLessThanOrEqual(chunkBytesMax);
      }
    }
    const { length } = await chunked(noise(8_000_000, 4));
    expect(8_000_000 / length).toBeGreaterThan(chunkBytesAverage * 0.7);
    expect(8_000_000 / length).toBeLessThan(chunkBytesAverage * 1.5);
    expect(await chunked(new Uint8Array())).toEqual([]);
  });

  test('an insertion at the front moves the first cuts only', async () => {
    const bytes = noise(2_000_000, 5);
    const [before, after] = [await chunked(bytes), await chunked(Buffer.concat([Buffer.from('x'), bytes]))];
    const known = new Set(before.map((chunk) => chunk.hash));
    expect(after.filter((chunk) => !known.has(chunk.hash)).length).toBeLessThan(4);
  });

  test('everybody cuts at the same places, for ever', async () => {
    expect((await chunked(noise(200_000, 7))).map((chunk) => chunk.size)).toMatchInlineSnapshot(`
      [
        37200,
        23860,
        33746,
        36914,
        41711,
        26569,
      ]
    `);
  });
});

describe('a list of chunks', () => {
  test('travels', async () => {
    const bytes = noise(500_000, 2);
    const chunks = await chunked(bytes);
    const written = writeChunkList(chunks);
    expect(written.length).toBe(16 + 36 * chunks.length);
    expect(value(readChunkList(written, bytes.length, 'it'))).toEqual(chunks);
    expect(value(readChunkList(Buffer.concat([Buffer.alloc(3), written]).subarray(3), bytes.length, 'it'))).toEqual(chunks);
  });

  test('is refused when it is hostile', async () => {
    const bytes = noise(300_000, 2);
    const chunks = await chunked(bytes);
    const written = Buffer.from(writeChunkList(chunks));
    const changed = (act: (copy: Buffer) => Buffer | void): Buffer => {
      const copy = Buffer.from(written);
      return act(copy) ?? copy;
    };
    const hostile: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      'other magic': changed((copy) => void (copy[0] = 0)),
      cut: written.subarray(0, -1),
      'a row less': written.subarray(0, -36),
      'a row more': Buffer.concat([written, written.subarray(-36)]),
      'other size': changed((copy) => void copy.writeBigUInt64BE(2n ** 63n, 8)),
      'an empty chunk': changed((copy) => void copy.writeUInt32BE(0, 16)),
      'a huge chunk': changed((copy) => void copy.writeUInt32BE(0xffffffff, 16)),
      'huge count': Buffer.concat([written.subarray(0, 16), Buffer.alloc(36 * (chunkCountMax(bytes.length) + 1), 1)]),
    };
    for (const [what, list] of Object.entries(hostile)) expect([what, codeOf(readChunkList(list, bytes.length, 'it'))]).toEqual([what, 'chunks-invalid']);
    const [first, second] = [chunks[0] as Chunk, chunks[1] as Chunk];
    const wrong: Record<string, Chunk[]> = {
      overlap: [first, { ...second, offset: second.offset - 1 }, ...chunks.slice(2)],
      gap: [first, { ...second, offset: second.offset + 1 }, ...chunks.slice(2)],
      'behind the end': [...chunks, { hash: first.hash, offset: bytes.length, size: 1 }],
      'too short': chunks.slice(0, -1),
      'no number': [{ ...first, size: Number.NaN }, ...chunks.slice(1)],
      negative: [{ ...first, size: -1 }, ...chunks.slice(1)],
      'no hash': [{ ...first, hash: '../../x' }, ...chunks.slice(1)],
    };
    for (const [what, list] of Object.entries(wrong)) {
      expect([what, codeOf(checkChunks(list, bytes.length, 'it'))]).toEqual([what, 'chunks-invalid']);
      const rig = rigOf(Buffer.alloc(0), bytes);
      expect([what, codeOf(await assembleChunks(sha256(bytes), bytes.length, list, rig))]).toEqual([what, 'chunks-invalid']);
      expect(rig.asked).toEqual([]);
    }
    for (const size of [-1, 1.5, Number.NaN, chunkedBytesMax + 1]) expect(codeOf(checkChunks([], size, 'it'))).toBe('chunks-invalid');
  });

  test('mutants of a list never make other bytes', async () => {
    const [old, fresh] = [noise(200_000, 8), edited(noise(200_000, 8), [{ at: 90_000, drop: 10, add: 30, seed: 1 }])];
    const written = Buffer.from(writeChunkList(await chunked(fresh)));
    await fc.assert(
      fc.asyncProperty(fc.nat(written.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const copy = Buffer.from(written);
        copy[at] = (copy[at] ?? 0) ^ bits;
        const list = readChunkList(copy, fresh.length, 'it');
        if (!list.ok) return;
        const rig = rigOf(old, fresh);
        const made = await assembleChunks(sha256(fresh), fresh.length, list.value, rig);
        expect(made.ok ? Buffer.from(rig.made()).equals(fresh) : made.failure.code).toBe('content-wrong');
      }),
      { numRuns: 60 },
    );
  });
});

describe('plan and assembly', () => {
  test('of any two blobs make exactly the new one, and fetch no byte twice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(500_000), fc.nat(5), edits, async (size, seed, list) => {
        const old = noise(size, seed);
        const fresh = edited(old, list);
        const chunks = await chunked(fresh);
        const rig = rigOf(old, fresh);
        const made = value(await assembleChunks(sha256(fresh), fresh.length, chunks, rig));
        expect(Buffer.from(rig.made()).equals(fresh)).toBe(true);
        expect(made.copyBytes + made.fetchBytes).toBe(fresh.length);
        const ends = rig.asked.map((range) => range.offset + range.size);
        expect(rig.asked.slice(1).every((range, index) => range.offset > (ends[index] ?? 0))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('equal blobs fetch nothing; strange ones fetch all in one request', async () => {
    const bytes = noise(400_000, 1);
    const same = rigOf(bytes, bytes);
    expect(value(await assembleChunks(sha256(bytes), bytes.length, await chunked(bytes), same))).toEqual({ copyBytes: 400_000, fetchBytes: 0, heldBytes: 0 });
    const other = rigOf(noise(400_000, 2), bytes);
    value(await assembleChunks(sha256(bytes), bytes.length, await chunked(bytes), other));
    expect(other.asked).toEqual([{ offset: 0, size: 400_000 }]);
    const empty = rigOf(bytes, Buffer.alloc(0));
    expect(value(await assembleChunks(sha256(''), 0, [], empty)).fetchBytes).toBe(0);
  });

  test('what the new blob has several times is fetched once', async () => {
    const bytes = Buffer.alloc(3_000_000);
    const rig = rigOf(Buffer.alloc(0), bytes);
    const made = value(await assembleChunks(sha256(bytes), bytes.length, await chunked(bytes), rig));
    expect(made.fetchBytes).toBeLessThan(2 * chunkBytesMax + 1);
    expect(Buffer.from(rig.made()).equals(bytes)).toBe(true);
  });

  test('is planned without a look at bytes', () => {
    const chunk = (hash: string, offset: number): Chunk => ({ hash, offset, size: 10 });
    const old = [chunk('a', 0), chunk('b', 10), chunk('c', 20)];
    const fresh = [chunk('x', 0), chunk('y', 10), chunk('b', 20), chunk('c', 30), chunk('a', 40), chunk('x', 50)];
    expect(planChunks(old, fresh)).toEqual({
      steps: [
        { from: 'source', first: 0, last: 1, at: 0, size: 20 },
        { from: 'old', first: 2, last: 3, at: 10, size: 20 },
        { from: 'old', first: 4, last: 4, at: 0, size: 10 },
        { from: 'new', first: 5, last: 5, at: 0, size: 10 },
      ],
      copyBytes: 40,
      fetchBytes: 20,
      heldBytes: 0,
    });
    expect(planChunks(old, fresh, (index) => index < 5).steps).toEqual([{ from: 'new', first: 5, last: 5, at: 0, size: 10 }]);
    expect(planChunks(old, fresh, undefined, (index) => index === 3).steps.map((step) => step.from)).toEqual(['source', 'old', 'source', 'old', 'new']);
  });
});

describe('cuts', () => {
  const old = noise(600_000, 11);
  const fresh = edited(old, [
    { at: 50_000, drop: 100, add: 60_000, seed: 1 },
    { at: 300_000, drop: 0, add: 90_000, seed: 2 },
  ]);
  const digest = sha256(fresh);
  class Cut extends Error {}

  test('at every step are gone on from: within a call, and in the next one after the process died', async () => {
    const chunks = await chunked(fresh);
    const steps = (ports: Rig, budget: { left: number }, dies: boolean): ChunkPorts => {
      const spend = (): void => {
        budget.left -= 1;
        if (budget.left === 0 || (dies && budget.left < 0)) throw new Cut('cut');
      };
      return {
        ...ports,
        target: { ...ports.target, write: (offset, bytes) => (spend(), ports.target.write(offset, bytes)) },
        fetch: async function* (offset, size) {
          for await (const piece of ports.fetch(offset, size)) {
            spend();
            yield piece;
          }
        },
      };
    };
    const whole = value(await assembleChunks(digest, fresh.length, chunks, rigOf(old, fresh)));
    for (let at = 1; at < 50; at += 1) {
      const within = rigOf(old, fresh);
      value(await assembleChunks(digest, fresh.length, chunks, steps(within, { left: at }, false)));
      expect(Buffer.from(within.made()).equals(fresh)).toBe(true);
      const dead = rigOf(old, fresh);
      const first = await assembleChunks(digest, fresh.length, chunks, steps(dead, { left: at }, true));
      if (!first.ok) expect(first.failure).toMatchObject({ kind: 'retry', code: 'content-cut' });
      const second = value(await assembleChunks(digest, fresh.length, chunks, dead));
      expect(Buffer.from(dead.made()).equals(fresh)).toBe(true);
      if (at > 30) expect(second.heldBytes).toBeGreaterThan(0);
      expect(second.fetchBytes).toBeLessThanOrEqual(whole.fetchBytes);
    }
  });

  test('a source that gives nothing is left after some tries', async () => {
    let asked = 0;
    const rig = rigOf(Buffer.alloc(0), fresh, {
      fetch: async function* () {
        asked += 1;
        yield* [];
      },
    });
    expect(codeOf(await assembleChunks(digest, fresh.length, await chunked(fresh), rig))).toBe('content-cut');
    expect(asked).toBe(chunkCutsMax);
  });

  test('a refusal of the source is answered as it is', async () => {
    const rig = rigOf(Buffer.alloc(0), fresh, {
      fetch: async function* () {
        yield await Promise.reject<Uint8Array>(new FailureError(fail('blocked', 'content-denied', 'it', 'no').failure));
      },
    });
    expect(codeOf(await assembleChunks(digest, fresh.length, await chunked(fresh), rig))).toBe('content-denied');
  });

  test('wrong bytes, a rotten old blob, rubbish in the target, and a list of another blob', async () => {
    const chunks = await chunked(fresh);
    const lying = rigOf(Buffer.alloc(0), fresh, { fetch: (_, size) => pieces(Buffer.alloc(size), 10_000) });
    expect(codeOf(await assembleChunks(digest, fresh.length, chunks, lying))).toBe('content-wrong');
    expect(Buffer.from(lying.made()).equals(Buffer.alloc(fresh.length)), 'nothing of it was written').toBe(true);
    let reads = 0;
    const rotten = rigOf(old, fresh, {
      // Right while it is chunked, other bytes afterwards.
      old: { size: old.length, read: (at, size) => Promise.resolve((reads += 1) > 3 ? Buffer.alloc(size, 7) : old.subarray(at, at + size)) },
    });
    expect(value(await assembleChunks(digest, fresh.length, chunks, rotten)).fetchBytes).toBe(fresh.length);
    expect(Buffer.from(rotten.made()).equals(fresh)).toBe(true);
    const dirty = rigOf(old, fresh);
    await dirty.target.resize(fresh.length + 5_000);
    await dirty.target.write(0, noise(fresh.length + 5_000, 99));
    value(await assembleChunks(digest, fresh.length, chunks, dirty));
    expect(Buffer.from(dirty.made()).equals(fresh)).toBe(true);
    const other = noise(fresh.length, 12);
    const list = await chunked(other);
    const swapped = rigOf(other, fresh);
    expect(codeOf(await assembleChunks(digest, fresh.length, list, swapped))).toBe('content-wrong');
  });
});
