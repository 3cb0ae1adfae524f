import type { AgentSlots } from '@groundplane/agent/port/slots';
import { ok } from '@groundplane/protocol/failure';

export interface FakeSlots extends AgentSlots {
  /** What lies on the simulated disk. */
  disk: { current: string; healthy: string; bad: string[]; restarts: number };
}

/** Slots in memory; the test plays launch.sh. */
export const fakeSlots = (slot = '1.0.0-aaaaaaaaaaaa', disk: FakeSlots['disk'] = { current: slot, healthy: slot, bad: [], restarts: 0 }): FakeSlots => ({
  disk,
  running: () => ({ slot, healthy: disk.healthy === slot, arch: 'x64' }),
  bad: () => disk.bad,
  forgive: () => void (disk.bad = []),
  install: (name) => {
    disk.current = name;
    return Promise.resolve(ok(undefined));
  },
  restart: () => void (disk.restarts += 1),
});
