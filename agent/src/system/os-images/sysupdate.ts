import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { compareImageVersions, osImageLabel, type OsImageManifest } from '@groundplane/protocol/os-image';
import type { ObservedImage } from '@groundplane/protocol/plan/os-image';
import type { ImagePaths, OsImages } from '../../port/os-images.ts';
import { lastWords } from '../command.ts';
import { demotedName, parseEntries, runningHealth, slotState, type BootEntry } from './boot-entries.ts';
import { readDescription, type ImageDescription } from './description.ts';
import { digestOfRunning, erofsSize, type RunningFile } from './running-files.ts';
import { digestOfPartition, readPartitions, systemDisk, type Partition, type Run } from './disk.ts';

export interface SysupdateOptions {
  /** `/` on a real host. */
  root: string;
  run: Run;
  /** The disk with the slots; by default the one that the system runs from. */
  disk?: string;
  /** Folder of the boot entries; by default `/efi/EFI/Linux`. */
  entries?: string;
  /** Folder with `root.d` and `uki.d`, the transfer files of systemd-sysupdate; by default those of the image. */
  definitions?: string;
  /** Where the transfer files look for what is to be installed. */
  incoming?: string;
}

/** What the health check of an image said last: `VERSION TEXT`. It lies on the data partition, so both images can read it. */
export const healthFile = '/var/lib/groundplane/os-image/health';

interface Seen {
  description: ImageDescription;
  disk: string;
  partitions: Partition[];
  entries: BootEntry[];
}

const sysupdateProgram = '/usr/lib/systemd/systemd-sysupdate';
/** A slow card writes 2 MB a second. */
const updateMs = 60 * 60_000;

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Slots by systemd-sysupdate, boot entries counted by systemd-boot. Two transfers and not one: the root file system is written when it is staged, the boot entry
 * when it may be started, so that no power cut in between starts an image before its time.
 */
