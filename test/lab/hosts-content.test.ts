import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { digestBytes } from '@groundplane/protocol/digest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differences } from '../e2e/hosts/os-packages-site.ts';
import { randomOf } from '../e2e/hosts/power-points.ts';
import { digestOfParts } from './hosts/cache.ts';
import { stageScript } from './hosts/host-stage.ts';
import { startImageServer } from './hosts/image-server.ts';
import { blobPath, putImage, putLayer, writeLayout } from './hosts/image.ts';
import { etcdPrograms, kubernetesProgram, releases, runtimePrograms } from './hosts/recipe.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gp-hosts-content-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const makeRoot = (name: string): string => {
  const root = join(folder, name);
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'usr/bin/program'), 'code');
  chmodSync(join(root, 'usr/bin/program'), 0o755);
  symlinkSync('program', join(root, 'usr/bin/alias'));
  mkdirSync(join(root, 'tmp'));
  chmodSync(join(root, 'tmp'), 0o1777);
  return root;
};

describe('images', () => {
  test('the same content has the same digest, wherever and whenever it is packed', async () => {
    const [one, two] = [await putLayer(join(folder, 'layout-1'), makeRoot('a')), await putLayer(join(folder, 'layout-2'), makeRoot('b'))];
    expect(one).toEqual(two);
  });

  test('every blob is what its digest says, from the index down to the layer', async () => {
    const layout = join(folder, 'layout-3');
    const layer = await putLayer(layout, makeRoot('c'));
    const { entry, blobs } = putImage(layout, { ref: 'registry.k8s.io/thing:v1', layers: [layer], entrypoint: ['/usr/bin/program'], env: ['A=b'] });
    writeLayout(layout, [entry]);
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string; annotations: Record<string, string> }[] };
    expect(index.manifests[0]).toMatchObject({ digest: entry.digest, annotations: { 'io.containerd.image.name': 'registry.k8s.io/thing:v1' } });
    for (const { digest, size } of blobs) {
      const data = readFileSync(blobPath(layout, digest));
      expect([digestBytes(data), data.length]).toEqual([digest, size]);
    }
    const manifest = JSON.parse(readFileSync(blobPath(layout, entry.digest), 'utf8')) as { config: { digest: string }; layers: { digest: string }[] };
    const config = JSON.parse(readFileSync(blobPath(layout, manifest.config.digest), 'utf8')) as { rootfs: { diff_ids: string[] } };
    const tar = gunzipSync(readFileSync(blobPath(layout, manifest.layers[0]?.digest ?? '')));
    expect(config.rootfs.diff_ids).toEqual([digestBytes(tar)]);
    expect(blobs).toHaveLength(3);
  });
});

test('images are served as a registry does: by tag and by digest, and nothing beside them', async () => {
  const layout = join(folder, 'layout-4');
  const layer = await putLayer(layout, makeRoot('d'));
  const { entry } = putImage(layout, { ref: 'docker.io/library/thing:v1', layers: [layer], entrypoint: ['/usr/bin/program'] });
  writeFileSync(join(folder, 'secret'), 'nobody asks for this');
  const server = await startImageServer({ layout, images: [entry], address: '127.0.0.1', port: 0 });
  const ask = async (path: string, method = 'GET'): Promise<Response> => await fetch(`http://127.0.0.1:${server.port}/v2/${path}`, { method });
  try {
    expect((await ask('')).status).toBe(200);
    for (const which of ['v1', entry.digest]) {
      const answer = await ask(`library/thing/manifests/${which}?ns=docker.io`);
      expect([answer.headers.get('content-type'), answer.headers.get('docker-content-digest')]).toEqual([entry.mediaType, entry.digest]);
      expect(digestBytes(new Uint8Array(await answer.arrayBuffer()))).toBe(entry.digest);
    }
    const head = await ask(`library/thing/blobs/${layer.digest}`, 'HEAD');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(layer.size)]);
    const refused = [
      'library/thing/manifests/v2',
      'library/other/manifests/v1',
      `library/thing/blobs/sha256:${'0'.repeat(64)}`,
      'library/thing/blobs/..%2f..%2fsecret',
    ];
    for (const path of refused) expect((await ask(path)).status).toBe(404);
  } finally {
    server.stop();
  }
});

test('what a host is made of has a folder of its own for each recipe', () => {
  const parts = Object.values(releases).map((release) => digestOfParts([etcdPrograms(release.etcd), kubernetesProgram(release.version).version]));
  expect(new Set(parts).size).toBe(2);
  expect(new Set(runtimePrograms.map(({ name }) => name)).size).toBe(runtimePrograms.length);
});

test('the stage of a host quotes what a temporary folder may be called', () => {
  const media = [{ path: '/media/x', folder: "/tmp/it's" }];
  const script = stageScript({ root: '/tmp/a b', data: "/tmp/$(touch /x)'", name: 'edge-1', bootId: '1-2', media });
  expect(script).toContain("R='/tmp/a b'");
  expect(script).toContain(`'/tmp/$(touch /x)'\\''/containerd'`);
  expect(script).toContain(`mount --bind -o ro '/tmp/it'\\''s' "$R"'/media/x'`);
});

describe('scenarios', () => {
  test('a seed decides where the cuts fall, and they fall everywhere', () => {
    const take = (seed: number): number[] => {
      const next = randomOf(seed);
      return Array.from({ length: 200 }, () => next());
    };
    expect(take(7)).toEqual(take(7));
    expect(take(7)).not.toEqual(take(8));
    const tenths = new Set(take(7).map((value) => Math.floor(value * 10)));
    expect([...tenths].toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('differences name what was seen and what was wanted', () => {
    expect(differences({ a: '1', b: '2' }, { a: '1' })).toBeUndefined();
    expect(differences({ a: '1' }, { a: '2', b: '3' })).toBe('a is "1", not "2"; b is "", not "3"');
  });
});
