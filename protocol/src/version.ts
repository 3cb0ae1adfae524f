import type { Version } from './bundle.ts';

/** The very same desired state; a number alone can be given twice, by a hub that was restored from a backup. */
export const isSameVersion = (a: Version | undefined, b: Version | undefined): boolean =>
  a !== undefined && b !== undefined && a.epoch === b.epoch && a.generation === b.generation && a.digest === b.digest;
