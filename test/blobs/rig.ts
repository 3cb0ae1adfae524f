import { diskBlobs } from '@groundplane/agent/blobs/disk';
import { createPace, type HubTime } from '@groundplane/agent/blobs/pace';
import type { Blobs, BlobSource } from '@groundplane/agent/port/blobs';
import type { Clock } from '@groundplane/agent/port/clock';
import { fail, ok, type Failure } from '@groundplane/protocol/failure';
import type { Transfer } from '@groundplane/protocol/transfer';

/** The machine's clock, whose waits are short, and whose past can be moved. */
export const quickClock = (): Clock & { passMs: (ms: number) => void } => {
  let offsetMs = 0;
  return {
    monotonicMs: () => performance.now() + offsetMs,
    wallMs: () => Date.UTC(2026, 5, 1, 12) + performance.now() + offsetMs,
    after: (_, callback) => {
      const timer = setImmediate(callback);
      return () => clearImmediate(timer);
    },
    passMs: (ms) => void (offsetMs += ms),
  };
};

export interface ScriptedSource extends BlobSource {
  has: Map<string, Buffer>;
  /** Offsets that were asked for, in order. */
  asked: { offset: number; size: number }[];
  /** Each answer breaks after so many bytes. */
  cutAfter: number;
  failure: Failure | undefined;
  /** Called before each piece. */
  onPiece: (at: number) => void;
}

/** A source in memory that can be cut, refused and watched. */
export const scriptedSource = (name: string, isMetered: boolean, has = new Map<string, Buffer>(), pieceBytes = 64 * 1024): ScriptedSource => {
  const source: ScriptedSource = {
    name,
    isMetered,
    has,
    asked: [],
    cutAfter: Number.POSITIVE_INFINITY,
    failure: undefined,
    onPiece: () => undefined,
    read: (digest, offset, size, signal) => {
      source.asked.push({ offset, size });
      if (source.failure !== undefined) return Promise.resolve({ ok: false, failure: source.failure });
      const bytes = source.has.get(digest)?.subarray(offset, offset + size);
      if (bytes === undefined) return Promise.resolve(fail('retry', 'content-missing', digest, `${name} does not have it`));
      return Promise.resolve(
        ok(
          (async function* () {
            for (let at = 0; at < bytes.length; at += pieceBytes) {
              source.onPiece(offset + at);
              if (signal.aborted) throw new Error('aborted');
              if (at >= source.cutAfter) throw new Error('cut');
              yield bytes.subarray(at, Math.min(at + pieceBytes, at + Math.max(0, source.cutAfter - at)));
            }
          })(),
        ),
      );
    },
  };
  return source;
};

/** The disk implementation over one source. */
export const diskRig = (
  folder: string,
  options: { sources?: BlobSource[]; transfer?: () => Transfer | undefined; hubTime?: () => HubTime | undefined; reserveBytes?: number } = {},
) => {
  const hub = scriptedSource('the hub', true);
  const clock = quickClock();
  return {
    hub,
    clock,
    origin: hub.has,
    open: (): Blobs =>
      diskBlobs({
        folder: `${folder}/blobs`,
        sources: () => options.sources ?? [hub],
        pace: createPace({ clock, transfer: options.transfer ?? (() => undefined), hubTime: options.hubTime ?? (() => undefined) }),
        clock,
        reserveBytes: options.reserveBytes ?? 0,
      }),
    age: () => clock.passMs(2 * 3_600_000),
  };
};
