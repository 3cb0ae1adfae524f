import type { Pool } from '@groundplane/protocol/environment/pool';
import type { MachineFacts } from '../port/provider.ts';

/**
 * `starting`: on its way; `healthy`: its agent is there and its Kubernetes with it; `unhealthy`: not heard of for too long; `failed`: its environment says that
 * it will never run; `lost`: somebody deleted it; `unknown`: too early to say.
 */
export type MachineHealth = 'starting' | 'healthy' | 'unhealthy' | 'failed' | 'lost' | 'unknown';

export interface HealthInput {
  /** When it was made, by the hub's clock. */
  madeAtMs: number | undefined;
  /** What the environment lists; undefined when it lists no such machine. */
  facts: MachineFacts | undefined;
  host: { online: boolean; lastSeenMs: number | undefined; hasJoined: boolean } | undefined;
  nowMs: number;
  /** How long this hub has been there to be spoken to: before that, silence says nothing. */
  listeningMs: number;
  /** None of its cluster's machines is listed, and some of their agents speak. */
  isListBlind: boolean;
}

/** Environments list new machines late; before this much time has passed, a missing one is not lost. */
export const lateListMs = 120_000;

export interface JudgedHealth {
  health: MachineHealth;
  message: string;
  /** It was well, and there was not yet time for it to come back to a hub that was away: neither of use nor of none. */
  isUnheard?: boolean | undefined;
  /** The environment lists none of its cluster's machines, and agents speak: one of the two is wrong, and it is not the agents. */
  isUnlisted?: boolean | undefined;
}

/** Judges a machine; the message says why it is not healthy. */
export const machineHealth = (pool: Pick<Pool, 'health'>, { madeAtMs, facts, host, nowMs, listeningMs, isListBlind }: HealthInput): JudgedHealth => {
  if (madeAtMs === undefined) return { health: 'unknown', message: 'is being made' };
  const ageMs = nowMs - madeAtMs;
  if (facts === undefined && isListBlind) return { health: 'unknown', message: 'is not listed, like all others of its cluster', isUnlisted: true };
  if (facts === undefined)
    return ageMs < lateListMs ? { health: 'unknown', message: 'is not listed yet' } : { health: 'lost', message: 'was deleted by somebody else' };
  if (facts.state === 'failed') return { health: 'failed', message: facts.message ?? 'its environment gave it up' };
  if (facts.state === 'going') return { health: 'lost', message: 'is being deleted by somebody else' };
  const patienceMs = pool.health.unhealthyAfterSeconds * 1_000;
  if (host === undefined || !host.hasJoined) {
    if (Math.min(ageMs, listeningMs) <= pool.health.startupSeconds * 1_000)
      return { health: 'starting', message: host === undefined ? `${facts.state}; its agent has not come yet` : 'its agent is at work' };
    return {
      health: 'unhealthy',
      message: `${host === undefined ? 'its agent never came' : 'its Kubernetes never came up'} within ${pool.health.startupSeconds} s`,
    };
  }
  if (host.online) return { health: 'healthy', message: '' };
  const silentMs = nowMs - (host.lastSeenMs ?? madeAtMs);
  if (silentMs > listeningMs && listeningMs <= patienceMs)
    return { health: 'unknown', message: 'has not come back yet since the hub was away', isUnheard: true };
  if (silentMs <= patienceMs) return { health: 'healthy', message: 'not connected at the moment' };
  return { health: 'unhealthy', message: `${facts.state === 'stopped' ? 'was stopped' : 'not heard of'} for ${Math.round(silentMs / 1_000)} s` };
};
