import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RebootIntent } from '@groundplane/protocol/plan/reboot';
import type { OsParts } from '../observe/machine.ts';
import type { OsImages } from '../port/os-images.ts';
import { runCommand } from './command.ts';
import { linuxExtensions } from './extensions.ts';
import { linuxMachine } from './machine.ts';
import { readDescription } from './os-images/description.ts';
import { healthyMark } from './os-images/health.ts';
import { raucImages } from './os-images/rauc.ts';
import { sysupdateImages } from './os-images/sysupdate.ts';

/** What looks after the machine as a whole on this host. An agent that works below a folder, or without systemd, never reboots anything. */
export const findOsParts = async (options: {
  root: string;
  systemctl: string;
  intent: () => RebootIntent | undefined;
}): Promise<OsParts & { isImage: boolean }> => {
  const { root } = options;
  if (root !== '/' || !existsSync('/run/systemd/system')) return { isImage: false };
  const description = await readDescription(root);
  const driver = description.ok ? description.value?.driver : undefined;
  const intended = (): string | undefined => {
    const cause = options.intent()?.cause;
    return cause?.kind === 'image' ? cause.version : undefined;
  };
  const images: OsImages | undefined =
    driver === 'sysupdate'
      ? sysupdateImages({ root, run: runCommand })
      : driver === 'rauc'
        ? raucImages({ root, run: runCommand, intended, isHealthy: () => Promise.resolve(existsSync(join(root, healthyMark))) })
        : undefined;
  return {
    machine: linuxMachine({ root, run: runCommand, systemctl: options.systemctl }),
    extensions: linuxExtensions({ root, run: runCommand }),
    images,
    isImage: images !== undefined,
  };
};
