import type { RunningAgent } from '@groundplane/protocol/agent-package';
import type { Result } from '@groundplane/protocol/failure';

/** Where versions of the agent itself live. Undefined in an agent that was not started by `launch.sh`. */
export interface AgentSlots {
  running(): RunningAgent;
  /** Slots that this host returned from. */
  bad(): readonly string[];
  /** A person said that it may be tried again. */
  forgive(): void;
  /**
   * Unpacks a package into the slot of this name and makes it the next to start; checks everything in it before. Failures: `agent-package-invalid` (fatal),
   * `disk-full`, `disk-read-only`, `disk-error`, `host-denied` (blocked).
   */
  install(slot: string, packageFile: string): Promise<Result<void>>;
  /** Ends this process, once what is on disk says what comes next; systemd starts the next one. */
  restart(): void;
}
