import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Machine } from '../port/machine.ts';
import { lastWords, type CommandResult } from './command.ts';

export interface LinuxMachineOptions {
  /** `/` on a real host. */
  root: string;
  run: (file: string, args: readonly string[]) => Promise<CommandResult>;
  systemctl: string;
}

/** Debian and Ubuntu write the first two (update-notifier, unattended-upgrades, kernel packages), SUSE's libzypp the last. */
const needFiles = ['/run/reboot-required', '/var/run/reboot-required', '/run/reboot-needed'];
const packagesFile = '/run/reboot-required.pkgs';
/** Written after a change of packages where the distribution itself leaves no sign: names, one a line. */
const ownNeedFile = '/run/groundplane/reboot-required';

/** Notes that a reboot is needed, until the next boot. */
export const noteReboot = async (root: string, packages: readonly string[]): Promise<void> => {
  const file = join(root, ownNeedFile);
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  await writeFile(file, packages.map((name) => `${name}\n`).join(''));
};

/** Made by a person; `/run` is empty after each boot. */
export const allowFile = '/run/groundplane/allow-reboot';

/** A Linux machine with systemd. */
export const linuxMachine = (options: LinuxMachineOptions): Machine => {
  const at = (path: string): string => join(options.root, path);
  const exists = async (path: string): Promise<boolean> => (await stat(at(path)).catch(() => undefined)) !== undefined;
  return {
    bootId: async (): Promise<Result<string>> => {
      const text = await readFile(at('/proc/sys/kernel/random/boot_id'), 'utf8').catch(() => '');
      return text.trim() === '' ? fail('retry', 'host-error', 'boot id', 'the kernel does not tell which boot this is') : ok(text.trim());
    },
    rebootNeeded: async () => {
      for (const file of [...needFiles, ownNeedFile]) {
        if (!(await exists(file))) continue;
        const list = file === ownNeedFile ? ownNeedFile : packagesFile;
        const names = (await readFile(at(list), 'utf8').catch(() => '')).split('\n').filter((name) => name.trim() !== '');
        return ok(names.length === 0 ? file : [...new Set(names)].toSorted().slice(0, 20).join(', ').slice(0, 500));
      }
      return ok(undefined);
    },
    isRebootAllowed: async () => ok(await exists(allowFile)),
    reboot: async () => {
      const done = await options.run(options.systemctl, ['reboot']);
      if (done.code === 0) return ok(undefined);
      return fail('retry', 'reboot-failed', 'reboot', `systemctl reboot failed: ${lastWords(done)}`);
    },
  };
};
