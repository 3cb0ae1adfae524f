import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { withOwnMounts } from '@groundplane/installer/image/tools';
import { ok, type Result } from '@groundplane/protocol/failure';
import { cacheFailure, cachedFolder, ensureCached } from './cache.ts';
import { runCommand } from './command.ts';

/** Debian 12 has the last systemd that runs with cgroup v1 as well as v2. */
const suite = 'bookworm';

/** A small server: what a real one has, and what kubeadm's checks look for. */
const packages = [
  'systemd systemd-sysv dbus apt ca-certificates passwd login netbase procps util-linux mount e2fsprogs gpgv',
  'iptables nftables conntrack kmod iproute2 ethtool socat iputils-ping curl openssl zstd libatomic1 libstdc++6',
].flatMap((line) => line.split(' '));

/** They reach into the kernel that all hosts share with the machine, or wake up while something is measured. */
const maskedUnits = [
  'sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount systemd-udevd.service',
  'apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer',
].flatMap((line) => line.split(' '));

const leftOut = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/locale/*', '/usr/share/info/*'];

const recipe = 1;
const parts = [recipe, suite, packages, maskedUnits, leftOut];
const name = 'root';

export const rootFolder = (): string => cachedFolder(name, parts);

const explain = (output: string): Result<never> => {
  const last = output.trim().split('\n').slice(-6).join('\n');
  const isNetwork = /Could not resolve|Could not connect|Connection (?:refused|timed out)|Temporary failure|502|503/i.test(output);
  return cacheFailure(
    isNetwork ? 'hosts-no-network' : 'hosts-root-failed',
    `the root file system of the test hosts cannot be made${isNetwork ? ': Debian packages cannot be reached; check the network' : ''}:\n${last}`,
  );
};

const build = async (folder: string): Promise<Result<void>> => {
  const paths = leftOut.map((path) => `--dpkgopt=path-exclude=${path}`);
  const made = await runCommand(
    [...withOwnMounts, 'mmdebstrap', '--mode=root', '--variant=minbase', `--include=${packages.join(',')}`, ...paths, suite, folder],
    {
      timeoutMs: 900_000,
    },
  );
  if (made.code !== 0) return explain(made.stderr);
  for (const unit of maskedUnits) symlinkSync('/dev/null', join(folder, 'etc/systemd/system', unit));
  // Hosts have no network to the world; a test names its own repositories.
  rmSync(join(folder, 'etc/apt/sources.list'), { force: true });
  mkdirSync(join(folder, 'var/log/journal'), { recursive: true });
  // Each host writes its own.
  for (const file of ['etc/machine-id', 'etc/hostname', 'etc/resolv.conf']) rmSync(join(folder, file), { force: true });
  // mmdebstrap leaves the caches of apt.
  rmSync(join(folder, 'var/lib/apt/lists'), { recursive: true });
  mkdirSync(join(folder, 'var/lib/apt/lists/partial'), { recursive: true });
  return ok(undefined);
};

/** The root file system that all hosts start from, made once from Debian packages. Failures: `hosts-no-network`, `hosts-root-failed`, `lab-locked`. */
export const ensureRoot = async (progress: (line: string) => void): Promise<Result<string>> => await ensureCached(name, parts, build, progress);
