import type { Failure } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { sleep, type Clock } from '../port/clock.ts';
import type { Cluster } from '../port/cluster.ts';

/** How long a holder that stays silent is left alone, and how often one speaks. As client-go counts: by our own clock from when we saw the record change. */
const durationMs = 40_000;
export const renewMs = 10_000;
/** So long before it is over nothing is begun any more: what was sent is to arrive while it is still held. */
export const marginMs = 8_000;

export const leaseRef = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace: 'kube-system', name: 'groundplane-keeper' };

/** Of which list of members its holder knows. */
const sinceAnnotation = 'groundplane.dev/members-since';

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
  /** Whether this agent may make a Lease that is not there. */
  mayMake?: () => boolean;
  /** Who may hold it, as of when. A holder that a newer list does not name loses it, however lively it is. */
  members?: () => { hosts: readonly string[]; sinceMs: number } | undefined;
}) => {
  const { clock, ref = leaseRef } = deps;
  let seen: { mark: string; atMs: number } | undefined;
  let holder: string | undefined;
  let heldUntilMs = Number.NEGATIVE_INFINITY;
  /** Whoever it was taken from alive may believe for so long that it still holds it. */
  let heldFromMs = Number.NEGATIVE_INFINITY;
  /** Since when it is held by somebody who has no part in it any more. */
  let goneAtMs: number | undefined;
  /** As we wrote it last: a holder renews without asking first, and the API server refuses when somebody else wrote since. */
  let written: KubeObject | undefined;
  /** Names one holding without a break: as long as it is the same, nobody else held the Lease. */
  let term: string | undefined;
  /** Who held it before we did. */
  let taken: string | undefined;
  let failure: Failure | undefined;
  let told = false;

  const owns = (): boolean => holder === deps.self() && clock.monotonicMs() < heldUntilMs;
  const isHeld = (forMs = 0): boolean => owns() && clock.monotonicMs() >= heldFromMs && clock.monotonicMs() + forMs < heldUntilMs;

  const write = async (cluster: Cluster, old: KubeObject | undefined, isAlive = false): Promise<boolean> => {
    const before = (old?.['spec'] ?? {}) as LeaseSpec;
    const isMine = before.holderIdentity === deps.self();
    const spec = nextSpec(old === undefined ? undefined : before, deps.self(), clock.wallMs());
    const found = old ?? { apiVersion: ref.apiVersion, kind: ref.kind, metadata: { name: ref.name, namespace: ref.namespace } };
    const since = deps.members?.()?.sinceMs;
    const annotations = since === undefined ? {} : { annotations: { ...found.metadata.annotations, [sinceAnnotation]: String(since) } };
    const base: KubeObject = { ...found, metadata: { ...found.metadata, ...annotations } };
    const askedAtMs = clock.monotonicMs();
    const done = old === undefined ? await cluster.create({ ...base, spec }) : await cluster.replace({ ...base, spec });
    written = done.ok ? done.value : undefined;
    failure = done.ok ? undefined : done.failure;
    if (!done.ok) return false;
    term = `${done.value.metadata.uid ?? ''}/${spec.leaseTransitions ?? 0}`;
    if (!isMine) heldFromMs = isAlive ? clock.monotonicMs() + durationMs : Number.NEGATIVE_INFINITY;
    if (!isMine && before.holderIdentity !== undefined && before.holderIdentity !== '') taken = before.holderIdentity;
    heldUntilMs = askedAtMs + durationMs;
    holder = deps.self();
    return true;
  };

  const look = async (cluster: Cluster): Promise<void> => {
    if (owns() && written !== undefined && (await write(cluster, written))) return;
    const read = await cluster.get(ref);
    if (!read.ok) {
      failure = read.failure.code === 'not-found' ? undefined : read.failure;
      if (failure !== undefined) return;
      if (deps.mayMake?.() ?? true) await write(cluster, undefined);
      else holder = undefined;
      return;
    }
    failure = undefined;
    const spec = (read.value['spec'] ?? {}) as LeaseSpec;
    const mark = JSON.stringify([spec.holderIdentity, spec.renewTime, spec.leaseTransitions]);
    if (seen?.mark !== mark) seen = { mark, atMs: clock.monotonicMs() };
    const by = spec.holderIdentity ?? '';
    const isFree = by === '' || clock.monotonicMs() - seen.atMs >= durationMs;
    const list = deps.members?.();
    const isOutdated = list !== undefined && list.sinceMs > Number(read.value.metadata.annotations?.[sinceAnnotation] ?? 0);
    const isGone = !isFree && by !== deps.self() && isOutdated && !list.hosts.includes(by);
    goneAtMs = isGone ? (goneAtMs ?? clock.monotonicMs()) : undefined;
    // It may be hearing of it just now: then it lets go by itself, and nobody has to wait.
    const isOverdue = goneAtMs !== undefined && clock.monotonicMs() - goneAtMs >= renewMs;
    if (by === deps.self() || isFree || isOverdue) await write(cluster, read.value, isOverdue);
    else holder = by;
  };

  /** Looks, and takes or renews where that is right. Answers whether it is ours. An API server that does not answer changes nothing until the time is over. */
  const check = async (): Promise<boolean> => {
    const cluster = deps.cluster();
    if (cluster !== undefined) await look(cluster);
    const is = isHeld();
    if (is !== told) deps.onChange();
    told = is;
    return is;
  };

  return {
    check,
    /** `forMs`: and will be for so long, for those who have to stop before. */
    isHeld,
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
    holder: (): string | undefined => holder,
    /** Of the holding that `isHeld` speaks of. */
    term: (): string | undefined => (owns() ? term : undefined),
    /** Why it could not be looked at or taken just now. */
    failure: (): Failure | undefined => failure,
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
        if (!signal.aborted) await check();
      }
    },
  };
};
export type Lease = ReturnType<typeof createLease>;
