import { ok } from '@groundplane/protocol/failure';
import type { Machine } from '@groundplane/agent/port/machine';

export interface FakeMachine extends Machine {
  boots: number;
  /** What the distribution wants a reboot for. Forgotten with the boot. */
  needed: string | undefined;
  isAllowed: boolean;
  reboots: number;
  /** The power goes, or a reboot: whoever owns the machine calls it. */
  boot(): void;
  /** Called by `reboot`, which is the end of all processes. */
  onReboot: () => void;
}

export const fakeMachine = (): FakeMachine => {
  const machine: FakeMachine = {
    boots: 1,
    needed: undefined,
    isAllowed: false,
    reboots: 0,
    boot: () => {
      machine.boots += 1;
      machine.needed = undefined;
      machine.isAllowed = false;
    },
    onReboot: () => undefined,
    bootId: () => Promise.resolve(ok(`boot-${machine.boots}`)),
    rebootNeeded: () => Promise.resolve(ok(machine.needed)),
    isRebootAllowed: () => Promise.resolve(ok(machine.isAllowed)),
    reboot: () => {
      machine.reboots += 1;
      machine.onReboot();
      return Promise.resolve(ok(undefined));
    },
  };
  return machine;
};
