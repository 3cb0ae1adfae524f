import type { Clock } from '../port/clock.ts';
import { runCommand } from './command.ts';

/** How systemd is told; the process answers with an exit code. */
export type Tell = (text: readonly string[], env: Readonly<Record<string, string>>) => Promise<unknown>;

const systemdNotify: Tell = (text, env) => runCommand('systemd-notify', text, { timeoutMs: 10_000, env });

/**
 * Speaks sd_notify(3) with the systemd that started the agent. Node has no datagram sockets in the file system, so the program `systemd-notify` does it: one short
 * process in half a watchdog interval. The unit needs `NotifyAccess=all` for that. Without `NOTIFY_SOCKET` nothing happens.
 */
export const createNotifier = (env: Readonly<Record<string, string | undefined>>, clock: Clock, tell: Tell = systemdNotify) => {
  const socket = env['NOTIFY_SOCKET'];
  const watchdogMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1000;
  let cancel: (() => void) | undefined;
  const send = async (...text: string[]): Promise<void> => {
    if (socket !== undefined && socket !== '') await tell(text, { NOTIFY_SOCKET: socket });
  };
  /** Comes from a timer, so it stops when the event loop is stuck, and that is what the watchdog watches. */
  const ping = (): void => {
    void send('WATCHDOG=1');
    cancel = clock.after(watchdogMs / 2, ping);
  };
  return {
    ready: async (): Promise<void> => {
      await send('--ready', 'STATUS=running');
      if (socket !== undefined && socket !== '' && Number.isFinite(watchdogMs) && watchdogMs >= 1_000) cancel = clock.after(watchdogMs / 2, ping);
    },
    /** The last step may take its time; the unit's own limit for a stop holds. */
    stopping: async (): Promise<void> => {
      await send('STOPPING=1');
    },
    close: (): void => cancel?.(),
  };
};
