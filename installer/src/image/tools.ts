import { createHash, randomUUID } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { outputOf, runProgram, type Ran } from './command.ts';

/**
 * The programs that make images (systemd-repart, ukify, mkfs.erofs, mtools …) in a root file system of their own: Debian trixie, made once by mmdebstrap and kept in
 * the user's cache. So an image does not depend on what a builder's machine happens to have, and that machine needs four programs only.
 */
export const suite = 'trixie';

const packages = [
  'systemd systemd-boot systemd-boot-efi systemd-repart systemd-container systemd-ukify erofs-utils dosfstools mtools e2fsprogs fdisk zstd cpio kmod',
  'ca-certificates util-linux mount mmdebstrap',
].flatMap((line) => line.split(' '));

/** Besides the packages of one processor: these boot and test images. */
export const emulatorPackages = ['qemu-system-x86', 'ovmf', 'qemu-system-arm', 'qemu-efi-aarch64', 'binutils', 'busybox-static'];

export const leftOut = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/locale/*', '/usr/share/info/*', '/usr/share/lintian/*'];

export const imageCache = (): string => join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'groundplane', 'images');

/** Whether a program is where Debian has its programs. */
export const inPath = (program: string): boolean =>
  `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

const neededPrograms: Readonly<Record<string, string>> = { mmdebstrap: 'mmdebstrap', unshare: 'util-linux', chroot: 'coreutils', mount: 'mount' };

/** What this machine lacks to build images, one sentence each. */
export const missingForImages = (platform: string = process.platform, has: (program: string) => boolean = inPath): string[] => {
  if (platform !== 'linux') return [`Images are built on Linux only; this is ${platform}.`];
  return [
    ...Object.entries(neededPrograms)
      .filter(([program]) => !has(program))
      .map(([program, from]) => `The program ${program} is not installed: apt install ${from}.`),
    ...(process.getuid?.() === 0 ? [] : ['Building an image needs root, for the owners of its files; run this with sudo.']),
  ];
};

export interface Bind {
  /** Absolute path on this machine. */
  from: string;
  /** Absolute path inside. */
  to: string;
}

/** One root file system with tools, and how to run something in it. */
export interface Tools {
  folder: string;
  run: (argv: readonly string[], binds?: readonly Bind[], options?: { timeoutMs?: number; input?: string }) => Promise<Ran>;
}

/** In a mount namespace of its own, so that nothing has to be unmounted afterwards. Paths go as arguments and not as text of the script. */
const enterScript = `set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t sysfs sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; [ -e "$root$2" ] || : >"$root$2"; fi
  mount --rbind "$1" "$root$2"
  shift 2
done
shift
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb "$@"`;

/** Binds have to lie below /mnt or /run: those folders are empty in the root. */
export const toolsAt = (folder: string): Tools => ({
  folder,
  run: (argv, binds = [], options = {}) =>
    runProgram(
      ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', enterScript, 'sh', folder, ...binds.flatMap(({ from, to }) => [from, to]), '--', ...argv],
      options,
    ),
});

/** Makes the root with tools if it is not there yet. Failures: `tools-missing`, `tools-failed`. */
export const ensureTools = async (progress: (line: string) => void, more: readonly string[] = []): Promise<Result<Tools>> => {
  const wanted = [...packages, ...more];
  const digest = createHash('sha256')
    .update(JSON.stringify([process.arch, suite, wanted, leftOut]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(imageCache(), `tools-${digest}`);
  const missing = missingForImages();
  if (missing.length > 0) return fail('blocked', 'tools-missing', 'building images', missing.join(' '));
  if (existsSync(folder)) return ok(toolsAt(folder));
  progress(`making the tools that build images (Debian ${suite}); this happens once`);
  const made = await makeOnce(folder, async (staging) =>
    outputOf(runProgram(debootstrapArgv(staging, wanted, []), { timeoutMs: 1_800_000 }), 'tools-failed', 'mmdebstrap'),
  );
  return made.ok ? ok(toolsAt(folder)) : made;
};

const stagingName = /^\.making-(\d+)-/;

/** Fills a folder beside and moves it to its place, whole or not at all. What others are making at the same time is left alone; what died is taken away. */
export const makeOnce = async (folder: string, make: (staging: string) => Promise<Result<unknown>>): Promise<Result<void>> => {
  const parent = dirname(folder);
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    const pid = stagingName.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const staging = join(parent, `.making-${process.pid}-${randomUUID()}`);
  try {
    const made = await make(staging);
    if (!made.ok) return made;
    // Somebody else may have been quicker.
    if (!existsSync(folder)) renameSync(staging, folder);
    return ok(undefined);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
};

/**
 * Before a program that mounts things in a root that it makes (/proc, /sys, devices): nobody else sees them, and they end with it, also when it is killed. Whoever
 * clears the folder away then must not walk into the machine's own.
 */
export const withOwnMounts = 'unshare --mount --propagation private --pid --fork --kill-child --mount-proc'.split(' ');

/** One call for the tools and for the images themselves. */
export const debootstrapArgv = (target: string, include: readonly string[], more: readonly string[]): string[] => [
  ...withOwnMounts,
  'mmdebstrap',
  '--mode=root',
  '--variant=minbase',
  '--quiet',
  '--aptopt=APT::Install-Recommends "false"',
  ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}`),
  '--dpkgopt=path-include=/usr/share/doc/*/copyright',
  `--include=${include.join(',')}`,
  ...more,
  suite,
  target,
];
