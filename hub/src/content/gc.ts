import type { Digest } from '@groundplane/protocol/digest';
import type { CollectableContent, StoredBlob } from '../port/content.ts';

export interface CollectionFacts {
  /** Digests that somebody names: profiles, desired states, tags, fresh uploads. */
  roots: Iterable<string>;
  /** What a blob needs besides itself: a bundle its objects, a manifest its layers. */
  refs: ReadonlyMap<string, readonly string[]>;
  blobs: readonly StoredBlob[];
  /** Blobs that nobody named at an earlier run, and when that was. */
  marked: ReadonlyMap<string, number>;
  nowMs: number;
  graceMs: number;
}

export interface CollectionPlan {
  remove: { digest: Digest; size: number; markedAtMs: number }[];
  /** What nobody names now; taken away when that is still so after the grace. */
  marked: Map<string, number>;
  kept: number;
  bytes: number;
}

/** Everything below the roots. Cycles cannot be (a digest names its content), and would do no harm. */
export const reachable = (roots: Iterable<string>, refs: ReadonlyMap<string, readonly string[]>): Set<string> => {
  const found = new Set<string>();
  const queue = [...roots];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    for (const digest of refs.get(next) ?? []) if (!found.has(digest)) queue.push(digest);
  }
  return found;
};

/**
 * What to take away. Pure. A blob goes only when nobody names it now, nobody named it at a run at least a grace ago, and its bytes are older than that: whoever
 * renders or uploads writes the blobs first and names them afterwards, and has that long for it.
 */
export const planCollection = (facts: CollectionFacts): CollectionPlan => {
  const alive = reachable(facts.roots, facts.refs);
  const plan: CollectionPlan = { remove: [], marked: new Map(), kept: 0, bytes: 0 };
  for (const blob of facts.blobs) {
    if (alive.has(blob.digest)) {
      plan.kept += 1;
      continue;
    }
    const markedAtMs = facts.marked.get(blob.digest) ?? facts.nowMs;
    const isDue = facts.nowMs - markedAtMs >= facts.graceMs && facts.nowMs - blob.storedAtMs >= facts.graceMs;
    if (isDue && facts.marked.has(blob.digest)) {
      plan.remove.push({ digest: blob.digest, size: blob.size, markedAtMs });
      plan.bytes += blob.size;
    } else plan.marked.set(blob.digest, markedAtMs);
  }
  return plan;
};

export interface CollectorDeps {
  content: CollectableContent;
  /** Reads who names what, anew at each call. Throws when it cannot be sure: then nothing is taken away. */
  gather: () => Promise<Pick<CollectionFacts, 'roots' | 'refs'>>;
  /** Caches that remember blobs as being there forget them, so that from here on whoever needs one writes it again. */
  forget: () => void;
  nowMs: () => number;
  graceMs: number;
}

/** Runs collections. What was marked is memory: after a restart every blob has its grace again. */
export const createCollector = (deps: CollectorDeps) => {
  let marked: ReadonlyMap<string, number> = new Map();
  return {
    collect: async (): Promise<{ removed: number; bytes: number; kept: number; marked: number }> => {
      const blobs: StoredBlob[] = [];
      for await (const blob of deps.content.list()) blobs.push(blob);
      const facts = await deps.gather();
      const plan = planCollection({ ...facts, blobs, marked, nowMs: deps.nowMs(), graceMs: deps.graceMs });
      // Asked again right before: what was named while this run counted stays.
      const late = plan.remove.length === 0 ? new Set<string>() : await deps.gather().then((now) => reachable(now.roots, now.refs));
      let [removed, bytes] = [0, 0];
      for (const item of plan.remove) {
        if (late.has(item.digest) || !(await deps.content.remove(item.digest, item.markedAtMs))) continue;
        removed += 1;
        bytes += item.size;
      }
      deps.forget();
      marked = plan.marked;
      return { removed, bytes, kept: plan.kept, marked: plan.marked.size };
    },
  };
};
