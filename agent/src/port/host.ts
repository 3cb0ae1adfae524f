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

/**
 * The machine below Kubernetes. Every effect is idempotent and durable when it returns.
 * Failures: `host-denied` (blocked: not root), `disk-full`, `disk-read-only` (blocked), `file-unsafe` (fatal: a link or a folder stands there),
 * `sysctl-unknown`, `sysctl-refused` (blocked), `unit-failed` (blocked; with the unit's last words), `host-error` (retry).
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
}
