import type { Vitals } from '@groundplane/protocol/ask';

const used = (part: { totalBytes: number; availableBytes: number }): number =>
  part.totalBytes === 0 ? 0 : 100 * (1 - Math.min(1, part.availableBytes / part.totalBytes));

/** By how much each has to move before it is told unasked: points of a hundred, and degrees. Wide enough that a machine that works as always says nothing. */
const steps = { cpu: 30, memory: 10, disk: 3, temperature: 10 } as const;

/** Whether the new reading says something that the last one told does not. A restart of the machine does. */
export const isNotable = (told: Vitals | undefined, now: Vitals): boolean => {
  if (told === undefined || now.uptimeMs < told.uptimeMs) return true;
  if (Math.abs(now.cpuPercent - told.cpuPercent) >= steps.cpu || Math.abs(used(now.memory) - used(told.memory)) >= steps.memory) return true;
  if (now.temperature !== undefined && Math.abs(now.temperature - (told.temperature ?? -100)) >= steps.temperature) return true;
  return now.disks.some((disk) => {
    const before = told.disks.find((item) => item.path === disk.path);
    return before === undefined || Math.abs(used(disk) - used(before)) >= steps.disk;
  });
};
