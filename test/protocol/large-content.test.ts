import { describe, expect, test } from 'vitest';
import {
  bundleBlobs,
  bundleLayerSchema,
  largeBases,
  largeBlobs,
  layerDigest,
  ociReferences,
  type Bundle,
  type BundleLayer,
} from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { osAgentSchema } from '@groundplane/protocol/os-spec';
import { neighboursSchema } from '@groundplane/protocol/messages';
import { hostInfoSchema } from '@groundplane/protocol/observed';
import { packLayer } from '../agent/rig.ts';
import { fakeInfo } from '../fake/host.ts';

const plain = packLayer('web', []);

describe('large content', () => {
  const blob = (text: string, name: string, architecture?: 'x64' | 'arm64') => ({
    digest: digestBytes(text),
    size: text.length,
    name,
    ...(architecture === undefined ? {} : { architecture }),
  });
  const withBlobs = (blobs: BundleLayer['blobs'], oci: BundleLayer['oci'] = []): Pick<Bundle, 'layers'> => ({ layers: [{ ...plain, blobs, oci }] });

  test('is listed once, for the architecture that asks', () => {
    const bundle = withBlobs([blob('a', 'a'), blob('a', 'again'), blob('x', 'x', 'x64'), blob('r', 'r', 'arm64')]);
    expect([...largeBlobs(bundle, 'x64').values()].map((item) => item.name)).toEqual(['a', 'x']);
    expect([...largeBlobs(bundle).values()].map((item) => item.name)).toEqual(['a', 'x', 'r']);
    expect(bundleBlobs(bundle), 'is not text').toEqual(bundleBlobs({ layers: [plain] }));
  });

  test('has the old one of the same thing as base: by name, or by name without its version', () => {
    const old = withBlobs([blob('old image', 'root.erofs'), blob('old kubelet', 'kubelet-1.34.2'), blob('p1', 'part-1'), blob('p2', 'part-2')]);
    const next = withBlobs([blob('new image', 'root.erofs'), blob('new kubelet', 'kubelet-1.35.0'), blob('p3', 'part-3'), blob('p2', 'part-2')]);
    expect([...largeBases(old, next)]).toEqual([
      [digestBytes('new image'), digestBytes('old image')],
      [digestBytes('new kubelet'), digestBytes('old kubelet')],
    ]);
  });

  test('two layers answer one reference: the later one counts', () => {
    const oci = (text: string) => ({
      ref: 'registry.example/pause:3',
      digest: digestBytes(text),
      size: 3,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
    });
    const bundle = {
      layers: [
        { ...plain, oci: [oci('old')] },
        { ...plain, name: 'later', oci: [oci('new')] },
      ],
    };
    expect(ociReferences(bundle, 'x64').get('registry.example/pause:3')?.digest).toBe(digestBytes('new'));
  });

  test('does not make a layer another one', () => {
    expect(layerDigest({ ...plain, blobs: [blob('a', 'a')], oci: [] })).toBe(layerDigest(plain));
  });

  test('has limits', () => {
    const size = (bytes: number) => bundleLayerSchema.safeParse({ ...plain, blobs: [{ ...blob('a', 'a'), size: bytes }] }).success;
    expect([limits.largeBlobBytes, limits.largeBlobBytes + 1].map(size)).toEqual([true, false]);
    const reference = (bytes: number) =>
      bundleLayerSchema.safeParse({
        ...plain,
        oci: [{ ref: 'r.example/a:1', digest: digestBytes('m'), size: bytes, mediaType: 'application/vnd.oci.image.manifest.v1+json' }],
      }).success;
    expect([limits.ociManifestBytes, limits.ociManifestBytes + 1].map(reference)).toEqual([true, false]);
    const many = (field: 'blobs' | 'oci', count: number) => {
      const item = field === 'blobs' ? blob('a', 'a') : { ref: 'r.example/a:1', digest: digestBytes('m'), size: 1, mediaType: 'm' };
      return bundleLayerSchema.safeParse({ ...plain, [field]: Array.from({ length: count }, () => item) }).success;
    };
    expect([limits.blobsPerLayer, limits.blobsPerLayer + 1].map((count) => many('blobs', count))).toEqual([true, false]);
    expect([limits.ociPerLayer, limits.ociPerLayer + 1].map((count) => many('oci', count))).toEqual([true, false]);
    const agent = (size: number) => osAgentSchema.safeParse({ version: '1.0.0', packages: { x64: { digest: digestBytes('p'), size } } }).success;
    expect([0, 1, limits.agentPackageBytes, limits.agentPackageBytes + 1].map(agent)).toEqual([false, true, true, false]);
    expect(osAgentSchema.safeParse({ version: '1.0.0', packages: {} }).success).toBe(false);
    const info = (count: number) => hostInfoSchema.safeParse({ ...fakeInfo, addresses: Array.from({ length: count }, () => '10.0.0.1') }).success;
    expect([limits.addressesPerHost, limits.addressesPerHost + 1].map(info)).toEqual([true, false]);
    const neighbours = (count: number) =>
      neighboursSchema.safeParse({
        t: 'neighbours',
        cluster: 'clu_00000000000000000000',
        secret: 's'.repeat(43),
        hosts: Array.from({ length: count }, () => ({ host: 'hos_00000000000000000000', addresses: ['10.0.0.1'], port: 5082 })),
      }).success;
    expect([limits.neighbours, limits.neighbours + 1].map(neighbours)).toEqual([true, false]);
  });
});
