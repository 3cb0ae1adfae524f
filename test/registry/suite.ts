import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OciClient } from '@groundplane/hub/registry/oci-client';
import { emptyConfig, emptyDescriptor, manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { fakeContent } from '../fake/content.ts';
import { codeOf, value } from '../hub/world.ts';
import { blobOf, descriptorOf, noise, pattern, pushArtifact, ref } from './rig.ts';

export interface Served {
  client: OciClient;
  /** `host/first/part`: where repositories may be made. */
  base: string;
  close(): Promise<void>;
}

/** What our client must be able to do against any registry: run against Debian's docker-registry and against the hub's own `/v2/`. */
export const registrySuite = (name: string, open: () => Promise<Served>, isSkipped = false): void => {
  describe.skipIf(isSkipped)(name, () => {
    let served: Served;
    beforeAll(async () => {
      served = await open();
    }, 30_000);
    afterAll(async () => served.close());

    const at = (rest: string): string => `${served.base}/${rest}`;

    test('is there', async () => {
      value(await served.client.ping(ref(at('x')).registry));
    });

    test('an artifact comes back as it was pushed, by tag and by digest', async () => {
      const layers = [pattern(1_000), noise(70_000)];
      const bytes = await pushArtifact(served.client, at('artifact:1.0.0'), layers);
      const byTag = value(await served.client.manifest(ref(at('artifact:1.0.0'))));
      expect(byTag.bytes).toEqual(bytes);
      expect(value(await served.client.resolve(ref(at('artifact:1.0.0'))))).toEqual(byTag.descriptor);
      const byDigest = value(await served.client.manifest(ref(at(`artifact@${byTag.descriptor.digest}`))));
      expect(byDigest.bytes).toEqual(bytes);
      const store = fakeContent();
      for (const layer of layers) {
        value(await served.client.pullBlob(ref(at('artifact')), descriptorOf(layer), store));
        expect(await store.read(descriptorOf(layer).digest)).toEqual(layer);
        expect(value(await served.client.readBlob(ref(at('artifact')), descriptorOf(layer), 100_000))).toEqual(layer);
      }
    });

    test('a blob larger than a chunk goes up in pieces and comes down whole', async () => {
      const large = noise(17 * 1024 * 1024);
      expect(value(await served.client.pushBlob(ref(at('large')), blobOf(large)))).toEqual({ sent: true });
      const store = fakeContent();
      value(await served.client.pullBlob(ref(at('large')), descriptorOf(large), store));
      expect((await store.read(descriptorOf(large).digest))?.equals(large)).toBe(true);
    }, 30_000);

    test('what is there is not sent again, and comes from another repository by mount', async () => {
      const bytes = noise(5_000);
      expect(value(await served.client.pushBlob(ref(at('one')), blobOf(bytes)))).toEqual({ sent: true });
      expect(value(await served.client.pushBlob(ref(at('one')), blobOf(bytes)))).toEqual({ sent: false });
      expect(value(await served.client.pushBlob(ref(at('two')), blobOf(bytes, ref(at('one')).repository)))).toEqual({ sent: false });
      expect(value(await served.client.hasBlob(ref(at('two')), descriptorOf(bytes).digest))).toBe(true);
      expect(value(await served.client.hasBlob(ref(at('three')), descriptorOf(bytes).digest))).toBe(false);
    });

    test('an empty blob', async () => {
      const empty = Buffer.alloc(0);
      value(await served.client.pushBlob(ref(at('empty')), blobOf(empty)));
      expect(value(await served.client.readBlob(ref(at('empty')), descriptorOf(empty), 10))).toEqual(empty);
    });

    test('wrong bytes are refused', async () => {
      const source = blobOf(noise(100));
      const wrong = { ...source, open: blobOf(noise(100)).open };
      expect((await served.client.pushBlob(ref(at('wrong')), wrong)).ok).toBe(false);
      expect(value(await served.client.hasBlob(ref(at('wrong')), source.digest))).toBe(false);
    });

    test('a manifest whose blobs are missing is refused', async () => {
      value(await served.client.pushBlob(ref(at('halfway')), blobOf(emptyConfig)));
      const bytes = manifestBytes({ config: emptyDescriptor, layers: [descriptorOf(noise(10))] });
      expect((await served.client.pushManifest(ref(at('halfway:1')), bytes, mediaTypes.manifest)).ok).toBe(false);
    });

    test('what is missing is missing', async () => {
      const digest = descriptorOf(noise(10)).digest;
      expect(codeOf(await served.client.manifest(ref(at('nowhere:1'))))).toBe('artifact-missing');
      expect(codeOf(await served.client.manifest(ref(at(`artifact@${digest}`))))).toBe('artifact-missing');
      expect(codeOf(await served.client.pullBlob(ref(at('artifact')), { digest, size: 10 }, fakeContent()))).toBe('artifact-missing');
      expect(codeOf(await served.client.tags(ref(at('nowhere'))))).toBe('artifact-missing');
    });

    test('a version is immutable unless forced', async () => {
      await pushArtifact(served.client, at('fixed:1'), [pattern(10, 'a')]);
      const other = pattern(10, 'b');
      value(await served.client.pushBlob(ref(at('fixed')), blobOf(other)));
      const bytes = manifestBytes({ config: emptyDescriptor, layers: [descriptorOf(other)] });
      expect(codeOf(await served.client.pushManifest(ref(at('fixed:1')), bytes, mediaTypes.manifest, { immutable: true }))).toBe('version-taken');
      value(await served.client.pushManifest(ref(at('fixed:2')), bytes, mediaTypes.manifest, { immutable: true }));
      value(await served.client.pushManifest(ref(at('fixed:2')), bytes, mediaTypes.manifest, { immutable: true }));
      value(await served.client.pushManifest(ref(at('fixed:1')), bytes, mediaTypes.manifest));
      expect(value(await served.client.manifest(ref(at('fixed:1')))).bytes).toEqual(bytes);
    });

    test('tags, over more than one page', async () => {
      const layer = pattern(10, 'tags');
      const bytes = await pushArtifact(served.client, at('tagged:0'), [layer]);
      for (let index = 1; index < 12; index += 1) value(await served.client.pushManifest(ref(at(`tagged:v${index}`)), bytes, mediaTypes.manifest));
      expect(value(await served.client.tags(ref(at('tagged')))).toSorted()).toEqual(
        ['0', ...Array.from({ length: 11 }, (_, index) => `v${index + 1}`)].toSorted(),
      );
    });

    test('an index, and the manifest of one platform in it', async () => {
      const child = await pushArtifact(served.client, at('multi:child'), [pattern(20, 'child')]);
      const entry = { ...descriptorOf(child, mediaTypes.manifest), platform: { os: 'linux', architecture: 'arm64' } };
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [entry] }));
      value(await served.client.pushManifest(ref(at('multi:1')), index, mediaTypes.index));
      const found = value(await served.client.manifestFor(ref(at('multi:1')), { os: 'linux', architecture: 'arm64' }));
      expect(found.bytes).toEqual(child);
      expect(found.root.digest).toBe(descriptorOf(index).digest);
      const missing = await served.client.manifestFor(ref(at('multi:1')), { os: 'linux', architecture: 's390x' });
      expect(missing.ok ? '' : missing.failure.message).toContain('linux/arm64');
    });
  });
};
