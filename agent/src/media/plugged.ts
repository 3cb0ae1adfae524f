import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { sleep, type Clock } from '../port/clock.ts';
import { writes, type State } from '../store/state.ts';
import type { Importer } from './job.ts';

/** Digests of the indexes of media that were imported when they were plugged in, newest last. */
const doneKey = 'media.plugged';
const doneMax = 50;
const lookMs = 15_000;

/** Loaded when there is something to read: an idle agent has no use for it. */
const digestOf = async (folder: string): Promise<string | undefined> => {
  const { indexBytesMax, readPlain } = await import('./layout.ts');
  const bytes = await readPlain(join(folder, 'index.json'), indexBytesMax);
  return bytes.ok ? createHash('sha256').update(bytes.value).digest('hex') : undefined;
};

/**
 * Imports media of ours that appear below the places where media are mounted: each content once, also over restarts, since a medium stays plugged in for days.
 * What a medium says counts only by its signatures, so whoever can plug one in can do no more than by carrying it to the page. One that could not be
 * imported is tried again when it is plugged in again.
 */
export const watchPlugged = async (
  deps: { importer: Pick<Importer, 'found' | 'run' | 'status'>; state: Pick<State, 'kv' | 'commit'>; clock: Clock; log: (text: string) => void },
  signal: AbortSignal,
): Promise<void> => {
  const { importer, state, clock } = deps;
  const failed = new Map<string, string>();
  const look = async (): Promise<void> => {
    const folders = await importer.found();
    for (const folder of failed.keys()) if (!folders.includes(folder)) failed.delete(folder);
    for (const folder of folders) {
      const digest = await digestOf(folder);
      const done = state.kv<string[]>(doneKey) ?? [];
      if (digest === undefined || done.includes(digest) || failed.get(folder) === digest || importer.status().state === 'running') continue;
      deps.log(`importing the medium at ${folder}`);
      const result = await importer.run(folder);
      if (result.ok) state.commit([writes.kv(doneKey, [...done, digest].slice(-doneMax))]);
      else failed.set(folder, digest);
      deps.log(
        result.ok ? `imported the medium at ${folder}` : `the medium at ${folder} was not imported: ${result.failure.element}: ${result.failure.message}`,
      );
    }
  };
  while (!signal.aborted) {
    // Whatever is wrong with a medium or the disk must not end the watch, nor the agent.
    await look().catch((error: unknown) =>
      deps.log(`media that are plugged in cannot be looked at: ${error instanceof Error ? error.message : String(error)}`),
    );
    await sleep(clock, lookMs, signal);
  }
};
