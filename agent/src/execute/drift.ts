import type { ApplyReason } from '@groundplane/protocol/plan/steps';
import type { AgentWrite } from '../port/store.ts';
import { writes } from '../store/state.ts';
import type { ExecuteContext } from './context.ts';

/** Reasons of a step that put back what somebody else had changed. */
export const isDrift = (reason: ApplyReason): boolean => reason === 'drifted' || reason === 'missing';

/** Says that something was put back, and counts it for the layer. `what` names it; `wasGone`: it had been taken away altogether. */
export const noteHealed = (context: ExecuteContext, layer: string, what: string, wasGone = false): AgentWrite[] => {
  const text = `${what} ${wasGone ? 'had been deleted and was made again' : 'had been changed by somebody else and was put back'}`;
  context.event({ type: 'warning', reason: 'DriftHealed', layer, message: text });
  const row = context.state.layer(layer);
  return row === undefined ? [] : [writes.layer({ ...row, healed: row.healed + 1, healedLast: { atMs: context.clock.wallMs(), text } })];
};
