import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { imageCache, toolsAt, type Tools } from '@groundplane/installer/image/tools';
import type { OsImageManifest } from '@groundplane/protocol/os-image';
import { digestBytes } from '@groundplane/protocol/digest';
import { fakeImages, firstImages } from '../fake/os-images.ts';
import { createImageDisk } from '../lab/image-disk.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { createRaucBoard, ensureRaucTools, foreign } from '../lab/rauc-board.ts';
import { bad, good } from './cluster-objects.ts';
import { osImagesConformance, type OsImagesUnderTest } from './os-images.ts';

const manifestOf = (version: string, salt = ''): OsImageManifest => ({
  schema: 'groundplane.dev/os-image/1',
  name: 'site',
  version,
  architecture: 'x64',
  content: {
    driver: 'sysupdate',
    root: { digest: digestBytes(`root ${version}${salt}`), size: 10 },
    uki: { digest: digestBytes(`uki ${version}${salt}`), size: 5 },
  },
});

osImagesConformance('fake', () => {
  const images = fakeImages(firstImages('1.0'));
  return Promise.resolve({
    images,
    make: (version, salt) =>
      Promise.resolve({
        manifest: manifestOf(version, salt),
        paths: new Map([
          ['root.erofs', '/root'],
          ['uki.efi', '/uki'],
        ]),
      }),
    boot: () => Promise.resolve(images.boot()),
    bless: () => Promise.resolve(void images.judge()),
    remove: () => Promise.resolve(),
  });
});

/** Made by the scenarios of `npm run e2e -- hosts`, by `npm run installer -- build`, or here where they are demanded. */
const toolsWith = (program: string): string | undefined =>
  existsSync(imageCache())
    ? readdirSync(imageCache())
        .filter((name) => name.startsWith('tools-'))
        .map((name) => join(imageCache(), name))
        .find((folder) => existsSync(join(folder, program)))
    : undefined;

const onDisk = async (
  name: string,
  program: string,
  start: (tools: Tools, folder: string) => Promise<Omit<OsImagesUnderTest, 'remove'>>,
  more: (start: () => Promise<OsImagesUnderTest>) => void = () => undefined,
): Promise<void> => {
  const isDemanded = isRequired('image-tools');
  const made = isDemanded && toolsWith(program) === undefined ? await ensureRaucTools((line) => void process.stderr.write(`${line}\n`)) : undefined;
  const folder = toolsWith(program);
  const missing =
    made?.ok === false
      ? made.failure.message
      : process.getuid?.() !== 0
        ? 'needs root'
        : folder === undefined
          ? 'no image tools here yet: GROUNDPLANE_TEST_REQUIRE=image-tools makes them'
          : undefined;
  if (missing === undefined || isDemanded) {
    const startOne = async (): Promise<OsImagesUnderTest> => {
      if (missing !== undefined) throw new Error(missing);
      const parent = mkdtempSync(join(tmpdir(), 'gp-images-'));
      const under = await start(toolsAt(folder ?? ''), parent);
      return { ...under, remove: () => Promise.resolve(rmSync(parent, { recursive: true, force: true })) };
    };
    osImagesConformance(name, startOne, 120_000);
    return more(startOne);
  }
  describe(`OsImages: ${name}`, () => {
    test.skip(`skipped: ${missing}`, () => expect(missing).toBe(undefined));
  });
};

await onDisk('systemd-sysupdate on a disk image', 'usr/lib/systemd/systemd-sysupdate', createImageDisk);
await onDisk('RAUC on a board of files', 'usr/bin/rauc', createRaucBoard, (start) =>
  test('RAUC: a bundle that somebody else has signed is not installed, and is never tried again', { timeout: 120_000 }, async () => {
    const under = await start();
    try {
      const { manifest, paths } = await under.make('1.1', foreign);
      expect(bad(await under.images.stage(manifest, paths, new AbortController().signal), 'image-untrusted', 'fatal').message).toContain(
        'signature verification failed',
      );
      expect(good(await under.images.status())?.slots).toEqual([]);
    } finally {
      await under.remove();
    }
  }),
);
