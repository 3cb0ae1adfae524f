import { useEffect, useState } from 'react';
import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { after, nowMs } from '../clock.ts';
import { applyFrame, joinFrames, parseFrame, refreshProject, type Frame } from './live.ts';
import { keys } from './queries.ts';

export type StreamState = { state: 'connecting' } | { state: 'live' } | { state: 'down'; asOfMs: number };

const streamPath = '/api/v1/stream';
const reopenMinMs = 1000;
const reopenMaxMs = 30_000;

/** One frame is worked in at a time; those that come meanwhile are joined into the next, so a slow hub is never asked more than it answers. */
const inOrder = (client: QueryClient, project: string): ((text: string) => void) => {
  let waiting: Frame | undefined;
  let isBusy = false;
  const work = async (): Promise<void> => {
    for (let frame = waiting; frame !== undefined; frame = waiting) {
      waiting = undefined;
      // A failed read is shown by the query that needs the data; here it must only not stop the next frame.
      await applyFrame(client, project, frame).catch(() => undefined);
    }
    isBusy = false;
  };
  return (text) => {
    const frame = parseFrame(text);
    if (frame === undefined) return;
    waiting = waiting === undefined ? frame : joinFrames(waiting, frame);
    if (isBusy) return;
    isBusy = true;
    void work();
  };
};

/**
 * Keeps one event stream of the project open. The browser resumes it by itself after a break (with Last-Event-ID); when it gave up (an answer other than
 * 200), it is opened again here, later each time.
 */
const openStream = (client: QueryClient, project: string, show: (state: StreamState) => void): (() => void) => {
  const take = inOrder(client, project);
  let source: EventSource | undefined;
  let takeBack: (() => void) | undefined;
  let delayMs = reopenMinMs;
  let asOfMs = nowMs();
  let isDown = false;
  const open = (): void => {
    const opened = new EventSource(`${streamPath}?project=${encodeURIComponent(project)}`);
    source = opened;
    opened.addEventListener('open', () => {
      delayMs = reopenMinMs;
      if (isDown) void refreshProject(client, project);
      isDown = false;
      asOfMs = nowMs();
      show({ state: 'live' });
    });
    opened.addEventListener('change', (event: MessageEvent<unknown>) => {
      asOfMs = nowMs();
      if (typeof event.data === 'string') take(event.data);
    });
    opened.addEventListener('error', () => {
      if (!isDown) asOfMs = nowMs();
      isDown = true;
      show({ state: 'down', asOfMs });
      if (opened.readyState !== EventSource.CLOSED) return;
      // Perhaps the session ended; that answer decides whether the login shows.
      void client.invalidateQueries({ queryKey: keys.who });
      takeBack = after(delayMs, open);
      delayMs = Math.min(delayMs * 2, reopenMaxMs);
    });
  };
  open();
  return () => {
    takeBack?.();
    source?.close();
  };
};

/** The stream of one project, for as long as the component is on screen. */
export const useStream = (project: string): StreamState => {
  const client = useQueryClient();
  const [state, setState] = useState<StreamState>({ state: 'connecting' });
  useEffect(() => openStream(client, project, setState), [client, project]);
  return state;
};
