import { fail, type Result } from '@groundplane/protocol/failure';
import { afterCordon, lettingIn } from '../plan/pool-cordon.ts';
import type { ManagedPoolFacts } from '../port/provider.ts';
import { again } from './steps.ts';
import { event, saveInfrastructure, type Turn } from './turn.ts';

/** Tells the nodes that a selector means to take no new pods, or takes that back. Undefined: nobody can, and nothing is cordoned. */
export type Cordon = ((selector: string, cordon: boolean) => Promise<Result<{ nodes: number; left: number }>>) | undefined;

/** In one look: a cluster that did not answer is not waited for once more for each of its pools. */
export const askedOnce = (cordon: Cordon): Cordon => {
  if (cordon === undefined) return undefined;
  let away: Result<never> | undefined;
  return async (selector, isOn) => {
    if (away !== undefined) return away;
    const asked = await cordon(selector, isOn);
    if (!asked.ok && ['api-unreachable', 'cloud-unreachable'].includes(asked.failure.code)) away = asked;
    return asked;
  };
};
type LeaveTurn = Turn & { cordon?: Cordon };

const tell = async (turn: Turn, message: string): Promise<void> => void (await turn.deps.store.commit([event(turn, 'warning', 'PoolNotCordoned', message)]));

/** Before a pool is deleted. Answers what is waited for; undefined: it may go now. */
export const cordonFirst = async (turn: LeaveTurn, pool: ManagedPoolFacts | undefined): Promise<{ what: string; afterMs: number } | undefined> => {
  const { infra, nowMs, cordon } = turn;
  if (cordon === undefined || pool?.nodes === undefined || pool.state === 'going') return undefined;
  const known = infra.cordoned?.[pool.name];
  const noted = known ?? { sinceMs: nowMs };
  infra.cordoned = { ...infra.cordoned, [pool.name]: noted };
  // Written down first: nodes that were told so are told otherwise when the pool stays after all.
  if (known === undefined && !(await saveInfrastructure(turn))) return { what: `pool ${pool.name} goes`, afterMs: again.soonMs };
  const asked = await cordon(pool.nodes, true);
  const decision = afterCordon(pool.name, noted, asked.ok ? { kind: 'cordoned', ...asked.value } : { kind: 'failed', failure: asked.failure }, nowMs);
  infra.cordoned[pool.name] = decision.note;
  if (decision.kind === 'wait') return { what: decision.message, afterMs: asked.ok ? again.soonMs : again.retryMs };
  if (decision.without !== undefined && decision.note.isTold !== true) {
    infra.cordoned[pool.name] = { ...decision.note, isTold: true };
    await tell(turn, `${decision.without}; the pool goes all the same, and pods may move more than once`);
  }
  return undefined;
};

/** Pools that stay after all. Answers what could not be taken back yet, in words. */
export const letIn = async (turn: LeaveTurn, listed: readonly ManagedPoolFacts[], going: ReadonlySet<string>): Promise<string[]> => {
  const { infra, cordon, spec } = turn;
  if (infra.cordoned === undefined || Object.keys(infra.cordoned).length === 0) return [];
  const paused = new Set(spec.pools.filter((pool) => pool.paused).map((pool) => pool.name));
  const plan = lettingIn(infra.cordoned, listed, going, paused);
  for (const name of plan.forget) delete infra.cordoned[name];
  const waits: string[] = [];
  for (const name of plan.letIn) {
    const selector = listed.find((item) => item.name === name)?.nodes ?? '';
    const done = cordon === undefined ? fail('retry', 'api-unreachable', `pool ${name}`, 'there is no way into the cluster') : await cordon(selector, false);
    if (done.ok && done.value.left === 0) delete infra.cordoned[name];
    else
      waits.push(
        `pool ${name} stays, and those of its nodes that were cordoned take no pods yet${done.ok ? '' : ` (${done.failure.element}: ${done.failure.message})`}`.slice(
          0,
          700,
        ),
      );
  }
  if (Object.keys(infra.cordoned).length === 0) delete infra.cordoned;
  return waits;
};
