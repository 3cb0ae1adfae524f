import type { AgentArch } from '@groundplane/protocol/agent-package';
import { bundleBlobs, largeBases, largeBlobs, type BundleBlob } from '@groundplane/protocol/bundle';
import { patchBases } from '@groundplane/protocol/delta';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { HostStatus } from '@groundplane/protocol/observed';
import { patchBase } from './link/patch.ts';
import type { RunningImage } from './observe/running-image.ts';
import type { Blobs } from './port/blobs.ts';
import type { Clock } from './port/clock.ts';
import type { ContentSource } from './port/content.ts';
import { writes, type DesiredRecord, type State } from './store/state.ts';

export interface StageDeps {
  state: State;
  content: ContentSource;
  blobs: Blobs;
  /** Undefined on a machine that agents are not built for: it takes content of every architecture. */
  architecture: AgentArch | undefined;
  clock: Pick<Clock, 'monotonicMs'>;
  /** Content that this machine runs from need not come. */
  runningImage?: RunningImage | undefined;
  /** Large content came, or could not come: look again. */
  onChange: () => void;
  /** Noticeable progress, for reports. */
  onProgress: () => void;
}

/** A fetch of large content that goes on beside the rounds, since it may take hours in which the host must look after what it runs. */
interface Transfer {
  digest: string;
  stop: AbortController;
  /** Undefined while it runs. */
  result: Result<void> | undefined;
  bug?: unknown;
  /** Something came in this try. */
  hasMoved: boolean;
  doneBytes: number;
  totalBytes: number;
  blob: string;
}

const restMaxMs = 60_000;
/** Progress is worth a report each twentieth. */
const reportsPerTransfer = 20;

/** Brings the content of a candidate, text first, and makes it the current one when everything is here. */
export const createStager = (deps: StageDeps) => {
  const { state, blobs } = deps;
  const { clock } = deps;
  let transfer: Transfer | undefined;
  /** A transfer that failed rests; each failure without a new byte doubles the rest. */
  let resting: { digest: string; failed: Result<never>; count: number; untilMs: number } | undefined;

  const stop = (): void => {
    transfer?.stop.abort();
    transfer = undefined;
  };

  const rest = (mine: Transfer, failed: Result<never>): Result<never> => {
    const count = resting?.digest === mine.digest && !mine.hasMoved ? resting.count + 1 : 1;
    resting = { digest: mine.digest, failed, count, untilMs: clock.monotonicMs() + Math.min(restMaxMs, limits.backoffMinMs * 2 ** Math.min(count, 20)) };
    return failed;
  };

  const bring = async (mine: Transfer, wanted: readonly BundleBlob[], bases: ReadonlyMap<Digest, Digest>): Promise<Result<void>> => {
    let before = 0;
    let told = 0;
    const progress = (doneBytes: number, blob: string): void => {
      mine.doneBytes = Math.min(mine.totalBytes, doneBytes);
      mine.blob = blob;
      const part = Math.floor((mine.doneBytes * reportsPerTransfer) / Math.max(1, mine.totalBytes));
      if (part > told && transfer === mine) {
        told = part;
        deps.onProgress();
      }
    };
    const move = (doneBytes: number, blob: string): void => {
      mine.hasMoved = true;
      progress(doneBytes, blob);
    };
    for (const { digest, size, name } of wanted) {
      progress(before, name);
      const request = { digest, sizeBytes: size, name, base: bases.get(digest), onProgress: (bytes: number) => move(before + bytes, name) };
      const fetched = await blobs.fetch(request, mine.stop.signal);
      if (!fetched.ok) return fetched;
      before += size;
      mine.hasMoved = true;
    }
    progress(before, mine.blob);
    return ok(undefined);
  };

  /** Undefined while it is on its way. */
  const large = async (candidate: DesiredRecord, before: DesiredRecord | undefined): Promise<Result<void> | undefined> => {
    if (transfer !== undefined && transfer.digest !== candidate.version.digest) stop();
    if (transfer !== undefined) {
      if ('bug' in transfer) throw transfer.bug;
      const { result } = transfer;
      if (result === undefined) return undefined;
      const ended = transfer;
      transfer = undefined;
      if (!result.ok) return rest(ended, result);
    }
    if (resting?.digest === candidate.version.digest && clock.monotonicMs() < resting.untilMs) return resting.failed;
    if (candidate.bundle === undefined) return ok(undefined);
    const missing: BundleBlob[] = [];
    let [total, here] = [0, 0];
    for (const [digest, item] of largeBlobs(candidate.bundle, deps.architecture)) {
      total += item.size;
      if ((await blobs.path(digest)) !== undefined || (await deps.runningImage?.holds(item)) === true) here += item.size;
      else missing.push(item);
    }
    if (missing.length === 0) return ok(undefined);
    const bases = before?.bundle === undefined ? new Map<Digest, Digest>() : largeBases(before.bundle, candidate.bundle);
    const mine: Transfer = {
      digest: candidate.version.digest,
      stop: new AbortController(),
      result: undefined,
      hasMoved: false,
      doneBytes: 0,
      totalBytes: total - here,
      blob: '',
    };
    transfer = mine;
    void bring(mine, missing, bases).then(
      (result) => {
        mine.result = result;
        if (transfer === mine) deps.onChange();
      },
      // An exception is a bug, and ends the engine where everybody sees it.
      (error: unknown) => {
        mine.bug = error;
        if (transfer === mine) deps.onChange();
      },
    );
    return undefined;
  };

  const texts = async (candidate: DesiredRecord, before: DesiredRecord | undefined): Promise<Result<void>> => {
    if (candidate.bundle === undefined) return ok(undefined);
    const bases = before?.bundle === undefined ? undefined : patchBases(before.bundle, candidate.bundle);
    for (const [digest, size] of bundleBlobs(candidate.bundle)) {
      if (state.hasContent(digest as Digest)) continue;
      const text = await deps.content.fetch(digest as Digest, size, patchBase(state, bases?.get(digest), before?.desired.bundle));
      if (!text.ok) return text;
      if (digestBytes(text.value) !== digest)
        return fail('retry', 'content-missing', digest, 'the content that came has another digest; it will be fetched again');
      const kept = state.commit([writes.content(digest, text.value)]);
      if (!kept.ok) return kept;
    }
    return ok(undefined);
  };

  return {
    /** One look: begins or goes on. Failures are those of the sources and of the disk; the next look tries again. */
    step: async (): Promise<Result<void>> => {
      const candidate = state.slot('candidate');
      if (candidate === undefined) {
        stop();
        return ok(undefined);
      }
      const before = state.slot('current');
      const small = await texts(candidate, before);
      if (!small.ok) return small;
      const whole = await large(candidate, before);
      if (whole?.ok !== true) return whole ?? ok(undefined);
      if (state.slot('candidate')?.version.digest !== candidate.version.digest) return ok(undefined);
      return state.commit([...writes.slot('current', candidate), ...writes.slot('candidate', undefined), { table: 'kv', key: 'failed', value: null }]);
    },
    /** A newer candidate came, or the agent ends. What came of the blobs stays. */
    stop,
    progress: (): HostStatus['staging'] =>
      transfer === undefined || state.slot('candidate')?.version.digest !== transfer.digest
        ? undefined
        : { doneBytes: transfer.doneBytes, totalBytes: transfer.totalBytes, ...(transfer.blob === '' ? {} : { blob: transfer.blob }) },
  };
};
export type Stager = ReturnType<typeof createStager>;
