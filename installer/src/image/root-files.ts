import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { osImageLabel } from '@groundplane/protocol/os-image';
import { diskDefinitions, installBytes, type DiskSizes } from './disk-layout.ts';
import { transferFiles } from './transfers.ts';

/** What makes a Debian root an image of ours: files, links and folders, decided here and written elsewhere. */
export type RootEntry =
  | { path: string; kind: 'file'; text: string; mode: number }
  | { path: string; kind: 'link'; target: string }
  | { path: string; kind: 'folder'; mode: number };

export interface ImageIdentity {
  name: string;
  version: string;
  arch: AgentArch;
  /** Public keys whose images may replace this one. */
  keys: readonly string[];
  sizes: DiskSizes;
  /** How often the images that replace this one are started before it is taken up again. */
  tries: number;
}

const scripts = join(import.meta.dirname, '..', '..', 'image');
const script = (name: string): string => readFileSync(join(scripts, name), 'utf8');

const file = (path: string, text: string, mode = 0o644): RootEntry => ({ path, kind: 'file', text, mode });
const link = (path: string, target: string): RootEntry => ({ path, kind: 'link', target });

/** Scripts of the initrd: they are part of the boot entry, so the initrd is made anew when one of them changes. */
export const initrdEntries = (): RootEntry[] => [
  file('/etc/initramfs-tools/hooks/groundplane', script('initrd-hook'), 0o755),
  file('/etc/initramfs-tools/scripts/local-top/groundplane', script('initrd-local-top'), 0o755),
  file('/etc/initramfs-tools/scripts/init-bottom/groundplane', script('initrd-init-bottom'), 0o755),
  file('/etc/initramfs-tools/conf.d/groundplane.conf', 'COMPRESS=zstd\nRESUME=none\nFSTYPE=erofs\nBUSYBOX=y\n'),
];

const unit = (name: string, text: string): RootEntry => file(`/usr/lib/systemd/system/${name}`, text);
const wants = (target: string, name: string): RootEntry => link(`/etc/systemd/system/${target}.wants/${name}`, `/usr/lib/systemd/system/${name}`);

const growUnit = `[Unit]
Description=Let the data partition grow to the end of the disk
DefaultDependencies=no
ConditionPathExists=/run/groundplane/disk
After=local-fs.target
Before=sysinit.target groundplane-first-boot.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/groundplane/grow.sh
`;

const firstBootUnit = `[Unit]
Description=Apply the user data of the boot partition
ConditionPathExists=/efi/groundplane
After=local-fs.target groundplane-grow.service systemd-tmpfiles-setup.service
Before=network-pre.target groundplane-agent.service
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/opt/groundplane/current/bin/node /opt/groundplane/current/agent/first-boot.mjs
StandardOutput=journal+console
`;

/** /etc is kept on the data partition, so this happens once in the life of a device. */
const sshKeysUnit = `[Unit]
Description=Make the keys by which ssh knows this device
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service ssh.socket
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A
`;

/** Only a boot on trial pulls boot-complete.target in. */
const healthUnit = `[Unit]
Description=Health check of a new image
After=groundplane-agent.service
Before=boot-complete.target
FailureAction=reboot
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=30min
EnvironmentFile=-/etc/groundplane/health.env
ExecStart=/usr/lib/groundplane/health.sh
[Install]
RequiredBy=boot-complete.target
`;

const units = (): RootEntry[] => [
  unit('groundplane-grow.service', growUnit),
  wants('sysinit.target', 'groundplane-grow.service'),
  unit('groundplane-first-boot.service', firstBootUnit),
  wants('multi-user.target', 'groundplane-first-boot.service'),
  unit('groundplane-ssh-keys.service', sshKeysUnit),
  wants('ssh.service', 'groundplane-ssh-keys.service'),
  unit('groundplane-health.service', healthUnit),
  link('/etc/systemd/system/boot-complete.target.requires/groundplane-health.service', '/usr/lib/systemd/system/groundplane-health.service'),
  file(
    '/usr/lib/systemd/system/groundplane-agent.service.d/image.conf',
    '[Unit]\nConditionPathExists=/var/lib/groundplane/ticket\nAfter=groundplane-first-boot.service\n',
  ),
  file('/usr/lib/systemd/system/emergency.service.d/groundplane.conf', '[Service]\nExecStartPre=-/usr/lib/groundplane/on-emergency.sh\n'),
  // A hung machine of a watchdog's hardware reboots; without that hardware nothing happens.
  file('/usr/lib/systemd/system.conf.d/groundplane.conf', '[Manager]\nRuntimeWatchdogSec=60s\nRebootWatchdogSec=10min\nDefaultDeviceTimeoutSec=5min\n'),
  file('/usr/lib/systemd/journald.conf.d/groundplane.conf', '[Journal]\nStorage=persistent\nSystemMaxUse=200M\n'),
  ...['systemd-networkd.service', 'systemd-resolved.service', 'systemd-timesyncd.service'].map((name) => wants('multi-user.target', name)),
  wants('sysinit.target', 'systemd-sysext.service'),
  // Updates come from the hub, and nothing else rewrites the system.
  ...[
    'apt-daily.timer',
    'apt-daily-upgrade.timer',
    'dpkg-db-backup.timer',
    'e2scrub_all.timer',
    'e2scrub_reap.service',
    'systemd-sysupdate.timer',
    'systemd-boot-update.service',
    'systemd-boot-random-seed.service',
  ].map((name) => link(`/etc/systemd/system/${name}`, '/dev/null')),
];

