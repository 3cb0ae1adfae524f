import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Packages } from '../../port/host.ts';
import { runCommand } from '../command.ts';
import { noteReboot } from '../machine.ts';
import { aptPackages } from './apt.ts';
import { rpmPackages } from './rpm.ts';

const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];

const isThere = async (root: string, command: string): Promise<boolean> => {
  for (const folder of folders) {
    const found = await access(join(root, folder, command)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
};

/** The package manager of this machine, by the command that is there. A host with another root has none: it is no machine of its own. */
export const findPackages = async (root: string): Promise<Packages | undefined> => {
  if (root !== '/') return undefined;
  if (await isThere(root, 'apt-get')) return aptPackages();
  if (await isThere(root, 'zypper')) return rpmPackages('zypper');
  return (await isThere(root, 'dnf')) ? rpmPackages('dnf', runCommand, (packages) => noteReboot(root, packages)) : undefined;
};
