import type { Failure } from '@groundplane/protocol/failure';

/** Of a pool that is about to go. */
export interface CordonNote {
  /** When it was begun, or got on last. */
  sinceMs: number;
  /** Nodes that still took new pods then. */
  left?: number | undefined;
  /** It was told that the pool goes without. */
  isTold?: boolean | undefined;
}

/** What the cluster said to it. */
export type CordonAnswer = { kind: 'cordoned'; nodes: number; left: number } | { kind: 'failed'; failure: Failure };

export type CordonDecision = { kind: 'wait'; note: CordonNote; message: string } | { kind: 'delete'; note: CordonNote; without?: string };

/** How long a replacement waits for a cluster that does not answer, or does not get on. */
export const cordonWaitMs = 10 * 60_000;

/**
 * Whether a pool may be deleted now. Its nodes take no new pods any more first, since an environment drains them one after the other, and what it puts off the first
 * would go to the second otherwise. A cluster that cannot be reached is waited for, but not for ever; what no waiting helps against is not waited for.
 */
export const afterCordon = (pool: string, known: CordonNote | undefined, answer: CordonAnswer, nowMs: number): CordonDecision => {
  // A clock that went back begins anew.
  const before: CordonNote = known === undefined || known.sinceMs > nowMs ? { ...known, sinceMs: nowMs } : known;
  const leftMs = before.sinceMs + cordonWaitMs - nowMs;
  const minutes = Math.max(1, Math.ceil(leftMs / 60_000));
  if (answer.kind === 'cordoned') {
    if (answer.left === 0) return { kind: 'delete', note: { ...before, left: 0 } };
    const isOn = before.left === undefined || answer.left < before.left;
    const words = `${answer.left} of the ${answer.nodes} nodes of pool ${pool} still take new pods`;
    if (isOn) return { kind: 'wait', note: { ...before, sinceMs: nowMs, left: answer.left }, message: `${words}; they are cordoned before the pool goes` };
    if (leftMs > 0) return { kind: 'wait', note: before, message: `${words}; it goes all the same in ${minutes} min` };
    return { kind: 'delete', note: before, without: words };
  }
  const { failure } = answer;
  const words = `the nodes of pool ${pool} cannot be cordoned (${failure.element}: ${failure.message})`.slice(0, 700);
  if (failure.kind === 'retry' && leftMs > 0) return { kind: 'wait', note: before, message: `${words}; it goes all the same in ${minutes} min` };
  return { kind: 'delete', note: before, without: words };
};

/** Pools that were about to go and are to stay, since what is wanted changed back: their nodes take pods again. `going`: what goes according to the plan of now. */
export const lettingIn = (
  cordoned: Readonly<Record<string, CordonNote>>,
  listed: readonly { name: string; pool: string; state: string }[],
  going: ReadonlySet<string>,
  paused: ReadonlySet<string>,
): { forget: string[]; letIn: string[] } => {
  const thereOf = (name: string) => listed.find((item) => item.name === name);
  const names = Object.keys(cordoned);
  const letIn = names.filter((name) => {
    const there = thereOf(name);
    return there !== undefined && there.state !== 'going' && !going.has(name) && !paused.has(there.pool);
  });
  return { forget: names.filter((name) => thereOf(name) === undefined), letIn };
};
