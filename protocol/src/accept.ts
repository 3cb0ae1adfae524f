import type { Version } from './bundle.ts';

/** What a host does with an offered desired state. Closed list. */
export type Acceptance =
  /** New: stage it. */
  | { accept: 'new' }
  /** We have it already. */
  | { accept: 'same' }
  /** It is older than what we have, or equal in number and different in content: refused for ever. */
  | { accept: 'stale'; message: string }
  /** It failed here before. */
  | { accept: 'poisoned' }
  /** The hub has another history than we: it was restored from a backup and must adopt us first. */
  | { accept: 'foreign'; message: string };

/**
 * The rule that stops late hubs, stale replicas and restored backups: only a higher generation of the same epoch is new. A new epoch is taken only when it
 * continues above ours (`adopted` names the generation that the hub read back from us).
 */
export const acceptDesired = (have: Version | undefined, offered: Version, poisoned: readonly Version[], adopted: Version | undefined): Acceptance => {
  if (poisoned.some((item) => item.epoch === offered.epoch && item.generation === offered.generation && item.digest === offered.digest))
    return { accept: 'poisoned' };
  if (have === undefined) return { accept: 'new' };
  if (have.epoch === offered.epoch) {
    if (offered.generation > have.generation) return { accept: 'new' };
    if (offered.generation === have.generation && offered.digest === have.digest) return { accept: 'same' };
    return { accept: 'stale', message: `generation ${offered.generation} does not come after ${have.generation}` };
  }
  const continues =
    adopted !== undefined &&
    adopted.epoch === have.epoch &&
    adopted.generation === have.generation &&
    adopted.digest === have.digest &&
    offered.generation > have.generation;
  if (continues) return { accept: 'new' };
  return { accept: 'foreign', message: `the hub's epoch ${offered.epoch} does not continue ours (${have.epoch}, generation ${have.generation})` };
};
