import type { Version } from './bundle.ts';
import { isSameVersion } from './version.ts';
import type { HostPhase, HostStatus } from './observed.ts';

/** States of a cluster, one sentence each; hub, CLI and dashboard use this table. */
export const clusterStates = {
  ready: 'Every layer runs as desired.',
  applying: 'A change is on its way to its hosts.',
  degraded: 'It is at the desired version, and something in it is not ready.',
  blocked: 'It cannot go on until something outside of it changes.',
  failed: 'The desired version failed; where there was an earlier good one, that one runs.',
  waiting: 'It has no approved host yet.',
  unresolved: 'Its profiles and values do not make a bundle.',
  deleting: 'Its layers are being taken away.',
} as const;
const waitingToBeMade = 'Nothing of it runs yet. What is being made, or what is in the way: gp cloud show';
export type ClusterState = keyof typeof clusterStates;

/** What one host's phase means for its cluster. The worst host decides; the order of this table is from worst to best. */
const phaseState: readonly (readonly [HostPhase, ClusterState])[] = [
  ['failed', 'failed'],
  ['rolled-back', 'failed'],
  ['blocked', 'blocked'],
  ['applying', 'applying'],
  ['staging', 'applying'],
  ['idle', 'applying'],
  ['degraded', 'degraded'],
  ['converged', 'ready'],
];

export interface ClusterFacts {
  deleting: boolean;
  /** The hub makes it, or reaches it by an account: nobody lets its hosts in. */
  isMade?: boolean | undefined;
  failure: { message: string } | undefined;
  /** One entry for each assigned host: what it should be, and its last report. */
  hosts: readonly { desired: Version | undefined; status: HostStatus | undefined }[];
}

/**
 * Derives the state of a cluster. A report counts only when it names the very version that the host should be at: stale health opens no gate
 * (Argo CD #29410 and OCM PR #1207 did the opposite).
 */
export const clusterState = (facts: ClusterFacts): { state: ClusterState; message: string } => {
  if (facts.deleting) return { state: 'deleting', message: clusterStates.deleting };
  if (facts.failure !== undefined) return { state: 'unresolved', message: facts.failure.message };
  if (facts.hosts.length === 0) return { state: 'waiting', message: facts.isMade === true ? waitingToBeMade : clusterStates.waiting };
  const states = facts.hosts.map(({ desired, status }): { state: ClusterState; rank: number; message: string } => {
    if (status === undefined || !isSameVersion(status.version, desired)) return { state: 'applying', rank: 3, message: clusterStates.applying };
    const rank = phaseState.findIndex(([phase]) => phase === status.phase);
    const state = phaseState[rank]?.[1] ?? 'applying';
    const message =
      status.poisoned?.failure.message ??
      status.failure?.message ??
      status.layers.find((layer) => layer.state !== 'ready' && layer.message !== undefined)?.message;
    return { state, rank, message: state === 'ready' ? clusterStates.ready : (message ?? clusterStates[state]) };
  });
  const worst = states.toSorted((a, b) => a.rank - b.rank)[0];
  return { state: worst?.state ?? 'applying', message: worst?.message ?? clusterStates.applying };
};
