import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { toolsAt } from '@groundplane/installer/image/tools';
import { makeBootCountDisk } from '../../lab/boot-count.ts';
import { imageName, imageVersions } from '../../lab/image-builds.ts';
import { startMachine } from '../../lab/virtual-machine.ts';
import { check, type Scenario } from './scenario.ts';

const patienceMs = 300_000;

/** Tries the newer entry twice, which never calls itself good, and then the older one: what the loader is relied on for. */
export const runBootCount = async (options: {
  tools: string;
  images: string;
  folder: string;
  say: (line: string) => void;
}): Promise<Record<string, number | string>> => {
  const { folder, say } = options;
  mkdirSync(folder, { recursive: true });
  const made = await makeBootCountDisk(toolsAt(options.tools), folder, join(options.images, `${imageName}_${imageVersions.first}-x64.efi`));
  check((await made.entries()).join() === 'site_1.0.0.efi,site_1.1.0+2-0.efi', 'two entries, the newer one on trial', await made.entries());
  const machine = await startMachine({ tools: options.tools, folder, disks: [made.disk], memoryMiB: 256, hasNetwork: false });
  try {
    await machine.waitFor('the way back to 1.0.0', /@@ 1\.0\.0/, patienceMs);
    await machine.exited;
  } finally {
    await machine.kill();
  }
  const boots = [...machine.console().matchAll(/@@ (\S+)/g)].map((found) => found[1]);
  say(`booted ${boots.join(', ')}`);
  check(boots.join() === '1.1.0,1.1.0,1.0.0', 'two tries of the newer one, then the older one', boots);
  check((await made.entries()).join() === 'site_1.0.0.efi,site_1.1.0+0-2.efi', 'the loader has counted', await made.entries());
  return { boots: boots.length, machineCpuSeconds: machine.cpuSeconds() };
};

export const bootCount: Scenario = {
  name: 'boot-count',
  about: 'systemd-boot counts the tries of a new boot entry and goes back to the one before, in QEMU with UEFI',
  needs: ['base', 'imageTools', 'images'],
  run: async ({ prepared, site, say }) => ({
    figures: await runBootCount({ tools: prepared.imageTools, images: prepared.images, folder: join(site.folder, 'boot-count'), say }),
  }),
};
