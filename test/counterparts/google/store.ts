import type { ControlPlaneOf } from '../control-plane.ts';

/** One thing of Google's, by its path under `/compute/v1` or `/v1`. */
export type Thing = Record<string, unknown> & { name: string };

/** Refused, in Google's words. */
export class Refused extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

interface Operation {
  dueAt: number;
  done: () => void;
  body: Thing;
}

/** Time goes by with calls: an operation that takes three is done before the third call after it. That is our model. */
export const createStore = (controlPlane: ControlPlaneOf) => {
  const things = new Map<string, Thing>();
  const operations = new Map<string, Operation>();
  let now = 0;
  let count = 0;
  return {
    things,
    operations,
    controlPlane,
    tick: (): void => {
      now += 1;
      for (const operation of operations.values())
        if (operation.body['status'] !== 'DONE' && operation.dueAt <= now) {
          operation.body['status'] = 'DONE';
          operation.done();
        }
    },
    nextId: (): string => String(4_000_000_000_000_000 + (count += 1)),
    begin: (path: string, body: Thing, calls: number, done: () => void): Thing => {
      operations.set(path, { dueAt: now + calls, done, body });
      return body;
    },
    /** Work on this thing that is not done yet. */
    isBusy: (link: string): boolean => [...operations.values()].some((item) => item.body['status'] !== 'DONE' && item.body['targetLink'] === link),
  };
};
export type Store = ReturnType<typeof createStore>;
