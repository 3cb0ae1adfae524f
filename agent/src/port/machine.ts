import type { Result } from '@groundplane/protocol/failure';

/** The machine between two boots. Failures: `host-denied` (blocked), `reboot-failed` (retry: with the words of systemd). */
export interface Machine {
  /** Another one after each boot, and never the same again. */
  bootId(): Promise<Result<string>>;
  /** What the distribution wants a reboot for; undefined when it does not. */
  rebootNeeded(): Promise<Result<string | undefined>>;
  /** A person at this host lets the next reboot happen at once. Forgotten with the boot. */
  isRebootAllowed(): Promise<Result<boolean>>;
  /** Returns when the machine is about to go down. */
  reboot(): Promise<Result<void>>;
}
