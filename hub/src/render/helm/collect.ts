import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Asks V8 for one full collection. It sees a dropped module and dropped workers as a few small objects and would let a hundred megabytes of native
 * memory hang on them for hours, because an idle hub allocates too little to start a collection by itself.
 */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
  if (typeof collect === 'function') (collect as () => void)();
};
