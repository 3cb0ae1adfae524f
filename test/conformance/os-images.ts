import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OsImageManifest } from '@groundplane/protocol/os-image';
import type { ImagePaths, OsImages } from '@groundplane/agent/port/os-images';
import { bad, good } from './cluster-objects.ts';

export interface OsImagesUnderTest {
  images: OsImages;
  /** An image with content of its own; `salt` makes another content under the same version. */
  make(version: string, salt?: string): Promise<{ manifest: OsImageManifest; paths: ImagePaths }>;
  /** The machine starts: what the boot loader would do, and then what runs. */
  boot(): Promise<void>;
  /** The health check of this boot was good. */
  bless(): Promise<void>;
  remove(): Promise<void>;
}

const never = new AbortController().signal;

/** What every OsImages has to do. It starts with 1.0 running and blessed, and a free slot. */
export const osImagesConformance = (name: string, start: () => Promise<OsImagesUnderTest>, timeoutMs = 5_000): void => {
  describe(`OsImages: ${name}`, { timeout: timeoutMs }, () => {
    let under: OsImagesUnderTest;
    beforeEach(async () => {
      under = await start();
    }, timeoutMs);
    afterEach(() => under.remove());

    const status = async () => {
      const seen = good(await under.images.status());
      if (seen === undefined) throw new Error('this host runs from an image');
      return seen;
    };
    const stage = async (version: string, salt?: string) => {
      const { manifest, paths } = await under.make(version, salt);
      good(await under.images.stage(manifest, paths, never));
      return { manifest, paths };
    };
    const boots = async (times: number): Promise<void> => {
      for (let left = times; left > 0; left -= 1) await under.boot();
    };

    test('says what runs', async () => {
      expect(await status()).toMatchObject({ name: 'site', running: '1.0', health: 'good', slots: [] });
      expect(good(await under.images.keys()).length).toBeGreaterThan(0);
    });

    test('what is staged is not booted, and staging again changes nothing', async () => {
      const { manifest, paths } = await stage('1.1');
      expect((await status()).slots).toEqual([{ version: '1.1', state: 'staged' }]);
      good(await under.images.stage(manifest, paths, never));
      await under.boot();
      expect(await status()).toMatchObject({ running: '1.0', health: 'good', slots: [{ version: '1.1', state: 'staged' }] });
    });

    test('what is activated is booted on trial, and stays once it was good', async () => {
      const { manifest, paths } = await stage('1.1');
      good(await under.images.activate(manifest, paths));
      expect((await status()).slots).toEqual([{ version: '1.1', state: 'next' }]);
      await under.boot();
      expect(await status()).toMatchObject({ running: '1.1', health: 'trial', slots: [{ version: '1.0' }] });
      await under.bless();
      await boots(5);
      expect(await status()).toMatchObject({ running: '1.1', health: 'good', slots: [{ version: '1.0', state: 'kept' }] });
    });

    test('what never becomes good is left by itself, and told', async () => {
      const { manifest, paths } = await stage('1.1');
      good(await under.images.activate(manifest, paths));
      await boots(4);
      expect(await status()).toMatchObject({ running: '1.0', health: 'good', slots: [{ version: '1.1', state: 'failed' }] });
    });

    test('a failed one can be tried again, and a next one takes its place', async () => {
      const first = await stage('1.1');
      good(await under.images.activate(first.manifest, first.paths));
      await boots(4);
      good(await under.images.stage(first.manifest, first.paths, never));
      good(await under.images.activate(first.manifest, first.paths));
      await under.boot();
      expect(await status()).toMatchObject({ running: '1.1', health: 'trial' });
      await boots(3);
      const second = await stage('1.2');
      good(await under.images.activate(second.manifest, second.paths));
      await under.boot();
      await under.bless();
      expect(await status()).toMatchObject({ running: '1.2', health: 'good', slots: [{ version: '1.0', state: 'kept' }] });
    });

    test('the way back to an older one is a trial as well', async () => {
      const next = await stage('1.1');
      good(await under.images.activate(next.manifest, next.paths));
      await under.boot();
      await under.bless();
      const old = await stage('0.9');
      good(await under.images.activate(old.manifest, old.paths));
      await under.boot();
      expect(await status()).toMatchObject({ running: '0.9', health: 'trial' });
      await boots(3);
      expect(await status()).toMatchObject({ running: '1.1', health: 'good', slots: [{ version: '0.9', state: 'failed' }] });
      const again = await stage('0.9');
      good(await under.images.activate(again.manifest, again.paths));
      await under.boot();
      await under.bless();
      await under.boot();
      expect(await status()).toMatchObject({ running: '0.9', health: 'good' });
    });

    test('what is kept from before needs no files', async () => {
      const next = await stage('1.1');
      good(await under.images.activate(next.manifest, next.paths));
      await under.boot();
      await under.bless();
      const old = await stage('0.9');
      good(await under.images.activate(old.manifest, old.paths));
      await under.boot();
      await under.bless();
      await under.boot();
      expect(await status()).toMatchObject({ running: '0.9', slots: [{ version: '1.1', state: 'kept' }] });
      good(await under.images.activate(next.manifest, new Map()));
      await under.boot();
      expect(await status()).toMatchObject({ running: '1.1', health: 'trial' });
      await boots(3);
      expect(await status()).toMatchObject({ running: '0.9', health: 'good', slots: [{ version: '1.1', state: 'failed' }] });
    });

    test('other bytes under the same version are seen, and written when asked', async () => {
      await stage('1.1', 'first');
      const other = await under.make('1.1', 'second');
      bad(await under.images.activate(other.manifest, other.paths), 'image-wrong', 'retry');
      good(await under.images.stage(other.manifest, other.paths, never));
      good(await under.images.activate(other.manifest, other.paths));
    });

    test('the running one is never written to; what is not in a slot is not activated', async () => {
      const running = await under.make('1.0', 'other');
      bad(await under.images.stage(running.manifest, running.paths, never), 'image-running', 'fatal');
      const unknown = await under.make('3.0');
      bad(await under.images.activate(unknown.manifest, unknown.paths), 'image-wrong', 'retry');
    });

    test('a missing file is told, and nothing changes', async () => {
      const { manifest } = await under.make('1.1');
      bad(await under.images.stage(manifest, new Map(), never), 'content-missing', 'retry');
      expect((await status()).slots).toEqual([]);
    });
  });
};
