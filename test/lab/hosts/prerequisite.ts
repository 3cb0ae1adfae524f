import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { cgroupsOf } from './enclosure.ts';
import { hostsCache, isOverlay } from './cache.ts';
import { missingForBuild } from '../prerequisite.ts';
import { contentFolder } from './content.ts';
import type { KubernetesVersion } from './recipe.ts';
import { rootFolder } from './root-file-system.ts';

const hasProgram = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Where Debian has the programs that the hosts need. */
const packageOf: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  mmdebstrap: 'mmdebstrap',
};

/** What this machine lacks for test hosts, one sentence each; empty when they can run. */
export const missingForHosts = (platform: string = process.platform): string[] => {
  if (platform !== 'linux') return [`Test hosts run on Linux only; this is ${platform}.`];
  if (process.getuid?.() !== 0) return ['Test hosts need root, for network and mounts of their own; run this as root, with sudo.'];
  const needed = ['unshare', 'nsenter', 'setpriv', 'ip', ...(existsSync(rootFolder()) ? [] : ['mmdebstrap'])];
  const missing = needed
    .filter((program) => !hasProgram(program))
    .map((program) => `The program ${program} is not installed: apt install ${packageOf[program] ?? program}.`);
  if (cgroupsOf().length === 0) missing.push('No cgroup controllers are mounted at /sys/fs/cgroup; systemd needs them.');
  mkdirSync(hostsCache(), { recursive: true });
  if (isOverlay(hostsCache()))
    missing.push(`${hostsCache()} lies on an overlay, which takes no disks of test hosts; let XDG_CACHE_HOME name a folder on a real file system.`);
  return missing;
};

/** What this machine lacks for building the content of these versions; empty when they are there already. */
export const missingForContent = async (versions: readonly KubernetesVersion[]): Promise<string[]> => {
  if (versions.every((version) => existsSync(contentFolder(version)))) return [];
  const missing = await missingForBuild();
  if (!hasProgram('gcc')) missing.push('The program gcc is not installed: apt install gcc libc6-dev.');
  if (!hasProgram('pkg-config') || spawnSync('pkg-config', ['--exists', 'libseccomp']).status !== 0)
    missing.push('runc needs the headers of libseccomp: apt install libseccomp-dev pkg-config.');
  return missing;
};
