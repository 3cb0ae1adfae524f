import type { Change } from '../port/store.ts';

/**
 * A reconciler names what it reads and writes, is told which of its things may have changed, and makes the world fit. It is idempotent: running it once more
 * changes nothing. `affected` turns store changes into keys of its own.
 */
export interface Reconciler {
  name: string;
  reads: readonly string[];
  writes: readonly string[];
  /** Every key, for the first run after a start. */
  all(): Iterable<string>;
  affected(change: Change): Iterable<string>;
  /** Returns the keys to try again later. */
  reconcile(keys: readonly string[]): Promise<readonly string[]>;
}

/** Keys handed over at once; bounds both a transaction and the time before newer work is looked at. */
const batchMax = 2_000;
const retryMs = 2_000;

/** Runs reconcilers one batch at a time, each key at most once per batch however often it changed. */
export const createRunner = (reconcilers: readonly Reconciler[], after: (delayMs: number, callback: () => void) => () => void, log: (text: string) => void) => {
  const dirty = new Map(reconcilers.map((reconciler) => [reconciler, new Set<string>()]));
  let running = false;
  let stopped = false;
  let idle = Promise.resolve();

  const runOne = async (reconciler: Reconciler, keys: Set<string>): Promise<void> => {
    const batch = [...keys].slice(0, batchMax);
    for (const key of batch) keys.delete(key);
    try {
      const again = await reconciler.reconcile(batch);
      if (again.length > 0) after(retryMs, () => mark(reconciler, again));
    } catch (error) {
      log(`reconciler ${reconciler.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      after(retryMs, () => mark(reconciler, batch));
    }
  };

  const drain = async (): Promise<void> => {
    for (;;) {
      const next = [...dirty].find(([, keys]) => keys.size > 0);
      if (next === undefined || stopped) break;
      await runOne(next[0], next[1]);
    }
    running = false;
  };

  const start = (): void => {
    if (running || stopped) return;
    running = true;
    idle = Promise.resolve().then(drain);
  };

  const mark = (reconciler: Reconciler, keys: Iterable<string>): void => {
    const set = dirty.get(reconciler);
    const before = set?.size ?? 0;
    for (const key of keys) set?.add(key);
    if ((set?.size ?? 0) > before) start();
  };

  return {
    startAll: (): void => reconcilers.forEach((reconciler) => mark(reconciler, reconciler.all())),
    onChange: (changes: readonly Change[]): void => {
      for (const change of changes) for (const reconciler of reconcilers) mark(reconciler, reconciler.affected(change));
    },
    /** Resolves when everything that is dirty now has been worked on. */
    settled: (): Promise<void> => idle,
    stop: async (): Promise<void> => {
      stopped = true;
      await idle;
    },
  };
};
