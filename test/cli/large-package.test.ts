import { createReadStream } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256Hasher } from '@groundplane/hub/content/digest';
import { build, chart, sha256, zstd, type Files } from '../zarf/writer.ts';
import { startTestHub } from './hub.ts';

/** More than one part; packages of which this is a small picture have layers of some GiB. */
const layerBytes = 20 * 1024 * 1024;

/** What does not compress: packages that unpack to very much more than they are are refused. The same bytes at each run. */
const noise = (size: number): Buffer => {
  const bytes = Buffer.alloc(size);
  let state = 0x2545f491;
  for (let at = 0; at + 4 <= size; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
};

const image = (reference: string, layer: Buffer): Files => {
  const files: Files = { 'images/oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
  const blob = (data: string | Buffer): { digest: string; size: number } => {
    files[`images/blobs/sha256/${sha256(data)}`] = data;
    return { digest: `sha256:${sha256(data)}`, size: data.length };
  };
  const manifest = blob(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...blob('{}') },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...blob(layer) }],
    }),
  );
  const annotations = { 'org.opencontainers.image.base.name': reference };
  files['images/index.json'] = JSON.stringify({
    schemaVersion: 2,
    manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest, annotations }],
  });
  return files;
};

test('gp apply brings a package with a large image layer into the hub, in parts; a medium takes it on', async () => {
  const hub = await startTestHub();
  const other = await startTestHub();
  try {
    const layer = noise(layerBytes);
    const definition = {
      kind: 'ZarfPackageConfig',
      metadata: { name: 'big', version: '0.1.0', architecture: 'amd64' },
      build: { architecture: 'amd64', version: 'v0.60.0' },
      components: [
        {
          name: 'main',
          required: true,
          images: ['registry.example/big:1'],
          charts: [{ name: 'tool', version: '0.1.0', namespace: 'tools', localPath: 'chart' }],
        },
      ],
    };
    const tool = chart('tool', '0.1.0', { 'templates/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' });
    await writeFile(
      join(hub.folder, 'big.tar.zst'),
      zstd(build({ definition, components: { main: { 'charts/tool-0.1.0.tgz': tool } }, files: image('registry.example/big:1', layer) })),
    );
    await writeFile(
      join(hub.folder, 'profile.yaml'),
      'apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: big, version: 1.0.0}\nspec:\n  type: addon\n  layers:\n  - {name: big, kind: addon, namespace: tools, zarf: {path: big.tar.zst}}\n',
    );
    const applied = await hub.gp(['apply', '-f', 'profile.yaml']);
    expect([applied.code, applied.error]).toEqual([0, expect.stringMatching(/: \d+ of \d+ MiB\n/)]);
    const hex = sha256(layer);
    const stored = join(hub.folder, 'hub', 'content', 'sha256', hex.slice(0, 2), hex);
    expect((await stat(stored)).size).toBe(layerBytes);
    const exported = await hub.gp(['media', 'export', 'profile', 'big@1.0.0', 'big.tar', '-o', 'json']);
    expect([exported.code, JSON.parse(exported.out)]).toEqual([0, expect.objectContaining({ missing: [] })]);
    const imported = await other.gp(['media', 'import', join(hub.folder, 'big.tar'), '-o', 'json']);
    expect([imported.code, imported.error]).toEqual([0, expect.stringMatching(/: \d+ of \d+ MiB\n/)]);
    const hasher = sha256Hasher();
    const carried = join(other.folder, 'hub', 'content', 'sha256', hex.slice(0, 2), hex);
    for await (const part of createReadStream(carried) as AsyncIterable<Buffer>) hasher.update(part);
    expect(hasher.hex()).toBe(hex);
    expect((await other.gp(['get', 'profiles', '-o', 'name'])).out).toBe('profile/big@1.0.0\n');
    expect(hub.log() + other.log()).toBe('');
  } finally {
    await hub.close();
    await other.close();
  }
}, 120_000);
