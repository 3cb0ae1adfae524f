import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { HostInfo } from '@groundplane/protocol/observed';
import type { FileOnDisk, FileToWrite, Host, Packages } from '../port/host.ts';
import { createAccounts } from './accounts.ts';
import { runCommand, type CommandResult } from './command.ts';
import { linuxAccounts } from './linux-accounts.ts';
import { linuxModules } from './linux-modules.ts';

export interface LinuxHostOptions {
  /** Everything the OS layer touches lies below this folder; `/` on a real host. */
  root: string;
  /** Where kernel settings are; `/proc/sys`. */
  sysctlRoot: string;
  /** The command that talks to systemd; `systemctl`. */
  systemctl: string;
  info: HostInfo;
  /** Found by `findPackages`. */
  packages?: Packages | undefined;
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

const diskFailure = (error: unknown, path: string): Result<never> => {
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return fail('blocked', 'host-denied', path, 'the agent may not do this. Run it as root for the OS layer');
  if (code === 'ENOSPC' || code === 'EDQUOT') return fail('blocked', 'disk-full', path, 'the disk is full');
  if (code === 'EROFS') return fail('blocked', 'disk-read-only', path, 'the file system is read-only');
  if (code === 'EISDIR' || code === 'ERR_FS_EISDIR') return fail('fatal', 'file-unsafe', path, 'a folder stands there; the agent only replaces plain files');
  return fail('retry', 'host-error', path, error instanceof Error ? error.message : String(error));
};

const modeText = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY);
  await handle.sync();
  await handle.close();
};

/** Makes what is missing of a folder with mode 0755, whatever the umask, and syncs each place where something new stands. */
const ensureFolder = async (folder: string): Promise<void> => {
  const first = await mkdir(folder, { recursive: true, mode: 0o755 });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    await chmod(made, 0o755);
    await syncFolder(dirname(made));
  }
};

/** A Linux machine: files, `/proc/sys`, systemd. Nothing goes through a shell. */
export const linuxHost = (options: LinuxHostOptions): Host => {
  const at = (path: string): string => join(options.root, path);
  const accounts = createAccounts(join(options.root, '/etc'));
  const sysctlPath = (key: string): string => join(options.sysctlRoot, key.replaceAll('.', '/'));

  const readPlainFile = async (path: string): Promise<Result<FileOnDisk | 'absent'>> => {
    try {
      const stat = await lstat(at(path));
      if (!stat.isFile()) return fail('fatal', 'file-unsafe', path, 'a link, a folder or a device stands there; the agent only replaces plain files');
      if (stat.size > limits.objectBytes) return fail('fatal', 'file-unsafe', path, `the file there has more than ${limits.objectBytes} bytes`);
      const content = await readFile(at(path), 'utf8');
      return ok({
        content,
        digest: digestBytes(content),
        mode: modeText(stat.mode),
        owner: await accounts.userName(stat.uid),
        group: await accounts.groupName(stat.gid),
      });
    } catch (error) {
      return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' ? ok('absent') : diskFailure(error, path);
    }
  };

  const writePlainFile = async (file: FileToWrite): Promise<Result<void>> => {
    const target = at(file.path);
    // Named by its target, so that the next write cleans up what a killed agent left behind.
    const temporary = join(dirname(target), `.groundplane-${digestBytes(file.path).slice(7, 23)}.new`);
    const uid = await accounts.userId(file.owner);
    const gid = await accounts.groupId(file.group);
    if (uid === undefined || gid === undefined)
      return fail('blocked', 'account-unknown', file.path, `there is no ${uid === undefined ? `user ${file.owner}` : `group ${file.group}`} on this host`);
    try {
      await ensureFolder(dirname(target));
      await rm(temporary, { force: true });
      const handle = await open(temporary, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
      try {
        await handle.writeFile(file.content);
        const stat = await handle.stat();
        if (stat.uid !== uid || stat.gid !== gid) await handle.chown(uid, gid);
        await handle.chmod(Number.parseInt(file.mode, 8));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, target);
      await syncFolder(dirname(target));
      return ok(undefined);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      return diskFailure(error, file.path);
    }
  };

  const systemctl = (...args: string[]): Promise<CommandResult> => runCommand(options.systemctl, args);

  const did = async (unit: string, ...args: string[]): Promise<Result<void>> => {
    const result = await systemctl(...args, unit);
    if (result.code === 0) return ok(undefined);
    const status = await systemctl('status', '--no-pager', '--lines=5', unit);
    const words = (status.stdout || result.stderr).trim().split('\n').slice(-5).join(' / ');
    return fail('blocked', 'unit-failed', unit, `systemctl ${args.join(' ')} failed: ${result.stderr.trim().slice(0, 500)} ${words.slice(0, 800)}`);
  };

  return {
    ...linuxModules(options.root),
    ...linuxAccounts(options.root),
    packages: options.packages,
    info: async () => options.info,
    readFile: readPlainFile,
    writeFile: writePlainFile,
    removeFile: async (path) => {
      try {
        await rm(at(path), { force: true });
        await syncFolder(dirname(at(path))).catch(() => undefined);
        return ok(undefined);
      } catch (error) {
        return diskFailure(error, path);
      }
    },
    readSysctl: async (key) => {
      try {
        return ok((await readFile(sysctlPath(key), 'utf8')).trim().replaceAll(/\s+/g, ' '));
      } catch (error) {
        return codeOf(error) === 'ENOENT' ? ok('absent') : diskFailure(error, key);
      }
    },
    writeSysctl: async (key, value) => {
      try {
        const handle = await open(sysctlPath(key), constants.O_WRONLY);
        try {
          await handle.write(`${value}\n`);
        } finally {
          await handle.close();
        }
        return ok(undefined);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return fail('blocked', 'sysctl-unknown', key, 'this kernel has no such setting');
        if (codeOf(error) === 'EINVAL') return fail('blocked', 'sysctl-refused', key, `the kernel does not take the value ${value}`);
        return diskFailure(error, key);
      }
    },
    readUnit: async (unit) => {
      const shown = await systemctl('show', '--property=LoadState,ActiveState,UnitFileState', unit);
      if (shown.code === 127) return fail('blocked', 'host-error', unit, 'there is no systemctl on this host; unit settings need systemd');
      if (shown.code !== 0) return fail('retry', 'host-error', unit, shown.stderr.trim());
      const fields = new Map(shown.stdout.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
      if (fields.get('LoadState') === 'not-found') return ok('absent');
      const active = ['active', 'activating', 'reloading'].includes(fields.get('ActiveState') ?? '');
      return ok({ enabled: ['enabled', 'enabled-runtime', 'static', 'alias'].includes(fields.get('UnitFileState') ?? ''), active });
    },
    setUnit: async (unit, state) => {
      const enabled = await did(unit, state.enabled ? 'enable' : 'disable');
      if (!enabled.ok) return enabled;
      return did(unit, state.active ? (state.restart ? 'restart' : 'start') : 'stop');
    },
    reloadUnits: async () => {
      const result = await systemctl('daemon-reload');
      return result.code === 0 ? ok(undefined) : fail('retry', 'host-error', 'systemd', result.stderr.trim());
    },
  };
};
