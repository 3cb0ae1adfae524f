import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MediaDocument } from '@groundplane/hub/media/document';
import { layoutStore } from '@groundplane/hub/media/layout-store';
import { eachBlob, inspectMedia } from '@groundplane/hub/media/read';
import { packLayout, writeMedia } from '@groundplane/hub/media/write';
import { sha256Of } from '@groundplane/hub/registry/oci-client';
import { emptyDescriptor, manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { fail, ok } from '@groundplane/protocol/failure';
import { codeOf, value } from '../hub/world.ts';
import { pattern } from '../registry/rig.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gp-media-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const contents = ['bundle', 'object one', 'object two', 'chart'].map((text) => pattern(3_000 + text.length, text));
const byDigest = new Map<string, Buffer>(contents.map((bytes) => [sha256Of(bytes), bytes]));
const [bundle = Buffer.alloc(0), one = Buffer.alloc(0), two = Buffer.alloc(0), chart = Buffer.alloc(0)] = contents;
const itemOf = (kind: MediaDocument['items'][number]['kind'], bytes: Buffer, name: string) => ({ kind, name, digest: sha256Of(bytes), size: bytes.length });
const document: MediaDocument = {
  schema: 'groundplane.dev/media/1',
  subject: { project: 'default', cluster: 'shop' },
  bundle: sha256Of(bundle),
  items: [
    itemOf('bundle', bundle, 'shop'),
    itemOf('object', one, 'object'),
    itemOf('object', two, 'object'),
    itemOf('object', one, 'object'),
    itemOf('chart', chart, 'web'),
  ],
  images: [{ reference: 'registry.example/web:1' }, { reference: 'registry.example/gone:1' }],
};
const layer = pattern(900, 'layer');
const imageManifest = manifestBytes({
  config: emptyDescriptor,
  layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha256Of(layer), size: layer.length }],
});

const sources = (failAfter = Number.POSITIVE_INFINITY) => {
  let opened = 0;
  return {
    opened: () => opened,
    blob: ({ digest }: { digest: string }) => {
      opened += 1;
      return Promise.resolve(opened > failAfter ? fail('retry', 'content-cut', digest, 'cut') : ok(Readable.from([byDigest.get(digest) ?? Buffer.alloc(0)])));
    },
    image: async (reference: string, store: ReturnType<typeof layoutStore>) => {
      if (reference.includes('gone')) return fail('blocked', 'artifact-missing', reference, 'is gone');
      for (const bytes of [Buffer.from('{}'), layer, imageManifest]) await store.put(bytes);
      return ok({ mediaType: mediaTypes.manifest, digest: sha256Of(imageManifest), size: imageManifest.length });
    },
    progress: () => Promise.resolve(),
  };
};
const make = async (name: string): Promise<string> => {
  const path = join(folder, name);
  value(await writeMedia(path, layoutStore(path), document, sources()));
  return path;
};

