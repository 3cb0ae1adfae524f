import { limits } from '@groundplane/protocol/limits';
import type { Report, Welcome } from '@groundplane/protocol/messages';
import type { HostEvent, HostInfo, HostStatus } from '@groundplane/protocol/observed';
import { isSameVersion } from '@groundplane/protocol/version';
import type { AgentStore, AgentWrite } from '../port/store.ts';

const eventKey = (seq: number): string => `event/${String(seq).padStart(16, '0')}`;

/** Leaves room in the frame for the status and for the signs that JSON needs. */
const reportEventBytes = limits.frameBytes / 4;

/** Rows that one report carries, so that its acknowledgement deletes exactly these and nothing that came later. */
interface Flight {
  seq: number;
  keys: { key: string; value: string }[];
}

/**
 * Reports that the hub has not confirmed. State (`status`, `info`) is overwritten; events append under hard caps, and what had to be thrown away is counted.
 * Everything is durable before it is sent.
 */
export const createOutbox = (store: AgentStore) => {
  const rows = new Map(store.entries('outbox').map((row) => [row.key, row.value]));
  const eventKeys = [...rows.keys()].filter((key) => key.startsWith('event/'));
  let nextEvent = Number((eventKeys.at(-1) ?? 'event/0').slice('event/'.length)) + 1;
  let seq = Number(store.get('kv', 'outboxSeq') ?? 0);
  let flight: Flight | undefined;
  /** Keys with unsent content; what is in flight is not. */
  const fresh = new Set(rows.keys());

  const put = (key: string, value: unknown): AgentWrite | undefined => {
    const text = JSON.stringify(value);
    if (rows.get(key) === text) return undefined;
    rows.set(key, text);
    fresh.add(key);
    return { table: 'outbox', key, value: text };
  };

  /** State that the hub has confirmed already is no news, also after a restart. */
  const putState = (key: 'status' | 'info', value: HostStatus | HostInfo): AgentWrite[] => {
    if (!rows.has(key) && store.get('kv', `sent/${key}`) === JSON.stringify(value)) return [];
    return [put(key, value)].filter((write) => write !== undefined);
  };

  const dropOldest = (): AgentWrite[] => {
    const writes: AgentWrite[] = [];
    let dropped = Number(rows.get('dropped') ?? 0);
    while (eventKeys.length > limits.outboxEvents) {
      const key = eventKeys.shift();
      if (key === undefined) break;
      rows.delete(key);
      fresh.delete(key);
      dropped += 1;
      writes.push({ table: 'outbox', key, value: null });
    }
    const marker = writes.length === 0 ? undefined : put('dropped', dropped);
    return marker === undefined ? writes : [...writes, marker];
  };

  /** The oldest unsent events, as many as one frame can carry. */
  const nextEvents = (): string[] => {
    let bytes = 0;
    return eventKeys
      .filter((key) => fresh.has(key))
      .slice(0, limits.reportEvents)
      .filter((key) => (bytes += Buffer.byteLength(rows.get(key) ?? '')) <= reportEventBytes);
  };

  /** What was counted as thrown away and is not: told already, or thrown away while it was on its way and arrived. */
  const settleDropped = (told: number): AgentWrite[] => {
    const left = Number(rows.get('dropped') ?? 0) - told;
    if (!rows.has('dropped')) return [];
    if (left > 0) return [put('dropped', left)].filter((write) => write !== undefined);
    rows.delete('dropped');
    fresh.delete('dropped');
    return [{ table: 'outbox', key: 'dropped', value: null }];
  };

  const read = <T>(keys: readonly string[], key: string): T | undefined => (keys.includes(key) ? (JSON.parse(rows.get(key) ?? 'null') as T) : undefined);

  return {
    /** Writes to commit; empty when nothing changed. */
    status: (status: HostStatus): AgentWrite[] => putState('status', status),
    info: (info: HostInfo): AgentWrite[] => putState('info', info),
    event: (event: HostEvent): AgentWrite[] => {
      const key = eventKey(nextEvent);
      nextEvent += 1;
      eventKeys.push(key);
      const write = put(key, { ...event, message: event.message.slice(0, 2048) });
      return [...(write === undefined ? [] : [write]), ...dropOldest()];
    },
    hasNews: (): boolean => flight === undefined && fresh.size > 0,
    /** The next report, or undefined when there is nothing to say or one is on its way. */
    take: (): Report | undefined => {
      if (flight !== undefined || fresh.size === 0) return undefined;
      const events = nextEvents();
      const keys = [...['status', 'info', 'dropped'].filter((key) => fresh.has(key)), ...events];
      seq += 1;
      flight = { seq, keys: keys.map((key) => ({ key, value: rows.get(key) ?? '' })) };
      for (const key of keys) fresh.delete(key);
      const status = read<HostStatus>(keys, 'status');
      const info = read<HostInfo>(keys, 'info');
      const dropped = read<number>(keys, 'dropped');
      return {
        t: 'report',
        seq,
        ...(status === undefined ? {} : { status }),
        ...(info === undefined ? {} : { info }),
        ...(events.length === 0 ? {} : { events: events.map((key) => JSON.parse(rows.get(key) ?? 'null') as HostEvent) }),
        ...(dropped === undefined ? {} : { dropped }),
      };
    },
    /** The hub has it on disk: writes that forget it here. */
    acknowledge: (acknowledged: number): AgentWrite[] => {
      if (flight?.seq !== acknowledged) return [];
      const writes: AgentWrite[] = [{ table: 'kv', key: 'outboxSeq', value: String(seq) }];
      let told = 0;
      for (const { key, value } of flight.keys) {
        if (key === 'dropped') told += Number(value);
        if (key.startsWith('event/') && !rows.has(key)) told += 1;
        if (key === 'dropped') continue;
        if (key === 'info' || key === 'status') writes.push({ table: 'kv', key: `sent/${key}`, value });
        if (rows.get(key) !== value) continue;
        rows.delete(key);
        writes.push({ table: 'outbox', key, value: null });
        const place = eventKeys.indexOf(key);
        if (place >= 0) eventKeys.splice(place, 1);
      }
      flight = undefined;
      return told === 0 ? writes : [...writes, ...settleDropped(told)];
    },
    /** What the hub says it knows, against what it once confirmed: where it forgot (an older back-up), the state is news again at the next look. */
    compare: (known: Welcome['reported']): AgentWrite[] => {
      const text = store.get('kv', 'sent/status');
      if (text === undefined) return [];
      const sent = JSON.parse(text) as HostStatus;
      const isKnown = known?.phase === sent.phase && (sent.version === undefined || isSameVersion(known.version, sent.version));
      return isKnown ? [] : ['sent/status', 'sent/info'].map((key) => ({ table: 'kv', key, value: null }));
    },
    /** The connection broke before the acknowledgement: what was on its way has to be sent again. */
    lost: (): void => {
      for (const { key } of flight?.keys ?? []) if (rows.has(key)) fresh.add(key);
      flight = undefined;
    },
    size: (): number => rows.size,
  };
};
export type Outbox = ReturnType<typeof createOutbox>;
