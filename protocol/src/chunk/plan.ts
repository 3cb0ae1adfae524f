import type { Chunk } from './cut.ts';

/** Chunks `first` to `last` of the new blob, and where they come from. */
export type ChunkStep =
  /** From the old blob, from this offset on. */
  | { from: 'old'; first: number; last: number; at: number; size: number }
  /** From the new blob itself, which has these chunks further ahead. */
  | { from: 'new'; first: number; last: number; at: number; size: number }
  | { from: 'source'; first: number; last: number; at: number; size: number };

export interface ChunkPlan {
  /** In the order of the new blob. */
  steps: ChunkStep[];
  copyBytes: number;
  fetchBytes: number;
  /** Chunks that are at their place already. */
  heldBytes: number;
}

/**
 * What to do for the new blob with the least bytes fetched. Pure. Neighbours that come from neighbouring places are one step, so that a run of new chunks costs
 * one request. `isHeld` says which chunks are at their place since an earlier try; `isBad` which the old blob turned out not to hold.
 */
export const planChunks = (
  old: readonly Chunk[],
  fresh: readonly Chunk[],
  isHeld: (index: number) => boolean = () => false,
  isBad: (index: number) => boolean = () => false,
): ChunkPlan => {
  const oldByHash = new Map<string, Chunk>();
  for (const chunk of old) if (!oldByHash.has(chunk.hash)) oldByHash.set(chunk.hash, chunk);
  const seen = new Map<string, number>();
  const plan: ChunkPlan = { steps: [], copyBytes: 0, fetchBytes: 0, heldBytes: 0 };
  let last: ChunkStep | undefined;
  for (const [index, chunk] of fresh.entries()) {
    const earlier = seen.get(chunk.hash);
    seen.set(chunk.hash, earlier ?? chunk.offset);
    if (isHeld(index)) {
      plan.heldBytes += chunk.size;
      continue;
    }
    const known = oldByHash.get(chunk.hash);
    const copy = isBad(index) || known?.size !== chunk.size ? undefined : known;
    const step: ChunkStep =
      copy !== undefined
        ? { from: 'old', first: index, last: index, at: copy.offset, size: chunk.size }
        : earlier !== undefined && !isBad(index)
          ? { from: 'new', first: index, last: index, at: earlier, size: chunk.size }
          : { from: 'source', first: index, last: index, at: chunk.offset, size: chunk.size };
    if (step.from === 'source') plan.fetchBytes += chunk.size;
    else plan.copyBytes += chunk.size;
    if (last?.from === step.from && last.last === index - 1 && last.at + last.size === step.at) {
      last.last = index;
      last.size += chunk.size;
      continue;
    }
    plan.steps.push(step);
    last = step;
  }
  return plan;
};
