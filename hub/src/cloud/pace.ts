import { isMachineEnvironment, isManagedEnvironment, type Environment } from '@groundplane/protocol/environment/environments';
import { again } from './steps.ts';

/**
 * What one account may be asked by all of its clusters together. Quiet enough for every environment's published limits (the tightest for machines: EC2's 20 a
 * second for one account and region, Nutanix' 10).
 */
export const budgetOptions = { perSecond: 10, burst: 40 };

/** Of an account's budget, for looks at clusters that need nothing; the rest is for those that do. */
const quietShare = 0.5;

/** Calls of one look at a cluster that is as wanted: machines are one list; a control plane and its pools are each read and compared. */
const callsOf = (environment: Environment): number => (isManagedEnvironment(environment) ? 6 : isMachineEnvironment(environment) ? 1 : 0);

/**
 * When to look again at a cluster that needs nothing soon. A thousand quiet clusters of one account, each looked at once a minute, would use up the whole budget,
 * and a cluster that is being made would wait for all of them at each of its calls. `clusters`: those of its account.
 */
export const pacedMs = (nextMs: number, environment: Environment, clusters: number): number => {
  if (nextMs < again.quietMs) return nextMs;
  return Math.max(nextMs, Math.ceil((clusters * callsOf(environment) * 1_000) / (budgetOptions.perSecond * quietShare)));
};
