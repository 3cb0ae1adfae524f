import { fail, ok } from '@groundplane/protocol/failure';
import type { RebootIntent } from '@groundplane/protocol/plan/reboot';
import { sleep } from '../port/clock.ts';
import { writes } from '../store/state.ts';
import type { Executor } from './context.ts';

/** systemd gives each service 90 seconds to stop, some of ours five minutes. */
const goingDownMs = 15 * 60_000;

/** Key of the intent in the agent's small values. */
export const rebootKey = 'reboot';

/**
 * The intent is on disk before the machine goes down: whoever starts next finds it, compares boot ids, and knows whether the reboot has happened. It never
 * succeeds, since nothing may follow it in this boot.
 */
export const rebootHost: Executor<'rebootHost'> = async (args, context) => {
  const { machine } = context;
  const element = `layer ${args.layer}`;
  if (machine === undefined) return fail('blocked', 'reboot-unsupported', element, 'this agent cannot reboot its host');
  const bootId = await machine.bootId();
  if (!bootId.ok) return bootId;
  const intent: RebootIntent = { bootId: bootId.value, layer: args.layer, cause: args.cause, hadContact: context.hasContact() };
  const kept = context.state.commit([writes.kv(rebootKey, intent)]);
  if (!kept.ok) return kept;
  const purpose = args.cause.kind === 'image' ? `image ${args.cause.version}` : args.cause.words;
  context.event({ type: 'normal', reason: 'Rebooting', layer: args.layer, message: `the host reboots for ${purpose}` });
  const asked = await machine.reboot();
  if (!asked.ok) return asked;
  await sleep(context.clock, goingDownMs, context.stop);
  return context.stop.aborted
    ? fail('retry', 'superseded', element, 'the machine goes down')
    : fail('retry', 'reboot-failed', element, 'the host was told to reboot a quarter of an hour ago and still runs. Look at: systemctl list-jobs');
};

export const lookForReboot: Executor<'lookForReboot'> = async (args, context) => {
  const needed = context.machine === undefined ? ok(undefined) : await context.machine.rebootNeeded();
  if (!needed.ok) return needed;
  return needed.value === undefined ? ok([]) : fail('retry', 'superseded', `layer ${args.layer}`, `a reboot is needed: ${needed.value}`);
};
