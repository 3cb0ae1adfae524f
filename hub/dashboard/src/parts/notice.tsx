import { useSyncExternalStore, type ReactElement } from 'react';
import { after } from '../clock.ts';

interface Notice {
  id: number;
  text: string;
}

const shownMs = 5000;
const noticesMax = 4;
let notices: readonly Notice[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

const put = (list: readonly Notice[]): void => {
  notices = list;
  for (const listener of listeners) listener();
};

/** Says in a corner, and to screen readers, that something was done. Failures stand where they happened instead. */
export const notify = (text: string): void => {
  const id = nextId;
  nextId += 1;
  put([...notices, { id, text }].slice(-noticesMax));
  after(shownMs, () => put(notices.filter((notice) => notice.id !== id)));
};

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export const Notices = (): ReactElement => {
  const list = useSyncExternalStore(subscribe, () => notices);
  return (
    <div className="notices" role="status" aria-live="polite">
      {list.map((notice) => (
        <p key={notice.id}>
          <bdi>{notice.text}</bdi>
        </p>
      ))}
    </div>
  );
};
