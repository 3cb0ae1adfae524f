import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { sleep, type Clock } from '../port/clock.ts';
import type { Cluster } from '../port/cluster.ts';

/** How long a holder that stays silent is left alone, and how often one speaks. As client-go counts: by our own clock from when we saw the record change. */
const durationMs = 40_000;
const renewMs = 10_000;

export const leaseRef = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace: 'kube-system', name: 'groundplane-keeper' };

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** What the Lease says while `self` holds it. */
const nextSpec = (before: LeaseSpec | undefined, self: string, wallMs: number): LeaseSpec => {
  const now = new Date(wallMs).toISOString().replace('Z', '000Z');
  const isMine = before?.holderIdentity === self;
  return {
    holderIdentity: self,
    leaseDurationSeconds: durationMs / 1000,
    acquireTime: isMine && before.acquireTime !== undefined ? before.acquireTime : now,
    renewTime: now,
    leaseTransitions: (before?.leaseTransitions ?? 0) + (isMine || before === undefined ? 0 : 1),
  };
};

/**
 * The one agent of a cluster that looks after it: whoever holds the Lease in the cluster itself, so it works without the hub. Wall clocks are never compared; a
 * holder is gone when its record has not changed for the whole duration while we looked.
 */
export const createLease = (deps: {
  self: () => string;
  clock: Clock;
  cluster: () => Cluster | undefined;
  onChange: () => void;
  /** Which Lease; by default the one of the cluster's keeper. */
  ref?: typeof leaseRef;
}) => {
  const { clock, ref = leaseRef } = deps;
  let seen: { mark: string; atMs: number } | undefined;
  let holder: string | undefined;
  let heldUntilMs = Number.NEGATIVE_INFINITY;
  /** As we wrote it last: a holder renews without asking first, and the API server refuses when somebody else wrote since. */
  let written: KubeObject | undefined;
  /** Who held it before we did. */
  let taken: string | undefined;

  const write = async (cluster: Cluster, old: KubeObject | undefined): Promise<boolean> => {
    const before = (old?.['spec'] ?? {}) as LeaseSpec;
    const isMine = before.holderIdentity === deps.self();
    const spec = nextSpec(old === undefined ? undefined : before, deps.self(), clock.wallMs());
    const base = old ?? { apiVersion: ref.apiVersion, kind: ref.kind, metadata: { name: ref.name, namespace: ref.namespace } };
    const askedAtMs = clock.monotonicMs();
    const done = old === undefined ? await cluster.create({ ...base, spec }) : await cluster.replace({ ...base, spec });
    written = done.ok ? done.value : undefined;
    if (!done.ok) return false;
    if (!isMine && before.holderIdentity !== undefined && before.holderIdentity !== '') taken = before.holderIdentity;
    heldUntilMs = askedAtMs + durationMs;
    holder = deps.self();
    return true;
  };

  /** Looks, and takes or renews where that is right. Answers whether it is ours. An API server that does not answer changes nothing until the time is over. */
  const check = async (): Promise<boolean> => {
    const cluster = deps.cluster();
    const was = holder === deps.self() && clock.monotonicMs() < heldUntilMs;
    if (cluster === undefined) return was;
    if (was && written !== undefined && (await write(cluster, written))) return true;
    const read = await cluster.get(ref);
    if (!read.ok) {
      if (read.failure.code !== 'not-found') return holder === deps.self() && clock.monotonicMs() < heldUntilMs;
      await write(cluster, undefined);
    } else {
      const spec = (read.value['spec'] ?? {}) as LeaseSpec;
      const mark = JSON.stringify([spec.holderIdentity, spec.renewTime, spec.leaseTransitions]);
      if (seen?.mark !== mark) seen = { mark, atMs: clock.monotonicMs() };
      const isFree = spec.holderIdentity === undefined || spec.holderIdentity === '' || clock.monotonicMs() - seen.atMs >= durationMs;
      if (spec.holderIdentity === deps.self() || isFree) await write(cluster, read.value);
      else holder = spec.holderIdentity;
    }
    const is = holder === deps.self() && clock.monotonicMs() < heldUntilMs;
    if (is !== was) deps.onChange();
    return is;
  };

  return {
    check,
    /** `marginMs`: and will be for so long, for those who have to stop before. */
    isHeld: (marginMs = 0): boolean => holder === deps.self() && clock.monotonicMs() + marginMs < heldUntilMs,
    /** Lets go of it, so that nobody has to wait until it is over. */
    release: async (): Promise<void> => {
      const cluster = deps.cluster();
      if (cluster === undefined || written === undefined || holder !== deps.self()) return;
      holder = undefined;
      await cluster.replace({ ...written, spec: { ...(written['spec'] as LeaseSpec), holderIdentity: '' } });
      written = undefined;
    },
    /** Whether another agent holds it, as far as we know. Nobody known: whoever may do the work begins, and the API server decides. */
    isElsewhere: (): boolean => holder !== undefined && holder !== deps.self(),
    /** How often it has changed hands, as it stood when we wrote it last. */
    transitions: (): number | undefined => (written?.['spec'] as LeaseSpec | undefined)?.leaseTransitions,
    /** The one that we took it from, once: what it knew has to be learnt. */
    takenFrom: (): string | undefined => {
      const from = taken;
      taken = undefined;
      return from;
    },
    /** That could not be learnt: it is asked for again. */
    takeAgain: (): void => void (taken ??= ''),
    run: async (signal: AbortSignal): Promise<void> => {
      while (!signal.aborted) {
        await sleep(clock, renewMs, signal);
        if (!signal.aborted && deps.cluster() !== undefined) await check();
      }
    },
  };
};
export type Lease = ReturnType<typeof createLease>;
