import type { ControlPlaneOf } from '../control-plane.ts';

/** One resource, as it goes over the wire. */
export interface Resource {
  id: string;
  name: string;
  type: string;
  location?: string;
  tags?: Record<string, string>;
  properties: Record<string, unknown>;
  [key: string]: unknown;
}

interface Work {
  dueAt: number;
  done: () => void;
}

/** Refused, in Azure's words. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Resources by their ids in lower case, and what is at work on them. Time goes by with calls: work that takes three ends before the third call after it. That
 * is our model; nothing in it is known about Azure's real times.
 */
export const createStore = (controlPlane: ControlPlaneOf) => {
  const resources = new Map<string, Resource>();
  const works = new Map<string, Work>();
  let now = 0;

  const tick = (): void => {
    now += 1;
    for (const [key, work] of works)
      if (work.dueAt <= now) {
        works.delete(key);
        work.done();
      }
  };
  const stateOf = (resource: Resource): string => String(resource.properties['provisioningState']);
  return {
    controlPlane,
    /** What the subscription's policy makes of every cluster: one without local accounts is entered by Entra only. */
    policy: { disableLocalAccounts: false },
    resources,
    tick,
    get: (id: string): Resource | undefined => resources.get(id.toLowerCase()),
    put: (resource: Resource): void => void resources.set(resource.id.toLowerCase(), resource),
    drop: (id: string): void => void resources.delete(id.toLowerCase()),
    isBusy: (id: string): boolean => works.has(id.toLowerCase()),
    isGoing: (resource: Resource): boolean => stateOf(resource) === 'Deleting',
    /** `state` until it is done, and Succeeded then. */
    work: (resource: Resource, state: string, calls: number, done: () => void = () => undefined): void => {
      resource.properties['provisioningState'] = state;
      const finish = (): void => {
        if (state !== 'Deleting') resource.properties['provisioningState'] = 'Succeeded';
        done();
      };
      if (calls === 0) finish();
      else works.set(resource.id.toLowerCase(), { dueAt: now + calls, done: finish });
    },
    under: (prefix: string): Resource[] => [...resources].filter(([key]) => key.startsWith(`${prefix.toLowerCase()}/`)).map(([, resource]) => resource),
    /** Another resource that names this one, or a part of it. */
    userOf: (id: string): Resource | undefined => {
      const key = id.toLowerCase();
      return [...resources.values()].find((other) => {
        const otherKey = other.id.toLowerCase();
        if (otherKey === key || otherKey.startsWith(`${key}/`)) return false;
        const text = JSON.stringify(other.properties).toLowerCase();
        return text.includes(`"id":"${key}"`) || text.includes(`"id":"${key}/`);
      });
    },
  };
};
export type Store = ReturnType<typeof createStore>;
