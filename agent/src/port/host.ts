import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';
import type { HostInfo } from '@groundplane/protocol/observed';

export interface FileOnDisk {
  content: string;
  digest: Digest;
  /** Octal with four digits: `0644`. */
  mode: string;
  owner: string;
  group: string;
}

export interface FileToWrite {
  path: string;
  content: string;
  mode: string;
  owner: string;
  group: string;
}

export interface UnitState {
  enabled: boolean;
  active: boolean;
}

export interface PackageState {
  version: string;
  /** Kept at this version by the package manager. */
  held: boolean;
}

export interface PackageWish {
  name: string;
  /** Absent: any version will do, and nothing is held. */
  version?: string | undefined;
  /** False: this version, and free for others to upgrade. */
  held?: boolean;
}

/**
 * The distribution's package manager: apt, dnf or zypper. Failures: `package-unknown` (blocked: no repository has it, or not in that version),
 * `package-conflict` (blocked), `package-busy` (retry: somebody else holds the lock), `package-failed` (blocked: with the manager's last words),
 * `repository-unreachable` (retry), `disk-full`, `host-denied` (blocked).
 */
export interface Packages {
  /** `apt`, `dnf`, `zypper` */
  name: string;
  read(names: readonly string[]): Promise<Result<Map<string, PackageState | 'absent'>>>;
  /** All of them in one transaction; also to older versions. What has a version is held, what has none is not. */
  install(wishes: readonly PackageWish[]): Promise<Result<void>>;
  /** Configuration stays. Succeeds also for what is not there. */
  remove(names: readonly string[]): Promise<Result<void>>;
}

export type ModuleState = 'loaded' | 'builtin' | 'absent';

export interface AccountState {
  groups: string[];
  shell: string;
}

/**
 * The machine below Kubernetes. Every effect is idempotent and durable when it returns.
 * Failures: `host-denied` (blocked: not root), `disk-full`, `disk-read-only` (blocked), `file-unsafe` (fatal: a link or a folder stands there),
 * `sysctl-unknown`, `sysctl-refused` (blocked), `unit-failed` (blocked; with the unit's last words), `module-unknown`, `module-busy`, `account-failed`
 * (blocked), `host-error` (retry).
 */
export interface Host {
  info(): Promise<HostInfo>;
  readFile(path: string): Promise<Result<FileOnDisk | 'absent'>>;
  /** Temporary file, fsync, rename, fsync of the folder. Missing parent folders are made (0755). */
  writeFile(file: FileToWrite): Promise<Result<void>>;
  /** Succeeds also when it is already gone. */
  removeFile(path: string): Promise<Result<void>>;
  readSysctl(key: string): Promise<Result<string | 'absent'>>;
  writeSysctl(key: string, value: string): Promise<Result<void>>;
  readUnit(unit: string): Promise<Result<UnitState | 'absent'>>;
  setUnit(unit: string, state: UnitState & { restart: boolean }): Promise<Result<void>>;
  reloadUnits(): Promise<Result<void>>;
  readModule(name: string): Promise<Result<ModuleState>>;
  loadModule(name: string): Promise<Result<void>>;
  /** One that is in use stays, which is no failure. */
  unloadModule(name: string): Promise<Result<void>>;
  readAccount(name: string): Promise<Result<AccountState | 'absent'>>;
  /** Makes the account with a home and a locked password, or adds groups and sets the shell. Missing groups are made. */
  setAccount(name: string, state: AccountState): Promise<Result<void>>;
  /** The home stays, since it may hold somebody's work. */
  removeAccount(name: string): Promise<Result<void>>;
  /** Undefined where the distribution's manager is not one that we know. */
  packages: Packages | undefined;
}
