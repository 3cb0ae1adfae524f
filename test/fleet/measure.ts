import { readFileSync } from 'node:fs';

/** What Linux says a process used so far. */
export interface ProcessFigures {
  cpuMicros: number;
  rssBytes: number;
  privateBytes: number;
}

const clockTicksPerSecond = 100;

export const readProcess = (pid: number): ProcessFigures => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
  return { cpuMicros: (ticks / clockTicksPerSecond) * 1e6, rssBytes: kib('Rss') * 1024, privateBytes: (kib('Private_Clean') + kib('Private_Dirty')) * 1024 };
};

/** Value below which the share of the sorted numbers lies. */
export const percentile = (numbers: readonly number[], share: number): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
};
