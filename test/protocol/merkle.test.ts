import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { desiredLeaf, isInTree, merkleProofSchema, merkleTree, type MerkleProof } from '@groundplane/protocol/merkle';

const leavesOf = (size: number): string[] => Array.from({ length: size }, (_, index) => `leaf ${index}`);

/** RFC 6962 section 2.1, written down once more: split at the largest power of two below the size. */
const rootOf = (leaves: readonly string[]): Buffer => {
  const hash = (...parts: (Buffer | string)[]): Buffer => parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();
  if (leaves.length === 1) return hash(Buffer.of(0), leaves[0] ?? '');
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return hash(Buffer.of(1), rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
};

const flipHex = (hex: string, bit: number): string => {
  const bytes = Buffer.from(hex, 'hex');
  const place = (bit >> 3) % bytes.length;
  bytes[place] = (bytes[place] ?? 0) ^ (1 << (bit & 7));
  return bytes.toString('hex');
};

describe('Merkle tree', () => {
  test('every index of sizes 1 to 70 verifies, and the root is that of RFC 6962', () => {
    for (let size = 1; size <= 70; size += 1) {
      const leaves = leavesOf(size);
      const tree = merkleTree(leaves);
      expect(tree.root).toBe(`sha256:${rootOf(leaves).toString('hex')}`);
      for (let index = 0; index < size; index += 1) {
        const proof = tree.proof(index);
        expect(merkleProofSchema.safeParse(proof).success).toBe(true);
        expect(isInTree(leaves[index] ?? '', proof, tree.root)).toBe(true);
      }
    }
  });

  const cases = fc
    .integer({ min: 1, max: 70 })
    .chain((size) => fc.record({ size: fc.constant(size), index: fc.integer({ min: 0, max: size - 1 }), bit: fc.nat(255), step: fc.nat(6) }));

  test('a flipped bit of leaf, path or root fails', () => {
    fc.assert(
      fc.property(cases, ({ size, index, bit, step }) => {
        const leaves = leavesOf(size);
        const tree = merkleTree(leaves);
        const proof = tree.proof(index);
        const leaf = leaves[index] ?? '';
        expect(isInTree(`${leaf.slice(0, -1)}${String.fromCharCode(leaf.charCodeAt(leaf.length - 1) ^ (1 << (bit & 3)))}`, proof, tree.root)).toBe(false);
        expect(isInTree(leaf, proof, `sha256:${flipHex(tree.root.slice(7), bit)}`)).toBe(false);
        if (proof.path.length > 0) {
          const place = step % proof.path.length;
          expect(isInTree(leaf, { ...proof, path: proof.path.with(place, flipHex(proof.path[place] ?? '', bit)) }, tree.root)).toBe(false);
          expect(isInTree(leaf, { ...proof, path: proof.path.toSpliced(place, 1) }, tree.root)).toBe(false);
        }
        expect(isInTree(leaf, { ...proof, path: [...proof.path, tree.root.slice(7)] }, tree.root)).toBe(false);
        expect(isInTree(leaf, { ...proof, path: proof.path.toReversed() }, tree.root)).toBe(
          proof.path.length < 2 || proof.path.join() === proof.path.toReversed().join(),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  test('another index of the same tree fails', () => {
    fc.assert(
      fc.property(cases, fc.nat(100), ({ size, index }, other) => {
        fc.pre(other !== index);
        const leaves = leavesOf(size);
        const tree = merkleTree(leaves);
        expect(isInTree(leaves[index] ?? '', { ...tree.proof(index), index: other }, tree.root)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a wrong size never proves a text that is no leaf; the size itself is part of what the director signs', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 140 }), fc.nat(139), ({ size, index }, claimed, at) => {
        const leaves = leavesOf(size);
        const tree = merkleTree(leaves);
        expect(isInTree('not a leaf', { ...tree.proof(index), size: claimed, index: at }, tree.root)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  test('an inner node does not pass as a leaf, nor a leaf as an inner node', () => {
    const tree = merkleTree(['a', 'b', 'c', 'd']);
    const left = merkleTree(['a', 'b']).root.slice(7);
    const inner = Buffer.from(left, 'hex').toString('latin1');
    const right = tree.proof(0).path[1] ?? '';
    const asTwo: MerkleProof = { index: 0, size: 2, path: [right] };
    expect(isInTree(inner, asTwo, tree.root)).toBe(false);
    // The text of both child hashes, with and without the byte that marks a node.
    for (const mark of ['', '\u0001', '\u0000']) {
      const text =
        mark +
        tree
          .proof(0)
          .path.map((hex) => Buffer.from(hex, 'hex').toString('latin1'))
          .join('');
      expect(isInTree(text, { index: 0, size: 1, path: [] }, tree.root)).toBe(false);
    }
    expect(merkleTree(['a', 'b']).root).not.toBe(merkleTree(['ab']).root);
  });

  test('huge and senseless numbers are refused, quickly', () => {
    const tree = merkleTree(['a', 'b']);
    const proof = tree.proof(0);
    for (const [index, size] of [
      [0, 2 ** 31],
      [0, 2 ** 32],
      [0, 2 ** 53 - 1],
      [2 ** 31, 2 ** 32],
      [2 ** 40, 2 ** 41],
    ] as const)
      expect(isInTree('a', { ...proof, index, size }, tree.root)).toBe(false);
    expect(merkleProofSchema.safeParse({ ...proof, index: -1 }).success).toBe(false);
    expect(merkleProofSchema.safeParse({ ...proof, size: 0 }).success).toBe(false);
    expect(merkleProofSchema.safeParse({ ...proof, path: Array.from({ length: 41 }, () => 'a'.repeat(64)) }).success).toBe(false);
    expect(() => merkleTree([])).toThrow(RangeError);
  });

  test('the leaf of a desired state names host, generation and digest apart', () => {
    const texts = new Set([desiredLeaf('a', 1, 'b'), desiredLeaf('a', 11, 'b'), desiredLeaf('a1', 1, 'b'), desiredLeaf('a', 1, '1b')]);
    expect(texts.size).toBe(4);
  });
});
