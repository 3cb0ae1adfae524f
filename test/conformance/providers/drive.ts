import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '@groundplane/protocol/failure';
import type { Progress } from '@groundplane/hub/port/provider';

/** The power went while this was going on. */
export class PowerCut extends Error {}

/** More than any counterpart needs; a provider that never gets ready is a finding, not a wait. */
const roundsMax = 400;

/** Asks until it is ready; retries what may be retried. Ends with PowerCut when the power went, and with the failure's words otherwise. */
export const createDrive = (isCut: () => boolean, pollMs: number) => {
  const check = <T>(result: Result<T>): Result<T> => {
    if (isCut()) throw new PowerCut();
    return result;
  };
  const once = async <T>(what: string, act: () => Promise<Result<T>>): Promise<T> => {
    let last = '';
    for (let round = 0; round < roundsMax; round += 1) {
      const result = check(await act());
      if (result.ok) return result.value;
      last = `${result.failure.code} ${result.failure.element}: ${result.failure.message}`;
      if (result.failure.kind !== 'retry') throw new Error(`${what}: ${result.failure.code} ${result.failure.element}: ${result.failure.message}`);
      await sleep(pollMs);
    }
    throw new Error(`${what}: still failing after ${roundsMax} rounds: ${last}`);
  };
  const until = async <T>(what: string, act: () => Promise<Result<Progress<T>>>): Promise<T> => {
    for (let round = 0; round < roundsMax; round += 1) {
      const progress = await once(what, act);
      if (progress.state === 'ready') return progress.value;
      await sleep(pollMs);
    }
    throw new Error(`${what}: not ready after ${roundsMax} rounds`);
  };
  return { once, until };
};
export type Drive = ReturnType<typeof createDrive>;

/** How many there are of each kind: what doubles and leaks are counted by. */
export const kindsOf = (inventory: readonly string[]): Record<string, number> => {
  const kinds: Record<string, number> = {};
  for (const line of inventory) {
    const kind = line.split(' ')[0] ?? '';
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
};

/** Things that are there more often than after a life without a cut. */
export const doublesOf = (inventory: readonly string[], wanted: Readonly<Record<string, number>>): string[] =>
  Object.entries(kindsOf(inventory))
    .filter(([kind, count]) => count > (wanted[kind] ?? 0))
    .map(([kind, count]) => `${count} ${kind}, not ${wanted[kind] ?? 0}`);
