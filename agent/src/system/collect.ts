import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Of `gc`, which V8 offers with `--expose-gc`: `last-resort` also gives back what a later call might need again (code of the start, caches). */
type Collect = (how: { type: 'major'; flavor: 'regular' | 'last-resort' }) => void;

/**
 * Asks V8 for one full collection. An idle agent allocates too little to start one by itself, and would keep what only its start needed (7 MB of 31).
 * The hub has the same few lines; the two share no code that needs Node.
 */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
  if (typeof collect === 'function') (collect as Collect)({ type: 'major', flavor: 'last-resort' });
};
