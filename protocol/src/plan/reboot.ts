import type { BundleLayer } from '../bundle.ts';
import { fail, type Failure } from '../failure.ts';
import type { OsReboot } from '../os-spec.ts';
import { isTransferOpen } from '../transfer.ts';
import type { HostFacts, MachineFacts } from './facts.ts';
import type { Step } from './steps.ts';

/** What a reboot is for. A reboot that changed nothing of it is never repeated. */
export type RebootCause =
  | { kind: 'image'; version: string; digest: string }
  /** `words`: what the distribution says about it; the names of packages. */
  | { kind: 'packages'; words: string };

/** Durable before the machine goes down, so that whoever starts next knows what was meant to happen. */
export interface RebootIntent {
  /** The boot that was to end. */
  bootId: string;
  layer: string;
  cause: RebootCause;
  /** Whether the host had contact with the hub when it went down. A new image has to reach it again, if so. */
  hadContact: boolean;
}

/** Steps of a layer, and what it waits for after them. */
export interface LayerWork {
  steps: Step[];
  wait: Failure | undefined;
}

const sameCause = (a: RebootCause, b: RebootCause): boolean =>
  a.kind === 'image' ? b.kind === 'image' && a.digest === b.digest : b.kind === 'packages' && a.words === b.words;

/** The machine went down for this cause and has come up again. */
export const wasTried = (machine: MachineFacts, cause: RebootCause): boolean =>
  machine.intent !== undefined && machine.intent.bootId !== machine.bootId && sameCause(machine.intent.cause, cause);

/** The intent has come true and can be forgotten. */
export const isFulfilled = (intent: RebootIntent, machine: Pick<MachineFacts, 'bootId' | 'needed'>, image: HostFacts['image']): boolean => {
  if (intent.bootId === machine.bootId) return false;
  return intent.cause.kind === 'image' ? image?.running === intent.cause.version && image.health === 'good' : machine.needed === undefined;
};

/** Before this nobody ran this code: the clock is not set. 2025-01-01. */
const clockMinMs = 1_735_689_600_000;

/** Why the machine must not go down now; undefined when it may. */
export const rebootRefusal = (machine: MachineFacts, reboot: OsReboot | undefined, element: string, purpose: string): Failure | undefined => {
  const byHand = 'To let it happen now, run on the host: mkdir -p /run/groundplane && touch /run/groundplane/allow-reboot';
  const wait = (code: string, message: string): Failure => fail('retry', code, element, message).failure;
  if (machine.isAllowed || reboot === undefined || reboot.when === 'now') return undefined;
  if (reboot.when === 'manual') return wait('reboot-approval', `${purpose}; the profile leaves the reboot to a person. ${byHand}`);
  if (machine.wallMs < clockMinMs) return wait('reboot-clock', `${purpose}; the clock of the host is not set, so its reboot window cannot be told. ${byHand}`);
  if (isTransferOpen({ windows: reboot.windows, timeZone: reboot.timeZone }, machine.wallMs)) return undefined;
  const windows = (reboot.windows ?? []).map(
    ({ from, to, days }) => `${from} to ${to}${days === undefined || days.length === 0 ? '' : ` on ${days.join(', ')}`}`,
  );
  return wait('reboot-window', `${purpose}; waits for the reboot window ${windows.join('; ')} (${reboot.timeZone ?? 'UTC'}). ${byHand}`);
};

/** Package mode: the distribution asks for a reboot, and the layer says whether that may be. */
export const planPackageReboot = (facts: HostFacts, layer: BundleLayer, isChanging: boolean): LayerWork => {
  const reboot = layer.os?.reboot;
  const { machine } = facts;
  if (reboot === undefined || machine === undefined) return { steps: [], wait: undefined };
  // What is being installed may ask for a reboot; that shows only afterwards.
  if (isChanging) return { steps: [{ step: 'lookForReboot', layer: layer.name }], wait: undefined };
  if (machine.needed === undefined) return { steps: [], wait: undefined };
  const element = `layer ${layer.name}`;
  const cause: RebootCause = { kind: 'packages', words: machine.needed };
  if (wasTried(machine, cause)) {
    const message = `the host was rebooted for ${machine.needed}, and its distribution still asks for a reboot. It is not rebooted again; look at /run/reboot-required on the host`;
    return { steps: [], wait: fail('blocked', 'reboot-useless', element, message).failure };
  }
  const refusal = rebootRefusal(machine, reboot, element, `the host needs a reboot (${machine.needed})`);
  return refusal === undefined ? { steps: [{ step: 'rebootHost', layer: layer.name, cause }], wait: undefined } : { steps: [], wait: refusal };
};
