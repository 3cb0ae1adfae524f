import { isAllowed } from '@groundplane/protocol/access';
import { fail } from '@groundplane/protocol/failure';
import { apiBase } from '@groundplane/protocol/api/routes';
import type { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Change } from '../port/store.ts';
import { notFound } from './errors.ts';
import type { ApiDeps } from './handler.ts';
import { authenticate, failureResponse } from './router.ts';

const frameMs = 1_000;
const streamsMax = 1_000;
/** Names in one frame; beyond that the page is told to read everything again. */
const namesMax = 200;

interface Listener {
  tenant: string;
  project: string | undefined;
  changes: Map<string, { kind: string; project: string; name: string }>;
  events: boolean;
  /** A key, session or user of this tenant changed: whoever listens has to show again that they may. */
  isDoubted: boolean;
  wake: () => void;
}

const note = (listener: Listener, change: Change, projectName: string, deps: ApiDeps): void => {
  if (change.op === 'event') {
    if (change.event.tenant !== listener.tenant || (listener.project !== undefined && change.event.project !== listener.project)) return;
    listener.events = true;
    return listener.wake();
  }
  const { row } = change;
  if (row.tenant !== listener.tenant) return;
  if (row.kind === 'apiKey' || row.kind === 'session' || row.kind === 'user') {
    listener.isDoubted = true;
    return listener.wake();
  }
  const host = row.kind === 'observed' || row.kind === 'desired' || row.kind === 'presence' ? deps.fleet.host(row.id) : undefined;
  const project = host?.project ?? row.project;
  if (listener.project !== undefined && project !== listener.project && row.kind !== 'project') return;
  const add = (kind: string, name: string): void => {
    if (listener.changes.size < namesMax) listener.changes.set(`${kind} ${name}`, { kind, project: projectName, name });
    listener.wake();
  };
  if (host !== undefined) {
    add('host', host.name);
    const cluster = deps.fleet.clusterOf(host.id);
    if (cluster !== undefined) add('cluster', cluster.name);
  } else if (['cluster', 'host', 'profile', 'ticket', 'project', 'macro'].includes(row.kind)) add(row.kind, row.name);
};

/** Server-sent events: what changed since the last frame, at most one frame a second. The page asks for what it shows. */
export const mountStream = (app: Hono, deps: ApiDeps): { close: () => void } => {
  const listeners = new Set<Listener>();
  let closed = false;
  let seq = 0;
  deps.store.onChange((changes) => {
    for (const listener of listeners) for (const change of changes) note(listener, change, listener.project ?? '', deps);
  });
  app.get(`${apiBase}/stream`, async (context) => {
    const principal = await authenticate(context, deps);
    if (principal === undefined) return failureResponse(context, fail('fatal', 'unauthenticated', 'stream', 'needs a session. Log in again').failure);
    const name = context.req.query('project');
    const row = name === undefined ? undefined : await deps.store.byName('project', principal.tenant, '', name);
    const isVisible =
      name === undefined ? isAllowed(principal.grants, 'host.get', undefined) : row !== undefined && isAllowed(principal.grants, 'host.get', row.id);
    if (!isVisible) return failureResponse(context, notFound(`project ${name ?? ''}`, '').failure);
    if (listeners.size >= streamsMax) return failureResponse(context, fail('retry', 'hub-busy', 'stream', 'too many open pages; try again later').failure);
    context.header('Cache-Control', 'no-store');
    context.header('X-Accel-Buffering', 'no');
    return streamSSE(context, async (stream) => {
      let next = Promise.withResolvers<void>();
      const listener: Listener = {
        tenant: principal.tenant,
        project: row?.id,
        changes: new Map(),
        events: false,
        isDoubted: false,
        wake: () => next.resolve(),
      };
      listeners.add(listener);
      stream.onAbort(() => next.resolve());
      try {
        while (!stream.aborted && !closed) {
          const changes = [...listener.changes.values()].map((change) => ({ ...change, project: name ?? change.project }));
          const data = JSON.stringify({ changes, events: listener.events, fleet: deps.fleet.counters(principal.tenant, row?.id) });
          listener.changes.clear();
          listener.events = false;
          seq += 1;
          await stream.writeSSE({ event: 'change', id: String(seq), data });
          const rest = Promise.withResolvers<void>();
          deps.clock.after(frameMs, rest.resolve);
          await rest.promise;
          if (listener.changes.size === 0 && !listener.events && !listener.isDoubted && !closed) {
            next = Promise.withResolvers<void>();
            listener.wake = () => next.resolve();
            const cancel = deps.clock.after(25_000, next.resolve);
            await next.promise;
            cancel();
          }
          listener.isDoubted = false;
          // A stream ends when the key or session behind it does. Asked before each frame, also while changes keep coming.
          if (closed || stream.aborted || (await authenticate(context, deps))?.subject !== principal.subject) break;
        }
      } finally {
        listeners.delete(listener);
      }
    });
  });
  return {
    close: () => {
      closed = true;
      for (const listener of listeners) listener.wake();
    },
  };
};
