import { fail, type Result } from '@groundplane/protocol/failure';
import type { AgentStore } from '@groundplane/agent/port/store';
import type { Clock } from '@groundplane/agent/port/clock';

/** Thrown out of a dead process' synchronous calls; nobody catches it but the world. */
export class Crashed extends Error {}

/**
 * One life of a process. Everything it touches goes through here, so that after its death nothing it still holds has any effect: promises never settle, timers
 * never fire, commits throw. `dieAt` kills it at its n-th contact with the outside, either right before the effect or right after it.
 */
export interface Life {
  isDead(): boolean;
  die(): void;
  /** Dies at the n-th contact from now. */
  dieAt(contacts: number, isAfterEffect: boolean): void;
  /** Runs something of this process from outside; its death in the middle ends it quietly. */
  enter(run: () => void): void;
  clock(inner: Clock): Clock;
  store(inner: AgentStore): AgentStore;
  wrap<T extends object>(inner: T): T;
}

const never = new Promise<never>(() => undefined);

export const newLife = (onDeath: () => void): Life => {
  let dead = false;
  let countdown = Infinity;
  let isAfter = false;
  const die = (): void => {
    if (dead) return;
    dead = true;
    onDeath();
  };
  /** True when this contact is the fatal one. */
  const enter = (run: () => void): void => {
    if (dead) return;
    try {
      run();
    } catch (error) {
      if (!(error instanceof Crashed)) throw error;
    }
  };
  const contact = (): boolean => {
    countdown -= 1;
    return countdown <= 0;
  };
  const call = <T>(run: () => Promise<T>): Promise<T> => {
    if (dead) return never;
    const isFatal = contact();
    if (isFatal && !isAfter) {
      die();
      return never;
    }
    const result = run();
    if (isFatal) die();
    return result.then((value) => (dead ? never : value));
  };
  return {
    isDead: () => dead,
    die,
    enter,
    dieAt: (contacts, isAfterEffect) => {
      countdown = contacts;
      isAfter = isAfterEffect;
    },
    clock: (inner) => ({ ...inner, after: (delayMs, callback) => inner.after(delayMs, () => enter(callback)) }),
    store: (inner) => ({
      ...inner,
      commit: (writes): Result<void> => {
        if (dead) throw new Crashed();
        const isFatal = contact();
        if (isFatal && !isAfter) {
          die();
          throw new Crashed();
        }
        const result = inner.commit(writes);
        if (isFatal) {
          die();
          throw new Crashed();
        }
        return result;
      },
    }),
    wrap: (inner) =>
      new Proxy(inner, {
        get: (target, name, receiver): unknown => {
          const member: unknown = Reflect.get(target, name, receiver);
          if (typeof member !== 'function') return member;
          const method = member.bind(target) as (...args: unknown[]) => unknown;
          if (name === 'watch') {
            return (query: unknown, onEvent: (event: unknown) => void, signal: AbortSignal): void =>
              void (dead ? undefined : method(query, (event: unknown) => enter(() => onEvent(event)), signal));
          }
          if (name === 'close') return () => undefined;
          return (...args: unknown[]) => call(() => method(...args) as Promise<unknown>);
        },
      }),
  };
};

/** Nobody renders charts here. */
export const noHelm = {
  render: () => Promise.resolve(fail('fatal', 'no-helm', 'simulation', 'charts are not rendered in the simulation')),
  close: () => Promise.resolve(),
};
