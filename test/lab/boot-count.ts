import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tools } from '@groundplane/installer/image/tools';

/**
 * A disk with systemd-boot and two boot entries whose initrd is a few programs: one that calls itself good and one that does not. It proves what images rely on, at a
 * hundredth of their cost: that the loader counts, and that it goes back.
 */
const init = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for word in $(/bin/busybox cat /proc/cmdline); do case $word in version=*) version=\${word#version=} ;; esac; done
/bin/busybox echo "@@ $version"
/bin/busybox sleep 1
case $version in
  1.1.0) /bin/busybox reboot -f ;;
  *) /bin/busybox poweroff -f ;;
esac
`;

export interface BootCountDisk {
  disk: string;
  /** Boot entries that are there now. */
  entries: () => Promise<string[]>;
}

/** `uki`: an image's boot entry, from which the kernel is taken. Nothing is read from the disk, so it needs no drivers. */
export const makeBootCountDisk = async (tools: Tools, folder: string, uki: string): Promise<BootCountDisk> => {
  const at = (...parts: string[]): string => join(folder, ...parts);
  for (const part of ['initrd/bin', 'initrd/dev', 'esp/EFI/BOOT', 'esp/EFI/Linux', 'esp/loader', 'repart']) mkdirSync(at(part), { recursive: true });
  copyFileSync(join(tools.folder, 'usr/bin/busybox'), at('initrd/bin/busybox'));
  chmodSync(at('initrd/bin/busybox'), 0o755);
  copyFileSync(uki, at('image.efi'));
  writeFileSync(at('initrd/init'), init, { mode: 0o755 });
  const binds = [{ from: folder, to: folder }];
  const run = async (...argv: string[]): Promise<string> => {
    const done = await tools.run(argv, binds);
    if (done.code !== 0) throw new Error(`${argv.join(' ')}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  };
  await run('objcopy', '-O', 'binary', '--only-section=.linux', at('image.efi'), at('vmlinuz'));
  // Device nodes cannot be made everywhere; devtmpfs brings them, and until then there is no console.
  await run('sh', '-c', `cd ${at('initrd')} && find . | cpio --quiet -o -H newc >${at('initrd.cpio')}`);
  for (const version of ['1.0.0', '1.1.0']) {
    writeFileSync(at('os-release'), `ID=site\nIMAGE_ID=site\nIMAGE_VERSION=${version}\nVERSION_ID=${version}\nPRETTY_NAME="site ${version}"\n`);
    const command = `console=ttyS0 quiet loglevel=3 panic=5 version=${version}`;
    await run(
      'ukify',
      'build',
      `--linux=${at('vmlinuz')}`,
      `--initrd=${at('initrd.cpio')}`,
      `--cmdline=${command}`,
      `--os-release=@${at('os-release')}`,
      `--output=${at(`${version}.efi`)}`,
    );
  }
  await run('cp', '/usr/lib/systemd/boot/efi/systemd-bootx64.efi', at('esp/EFI/BOOT/BOOTX64.EFI'));
  copyFileSync(at('1.0.0.efi'), at('esp/EFI/Linux/site_1.0.0.efi'));
  copyFileSync(at('1.1.0.efi'), at('esp/EFI/Linux/site_1.1.0+2-0.efi'));
  writeFileSync(at('esp/loader/loader.conf'), 'timeout 0\n');
  writeFileSync(at('repart/10-esp.conf'), `[Partition]\nType=esp\nFormat=vfat\nSizeMinBytes=128M\nSizeMaxBytes=128M\nCopyFiles=${at('esp')}:/\n`);
  const disk = at('disk.img');
  await run('systemd-repart', '--empty=create', '--size=160M', '--offline=yes', '--sector-size=512', '--dry-run=no', `--definitions=${at('repart')}`, disk);
  return {
    disk,
    entries: async () =>
      (await run('mdir', '-b', '-i', `${disk}@@1M`, '::/EFI/Linux'))
        .split('\n')
        .flatMap((line) => /([^/]+\.efi)\s*$/i.exec(line)?.[1] ?? [])
        .toSorted(),
  };
};