describe('a medium', () => {
  test('is for its owner only, as folder and as archive: rendered objects hold secrets', async () => {
    const path = await make('private');
    writeFileSync(join(folder, 'private.tar.part'), 'of an earlier try', { mode: 0o644 });
    await packLayout(path, join(folder, 'private.tar'));
    expect(statSync(path).mode & 0o077).toBe(0);
    expect(statSync(join(folder, 'private.tar')).mode & 0o077).toBe(0);
    // A stick belongs to whoever mounted it, and its links lead nowhere.
    mkdirSync(join(folder, 'stick'), { mode: 0o755 });
    writeFileSync(join(folder, 'shadow'), 'root:x');
    for (const name of ['oci-layout', 'index.json.new']) symlinkSync(join(folder, 'shadow'), join(folder, 'stick', name));
    await make('stick');
    expect(statSync(join(folder, 'stick')).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(folder, 'shadow'), 'utf8')).toBe('root:x');
  });

  test('holds everything, as folder and as archive, and says what is missing', async () => {
    const path = await make('whole');
    await packLayout(path, join(folder, 'whole.tar'));
    for (const medium of [path, join(folder, 'whole.tar')]) {
      const found = value(await inspectMedia(medium));
      expect(found.document?.subject).toEqual({ project: 'default', cluster: 'shop' });
      expect(found.missing).toEqual([{ digest: '', neededBy: 'image registry.example/gone:1' }]);
      expect(found.unnamed).toEqual([]);
      expect(found.roots.map((root) => root.reference)).toEqual([undefined, 'registry.example/web:1']);
      const got = new Map<string, Buffer>();
      value(
        await eachBlob(
          medium,
          (digest) => byDigest.has(digest),
          async (digest, _, body) => {
            const parts: Buffer[] = [];
            for await (const part of body as AsyncIterable<Buffer>) parts.push(part);
            got.set(digest, Buffer.concat(parts));
            return ok(undefined);
          },
        ),
      );
      expect([...got.keys()].toSorted()).toEqual([...byDigest.keys()].toSorted());
      for (const [digest, bytes] of got) expect(bytes).toEqual(byDigest.get(digest));
    }
  });

  test('equal contents give equal archives', async () => {
    const files = await Promise.all(
      ['a', 'b'].map(async (name) => {
        const path = await make(`equal-${name}`);
        await packLayout(path, join(folder, `equal-${name}.tar`));
        return readFile(join(folder, `equal-${name}.tar`));
      }),
    );
    expect(files[0]?.equals(files[1] ?? Buffer.alloc(0))).toBe(true);
  });

  test('an export that was cut goes on where it stopped, and looks incomplete until then', async () => {
    const path = join(folder, 'cut');
    const cut = sources(2);
    expect(codeOf(await writeMedia(path, layoutStore(path), document, cut))).toBe('content-cut');
    expect(codeOf(await inspectMedia(path))).toBe('media-invalid');
    const rest = sources();
    const written = value(await writeMedia(path, layoutStore(path), document, rest));
    expect([written.kept, rest.opened()]).toEqual([2, 2]);
    expect((await readdir(path)).filter((name) => name.startsWith('.'))).toEqual([]);
    value(await inspectMedia(path));
  });

  test('a changed blob is named', async () => {
    const path = await make('changed');
    const file = join(path, 'blobs', 'sha256', sha256Of(two).slice(7));
    const bytes = Buffer.from(two);
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    await writeFile(file, bytes);
    const found = await inspectMedia(path);
    expect(found.ok ? '' : `${found.failure.code} ${found.failure.element}`).toContain(`content-wrong ${path}, blob ${sha256Of(two)}`);
  });

  test('a lost blob is missing, by name', async () => {
    const path = await make('lost');
    await rm(join(path, 'blobs', 'sha256', sha256Of(chart).slice(7)));
    const found = value(await inspectMedia(path));
    expect(found.missing).toContainEqual({ digest: sha256Of(chart), neededBy: 'chart web' });
  });

  test('an archive that was cut is refused', async () => {
    const path = await make('short');
    const file = join(folder, 'short.tar');
    await packLayout(path, file);
    const { length } = await readFile(file);
    for (const at of [0, 10, 512, 1_024, 3_000, length - 3_000, length - 2_000]) {
      await cp(file, `${file}.cut`);
      await truncate(`${file}.cut`, at);
      const found = await inspectMedia(`${file}.cut`);
      const isKnown = !found.ok || found.value.missing.some((item) => item.digest !== '');
      expect([at, isKnown]).toEqual([at, true]);
    }
  });

  test('what is no medium is said to be none', async () => {
    await writeFile(join(folder, 'text'), 'hello');
    expect(codeOf(await inspectMedia(join(folder, 'text')))).toBe('media-invalid');
    expect(codeOf(await inspectMedia(join(folder, 'nothing')))).toBe('media-missing');
    expect(codeOf(await inspectMedia(tmpdir()))).toBe('media-invalid');
  });
});

/** A small generator with a seed, so that a mutant that does harm can be made again. */
const dice = (seed: number) => {
  let state = seed >>> 0;
  return (max: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return state % max;
  };
};

test('1,500 mutants of a medium: none is taken for whole when something was lost or changed, none ends in an exception', async () => {
  const path = await make('mutant');
  const file = join(folder, 'mutant.tar');
  await packLayout(path, file);
  const original = await readFile(file);
  const whole = value(await inspectMedia(file));
  const mutant = join(folder, 'mutant.bad');
  const outcomes = { refused: 0, incomplete: 0, harmless: 0 };
  for (let seed = 1; seed <= 1_500; seed += 1) {
    const roll = dice(seed);
    let bytes: Buffer = Buffer.from(original);
    const kind = roll(5);
    const at = roll(bytes.length);
    if (kind === 0) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << roll(8)), at);
    else if (kind === 1) bytes = bytes.subarray(0, at);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + roll(2_000)))]);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(512, roll(256)), bytes.subarray(at)]);
    else bytes.fill(roll(256), at, Math.min(bytes.length, at + 1 + roll(600)));
    await writeFile(mutant, bytes);
    const found = await inspectMedia(mutant);
    if (!found.ok) outcomes.refused += 1;
    else if (found.value.missing.some((item) => item.digest !== '') || found.value.document === undefined) outcomes.incomplete += 1;
    else {
      // Padding, file modes and owners may change without harm; what the medium says and holds may not.
      outcomes.harmless += 1;
      expect([seed, found.value.document]).toEqual([seed, whole.document]);
      for (const digest of whole.blobs.keys()) expect([seed, found.value.blobs.has(digest)]).toEqual([seed, true]);
    }
  }
  expect(outcomes.refused).toBeGreaterThan(500);
}, 120_000);
