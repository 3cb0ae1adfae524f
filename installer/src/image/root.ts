import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { outputOf, runProgram } from './command.ts';
import { initrdEntries, type RootEntry } from './root-files.ts';
import { debootstrapArgv, imageCache, inPath, makeOnce, suite, type Tools } from './tools.ts';

/** What an appliance needs to run the agent, and Kubernetes on top of it. */
const packages = [
  'systemd systemd-sysv dbus udev kmod systemd-boot systemd-boot-efi systemd-repart systemd-container systemd-resolved systemd-timesyncd libpam-systemd initramfs-tools busybox zstd',
  'e2fsprogs dosfstools mtools fdisk util-linux mount iproute2 nftables iptables conntrack ethtool socat ca-certificates libatomic1 libstdc++6 passwd login',
  'procps openssl openssh-server sudo tzdata',
].flatMap((line) => line.split(' '));

const debianArch: Record<AgentArch, string> = { x64: 'amd64', arm64: 'arm64' };

/** `generic` has the drivers of real machines, `cloud` those of virtual ones at a fifth of the size. */
export const kernels = ['generic', 'cloud'] as const;
export type Kernel = (typeof kernels)[number];
const kernelPackage = (kernel: Kernel, arch: AgentArch): string => `linux-image-${kernel === 'cloud' ? 'cloud-' : ''}${debianArch[arch]}`;

export interface BaseWish {
  arch: AgentArch;
  kernel: Kernel;
  /** More packages of Debian. */
  more: readonly string[];
}

/** Puts an entry below a root. What stands there is replaced; what is below a link of the root is not followed out of it. */
export const placeEntry = (root: string, entry: RootEntry): void => {
  const target = join(root, entry.path);
  if (entry.kind === 'folder') {
    mkdirSync(target, { recursive: true });
    chmodSync(target, entry.mode);
    return;
  }
  rmSync(target, { recursive: true, force: true });
  mkdirSync(dirname(target), { recursive: true });
  if (entry.kind === 'link') return symlinkSync(entry.target, target);
  writeFileSync(target, entry.text);
  chmodSync(target, entry.mode);
};

/** The programs of another processor run twenty times as slowly. */
const [ownRootMs, foreignRootMs] = [1_800_000, 4 * 3_600_000];

const binfmt = '/proc/sys/fs/binfmt_misc';

/** A foreign root is configured by running its own programs, for which the kernel has to know an emulator; mmdebstrap asks arch-test whether it does. */
export const missingForArch = (
  arch: AgentArch,
  here: string = process.arch,
  registered: (name: string) => boolean = (name) => existsSync(join(binfmt, name)),
  has: (program: string) => boolean = inPath,
): string[] => {
  if (arch === here) return [];
  const isRegistered = registered(arch === 'arm64' ? 'qemu-aarch64' : 'qemu-x86_64');
  if (isRegistered && has('arch-test')) return [];
  const lack = isRegistered ? `Roots for ${arch} need the program arch-test` : `The kernel of this machine runs no programs for ${arch}`;
  return [`${lack}: apt install qemu-user-static binfmt-support arch-test, or build on a machine with that processor.`];
};

/**
 * A root file system of Debian with kernel and initrd, made once for the same wish and kept. Failures: `root-failed`, `initrd-failed`.
 * `epoch` names the state of the package archive: another one makes it anew.
 */
export const ensureBase = async (tools: Tools, wish: BaseWish, epoch: string, progress: (line: string) => void): Promise<Result<string>> => {
  const wanted = [...packages, kernelPackage(wish.kernel, wish.arch), ...wish.more];
  const initrd = initrdEntries();
  const digest = createHash('sha256')
    .update(JSON.stringify([3, suite, wish, wanted, initrd, epoch]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(imageCache(), `base-${wish.arch}-${digest}`);
  if (existsSync(folder)) return ok(folder);
  progress(`making a root file system of Debian ${suite} for ${wish.arch} with ${wanted.length} packages`);
  const timeoutMs = wish.arch === process.arch ? ownRootMs : foreignRootMs;
  const made = await makeOnce(folder, async (staging) => {
    // The kernel's package makes an initrd, which the one below replaces.
    const more = [`--arch=${debianArch[wish.arch]}`, '--components=main,non-free-firmware'];
    const root = await outputOf(runProgram(debootstrapArgv(staging, wanted, more), { timeoutMs }), 'root-failed', 'mmdebstrap');
    if (!root.ok) return root;
    for (const entry of initrd) placeEntry(staging, entry);
    progress('making its initrd');
    return outputOf(
      tools.run(
        // The same files make the same initrd, so that a new version moves only what is new.
        ['env', 'SOURCE_DATE_EPOCH=0', 'chroot', '/mnt/root', 'update-initramfs', '-u', '-k', 'all'],
        [
          { from: staging, to: '/mnt/root' },
          { from: '/proc', to: '/mnt/root/proc' },
        ],
        { timeoutMs },
      ),
      'initrd-failed',
      'update-initramfs',
    );
  });
  return made.ok ? ok(folder) : made;
};

/** Kernel and initrd of a root. */
export const bootFiles = (root: string): Result<{ kernel: string; initrd: string; version: string }> => {
  const name = readdirSync(join(root, 'boot')).find((each) => each.startsWith('vmlinuz-'));
  if (name === undefined) return fail('fatal', 'root-failed', root, 'it has no kernel');
  const version = name.slice('vmlinuz-'.length);
  return ok({ kernel: `/boot/${name}`, initrd: `/boot/initrd.img-${version}`, version });
};
