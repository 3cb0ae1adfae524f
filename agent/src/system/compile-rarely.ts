import { setFlagsFromString } from 'node:v8';

/**
 * Tells V8 to compile only what is called very often. An idle agent calls nothing that often, but enough over minutes to bring in two compilers, which are 8 MB of
 * Node's own file, for no gain. Long work (many layers, large blobs) still reaches the last compiler: a look at 30 layers costs 11 instead of 8 ms.
 *
 * Not in `launch.sh`, which outlives versions of Node: a flag that one of them does not know would keep it from starting, and here it does nothing.
 */
export const compileRarely = (): void => {
  for (const flag of ['--no-sparkplug', '--no-maglev', '--invocation-count-for-turbofan=30000', '--invocation-count-for-osr=5000']) setFlagsFromString(flag);
};
