import { expect, test } from 'vitest';
import { bundleSbom, imagePurl, imagesOfBundle } from '@groundplane/hub/media/sbom';
import type { Bundle } from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';
import { applyCluster, applyProfile, openHub, until, value } from '../hub/world.ts';

const digest = digestBytes('x');
const layer = (name: string, objects: string[]): Bundle['layers'][number] => ({
  name,
  kind: 'addon',
  priority: 0,
  profile: { name: 'shop', version: '1.0.0' },
  pack: { name: `pack ${name}`, version: '1.0.0+b', source: 'helm', digest },
  adopt: false,
  readinessTimeoutMs: 1,
  objects: objects.map((item) => ({ ref: { apiVersion: 'v1', kind: 'Pod', name: item }, digest: digestBytes(item), size: 1 })),
  hooks: [],
});
const bundle: Bundle = { schema: 'groundplane.dev/bundle/1', engine: 'test', profiles: [], layers: [layer('web', ['a', 'b']), layer('db', ['b'])] };

test('package URLs', () => {
  expect(imagePurl('nginx')).toBe('pkg:oci/nginx?repository_url=docker.io%2Flibrary%2Fnginx&tag=latest');
  expect(imagePurl(`registry.example:5000/a/web@${digest}`)).toBe(`pkg:oci/web@${digest}?repository_url=registry.example:5000%2Fa%2Fweb`);
  expect(imagePurl('not an image')).toBeUndefined();
});

test('layers, images, and which needs which; equal bundles give equal bytes', () => {
  const images = imagesOfBundle(
    bundle,
    new Map([
      [digestBytes('a'), ['nginx:1']],
      [digestBytes('b'), ['redis:7', 'nginx:1']],
    ]),
  );
  expect(images).toEqual([
    { reference: 'nginx:1', layers: ['db', 'web'] },
    { reference: 'redis:7', layers: ['db', 'web'] },
  ]);
  const listed = { layers: [{ ...layer('web', ['a']), images: ['redis:8'] }, layer('db', ['b'])] };
  expect(imagesOfBundle(listed, new Map([[digestBytes('a'), ['nginx:1']]])), 'a layer that lists its images is believed').toEqual([
    { reference: 'redis:8', layers: ['web'] },
  ]);
  const made = bundleSbom({ name: 'shop', version: '1' }, bundle, images);
  expect(JSON.stringify(bundleSbom({ name: 'shop', version: '1' }, bundle, images))).toBe(JSON.stringify(made));
  expect(made.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  const refs = made.components.map((item) => item['bom-ref']);
  expect(new Set(refs).size).toBe(refs.length);
  expect(made.components[0]?.purl).toBe('pkg:helm/pack%20web@1.0.0%2Bb');
  for (const { ref, dependsOn } of made.dependencies) for (const item of [ref, ...dependsOn]) expect(['bundle', ...refs]).toContain(item);
});

test('the hub tells images and bill of materials of a cluster', async () => {
  const hub = await openHub();
  try {
    await applyProfile(hub.admin, 'shop', '1.0.0');
    await applyCluster(hub.admin, 'store', 'shop', '1.0.0', []);
    await until(() => [...hub.core.fleet.clusters()].some((item) => item.bundle !== undefined), 'the cluster has a bundle');
    const params = { project: 'default', name: 'store' };
    expect(value(await hub.admin.call('clusterImages', { params })).items).toEqual([]);
    expect(value(await hub.admin.call('clusterSbom', { params }))).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      components: [{ name: 'shop', version: '1.0.0' }],
    });
    const media = value(await hub.admin.call('clusterMedia', { params }));
    expect(media.items.map((item) => item.kind).toSorted()).toEqual(['bundle', 'object', 'profile']);
    expect(hub.log).toEqual([]);
  } finally {
    await hub.close();
  }
});
