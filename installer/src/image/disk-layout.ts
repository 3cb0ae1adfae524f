import { osImageLabel } from '@groundplane/protocol/os-image';
import type { AgentArch } from '@groundplane/protocol/agent-package';

/** Sizes in MiB. */
export interface DiskSizes {
  esp: number;
  /** Of each of the two. */
  slot: number;
  /** As made; it grows to the end of the disk at the first boot. */
  data: number;
}

const rootType = (arch: AgentArch): string => (arch === 'x64' ? 'root-x86-64' : 'root-arm64');

const partition = (lines: Readonly<Record<string, string | number>>): string =>
  `[Partition]\n${Object.entries(lines)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')}`;

const fixed = (mebibytes: number): Record<string, string> => ({ SizeMinBytes: `${mebibytes}M`, SizeMaxBytes: `${mebibytes}M` });

export interface DiskContent {
  /** What the first slot holds: the path of a file, or `auto` for what the running system runs from. */
  root: string;
  /** Folder that becomes the boot partition. */
  esp: string;
}

/**
 * Definitions for systemd-repart: boot partition, two slots, data. The data partition is last, so that it can grow. The same definitions make the disk image and
 * install from a stick.
 */
export const diskDefinitions = (image: { name: string; version: string; arch: AgentArch }, sizes: DiskSizes, content: DiskContent): Record<string, string> => ({
  '10-esp.conf': partition({ Type: 'esp', Label: 'ESP', Format: 'vfat', CopyFiles: `${content.esp}:/`, ...fixed(sizes.esp) }),
  '20-root-a.conf': partition({ Type: rootType(image.arch), Label: osImageLabel(image), CopyBlocks: content.root, ...fixed(sizes.slot) }),
  '21-root-b.conf': partition({ Type: rootType(image.arch), Label: '_empty', ...fixed(sizes.slot) }),
  '30-data.conf': partition({ Type: 'linux-generic', Label: 'data', Format: 'ext4', SizeMinBytes: `${sizes.data}M` }),
});

/** Of the file that is flashed: partitions, and what the two partition tables take. */
export const diskBytes = (sizes: DiskSizes): number => (sizes.esp + 2 * sizes.slot + sizes.data + 4) * 2 ** 20;

/** A disk keeps its partitions for life, so there is room for what later versions bring: a root image has some 200 MiB, a boot entry some 50, and three of those lie there while one is replaced. */
export const defaultSizes: DiskSizes = { esp: 256, slot: 768, data: 256 };

/** What a disk needs to be installed to: its fixed partitions, and a GiB for data. */
export const installBytes = (sizes: DiskSizes): number => diskBytes(sizes) + 2 ** 30;
