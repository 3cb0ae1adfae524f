import type { DesiredLease } from '../bundle.ts';
import type { Failure } from '../failure.ts';

/** What a host is among those that share the duty to apply to a cluster that was there before them. */
export type Duty = { state: 'holds' } | { state: 'waits'; why: string } | { state: 'cannot'; failure: Failure };

export interface DutyFacts {
  self: string;
  lease: DesiredLease;
  /** Why this host cannot hold the Lease: no working kubeconfig, no answer, no right. Undefined: it can. */
  obstacle: Failure | undefined;
  /** The Lease is this host's, and what the holder before it knew is here. */
  isHeld: boolean;
  /** Who holds it, as far as this host has seen. */
  holder: string | undefined;
  /** There was a Lease, and it is gone with all that was laid down for its next holder. */
  isCleared: boolean;
  /** It held the Lease, and has not seen since that another host does. */
  wasHolder: boolean;
}

const whyWaiting = ({ self, lease, holder, isCleared }: DutyFacts): string => {
  if (holder !== undefined && holder !== self) return `host ${holder} holds the Lease and applies`;
  if (isCleared) return 'the Lease is gone, and what its holder laid down too: the cluster was cleared. It is applied again when the hub says so';
  if (holder === undefined && lease.from !== undefined && lease.from !== self)
    return `host ${lease.from} applied alone before, and has to hand over what it owns. If it will never come back, take it out of spec.hosts`;
  return 'the Lease is being taken over';
};

/**
 * Whether this host applies. A holder whose API server does not answer goes on to plan and to be told as blocked: nothing may pass for applied just because it
 * could not be tried. Any other host without an API server is left with its own machine, and is well.
 */
export const planDuty = (facts: DutyFacts): { duty: Duty; applier: boolean } => {
  const { lease } = facts;
  if (facts.isHeld) return { duty: { state: 'holds' }, applier: true };
  if (facts.obstacle !== undefined) return { duty: { state: 'cannot', failure: facts.obstacle }, applier: facts.wasHolder };
  if (!lease.hosts.includes(facts.self)) return { duty: { state: 'waits', why: 'this host is not among those that may hold the Lease' }, applier: false };
  return { duty: { state: 'waits', why: whyWaiting(facts) }, applier: false };
};

/** Whether this host may make a Lease that is not there: whoever applied before comes first, and only after it has laid down what it owns. */
export const mayMakeLease = (lease: DesiredLease, self: string, hasHandedOver: boolean): boolean =>
  lease.from === undefined || (lease.from === self && hasHandedOver);
