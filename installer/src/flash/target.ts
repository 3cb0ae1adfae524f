import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What is known about the thing that an image is to be written to. */
export interface TargetFacts {
  /** After links: `/dev/disk/by-id/…` is `/dev/sdb`. */
  path: string;
  kind: 'disk' | 'partition' | 'file' | 'nothing' | 'other';
  /** Undefined for what is not there. */
  sizeBytes: number | undefined;
  isReadOnly: boolean;
  /** What people know it by: vendor and model, empty when unknown. */
  model: string;
  /** Where it, a partition of it, or something built on it (RAID, LVM, encryption) is mounted or used as swap. */
  uses: readonly string[];
}

/** Where facts come from; other folders in tests. */
export interface Machine {
  proc: string;
  sys: string;
  isBlockDevice(path: string): boolean;
}

export const thisMachine: Machine = { proc: '/proc', sys: '/sys', isBlockDevice: (path) => statSync(path).isBlockDevice() };

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
};
const list = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

const resolved = (path: string): string => {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
};

/** The kernel writes `/dev/cciss/c0d0` as `cciss!c0d0`. */
const kernelName = (path: string): string => path.replace(/^\/dev\//, '').replaceAll('/', '!');

/** The folder of a device below /sys/block; partitions lie in that of their disk. */
const deviceFolder = (machine: Machine, name: string): string | undefined => {
  const disks = join(machine.sys, 'block');
  if (existsSync(join(disks, name))) return join(disks, name);
  const disk = list(disks).find((each) => existsSync(join(disks, each, name, 'partition')));
  return disk === undefined ? undefined : join(disks, disk, name);
};

/** A device with its partitions, and everything that is built on any of them. Names of folders below /sys. */
const family = (machine: Machine, folder: string, seen = new Set<string>()): string[] => {
  if (seen.has(folder)) return [];
  seen.add(folder);
  const partitions = list(folder)
    .filter((name) => existsSync(join(folder, name, 'partition')))
    .map((name) => join(folder, name));
  const holders = list(join(folder, 'holders'))
    .map((name) => deviceFolder(machine, name))
    .filter((each) => each !== undefined);
  return [folder, ...[...partitions, ...holders].flatMap((each) => family(machine, each, seen))];
};

/** Blanks in paths are written as `\040` (proc(5)). */
const unescape = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

const usesOf = (machine: Machine, folder: string): string[] => {
  const members = family(machine, folder);
  const names = new Set(members.map((each) => basename(each)));
  const numbers = new Set(members.map((each) => read(join(each, 'dev'))).filter((text) => text !== ''));
  const isMember = (source: string): boolean => source.startsWith('/dev/') && names.has(kernelName(resolved(unescape(source))));
  // mountinfo: id, parent, major:minor, root, mount point, …, "-", type, source. btrfs and overlays have numbers of their own, so the source counts as well.
  const mounts = read(join(machine.proc, 'self', 'mountinfo'))
    .split('\n')
    .map((line) => ({ fields: line.split(' '), source: (line.split(' - ')[1] ?? '').split(' ')[1] ?? '' }))
    .filter(({ fields, source }) => numbers.has(fields[2] ?? '') || isMember(source))
    .map(({ fields }) => unescape(fields[4] ?? ''));
  const swaps = read(join(machine.proc, 'swaps'))
    .split('\n')
    .map((line) => line.split(/\s/)[0] ?? '')
    .filter(isMember)
    .map((source) => `swap on ${source}`);
  const built = members.map((each) => basename(each)).filter((name) => /^(dm-|md)/.test(name) && name !== basename(folder));
  return [...new Set([...mounts, ...swaps, ...built.map((name) => `/dev/${name} is built on it`)])];
};

/** Looks at a target without touching it. */
export const lookAt = (given: string, machine: Machine = thisMachine): TargetFacts => {
  const path = resolved(given);
  const none = { path, sizeBytes: undefined, isReadOnly: false, model: '', uses: [] };
  if (!existsSync(path)) return { ...none, kind: path.startsWith('/dev/') ? 'other' : 'nothing' };
  if (!machine.isBlockDevice(path)) {
    const stats = statSync(path);
    return stats.isFile() && !path.startsWith('/dev/') ? { ...none, kind: 'file', sizeBytes: stats.size } : { ...none, kind: 'other' };
  }
  const folder = deviceFolder(machine, kernelName(path));
  if (folder === undefined) return { ...none, kind: 'other' };
  const isPartition = existsSync(join(folder, 'partition'));
  return {
    path,
    kind: isPartition ? 'partition' : 'disk',
    // Always in units of 512 bytes, whatever the device's own sectors are.
    sizeBytes: Number(read(join(folder, 'size')) || 0) * 512,
    isReadOnly: read(join(folder, 'ro')) === '1',
    model: [read(join(folder, 'device', 'vendor')), read(join(folder, 'device', 'model'))].join(' ').trim(),
    uses: usesOf(machine, folder),
  };
};
