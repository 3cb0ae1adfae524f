import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RebootIntent } from '@groundplane/protocol/plan/reboot';
import { sleep, type Clock } from '../../port/clock.ts';

/**
 * The agent's word to the health check of an image: a file that is gone after each boot. The check (`groundplane-health.service` in the image) waits for it before
 * it lets systemd call the boot good, and reboots when it does not come.
 */
export const healthyMark = '/run/groundplane/healthy';

/** What breaks at the start has broken by then. */
const healthyAfterMs = 30_000;
/** At a site without a hub only time can tell. */
const healthyAloneAfterMs = 300_000;
const lookMs = 2_000;

/**
 * An image that cannot reach the hub could never be repaired from there, so a host that had contact when it went down has to have it again. One that had none,
 * at a disconnected site, is healthy when its agent lives.
 */
export const isImageHealthy = (facts: { uptimeMs: number; hasTalked: boolean; mustTalk: boolean }): boolean =>
  facts.hasTalked ? facts.uptimeMs >= healthyAfterMs : !facts.mustTalk && facts.uptimeMs >= healthyAloneAfterMs;

export interface ImageHealthDeps {
  root: string;
  clock: Clock;
  /** The reboot that led to this start, if one of ours did. */
  reboot: RebootIntent | undefined;
  hasContact: () => boolean;
  signal: AbortSignal;
}

/** Waits until this boot is healthy and says so once. Ends early when the signal aborts. */
export const watchImageHealth = async (deps: ImageHealthDeps): Promise<void> => {
  const { clock, signal } = deps;
  const mark = join(deps.root, healthyMark);
  const sinceMs = clock.monotonicMs();
  const mustTalk = deps.reboot?.cause.kind === 'image' && deps.reboot.hadContact;
  let hasTalked = false;
  while (!signal.aborted) {
    hasTalked ||= deps.hasContact();
    if (isImageHealthy({ uptimeMs: clock.monotonicMs() - sinceMs, hasTalked, mustTalk })) {
      try {
        mkdirSync(dirname(mark), { recursive: true });
        writeFileSync(mark, `${hasTalked ? 'talked with the hub' : 'lives without a hub'}\n`);
        return;
      } catch {
        // Looked at again: a full /run may have room later.
      }
    }
    await sleep(clock, lookMs, signal);
  }
};
