import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { toolsAt } from '@groundplane/installer/image/tools';
import { createImageDisk, type ImageDisk } from '../../lab/image-disk.ts';
import { seededRandom } from '../../fake/random.ts';
import { check, type Outcome, type Scenario } from './scenario.ts';

const never = new AbortController().signal;

const status = async (disk: ImageDisk) => {
  const seen = await disk.images.status();
  if (!seen.ok || seen.value === undefined) throw new Error(`no status: ${JSON.stringify(seen)}`);
  return seen.value;
};

/** One update whose writing is killed somewhere; what is there afterwards has to boot the old image, and the next try has to come through. */
const cutOnce = async (disk: ImageDisk, version: string, before: string, seconds: number): Promise<boolean> => {
  const { manifest, paths } = await disk.make(version);
  disk.through((argv) => ['timeout', '--signal=KILL', seconds.toFixed(3), ...argv]);
  const staged = await disk.images.stage(manifest, paths, never);
  const activated = staged.ok ? await disk.images.activate(manifest, paths) : staged;
  disk.through((argv) => argv);
  const isCut = !activated.ok;
  if (isCut) {
    // The power comes back: whatever was written, the machine starts, and never half an image.
    await disk.boot();
    const seen = await status(disk);
    const isNext = seen.running === version;
    check(seen.running === before || isNext, 'the old image runs, or the new one that was whole', seen);
    if (!isNext) {
      const again = await disk.images.stage(manifest, paths, never);
      check(again.ok, 'it is staged at the second try', again);
      const active = await disk.images.activate(manifest, paths);
      check(active.ok, 'it is activated at the second try', active);
    }
  }
  if (disk.running() !== version) await disk.boot();
  await disk.bless();
  check((await status(disk)).running === version, 'the new image runs', await status(disk));
  return isCut;
};

export const runSysupdate = async (options: { tools: string; folder: string; points: number; seed: number; say: (line: string) => void }): Promise<Outcome> => {
  const { folder, points, say } = options;
  mkdirSync(folder, { recursive: true });
  const random = seededRandom(options.seed);
  const disk = await createImageDisk(toolsAt(options.tools), folder, 20 * 2 ** 20);
  let [cuts, stuck] = [0, 0];
  try {
    for (let point = 1; point <= points; point += 1) {
      const before = disk.running();
      const version = `1.${point}`;
      try {
        // Short enough to hit most of them, at different places.
        if (await cutOnce(disk, version, before, 0.01 + random.fraction() * 0.12)) cuts += 1;
      } catch (error) {
        stuck += 1;
        say(`point ${point}: ${String(error)}`);
        break;
      }
    }
  } finally {
    await disk.remove();
  }
  say(`${points} updates, ${cuts} of them cut`);
  return { points, stuck, figures: { cuts } };
};

export const sysupdate: Scenario = {
  name: 'sysupdate',
  about: 'systemd-sysupdate writes images to the free slot of a disk image, and is killed on the way',
  needs: ['base', 'imageTools'],
  run: async ({ prepared, site, points, seed, say }) =>
    await runSysupdate({ tools: prepared.imageTools, folder: join(site.folder, 'sysupdate'), points, seed, say }),
};
