import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { imageCache, toolsAt } from '@groundplane/installer/image/tools';
import type { OsImageManifest } from '@groundplane/protocol/os-image';
import { digestBytes } from '@groundplane/protocol/digest';
import { fakeImages, firstImages } from '../fake/os-images.ts';
import { createImageDisk } from '../lab/image-disk.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { osImagesConformance } from './os-images.ts';

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

/** Made by the scenarios of `npm run e2e -- hosts`, or by `npm run installer -- build`. */
const toolsFolder = (): string | undefined => (existsSync(imageCache()) ? readdirSync(imageCache()).find((name) => name.startsWith('tools-')) : undefined);
const missing = process.getuid?.() !== 0 ? 'needs root' : toolsFolder() === undefined ? 'no image tools here yet: npm run e2e -- hosts sysupdate' : undefined;

if (missing === undefined || isRequired('image-tools')) {
  osImagesConformance(
    'systemd-sysupdate on a disk image',
    async () => {
      const parent = mkdtempSync(join(tmpdir(), 'gp-images-'));
      const disk = await createImageDisk(toolsAt(join(imageCache(), toolsFolder() ?? '')), parent);
      return { ...disk, remove: () => Promise.resolve(rmSync(parent, { recursive: true, force: true })) };
    },
    120_000,
  );
} else {
  describe('OsImages: systemd-sysupdate on a disk image', () => {
    test.skip(`skipped: ${missing}`, () => expect(missing).toBe(undefined));
  });
}
