import { mkdir, open, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { agentArchs, type AgentArch } from '@groundplane/protocol/agent-package';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { AgentSlots } from '../port/slots.ts';
import { diskFailure } from './disk-failure.ts';
import { badSlots, forgiveSlots, isSlotHealthy, type Slot } from './slots.ts';

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** A link that is the old one or the new one at any moment. */
const pointTo = async (home: string, name: 'current' | 'previous', slot: string): Promise<void> => {
  const aside = join(home, `.${name}.new`);
  await rm(aside, { force: true });
  await symlink(`versions/${slot}`, aside);
  await rename(aside, join(home, name));
  await syncFolder(home);
};

const slotOf = async (home: string, name: 'current' | 'previous'): Promise<string> =>
  (await readlink(join(home, name)).catch(() => '')).replace(/^versions\//, '');

/**
 * The switch, in an order that any power cut leaves whole: the new slot complete, then the way back, then the count of starts, then `current`. What runs now is the
 * way back, unless it never was healthy and the slot before it still is there.
 */
const switchTo = async (home: string, slot: Slot, next: string): Promise<void> => {
  const previous = await slotOf(home, 'previous');
  const hasBetter =
    !isSlotHealthy(slot) && previous !== '' && previous !== next && (await stat(join(home, 'versions', previous)).catch(() => undefined)) !== undefined;
  const back = hasBetter ? previous : slot.name;
  await pointTo(home, 'previous', back);
  await rm(join(slot.marks, 'started'), { force: true });
  await pointTo(home, 'current', next);
  for (const name of await readdir(join(home, 'versions')))
    if (name !== next && name !== back && name !== slot.name) await rm(join(home, 'versions', name), { recursive: true, force: true });
};

/** Slots below `/opt/groundplane`, as the install script lays them out. */
export const systemSlots = (slot: Slot, options: { home: string; arch: AgentArch; restart: () => void }): AgentSlots => {
  const { home, arch } = options;
  return {
    running: () => ({ slot: slot.name, healthy: isSlotHealthy(slot), arch }),
    bad: () => badSlots(slot),
    forgive: () => forgiveSlots(slot),
    install: async (name, packageFile): Promise<Result<void>> => {
      const versions = join(home, 'versions');
      const target = join(versions, name);
      const fresh = join(versions, `.new-${name}`);
      try {
        await mkdir(versions, { recursive: true, mode: 0o755 });
        if ((await stat(join(target, 'manifest.json')).catch(() => undefined)) === undefined) {
          for (const left of (await readdir(versions)).filter((entry) => entry.startsWith('.new-')))
            await rm(join(versions, left), { recursive: true, force: true });
          await rm(target, { recursive: true, force: true });
          await mkdir(fresh, { mode: 0o755 });
          // Loaded by the few who update: an idle agent has no use for it.
          const { invalid, unpackAgent } = await import('./slot-unpack.ts');
          const { version } = await unpackAgent(packageFile, fresh, arch);
          if (!name.startsWith(`${version}-`)) throw invalid(packageFile, `it is version ${version}, and the layer asks for ${name}`);
          await syncFolder(fresh);
          await rename(fresh, target);
          await syncFolder(versions);
        }
        await switchTo(home, slot, name);
        return ok(undefined);
      } catch (error) {
        await rm(fresh, { recursive: true, force: true }).catch(() => undefined);
        return diskFailure(error, `agent slot ${name}`);
      }
    },
    restart: options.restart,
  };
};

/** Below which folder this process' slot lies: `HOME/versions/SLOT/bin/node`. */
export const homeOf = (execPath: string): string => resolve(execPath, '..', '..', '..', '..');

export const machineArch = (arch: string): AgentArch | undefined => agentArchs.find((item) => item === arch);