/** Folders that people and programs write to lie on the data partition. */
const mutable = (): RootEntry[] => [
  link('/home', 'var/home'),
  link('/root', 'var/roothome'),
  link('/srv', 'var/srv'),
  link('/usr/local', '../var/usrlocal'),
  link('/opt/cni', '/var/opt/cni'),
  file(
    '/usr/lib/tmpfiles.d/groundplane.conf',
    [
      'd /var/home 0755',
      'd /var/roothome 0700',
      'd /var/srv 0755',
      'd /var/opt/cni/bin 0755',
      'd /var/usrlocal/bin 0755',
      'd /var/lib/groundplane 0700',
      'd /var/lib/extensions 0755',
      'd /var/log/journal 2755 root systemd-journal',
    ]
      .map((line) => (line.includes(' root ') ? `${line}\n` : `${line} root root\n`))
      .join(''),
  ),
  { path: '/efi', kind: 'folder', mode: 0o700 },
];

const network = (): RootEntry[] => [
  // Anything that user data says about an interface comes first by its name.
  file(
    '/usr/lib/systemd/network/80-groundplane.network',
    '[Match]\nName=en* eth* ib*\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n[DHCPv4]\nClientIdentifier=mac\n',
  ),
  link('/etc/resolv.conf', '../run/systemd/resolve/stub-resolv.conf'),
  file('/etc/hosts', '127.0.0.1 localhost\n::1 localhost ip6-localhost\n'),
  file('/etc/hostname', 'localhost\n'),
];

const systemName = 'Groundplane OS';

const identity = ({ name, version, arch, keys, tries }: ImageIdentity): RootEntry[] => [
  file(
    '/usr/lib/os-release',
    [
      `NAME="${systemName}"`,
      `PRETTY_NAME="${systemName} ${version} (${name})"`,
      'ID=groundplane',
      'ID_LIKE=debian',
      'VERSION_ID=13',
      `IMAGE_ID=${name}`,
      `IMAGE_VERSION=${version}`,
    ].join('\n') + '\n',
  ),
  link('/etc/os-release', '../usr/lib/os-release'),
  file(
    '/usr/lib/groundplane/os-image.json',
    `${JSON.stringify({ schema: 'groundplane.dev/os-image-description/1', name, version, architecture: arch, driver: 'sysupdate', keys, tries }, undefined, 2)}\n`,
  ),
  // Each machine makes its own.
  file('/etc/machine-id', ''),
  file('/etc/fstab', ''),
];

/** Grows what the disk image made small. The sizes of the slots are those of the disk, so only the last partition is named. */
const repart = (): RootEntry[] => [
  file('/usr/lib/groundplane/repart.d/10-esp.conf', '[Partition]\nType=esp\n'),
  file('/usr/lib/groundplane/repart.d/20-root-a.conf', '[Partition]\nType=root\n'),
  file('/usr/lib/groundplane/repart.d/21-root-b.conf', '[Partition]\nType=root\n'),
  file('/usr/lib/groundplane/repart.d/30-data.conf', '[Partition]\nType=linux-generic\n'),
];

/** For an installation from a medium: the same partitions, with what runs in the first slot. */
const installation = (image: ImageIdentity): RootEntry[] => [
  ...Object.entries(diskDefinitions(image, image.sizes, { root: 'auto', esp: '/run/groundplane/install-esp' })).map(([name, text]) =>
    file(`/usr/lib/groundplane/repart-install.d/${name}`, text),
  ),
  file('/usr/lib/groundplane/repart-install.d/needed-bytes', `${installBytes(image.sizes)}\n`),
];

export const rootEntries = (image: ImageIdentity): RootEntry[] => {
  const transfers = transferFiles({ name: image.name, incoming: '/var/lib/groundplane/os-image/incoming', tries: image.tries });
  return [
    ...identity(image),
    ...units(),
    ...mutable(),
    ...network(),
    ...repart(),
    ...installation(image),
    ...['grow.sh', 'health.sh', 'on-emergency.sh'].map((name) => file(`/usr/lib/groundplane/${name}`, script(name), 0o755)),
    ...Object.entries(transfers).flatMap(([part, files]) =>
      Object.entries(files).map(([name, text]) => file(`/usr/lib/groundplane/sysupdate/${part}.d/${name}`, text)),
    ),
  ];
};

/** What the boot loader gives the kernel. `panic`: a kernel that dies reboots, which is what counts the tries of a new image down. */
export const kernelCommandLine = (image: Pick<ImageIdentity, 'name' | 'version' | 'arch'>, more: string): string =>
  [
    `root=PARTLABEL=${osImageLabel(image)}`,
    `groundplane.root=${osImageLabel(image)}`,
    'rootfstype=erofs ro panic=10 oops=panic',
    image.arch === 'x64' ? 'console=tty0 console=ttyS0,115200' : 'console=tty0 console=ttyAMA0,115200',
    more,
  ]
    .join(' ')
    .trim();
