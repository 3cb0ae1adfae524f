import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lastReboot, type OsParts } from '../observe/machine.ts';
import { createRunningImage } from '../observe/running-image.ts';
import type { Clock } from '../port/clock.ts';
import type { OsImages } from '../port/os-images.ts';
import type { AgentStore } from '../port/store.ts';
import { createState } from '../store/state.ts';
import { runCommand } from './command.ts';
import { linuxExtensions } from './extensions.ts';
import { linuxMachine } from './machine.ts';
import { readDescription } from './os-images/description.ts';
import { healthyMark, watchImageHealth } from './os-images/health.ts';
import { raucImages } from './os-images/rauc.ts';
import { sysupdateImages } from './os-images/sysupdate.ts';

export interface WholeMachine {
  parts: OsParts;
  /** On hosts that run from an image: tells its health check how the agent is. Ends with the signal. */
  watch: (life: { clock: Clock; hasContact: () => boolean; signal: AbortSignal }) => void;
}

/** What looks after the machine as a whole on this host. An agent that works below a folder, or without systemd, never reboots anything. */
export const findOsParts = async (options: { root: string; systemctl: string; store: AgentStore }): Promise<WholeMachine> => {
  const { root } = options;
  if (root !== '/' || !existsSync('/run/systemd/system')) return { parts: {}, watch: () => undefined };
  const state = createState(options.store);
  // As it was when this process started: later ones are about the next boot.
  const reboot = lastReboot(state);
  const description = await readDescription(root);
  const driver = description.ok ? description.value?.driver : undefined;
  const intended = (): string | undefined => {
    const cause = lastReboot(state)?.cause;
    return cause?.kind === 'image' ? cause.version : undefined;
  };
  const images: OsImages | undefined =
    driver === 'sysupdate'
      ? sysupdateImages({ root, run: runCommand })
      : driver === 'rauc'
        ? raucImages({ root, run: runCommand, intended, isHealthy: () => Promise.resolve(existsSync(join(root, healthyMark))) })
        : undefined;
  return {
    parts: {
      machine: linuxMachine({ root, run: runCommand, systemctl: options.systemctl }),
      extensions: linuxExtensions({ root, run: runCommand }),
      images,
      runningImage: createRunningImage(images),
    },
    watch: (life) => void (images === undefined ? undefined : watchImageHealth({ ...life, root, reboot })),
  };
};
