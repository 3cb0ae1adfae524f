import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { HostEvent } from '@groundplane/protocol/observed';
import { sleep, type Clock } from '../port/clock.ts';
import { writeDurably } from './durable.ts';

/**
 * The agent's part of the two slots. `launch.sh` counts the starts of a version that was never healthy, and goes back after three. Here the version says that it is
 * healthy, and a return is reported. Both talk by small files ("marks") with one line each.
 */
export interface Slot {
  /** `VERSION-DIGEST`, the folder that this agent runs from. */
  name: string;
  /** Folder of the marks. */
  marks: string;
}

/** Set by launch.sh; whoever starts the agent in another way has no slots. */
export const slotFrom = (env: Readonly<Record<string, string | undefined>>): Slot | undefined => {
  const { GROUNDPLANE_SLOT: name, GROUNDPLANE_MARKS: marks } = env;
  return name === undefined || marks === undefined || name === '' || marks === '' ? undefined : { name, marks };
};

const readMark = (slot: Slot, name: string): string => {
  try {
    return readFileSync(join(slot.marks, name), 'utf8').trim();
  } catch {
    return '';
  }
};

/** Long enough that what breaks at the start has broken. */
export const healthyAfterMs = 60_000;
/** A site without a hub may still take an update (from a medium); then only time can tell. */
export const healthyAloneAfterMs = 300_000;

/** A version that cannot talk to the hub could not be repaired from there, so having talked counts more than having lived. */
export const isHealthy = (facts: { uptimeMs: number; hasTalked: boolean }): boolean =>
  facts.uptimeMs >= (facts.hasTalked ? healthyAfterMs : healthyAloneAfterMs);

const lookMs = 5_000;

export const isSlotHealthy = (slot: Slot): boolean => readMark(slot, 'healthy') === slot.name;

/** Waits until this version is healthy, and says so once. Ends early when the signal aborts. */
export const watchHealth = async (slot: Slot, deps: { clock: Clock; hasContact: () => boolean; signal: AbortSignal }): Promise<void> => {
  if (isSlotHealthy(slot)) return;
  const sinceMs = deps.clock.monotonicMs();
  let hasTalked = false;
  while (!deps.signal.aborted) {
    hasTalked ||= deps.hasContact();
    // A disk that takes no mark now may take it later.
    if (isHealthy({ uptimeMs: deps.clock.monotonicMs() - sinceMs, hasTalked }) && writeDurably(join(slot.marks, 'healthy'), `${slot.name}\n`)) return;
    await sleep(deps.clock, lookMs, deps.signal);
  }
};

/** What launch.sh has to tell since the last start. */
export const slotNews = (slot: Slot): Omit<HostEvent, 'atMs'>[] => {
  const [from = '', to = ''] = readMark(slot, 'returned').slice(0, 200).split(' ');
  if (from === '') return [];
  return [
    {
      type: 'warning',
      reason: 'AgentRolledBack',
      message: `agent ${from} did not become healthy in three starts, so this host went back to ${to}. Its log: journalctl -u groundplane-agent`,
    },
  ];
};

/** Versions that did not become healthy here; they are not tried again unless a person says so. */
const badMax = 20;
export const badSlots = (slot: Slot): string[] =>
  readMark(slot, 'bad')
    .split('\n')
    .filter((name) => name !== '' && name.length <= 80)
    .slice(-badMax);

export const forgiveSlots = (slot: Slot): void => rmSync(join(slot.marks, 'bad'), { force: true });

/** The news lie in the outbox now. What was returned from is noted first, so that a cut in between tells it twice instead of trying it again. */
export const forgetSlotNews = (slot: Slot): void => {
  try {
    const [from = ''] = readMark(slot, 'returned').slice(0, 200).split(' ');
    if (from !== '' && !badSlots(slot).includes(from)) writeDurably(join(slot.marks, 'bad'), `${[...badSlots(slot), from].slice(-badMax).join('\n')}\n`);
    rmSync(join(slot.marks, 'returned'), { force: true });
  } catch {
    // A read-only disk: it is told once more at the next start, which is better than no agent.
  }
};