export const sysupdateImages = (options: SysupdateOptions): OsImages => {
  const { run } = options;
  const at = (path: string): string => join(options.root, path);
  const entriesFolder = options.entries ?? at('/efi/EFI/Linux');
  const definitions = options.definitions ?? at('/usr/lib/groundplane/sysupdate');
  const incoming = options.incoming ?? at('/var/lib/groundplane/os-image/incoming');

  const readEntries = async (name: string): Promise<Result<BootEntry[]>> => {
    try {
      return ok(parseEntries(name, await readdir(entriesFolder)));
    } catch (error) {
      return fail('retry', 'host-error', entriesFolder, `the boot entries cannot be read: ${errorText(error)}`);
    }
  };

  const look = async (): Promise<Result<Seen | undefined>> => {
    const description = await readDescription(options.root);
    if (!description.ok || description.value === undefined) return description.ok ? ok(undefined) : description;
    if (description.value.driver !== 'sysupdate') return ok(undefined);
    const disk = options.disk === undefined ? await systemDisk(run) : ok(options.disk);
    if (!disk.ok) return disk;
    const partitions = await readPartitions(run, disk.value);
    if (!partitions.ok) return partitions;
    const entries = await readEntries(description.value.name);
    if (!entries.ok) return entries;
    return ok({ description: description.value, disk: disk.value, partitions: partitions.value, entries: entries.value });
  };

  const mustLook = async (): Promise<Result<Seen>> => {
    const seen = await look();
    if (!seen.ok) return seen;
    return seen.value === undefined ? fail('blocked', 'image-unsupported', 'image', 'this host does not run from an image') : ok(seen.value);
  };

  const readWords = async (): Promise<ObservedImage['words']> => {
    const text = await readFile(at(healthFile), 'utf8').catch(() => '');
    const found = /^(\S+) (.{1,500})/.exec(text);
    return found === null ? undefined : { version: found[1] ?? '', text: (found[2] ?? '').trim() };
  };

  /** The boot partition is FAT: only a sync of the whole of it makes a change of names durable. */
  const syncEntries = async (): Promise<Result<void>> => {
    const done = await run('sync', ['--file-system', entriesFolder]);
    return done.code === 0 ? ok(undefined) : fail('retry', 'host-error', entriesFolder, `it cannot be synced: ${lastWords(done)}`);
  };

  const changeEntries = async (work: () => Promise<void>): Promise<Result<void>> => {
    try {
      await work();
    } catch (error) {
      return fail('retry', 'host-error', entriesFolder, `the boot entries cannot be changed: ${errorText(error)}`);
    }
    return syncEntries();
  };

  /** systemd-sysupdate takes files by the name that they have in a folder; a link costs nothing where the store is on the same file system. */
  const update = async (manifest: OsImageManifest, part: 'root' | 'uki', path: string | undefined): Promise<Result<void>> => {
    const element = `image ${manifest.version}`;
    if (path === undefined) return fail('retry', 'content-missing', element, `its ${part} is not here`);
    const file = join(incoming, `${osImageLabel(manifest)}.${part === 'root' ? 'root.erofs' : 'efi'}`);
    try {
      await rm(incoming, { recursive: true, force: true });
      await mkdir(incoming, { recursive: true });
      await link(path, file).catch(() => copyFile(path, file));
    } catch (error) {
      return fail('retry', 'host-error', file, errorText(error));
    }
    const done = await run(sysupdateProgram, [`--definitions=${join(definitions, `${part}.d`)}`, '--verify=no', 'update', manifest.version], {
      timeoutMs: updateMs,
    });
    await rm(incoming, { recursive: true, force: true }).catch(() => undefined);
    if (done.code === 0) return ok(undefined);
    const words = lastWords(done);
    if (/no space left|ENOSPC/i.test(words)) return fail('blocked', 'image-space', element, `there is no room for its ${part}: ${words}`);
    if (/busy|in progress|lock/i.test(words)) return fail('retry', 'image-busy', element, words);
    return fail('retry', 'image-write', element, `systemd-sysupdate failed: ${words}`);
  };

  const checkSlot = async (manifest: OsImageManifest, signal?: AbortSignal): Promise<Result<void>> => {
    if (manifest.content.driver !== 'sysupdate') return fail('fatal', 'image-driver', `image ${manifest.version}`, 'it is not one for systemd-sysupdate');
    const seen = await mustLook();
    if (!seen.ok) return seen;
    const label = osImageLabel(manifest);
    const slot = seen.value.partitions.find((item) => item.label === label);
    if (slot === undefined) return fail('retry', 'image-wrong', label, 'it is in no slot');
    const digest = await digestOfPartition(slot, manifest.content.root.size, signal);
    if (!digest.ok) return digest;
    return digest.value === manifest.content.root.digest
      ? ok(undefined)
      : fail('retry', 'image-wrong', label, `its slot holds ${digest.value}, and the image is ${manifest.content.root.digest}`);
  };

  return {
    status: async () => {
      const seen = await look();
      if (!seen.ok || seen.value === undefined) return seen.ok ? ok(undefined) : seen;
      const { description, partitions, entries } = seen.value;
      const running = entries.find((entry) => entry.version === description.version);
      const bless = running?.left === undefined ? '' : (await run('/usr/lib/systemd/systemd-bless-boot', ['status'])).stdout.trim();
      const prefix = `${description.name}_`;
      const versions = partitions.filter((item) => item.label.startsWith(prefix)).map((item) => item.label.slice(prefix.length));
      return ok({
        architecture: description.architecture,
        name: description.name,
        driver: 'sysupdate',
        running: description.version,
        health: runningHealth(running, bless),
        slots: versions.filter((version) => version !== description.version).map((version) => ({ version, state: slotState(entries, version) })),
        words: await readWords(),
      });
    },
    keys: async () => {
      const description = await readDescription(options.root);
      return description.ok ? ok(description.value?.keys ?? []) : description;
    },
    files: async () => {
      const seen = await look();
      const found = new Map<string, RunningFile>();
      if (!seen.ok || seen.value === undefined) return found;
      const { description, partitions, entries } = seen.value;
      const slot = partitions.find((item) => item.label === osImageLabel(description) && item.offset === 0);
      const rootBytes = slot === undefined ? undefined : await erofsSize(slot.path);
      if (slot !== undefined && rootBytes !== undefined && rootBytes <= slot.size) found.set('root.erofs', { path: slot.path, sizeBytes: rootBytes });
      const entry = entries.find((item) => item.version === description.version);
      const path = entry === undefined ? undefined : join(entriesFolder, entry.file);
      const size = path === undefined ? undefined : (await stat(path).catch(() => undefined))?.size;
      if (path !== undefined && size !== undefined) found.set('uki.efi', { path, sizeBytes: size });
      return found;
    },
    digest: digestOfRunning,
    stage: async (manifest, paths: ImagePaths, signal) => {
      const seen = await mustLook();
      if (!seen.ok) return seen;
      const { description, partitions, entries } = seen.value;
      const label = osImageLabel(manifest);
      if (manifest.version === description.version) return fail('fatal', 'image-running', label, 'it runs from this slot, which is never written to');
      if (!paths.has('root.erofs')) return fail('retry', 'content-missing', label, 'its root file system is not here');
      if ((await checkSlot(manifest, signal)).ok) return ok(undefined);
      if (signal.aborted) return fail('retry', 'superseded', label, 'something newer came');
      const rootType = partitions.find((item) => item.label === osImageLabel(description))?.type;
      const slot = partitions.find((item) => item.type === rootType && item.label !== osImageLabel(description));
      if (slot === undefined) return fail('blocked', 'image-space', label, 'this disk has no second slot. Flash the host anew');
      if (manifest.content.driver === 'sysupdate' && slot.size < manifest.content.root.size)
        return fail(
          'blocked',
          'image-space',
          label,
          `the slot has ${slot.size} bytes, and the image ${manifest.content.root.size}. Flash the host with an image that has larger slots`,
        );
      // What boots from the slot that is about to be overwritten must not be bootable any more.
      const stale = entries.filter((entry) => entry.version !== description.version);
      if (stale.length > 0) {
        const gone = await changeEntries(async () => {
          for (const entry of stale) await rm(join(entriesFolder, entry.file), { force: true });
        });
        if (!gone.ok) return gone;
      }
      if (slot.label === label) {
        // The right name over wrong bytes: sysupdate would believe the name.
        const freed = await run('sfdisk', ['--no-reread', '--no-tell-kernel', '--part-label', seen.value.disk, String(slot.number), '_empty']);
        if (freed.code !== 0) return fail('retry', 'image-write', label, `its slot cannot be freed: ${lastWords(freed)}`);
      }
      const written = await update(manifest, 'root', paths.get('root.erofs'));
      return written.ok ? checkSlot(manifest, signal) : written;
    },
    activate: async (manifest, paths) => {
      const checked = await checkSlot(manifest);
      if (!checked.ok) return checked;
      const seen = await mustLook();
      if (!seen.ok) return seen;
      const { name } = manifest;
      const mine = seen.value.entries.filter((entry) => entry.version === manifest.version);
      const newer = seen.value.entries.filter((entry) => compareImageVersions(entry.version, manifest.version) > 0 && entry.left !== 0);
      const [entry] = mine;
      const file = entry === undefined ? undefined : join(entriesFolder, entry.file);
      const size = file === undefined ? undefined : (await stat(file).catch(() => undefined))?.size;
      const digest = file === undefined || size === undefined ? undefined : await digestOfRunning({ path: file, sizeBytes: size });
      // An entry from before has no tries left, or needs none; a trial begins anew.
      if (file !== undefined && mine.length === 1 && manifest.content.driver === 'sysupdate' && digest === manifest.content.uki.digest)
        return changeEntries(async () => {
          const trial = `${osImageLabel(manifest)}+${seen.value.description.tries}-0.efi`;
          if (entry?.file !== trial) await rename(file, join(entriesFolder, trial));
          for (const other of newer) await rename(join(entriesFolder, other.file), join(entriesFolder, demotedName(name, other.version)));
        });
      if (mine.length > 0) {
        // Other bytes under this version.
        const gone = await changeEntries(async () => {
          for (const entry of mine) await rm(join(entriesFolder, entry.file), { force: true });
        });
        if (!gone.ok) return gone;
      }
      const written = await update(manifest, 'uki', paths.get('uki.efi'));
      if (!written.ok) return written;
      return changeEntries(async () => {
        for (const entry of newer) await rename(join(entriesFolder, entry.file), join(entriesFolder, demotedName(name, entry.version)));
      });
    },
  };
};
