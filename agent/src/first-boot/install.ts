import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { UserData } from '@groundplane/protocol/user-data/schema';
import { z } from 'zod';
import { lastWords, type CommandResult } from '../system/command.ts';

export type Run = (file: string, args: readonly string[], options?: { timeoutMs?: number }) => Promise<CommandResult>;

/** One disk, as `lsblk --json --bytes` tells. */
export interface Disk {
  path: string;
  serial: string;
  sizeBytes: number;
  isReadOnly: boolean;
  isRemovable: boolean;
  /** Something of it is mounted. */
  isUsed: boolean;
}

interface Node {
  mountpoints: (string | null)[];
  children: Node[];
}
/** Partitions, and what is built on them: LVM, RAID, encryption. */
const nodeSchema: z.ZodType<Node> = z.object({
  mountpoints: z.array(z.string().nullable()).default([]),
  children: z.array(z.lazy(() => nodeSchema)).default([]),
});
const listSchema = z.object({
  blockdevices: z.array(
    z.object({
      path: z.string(),
      type: z.string(),
      size: z.number(),
      ro: z.boolean().default(false),
      rm: z.boolean().default(false),
      serial: z.string().nullish(),
      wwn: z.string().nullish(),
      mountpoints: z.array(z.string().nullable()).default([]),
      children: z.array(nodeSchema).default([]),
    }),
  ),
});

const isUsed = (node: Node): boolean => node.mountpoints.some((point) => point !== null && point !== '') || node.children.some(isUsed);

export const parseDisks = (text: string): Disk[] => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return [];
  }
  const list = listSchema.safeParse(json);
  if (!list.success) return [];
  return list.data.blockdevices
    .filter((item) => item.type === 'disk' && item.size > 0)
    .map((item) => ({
      path: item.path,
      serial: item.serial ?? item.wwn ?? '',
      sizeBytes: item.size,
      isReadOnly: item.ro,
      isRemovable: item.rm,
      isUsed: isUsed(item),
    }));
};

/** The disk to install to. `auto` takes the only fixed disk that is large enough, and refuses to choose between two. Pure. */
export const chooseDisk = (device: string, disks: readonly Disk[], own: string, neededBytes: number): Result<Disk> => {
  const element = `install.device: ${device}`;
  const known = `disks here: ${disks.map((disk) => `${disk.path} (${Math.round(disk.sizeBytes / 1e9)} GB${disk.path === own ? ', the one that this system starts from' : ''})`).join(', ')}`;
  const fits = disks.filter((disk) => disk.path !== own && !disk.isReadOnly && disk.sizeBytes >= neededBytes);
  if (device === 'auto') {
    const fixed = fits.filter((disk) => !disk.isRemovable && !disk.isUsed);
    const [only] = fixed;
    if (only !== undefined && fixed.length === 1) return ok(only);
    return fail(
      'blocked',
      fixed.length === 0 ? 'install-no-disk' : 'install-many-disks',
      element,
      `${fixed.length === 0 ? 'no other disk is fixed, free and large enough. Leave install out if the system shall run from where it is' : 'there are several; name one'}. ${known}`,
    );
  }
  const disk = disks.find((item) => item.path === device);
  if (disk === undefined) return fail('blocked', 'install-no-disk', element, `there is no such disk. ${known}`);
  if (disk.path === own) return fail('blocked', 'install-own-disk', element, `this system starts from it. ${known}`);
  if (disk.isUsed) return fail('blocked', 'install-disk-used', element, 'something of it is mounted');
  if (disk.isReadOnly) return fail('blocked', 'install-disk-read-only', element, 'it is read-only');
  return disk.sizeBytes < neededBytes
    ? fail('blocked', 'install-disk-small', element, `it has ${disk.sizeBytes} bytes, and ${neededBytes} are needed`)
    : ok(disk);
};

/** On the boot partition of the medium: the disks that it was installed to, so that a machine that starts from it again does not lose its data. */
export const installedFile = 'groundplane/installed.json';
/** On the boot partition of the installed disk. */
export const doneFile = 'groundplane/is-installed';

const readInstalled = async (esp: string): Promise<string[]> => {
  const text = await readFile(join(esp, installedFile), 'utf8').catch(() => '[]');
  try {
    return z.array(z.string()).catch([]).parse(JSON.parse(text));
  } catch {
    return [];
  }
};

export interface InstallDeps {
  run: Run;
  /** Where the boot partition of the medium is mounted. */
  esp: string;
  ownDisk: string;
  /** What this machine is known by (its board's UUID); empty when it has nothing. */
  machine: string;
  /** Definitions for systemd-repart, without what is copied to the boot partition. */
  definitions: string;
  neededBytes: number;
  /** Where its new content is put together. */
  staging: string;
  say: (text: string) => void;
}

const repartMs = 60 * 60_000;

/** Installs what runs to another disk. Everything on that disk is lost. */
export const installToDisk = async (
  install: NonNullable<UserData['install']>,
  deps: InstallDeps,
): Promise<Result<'installed' | 'was-installed' | 'runs-from-it'>> => {
  const { run, esp, say } = deps;
  const listed = await run('lsblk', ['--json', '--bytes', '--output', 'PATH,TYPE,SIZE,RO,RM,SERIAL,WWN,MOUNTPOINTS']);
  // /dev/disk/by-id/… and the like are links.
  const link = install.device.startsWith('/dev/disk/') ? await run('readlink', ['--canonicalize', install.device]) : undefined;
  const device = link?.code === 0 && link.stdout.trim() !== '' ? link.stdout.trim() : install.device;
  // The image was written to this disk itself, and the user data are those of an installer that would have brought it there.
  if (device === deps.ownDisk) {
    say(`install.device: this system runs from ${device} already, so there is nothing to install`);
    return ok('runs-from-it');
  }
  const disk = chooseDisk(device, parseDisks(listed.stdout), deps.ownDisk, deps.neededBytes);
  if (!disk.ok) return disk;
  // Disks of virtual machines often have no serial number, and all of them the same path.
  const identity = disk.value.serial === '' ? `${disk.value.path} ${deps.machine}`.trim() : disk.value.serial;
  const before = await readInstalled(esp);
  if (before.includes(identity)) {
    say(`${disk.value.path} was installed from this medium before, so it is left alone. Remove the medium; to install again, delete ${installedFile} on it`);
    return ok('was-installed');
  }
  say(`installing to ${disk.value.path} (${Math.round(disk.value.sizeBytes / 1e9)} GB); everything on it is lost`);
  try {
    await rm(deps.staging, { recursive: true, force: true });
    await mkdir(deps.staging, { recursive: true });
    await cp(esp, deps.staging, { recursive: true });
    await writeFile(join(deps.staging, doneFile), '');
    await rm(join(deps.staging, installedFile), { force: true });
  } catch (error) {
    return fail('retry', 'install-failed', disk.value.path, error instanceof Error ? error.message : String(error));
  }
  const made = await run('systemd-repart', ['--dry-run=no', '--empty=force', `--definitions=${deps.definitions}`, disk.value.path], { timeoutMs: repartMs });
  await rm(deps.staging, { recursive: true, force: true }).catch(() => undefined);
  if (made.code !== 0) return fail('blocked', 'install-failed', disk.value.path, `systemd-repart failed: ${lastWords(made)}`);
  await run('sync', []);
  try {
    await writeFile(join(esp, installedFile), `${JSON.stringify([...before, identity].slice(-500))}\n`);
    await run('sync', ['--file-system', esp]);
  } catch {
    say(`the medium takes no note of it (${installedFile}); remove it before the next start`);
  }
  return ok('installed');
};
