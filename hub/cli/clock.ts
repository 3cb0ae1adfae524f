import { setTimeout as delay } from 'node:timers/promises';
import type { CliClock } from './io.ts';

/** The machine's own clock. */
export const systemClock: CliClock = { nowMs: () => Date.now(), sleep: (ms) => delay(ms) };
