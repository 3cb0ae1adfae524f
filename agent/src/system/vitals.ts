import { stat, statfs } from 'node:fs/promises';
import { loadavg, uptime } from 'node:os';
import type { Vitals } from '@groundplane/protocol/ask';
import { fail, ok } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { VitalsSource } from '../port/vitals.ts';

const between = (value: number, min: number, max: number): number => (Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : min);
const tenth = (value: number): number => Math.round(value * 10) / 10;

/** `df` looks at every mount and hangs on a dead network disk; only what this host itself writes to is looked at. */
const readDisks = async (paths: readonly string[]): Promise<Vitals['disks']> => {
  const devices = new Set<number>();
  const disks: Vitals['disks'] = [];
  for (const path of paths.slice(0, limits.vitalsDisks)) {
    const [place, sizes] = await Promise.all([stat(path).catch(() => undefined), statfs(path).catch(() => undefined)]);
    if (place === undefined || sizes === undefined || devices.has(place.dev)) continue;
    devices.add(place.dev);
    // `bavail`, not `bfree`: what is kept for root is not there for anybody else.
    disks.push({ path, totalBytes: sizes.blocks * sizes.bsize, availableBytes: between(sizes.bavail * sizes.bsize, 0, sizes.blocks * sizes.bsize) });
  }
  return disks;
};

/** Sensors lie at times: what no processor survives is not told. */
const temperatureOf = (value: unknown): Pick<Vitals, 'temperature'> =>
  typeof value === 'number' && Number.isFinite(value) && value > -60 && value < 150 ? { temperature: tenth(value) } : {};

/** Vitals of this machine; `paths` are the folders whose disks matter. */
export const systemVitals = (paths: readonly string[]): VitalsSource => ({
  read: async () => {
    const board = await import('./board.ts');
    try {
      const [memory, load, heat, disks] = await Promise.all([
        board.mem(),
        board.currentLoad(),
        board.cpuTemperature().catch(() => ({ main: null })),
        readDisks(paths),
      ]);
      return ok({
        cpuPercent: tenth(between(load.currentLoad, 0, 100)),
        load1: Math.max(0, tenth(loadavg()[0] ?? 0)),
        memory: { totalBytes: Math.max(0, memory.total), availableBytes: between(memory.available, 0, memory.total) },
        disks,
        uptimeMs: Math.round(Math.max(0, uptime()) * 1_000),
        ...temperatureOf(heat.main),
      });
    } catch (error) {
      return fail('retry', 'vitals-unreadable', 'machine', `cannot read its vitals: ${error instanceof Error ? error.message : String(error)}`);
    }
  },
});
