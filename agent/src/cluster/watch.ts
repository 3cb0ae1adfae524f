import type { IncomingMessage } from 'node:http';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { sleep, type Clock } from '../port/clock.ts';
import type { ApiResource, ListQuery, WatchEvent } from '../port/cluster.ts';
import type { Random } from '../port/random.ts';
import type { Transport } from './http.ts';
import { lineSplitter } from './lines.ts';
import { collectionPath, queryText } from './path.ts';

export interface WatchDeps {
  transport: Transport;
  clock: Clock;
  random: Random;
  resource: (apiVersion: string, kind: string) => Promise<Result<ApiResource>>;
  /** Any answer of the collection, for its resourceVersion: the point the watch starts from. */
  probe: () => Promise<Result<{ resourceVersion: string }>>;
}

const lineBytesMax = 8 * 1024 * 1024;
const backoffMsMin = 200;
const backoffMsMax = 30_000;
/** The server ends a watch after this; chosen anew each time so that the watches of an agent do not end together. */
const lifetimeSecondsMin = 300;
const lifetimeSecondsSpread = 300;
/** A server that is gone without a word does not end the watch; we do, this long after it should have. */
const lifetimeGraceMs = 30_000;

/** Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): uniform in [0, min(max, base * 2^attempt)). */
export const backoffMs = (attempt: number, random: Random): number => random.fraction() * Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(attempt, 20));

/** How one connection ended. `gone`: the server has no history from our point on. */
type StreamEnd = { end: 'closed' | 'gone' | 'broken'; resourceVersion: string | undefined; didDeliver: boolean };

interface WatchLine {
  type?: string;
  object?: KubeObject & { code?: number };
}

const parseLine = (line: string): WatchLine | undefined => {
  try {
    return JSON.parse(line) as WatchLine;
  } catch {
    return undefined;
  }
};

const eventTypes: Record<string, 'added' | 'modified' | 'deleted' | undefined> = { ADDED: 'added', MODIFIED: 'modified', DELETED: 'deleted' };

/** Reads one watch response to its end. */
const readStream = async (response: IncomingMessage, from: string, onEvent: (event: WatchEvent) => void): Promise<StreamEnd> => {
  const state: StreamEnd = { end: 'closed', resourceVersion: from, didDeliver: false };
  const take = (line: string): boolean => {
    const { type = '', object } = parseLine(line) ?? {};
    if (type === 'ERROR' || object === undefined) {
      // 410 comes as an event once the stream is open.
      state.end = object?.code === 410 ? 'gone' : 'broken';
      return false;
    }
    const version = object.metadata?.resourceVersion;
    if (version !== undefined && version !== '') state.resourceVersion = version;
    state.didDeliver = true;
    const event = eventTypes[type];
    // Bookmarks only move the resourceVersion; unknown types are from a later Kubernetes.
    if (event !== undefined) onEvent({ type: event, object });
    return true;
  };
  const splitter = lineSplitter(lineBytesMax, take);
  const { promise, resolve } = Promise.withResolvers<StreamEnd>();
  response.on('data', (chunk: Buffer) => {
    if (splitter.push(chunk)) return;
    if (state.end === 'closed') state.end = 'broken';
    response.destroy();
  });
  response.on('error', () => {
    if (state.end === 'closed') state.end = 'broken';
  });
  response.on('close', () => resolve(state));
  return await promise;
};

const watchPath = (resource: ApiResource, query: ListQuery, from: string, lifetimeSeconds: number): Result<string> => {
  const path = collectionPath(resource, query.namespace, `${query.kind} watch`, true);
  if (!path.ok) return path;
  const parameters = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: from, timeoutSeconds: lifetimeSeconds, labelSelector: query.labelSelector };
  return ok(path.value + queryText(parameters));
};

interface Connected {
  response: IncomingMessage;
  from: string;
  cancelDeadline: () => void;
}

const connect = async (deps: WatchDeps, query: ListQuery, from: string | undefined, signal: AbortSignal): Promise<Result<Connected>> => {
  const resource = await deps.resource(query.apiVersion, query.kind);
  if (!resource.ok) return resource;
  const start = from === undefined ? await deps.probe() : ok({ resourceVersion: from });
  if (!start.ok) return start;
  const lifetimeSeconds = lifetimeSecondsMin + Math.floor(deps.random.fraction() * lifetimeSecondsSpread);
  const path = watchPath(resource.value, query, start.value.resourceVersion, lifetimeSeconds);
  if (!path.ok) return path;
  const request = { method: 'GET' as const, path: path.value, element: `${query.kind} watch`, resource: resource.value.resource };
  const opened = await deps.transport.stream(request, signal);
  if (!opened.ok) return opened;
  const response = opened.value;
  const cancelDeadline = deps.clock.after(lifetimeSeconds * 1000 + lifetimeGraceMs, () => response.destroy());
  return ok({ response, from: start.value.resourceVersion, cancelDeadline });
};

/**
 * Watches until the signal aborts. It is safe to list on every 'reset': the stream's starting point is always older than the list that a 'reset'
 * causes, so an event may repeat what the list said, but none is missing. After a break a second 'reset' follows the successful connect, because the list
 * of the first one most likely failed. A stream that the server ends in good order (its lifetime is over) has one 'reset' only.
 */
export const watchLoop = async (deps: WatchDeps, query: ListQuery, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> => {
  const emit = (event: WatchEvent): void => {
    if (!signal.aborted) onEvent(event);
  };
  let from: string | undefined;
  let failures = 0;
  // The first connect, a lost history and a break all ask for a list after the connect.
  let isListDue = true;
  while (!signal.aborted) {
    const connected = await connect(deps, query, from, signal);
    if (!connected.ok) {
      isListDue = true;
      if (connected.failure.code === 'history-gone') from = undefined;
      await sleep(deps.clock, backoffMs(failures, deps.random), signal);
      failures += 1;
      continue;
    }
    if (isListDue) emit({ type: 'reset' });
    isListDue = false;
    const ended = await readStream(connected.value.response, connected.value.from, emit);
    connected.value.cancelDeadline();
    // Also when the next connect succeeds at once: a connect may wait out the whole outage in the kernel.
    if (ended.end !== 'closed') isListDue = true;
    from = ended.end === 'gone' ? undefined : ended.resourceVersion;
    if (ended.didDeliver) failures = 0;
    emit({ type: 'reset' });
    // Also after an orderly end: a server that accepts and closes at once must not be hammered.
    await sleep(deps.clock, backoffMs(failures, deps.random), signal);
    failures += 1;
  }
};
