import { randomBytes } from 'node:crypto';
import type { Random } from '../port/random.ts';

export const systemRandom: Random = {
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  bytes: (length) => randomBytes(length),
};
