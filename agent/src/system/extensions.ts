import { lstat, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Extensions } from '../port/extensions.ts';
import { lastWords, type CommandResult } from './command.ts';
import { syncFolder } from './durable.ts';

/** systemd-sysext(8) looks here for what stays over reboots; systemd-sysext.service merges it at each boot. */
export const extensionsFolder = '/var/lib/extensions';

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

const diskFailure = (error: unknown, path: string): Result<never> => {
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return fail('blocked', 'host-denied', path, 'the agent may not do this. Run it as root');
  if (code === 'ENOSPC') return fail('blocked', 'disk-full', path, 'the disk is full');
  if (code === 'EROFS') return fail('blocked', 'disk-read-only', path, 'the file system is read-only');
  return fail('retry', 'host-error', path, error instanceof Error ? error.message : String(error));
};

/** `systemd-sysext` of this machine. `root` is `/` on a real host. */
export const linuxExtensions = (options: { root: string; run: (file: string, args: readonly string[]) => Promise<CommandResult> }): Extensions => {
  const folder = join(options.root, extensionsFolder);
  const linkOf = (name: string): string => join(folder, `${name}.raw`);
  return {
    read: async (name) => {
      try {
        const stats = await lstat(linkOf(name));
        return ok(stats.isSymbolicLink() ? { path: await readlink(linkOf(name)) } : 'other');
      } catch (error) {
        return codeOf(error) === 'ENOENT' ? ok('absent') : diskFailure(error, linkOf(name));
      }
    },
    link: async (name, path) => {
      const staged = join(folder, `.${name}.new`);
      try {
        await mkdir(folder, { recursive: true });
        await rm(staged, { force: true });
        await symlink(path, staged);
        await rename(staged, linkOf(name));
        syncFolder(folder);
        return ok(undefined);
      } catch (error) {
        return diskFailure(error, linkOf(name));
      }
    },
    unlink: async (name) => {
      try {
        await rm(linkOf(name), { force: true });
        syncFolder(folder);
        return ok(undefined);
      } catch (error) {
        return codeOf(error) === 'ENOENT' ? ok(undefined) : diskFailure(error, linkOf(name));
      }
    },
    refresh: async () => {
      const done = await options.run('systemd-sysext', ['refresh']);
      if (done.code === 0) return ok(undefined);
      if (done.code === 127) return fail('blocked', 'extension-unsupported', 'system extensions', 'this host has no systemd-sysext (systemd 248 or newer)');
      return fail('blocked', 'extension-failed', 'system extensions', `systemd-sysext refresh failed: ${lastWords(done)}`);
    },
  };
};
