import type { Result } from '@groundplane/protocol/failure';

/**
 * System extensions: images of /usr in the folder where systemd-sysext finds them. They lie in the store of large files; in the folder is a link.
 * Failures: `extension-failed` (blocked: with the words of systemd-sysext), `host-denied`, `disk-full`, `disk-read-only` (blocked), `host-error` (retry).
 */
export interface Extensions {
  /** `other`: something that is not a link to a file of ours. */
  read(name: string): Promise<Result<{ path: string } | 'other' | 'absent'>>;
  /** Replaces what is there. */
  link(name: string, path: string): Promise<Result<void>>;
  /** Succeeds also when it is already gone. */
  unlink(name: string): Promise<Result<void>>;
  /** Lays what is in the folder over /usr, and takes off what is not there any more. */
  refresh(): Promise<Result<void>>;
}
