import { sleep, type Clock } from '../port/clock.ts';
import { marginMs, type Lease } from '../cluster/lease.ts';

const lookMs = 1_000;

/** Ends what runs when the Lease is nearly over and could not be renewed. Does nothing else, so that no call to a server that hangs holds it up. Answers whether the Lease was why. */
export const endWithLease = async (lease: Pick<Lease, 'isHeld'>, clock: Clock, stop: AbortController): Promise<boolean> => {
  while (!stop.signal.aborted) {
    if (!lease.isHeld(marginMs)) {
      stop.abort();
      return true;
    }
    await sleep(clock, lookMs, stop.signal);
  }
  return false;
};

/**
 * Whether the memory of this pod is of the last one that held the Lease: it held it itself the whole time, or took it directly from a pod with the same volume.
 * `before`: how often it had changed hands when this memory was in use.
 */
export const isLastMemory = (before: number | undefined, now: number | undefined): boolean =>
  before !== undefined && now !== undefined && (now === before || now === before + 1);
