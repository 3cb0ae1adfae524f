import type { Result } from '@groundplane/protocol/failure';

/**
 * Tables of the agent's state. Rows are small texts by key, in key order.
 * - `desired` slots `candidate`, `current`, `good` · `content` blobs by digest · `layers` what was begun · `objects`, `os` what we own · `hooks` runs that are done
 * · `journal` steps · `outbox` reports not yet acknowledged · `poison` versions that failed · `trust` pinned statements · `kv` the rest
 */
export const agentTables = ['desired', 'content', 'layers', 'objects', 'os', 'hooks', 'journal', 'outbox', 'poison', 'trust', 'kv'] as const;
export type AgentTable = (typeof agentTables)[number];

export interface AgentWrite {
  table: AgentTable;
  key: string;
  /** `null` deletes. */
  value: string | null;
}

/** The agent's only memory. What `commit` has returned for survives a power cut; a commit happens whole or not at all. */
export interface AgentStore {
  get(table: AgentTable, key: string): string | undefined;
  entries(table: AgentTable): { key: string; value: string }[];
  /** Keys only; for tables whose values are large. */
  keys(table: AgentTable): string[];
  /** Failures: `disk-full`, `disk-read-only`, `disk-error` (all blocked). Nothing was written then. */
  commit(writes: readonly AgentWrite[]): Result<void>;
  close(): void;
}
