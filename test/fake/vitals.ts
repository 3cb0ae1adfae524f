import type { Vitals } from '@groundplane/protocol/ask';

const gib = 1024 ** 3;

/** A machine with nothing the matter. */
export const calmVitals: Vitals = {
  cpuPercent: 12.5,
  load1: 0.4,
  memory: { totalBytes: 8 * gib, availableBytes: 5 * gib },
  disks: [
    { path: '/', totalBytes: 30 * gib, availableBytes: 18 * gib },
    { path: '/var/lib/groundplane', totalBytes: 200 * gib, availableBytes: 100 * gib },
  ],
  uptimeMs: 5 * 24 * 3_600_000,
  temperature: 51.5,
};
