import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootOrder, parseEntries } from '@groundplane/agent/system/os-images/boot-entries';
import { descriptionPath } from '@groundplane/agent/system/os-images/description';
import { sysupdateImages } from '@groundplane/agent/system/os-images/sysupdate';
import type { OsImages } from '@groundplane/agent/port/os-images';
import type { Run } from '@groundplane/agent/system/os-images/disk';
import { transferFiles } from '@groundplane/installer/image/transfers';
import type { Tools } from '@groundplane/installer/image/tools';
import type { OsImageManifest } from '@groundplane/protocol/os-image';

/**
 * A disk with two slots as a plain file, and the real systemd-sysupdate on it. What a boot loader does is played by renaming boot entries, as the specification
 * of boot assessment says it.
 */
export interface ImageDisk {
  images: OsImages;
  folder: string;
  disk: string;
  entries: string;
  make: (version: string, salt?: string) => Promise<{ manifest: OsImageManifest; paths: Map<string, string> }>;
  running: () => string;
  boot: () => Promise<void>;
  bless: () => Promise<void>;
  remove: () => Promise<void>;
  /** How programs are run from now on; for cuts in the middle of one. */
  through: (wrap: (argv: readonly string[]) => readonly string[]) => void;
}

const name = 'site';
const slotBytes = 24 * 2 ** 20;
const sha256 = (bytes: Buffer): `sha256:${string}` => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Bytes that do not compress and that a seed decides. */
const bytesOf = (seed: string, size: number): Buffer => {
  const parts: Buffer[] = [];
  for (let at = 0, index = 0; at < size; at += 32, index += 1) parts.push(createHash('sha256').update(`${seed} ${index}`).digest());
  return Buffer.concat(parts).subarray(0, size);
};

const definitions = (first: string): Record<string, string> => ({
  '10-root-a.conf': `[Partition]\nType=root\nLabel=${name}_1.0\nCopyBlocks=${first}\nSizeMinBytes=${slotBytes}\nSizeMaxBytes=${slotBytes}\n`,
  '20-root-b.conf': `[Partition]\nType=root\nLabel=_empty\nSizeMinBytes=${slotBytes}\nSizeMaxBytes=${slotBytes}\n`,
  '30-data.conf': `[Partition]\nType=linux-generic\nLabel=data\nSizeMinBytes=4M\nSizeMaxBytes=4M\n`,
});

const writeAll = (folder: string, files: Readonly<Record<string, string>>): void => {
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
};

export const createImageDisk = async (tools: Tools, parent: string, sizeBytes = 4 * 2 ** 20): Promise<ImageDisk> => {
  const folder = mkdtempSync(join(parent, 'image-disk-'));
  const at = (...parts: string[]): string => join(folder, ...parts);
  const [disk, entries] = [at('disk.img'), at('esp', 'EFI', 'Linux')];
  let version = '1.0';
  let wrap: (argv: readonly string[]) => readonly string[] = (argv) => argv;
  mkdirSync(entries, { recursive: true });
  mkdirSync(at('root', 'usr/lib/groundplane'), { recursive: true });
  writeFileSync(at('first.img'), bytesOf('1.0', sizeBytes));
  writeFileSync(join(entries, `${name}_1.0.efi`), 'uki 1.0');
  writeAll(at('repart'), definitions(at('first.img')));
  const transfers = transferFiles({ name, incoming: at('incoming'), disk, entries });
  for (const [part, files] of Object.entries(transfers)) writeAll(at('sysupdate', `${part}.d`), files);
  const release = at('os-release');
  const settle = (): void => {
    writeFileSync(release, `ID=site\nVERSION_ID=${version}\nIMAGE_ID=${name}\nIMAGE_VERSION=${version}\n`);
    writeFileSync(
      at('root', descriptionPath),
      JSON.stringify({
        schema: 'groundplane.dev/os-image-description/1',
        name,
        version,
        architecture: 'x64',
        driver: 'sysupdate',
        keys: [`ed25519:${'A'.repeat(43)}`],
      }),
    );
  };
  settle();
  const binds = [
    { from: folder, to: folder },
    { from: release, to: '/usr/lib/os-release' },
  ];
  const made = await tools.run(
    ['systemd-repart', '--empty=create', '--size=64M', '--offline=yes', '--sector-size=512', '--dry-run=no', `--definitions=${at('repart')}`, disk],
    binds,
  );
  if (made.code !== 0) throw new Error(`the disk cannot be made: ${made.stderr}`);
  const run: Run = async (file, args) =>
    // systemd-bless-boot asks the firmware, and there is none: each boot here was counted.
    file.endsWith('systemd-bless-boot') ? { code: 0, stdout: 'indeterminate\n', stderr: '' } : tools.run(wrap([file, ...args]), binds);
  return {
    images: sysupdateImages({ root: at('root'), run, disk, entries, definitions: at('sysupdate'), incoming: at('incoming') }),
    folder,
    disk,
    entries,
    running: () => version,
    through: (next) => void (wrap = next),
    make: async (wanted, salt = '') => {
      const [root, uki] = [bytesOf(`${wanted}${salt}`, sizeBytes), Buffer.from(`uki ${wanted}${salt}`)];
      const [rootFile, ukiFile] = [at(`blob-${wanted}${salt}.root`), at(`blob-${wanted}${salt}.uki`)];
      writeFileSync(rootFile, root);
      writeFileSync(ukiFile, uki);
      return {
        manifest: {
          schema: 'groundplane.dev/os-image/1',
          name,
          version: wanted,
          architecture: 'x64',
          content: { driver: 'sysupdate', root: { digest: sha256(root), size: root.length }, uki: { digest: sha256(uki), size: uki.length } },
        },
        paths: new Map([
          ['root.erofs', rootFile],
          ['uki.efi', ukiFile],
        ]),
      };
    },
    boot: () => {
      const first = bootOrder(parseEntries(name, readdirSync(entries)))[0];
      if (first === undefined) throw new Error('nothing boots');
      if (first.left !== undefined && first.left > 0)
        renameSync(join(entries, first.file), join(entries, `${name}_${first.version}+${first.left - 1}-${first.done + 1}.efi`));
      version = first.version;
      settle();
      return Promise.resolve();
    },
    bless: () => {
      const entry = parseEntries(name, readdirSync(entries)).find((item) => item.version === version);
      if (entry !== undefined) renameSync(join(entries, entry.file), join(entries, `${name}_${version}.efi`));
      return Promise.resolve();
    },
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
};
