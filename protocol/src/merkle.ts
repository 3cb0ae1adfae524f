import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import type { Digest } from './digest.ts';

/** RFC 6962's tree: leaves and nodes are hashed with different first bytes, so that a node can never pass as a leaf. */
const leafHash = (text: string): Uint8Array => sha256(Uint8Array.of(0, ...utf8ToBytes(text)));
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return sha256(bytes);
};

/** Base64url without padding: a third shorter than hex on a message that goes to each host. */
const toBase64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
const fromBase64url = (text: string): Uint8Array => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));

export const merkleProofSchema = z.object({ index: z.int().min(0), size: z.int().min(1), path: z.array(z.string().regex(/^[A-Za-z0-9_-]{43}$/)).max(40) });
export type MerkleProof = z.infer<typeof merkleProofSchema>;

export interface MerkleTree {
  root: Digest;
  proof(index: number): MerkleProof;
}

/** Builds the tree over at least one leaf. An odd node at the end of a level moves up unchanged. */
export const merkleTree = (leaves: readonly string[]): MerkleTree => {
  if (leaves.length === 0) throw new RangeError('a Merkle tree needs a leaf');
  const levels: Uint8Array[][] = [leaves.map(leafHash)];
  let level = levels[0] ?? [];
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let index = 0; index < level.length; index += 2) {
      const left = level[index] as Uint8Array;
      const right = level[index + 1];
      next.push(right === undefined ? left : nodeHash(left, right));
    }
    levels.push(next);
    level = next;
  }
  return {
    root: `sha256:${bytesToHex(level[0] as Uint8Array)}`,
    proof: (index) => {
      const path: string[] = [];
      let position = index;
      for (const nodes of levels.slice(0, -1)) {
        const sibling = nodes[position ^ 1];
        if (sibling !== undefined) path.push(toBase64url(sibling));
        position >>= 1;
      }
      return { index, size: leaves.length, path };
    },
  };
};

/** Whether the leaf is at its place in the tree with this root. The path must have exactly the length that index and size give. */
export const isInTree = (leaf: string, proof: MerkleProof, root: string): boolean => {
  // Beyond 31 bits the shifts below would lose bits, and a claimed size would no longer decide the length of the path.
  if (proof.index >= proof.size || proof.size > 2 ** 31) return false;
  let hash = leafHash(leaf);
  let position = proof.index;
  let last = proof.size - 1;
  const path = [...proof.path];
  while (last > 0) {
    if ((position ^ 1) <= last) {
      const next = path.shift();
      if (next === undefined) return false;
      const sibling = fromBase64url(next);
      // One spelling per hash: the last character has two bits that say nothing.
      if (toBase64url(sibling) !== next) return false;
      hash = position % 2 === 1 ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
    }
    position >>= 1;
    last >>= 1;
  }
  return path.length === 0 && `sha256:${bytesToHex(hash)}` === root;
};

/** The leaf of a host's desired state in the director's tree. */
export const desiredLeaf = (host: string, generation: number, digest: string): string => `${host} ${generation} ${digest}`;
