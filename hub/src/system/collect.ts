import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Of `gc`, which V8 offers with `--expose-gc`: `last-resort` also gives back what a later call might need again (code of the start, caches). */
type Collect = (how: { type: 'major'; flavor: 'regular' | 'last-resort' }) => void;

/**
 * Asks V8 for one full collection, because an idle process allocates too little to start one by itself: the native memory of a dropped WebAssembly module
 * would hang on a few small objects for hours, and what only the start needed (13 MB of 120) for ever.
 */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
  if (typeof collect === 'function') (collect as Collect)({ type: 'major', flavor: 'last-resort' });
};
