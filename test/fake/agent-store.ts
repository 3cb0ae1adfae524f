import { ok, type Failure } from '@groundplane/protocol/failure';
import { agentTables, type AgentStore, type AgentTable } from '@groundplane/agent/port/store';

/** The agent's state in memory. What was committed outlives a `reopen`, as it would on a disk; a fault makes the next commit fail whole. */
export interface FakeAgentStore extends AgentStore {
  failNext(failure: Failure): void;
  /** The same disk seen by a restarted process. */
  reopen(): FakeAgentStore;
}

type Disk = Map<AgentTable, Map<string, string>>;

const openOn = (disk: Disk): FakeAgentStore => {
  const faults: Failure[] = [];
  const table = (name: AgentTable): Map<string, string> => disk.get(name) ?? new Map<string, string>();
  const sorted = (name: AgentTable): [string, string][] => [...table(name)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    get: (name, key) => table(name).get(key),
    entries: (name) => sorted(name).map(([key, value]) => ({ key, value })),
    keys: (name) => [...table(name).keys()].toSorted(),
    commit: (writes) => {
      const failure = faults.shift();
      if (failure !== undefined) return { ok: false, failure };
      for (const { table: name, key, value } of writes) {
        if (value === null) table(name).delete(key);
        else table(name).set(key, value);
      }
      return ok(undefined);
    },
    close: () => undefined,
    failNext: (failure) => void faults.push(failure),
    reopen: () => openOn(disk),
  };
};

export const fakeAgentStore = (): FakeAgentStore => openOn(new Map(agentTables.map((name) => [name, new Map<string, string>()])));
