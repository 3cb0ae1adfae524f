import { useSyncExternalStore } from 'react';
import { every, nowMs } from './clock.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** `3 h`: one unit, rounded down, short enough for a table. */
export const duration = (ms: number): string => {
  const value = Math.max(0, ms);
  if (value < minuteMs) return `${Math.floor(value / 1000)} s`;
  if (value < hourMs) return `${Math.floor(value / minuteMs)} min`;
  if (value < 2 * dayMs) return `${Math.floor(value / hourMs)} h`;
  return `${Math.floor(value / dayMs)} d`;
};

export const ago = (atMs: number, now: number): string => (now - atMs < 5000 ? 'just now' : `${duration(now - atMs)} ago`);

/** `2026-11-23 01:02:03 UTC`: the same for everybody who reads it, and it can be sorted. */
export const exactTime = (atMs: number): string => {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? 'unknown time' : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
};

export const byteSize = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? 'B'}`;
};

const listeners = new Set<() => void>();
let tick = nowMs();
let stop: (() => void) | undefined;

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  stop ??= every(5000, () => {
    tick = nowMs();
    for (const each of listeners) each();
  });
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      stop?.();
      stop = undefined;
    }
  };
};

/** Now, renewed every five seconds by one timer for the whole page. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => tick);
