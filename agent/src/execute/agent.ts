import { agentSlotName } from '@groundplane/protocol/agent-package';
import { fail, ok } from '@groundplane/protocol/failure';
import { sleep } from '../port/clock.ts';
import type { Executor } from './context.ts';

const lookMs = 5_000;
/** Longer than a version without contact to the hub needs to prove itself. */
const patienceMs = 15 * 60_000;

/** The new version starts with the next process; this one does nothing more. A version that was returned from is not tried again, whatever the generation says. */
export const updateAgent: Executor<'updateAgent'> = async ({ layer, version, digest }, context) => {
  const { slots } = context;
  const element = `layer ${layer}, agent ${version}`;
  if (slots === undefined) return fail('blocked', 'agent-slots-missing', element, 'this agent was not started by launch.sh and cannot replace itself');
  if (digest === undefined)
    return fail('blocked', 'agent-package-missing', element, `the layer names no package for ${slots.running().arch}. Add it to os.agent.packages`);
  const slot = agentSlotName(version, digest);
  if (slots.bad().includes(slot))
    return fail(
      'fatal',
      'agent-update-failed',
      element,
      `it did not become healthy in three starts on this host, which went back to ${slots.running().slot}. Its log: journalctl -u groundplane-agent`,
    );
  const path = await context.blobs.path(digest);
  if (path === undefined) return fail('retry', 'content-missing', element, `its package ${digest} is not here`);
  const installed = await slots.install(slot, path);
  if (!installed.ok) return installed;
  context.event({ type: 'normal', reason: 'AgentUpdating', layer, message: `agent ${version} lies in its slot and is started now` });
  slots.restart();
  return fail('retry', 'agent-restarting', element, 'the new version is started');
};

export const awaitAgent: Executor<'awaitAgent'> = async ({ layer, version }, context) => {
  const { slots, clock, signal } = context;
  const sinceMs = clock.monotonicMs();
  while (slots !== undefined && !slots.running().healthy) {
    if (signal.aborted) return fail('retry', 'superseded', `layer ${layer}`, 'a newer generation came');
    if (clock.monotonicMs() - sinceMs >= patienceMs) return fail('retry', 'agent-not-healthy', `layer ${layer}, agent ${version}`, 'it is not healthy yet');
    await sleep(clock, lookMs, signal);
  }
  return ok([]);
};
