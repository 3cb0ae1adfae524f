import { baseline } from './baseline.ts';
import { boot } from './boot.ts';
import { bootCount } from './boot-count.ts';
import { image } from './image.ts';
import type { Scenario } from './scenario.ts';
import { sysupdate } from './sysupdate.ts';

/** In the order in which they run: what the next ones rely on comes first. */
export const scenarios: readonly Scenario[] = [boot, baseline, sysupdate, bootCount, image];
