import { fail, FailureError, type Failure } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { isTransferOpen, minutesToOpen, transferText, type Transfer } from '@groundplane/protocol/transfer';
import { sleep, type Clock } from '../port/clock.ts';

export interface PaceDeps {
  clock: Clock;
  /** The setting of now; it may change while bytes flow. */
  transfer: () => Transfer | undefined;
  /** What the hub said last about the time, in this life or an earlier one. */
  hubTime: () => HubTime | undefined;
}

export interface HubTime {
  wallMs: number;
  /** Monotonic time of this process when it was said; undefined: an earlier process heard it. */
  monotonicMs: number | undefined;
}

/**
 * The time that windows are measured by. The hub's word, carried on by the clock that never jumps, counts more than the machine's own wall clock; content from the
 * hub needs a session, so that its word is there whenever it matters. A wall clock that stands before what the hub said earlier is wrong: then nobody knows the
 * time (undefined), and windows do not hold.
 */
export const believedTime = (clock: Clock, hubTime: HubTime | undefined): number | undefined => {
  if (hubTime?.monotonicMs !== undefined) return hubTime.wallMs + clock.monotonicMs() - hubTime.monotonicMs;
  const wallMs = clock.wallMs();
  return wallMs < (hubTime?.wallMs ?? limitsOfSense.beforeMs) ? undefined : wallMs;
};

/** No agent of ours runs before this; a clock that says so was never set. */
const limitsOfSense = { beforeMs: Date.UTC(2025, 0, 1) };

/** Keeps all metered transfers of a host together to one rate and to the transfer window. */
export interface Pace {
  /** Why nothing may come now; undefined when it may. Asking begins the wait whose patience is limited. */
  closed(element: string): Failure | undefined;
  /** Passes bytes on, as slowly as asked. Throws a `FailureError` with `transfer-window` when the window closes. */
  through(source: AsyncIterable<Uint8Array>, element: string, signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

/** Token bucket: one second's worth may go at once, then the rate holds. Those who wait take turns. */
export const createPace = (deps: PaceDeps): Pace => {
  const { clock } = deps;
  let tokens = 0;
  let atMs = clock.monotonicMs();
  let queue: Promise<void> = Promise.resolve();
  let waitingSinceMs: number | undefined;

  const take = async (bytes: number, signal: AbortSignal): Promise<void> => {
    for (;;) {
      const rate = deps.transfer()?.bytesPerSecond;
      if (rate === undefined || signal.aborted) return;
      const nowMs = clock.monotonicMs();
      tokens = Math.min(rate, tokens + ((nowMs - atMs) * rate) / 1_000);
      atMs = nowMs;
      if (tokens > 0) break;
      // At most ten seconds at once, so that a faster setting is noticed.
      await sleep(clock, Math.min(10_000, Math.ceil((-tokens * 1_000) / rate) + 1), signal);
    }
    tokens -= bytes;
  };

  const closed = (element: string): Failure | undefined => {
    const transfer = deps.transfer();
    const nowMs = believedTime(clock, deps.hubTime());
    if (transfer === undefined || nowMs === undefined || isTransferOpen(transfer, nowMs)) {
      waitingSinceMs = undefined;
      return undefined;
    }
    waitingSinceMs ??= clock.monotonicMs();
    if (clock.monotonicMs() - waitingSinceMs >= limits.transferPatienceMs) return undefined;
    const minutes = minutesToOpen(transfer, nowMs);
    const when = minutes === undefined ? 'never by itself' : `in ${Math.ceil(minutes / 60)} h`;
    return fail('retry', 'transfer-window', element, `large content may come from ${transferText(transfer)}, which begins ${when}`).failure;
  };

  return {
    closed,
    through: async function* (source, element, signal) {
      for await (const piece of source) {
        const failure = closed(element);
        if (failure !== undefined) throw new FailureError(failure);
        const turn = queue.then(() => take(piece.length, signal));
        queue = turn;
        await turn;
        yield piece;
      }
    },
  };
};
