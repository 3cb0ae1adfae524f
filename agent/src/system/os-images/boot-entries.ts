import { compareImageVersions, osImageLabel } from '@groundplane/protocol/os-image';
import type { ImageSlotState } from '@groundplane/protocol/plan/os-image';

/**
 * Boot entries as files of the boot partition, `NAME_VERSION[+LEFT[-DONE]].efi`: the Boot Loader Specification's automatic boot assessment. systemd-boot counts
 * down before it starts an entry, systemd-bless-boot takes the counter off when the boot was good.
 */
export interface BootEntry {
  file: string;
  version: string;
  /** Absent: permanent. */
  left: number | undefined;
  done: number;
}

const escape = (text: string): string => text.replaceAll(/[.^]/g, String.raw`\$&`);

/** Entries of one image name; whatever else lies in the folder belongs to others. */
export const parseEntries = (name: string, files: readonly string[]): BootEntry[] => {
  const pattern = new RegExp(`^${escape(name)}_([0-9][0-9A-Za-z.~^-]*?)(?:\\+([0-9]{1,9})(?:-([0-9]{1,9}))?)?\\.efi$`);
  return files.flatMap((file): BootEntry[] => {
    const found = pattern.exec(file);
    if (found === null) return [];
    return [{ file, version: found[1] ?? '', left: found[2] === undefined ? undefined : Number(found[2]), done: Number(found[3] ?? 0) }];
  });
};

/** The order in which systemd-boot prefers them: those without tries left come last, then the newest first. */
export const bootOrder = (entries: readonly BootEntry[]): BootEntry[] =>
  entries.toSorted((a, b) => Number(a.left === 0) - Number(b.left === 0) || compareImageVersions(b.version, a.version));

export const slotState = (entries: readonly BootEntry[], version: string): ImageSlotState => {
  const entry = entries.find((item) => item.version === version);
  if (entry === undefined) return 'staged';
  if (entry.left === 0 && entry.done > 0) return 'failed';
  return bootOrder(entries)[0]?.version === version ? 'next' : 'kept';
};

/** Still bootable from the menu, and behind all others. */
export const demotedName = (name: string, version: string): string => `${osImageLabel({ name, version })}+0-0.efi`;

/**
 * Of the running version. Its entry has a counter as long as nobody has called the boot good; `bless` is the word of systemd-bless-boot, which is `clean` when this
 * boot was not counted: then an entry without tries was started because there was nothing better.
 */
export const runningHealth = (entry: BootEntry | undefined, bless: string): 'good' | 'trial' | 'bad' => {
  if (entry?.left === undefined || entry.done === 0) return 'good';
  return entry.left === 0 && bless === 'clean' ? 'bad' : 'trial';
};
