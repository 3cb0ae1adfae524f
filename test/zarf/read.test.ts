import { generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { packTar } from '@groundplane/hub/archive/write';
import { openZarf } from '@groundplane/hub/zarf/stored';
import { inspectZarf, storeZarf } from '@groundplane/hub/zarf/read';
import { digestBytes } from '@groundplane/protocol/digest';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { fakeContent } from '../fake/content.ts';
import { alphaDraft, betaDraft, build, changed, ociImages, sha256, zstd, type Files } from './writer.ts';

const code = async (files: Files | Uint8Array, key?: string): Promise<string> => {
  const bytes = files instanceof Uint8Array ? files : zstd(files);
  const result = await inspectZarf(() => bytes, 'demo', key);
  return result.ok ? `ok ${result.value.signature}` : result.failure.code;
};
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = keys.publicKey.export({ type: 'spki', format: 'pem' });
const otherPem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });
const without = (files: Files, name: string): Files => Object.fromEntries(Object.entries(files).filter(([file]) => file !== name));

describe('whole packages', () => {
  test.each([
    ['v1alpha1', alphaDraft()],
    ['v1beta1', betaDraft()],
  ])('%s is stored by digest, twice the same, and opens again', async (version, draft) => {
    const files = build(draft);
    const blobs = new Map<string, Buffer>();
    const content = fakeContent(blobs);
    const stored = await storeZarf(() => Readable.from([zstd(files)]), content, 'demo');
    if (!stored.ok) throw new Error(stored.failure.message);
    expect(stored.value.package.apiVersion).toBe(version);
    for (const [name, data] of Object.entries(files)) expect(blobs.get(`sha256:${sha256(data)}`)?.equals(Buffer.from(data as Uint8Array)), name).toBe(true);
    expect(new Set(stored.value.blobs.map((blob) => blob.digest))).toEqual(new Set(blobs.keys()));
    const manifest = JSON.parse(blobs.get(stored.value.digest)!.toString()) as { layers: { annotations: Record<string, string> }[] };
    expect(manifest.layers.map((layer) => layer.annotations['org.opencontainers.image.title']).toSorted()).toEqual(Object.keys(files).toSorted());
    const again = await storeZarf(
      () =>
        packTar(
          Object.entries(files)
            .toReversed()
            .map(([name, data]) => ({ name, data: Buffer.from(data as Uint8Array) })),
        ),
      fakeContent(),
      'demo',
    );
    expect(again.ok && again.value.digest).toBe(stored.value.digest);
    const opened = await openZarf(content, stored.value.digest, 'demo');
    expect(opened.ok && opened.value.parsed.package).toEqual(stored.value.package);
  });

  test('one definition in both versions: the newer one counts', async () => {
    const files = build(betaDraft());
    const alpha = 'kind: ZarfPackageConfig\nmetadata: {name: beta}\ncomponents: [{name: core}]\n';
    expect(await code({ ...files, 'zarf.yaml': `${String(files['zarf.yaml'])}---\n${alpha}` })).toBe('ok unsigned');
    expect(await code({ ...files, 'zarf.yaml': `${alpha}---\n${alpha}` })).toBe('zarf-invalid');
  });

  test('names of images from before docker.io was written out', async () => {
    const draft = alphaDraft();
    expect(await code(build({ ...draft, files: ociImages(['library/nginx:1.27', 'ghcr.io/a/b:2']) }))).toBe('ok unsigned');
  });

  test('a package that cannot work is refused before anything is stored', async () => {
    const blobs = new Map<string, Buffer>();
    const draft = changed(alphaDraft(), (definition) => void (definition.components[0]!['repos'] = ['https://example.com/a.git']));
    const stored = await storeZarf(() => zstd(build(draft)), fakeContent(blobs), 'demo');
    expect(stored).toMatchObject({ ok: false, failure: { code: 'zarf-git-repositories' } });
    expect(blobs.size).toBe(0);
  });

  test('a file that changes between the two readings is refused', async () => {
    const files = build(alphaDraft());
    const opened = [zstd(files), zstd({ ...files, 'sboms.tar': 'sbon' })];
    expect(await storeZarf(() => opened.shift()!, fakeContent(), 'demo')).toMatchObject({ ok: false, failure: { code: 'zarf-file-changed' } });
  });
});

describe('tampering', () => {
  const files = build(alphaDraft());
  test.each(Object.keys(files))('one byte more in %s', async (name) => {
    const result = await code({ ...files, [name]: Buffer.concat([Buffer.from(files[name] as Uint8Array), Buffer.from(' ')]) });
    // White space at the end of zarf.yaml changes nothing that it says; the signature is what guards it.
    expect(result).toBe(name === 'zarf.yaml' ? 'ok unsigned' : name === 'checksums.txt' ? 'zarf-checksums-changed' : 'zarf-file-changed');
  });
  test.each(Object.keys(files))('without %s', async (name) => {
    expect(await code(without(files, name))).toBe(
      name === 'zarf.yaml' ? 'zarf-not-a-package' : name === 'checksums.txt' ? 'zarf-not-built' : 'zarf-file-missing',
    );
  });
  test.each(['extra.txt', 'components/other.tar', 'images/blobs/sha256/x', 'zarf.yaml.sig2'])('with %s besides', async (name) => {
    expect(await code({ ...files, [name]: 'x' })).toBe('zarf-file-unlisted');
  });
  test('a checksums file that lists oddities', async () => {
    const listed = (line: string): Files => {
      const text = `${String(files['checksums.txt'])}${line}\n`;
      return {
        ...files,
        'checksums.txt': text,
        'zarf.yaml': String(files['zarf.yaml']).replace(/aggregateChecksum: .*/, `aggregateChecksum: ${sha256(text)}`),
      };
    };
    for (const line of [
      'x',
      `${'a'.repeat(64)} ../x`,
      `${'a'.repeat(64)} /x`,
      `${'a'.repeat(64)} zarf.yaml`,
      `${sha256('sbom')} sboms.tar`,
      `${'A'.repeat(64)} y`,
    ])
      expect(await code(listed(line)), line).toBe('zarf-checksums-malformed');
  });
  test('images: a blob under a wrong name, a missing layer, a missing manifest, one name twice', async () => {
    const draft = alphaDraft();
    const images = ociImages(['nginx:1.27', 'ghcr.io/a/b:2']);
    const blob = `images/blobs/sha256/${sha256('layer of nginx:1.27')}`;
    expect(await code(build({ ...draft, files: { ...images, [blob]: 'other' } }))).toBe('zarf-image-blob');
    expect(await code(build({ ...draft, files: without(images, blob) }))).toBe('zarf-image-missing');
    expect(await code(build({ ...draft, files: ociImages(['nginx:1.27']) }))).toBe('zarf-image-missing');
    expect(await code(build({ ...draft, files: { ...images, 'images/index.json': '[]' } }))).toBe('zarf-image-index');
    const index = JSON.parse(String(images['images/index.json'])) as { manifests: { digest: string; annotations: object }[] };
    index.manifests[1]!.annotations = index.manifests[0]!.annotations;
    expect(await code(build({ ...draft, files: { ...images, 'images/index.json': JSON.stringify(index) } }))).toBe('zarf-image-index');
  });
  test('the OCI form: odd manifests', async () => {
    const blobs = new Map<string, Buffer>();
    const content = fakeContent(blobs);
    const stored = await storeZarf(() => zstd(files), content, 'demo');
    if (!stored.ok) throw new Error(stored.failure.message);
    const manifest = JSON.parse(blobs.get(stored.value.digest)!.toString()) as { layers: { digest: string; annotations: Record<string, string> }[] };
    const opened = async (change: (value: typeof manifest) => void): Promise<string> => {
      const value = structuredClone(manifest);
      change(value);
      const result = await openZarf(content, await content.put(JSON.stringify(value)), 'demo');
      return result.ok ? 'ok' : result.failure.code;
    };
    const title = 'org.opencontainers.image.title';
    expect(await opened(() => undefined)).toBe('ok');
    expect(await opened((value) => void value.layers.pop())).toMatch(/^zarf-/);
    expect(await opened((value) => void (value.layers[0]!.annotations[title] = '../../etc/passwd'))).toBe('zarf-manifest-invalid');
    expect(await opened((value) => void value.layers.push(value.layers[0]!))).toBe('zarf-manifest-invalid');
    expect(await opened((value) => void (value.layers[0]!.digest = 'md5:x'))).toBe('zarf-manifest-invalid');
    expect(await opened((value) => void value.layers.push({ ...value.layers[0]!, annotations: { [title]: 'more' } }))).toBe('zarf-file-unlisted');
    const missing = await openZarf(content, digestBytes('nothing'), 'demo');
    expect(missing).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'zarf-missing' } });
    blobs.delete(manifest.layers.find((layer) => layer.annotations[title] === 'checksums.txt')!.digest);
    expect(await openZarf(content, stored.value.digest, 'demo')).toMatchObject({ ok: false, failure: { code: 'zarf-missing' } });
  });
});

describe('signatures', () => {
  test.each(['legacy', 'bundle', 'both'] as const)('%s', async (signature) => {
    const files = build({ ...alphaDraft(), key: keys.privateKey, signature });
    expect(await code(files, pem)).toBe('ok verified');
    expect(await code(files)).toBe('ok unchecked');
    expect(await code(files, otherPem)).toBe('zarf-signature-wrong');
    expect(await code({ ...files, 'zarf.yaml': `${String(files['zarf.yaml'])} ` }, pem)).toBe('zarf-signature-wrong');
  });

  test.each([
    ['Ed25519', generateKeyPairSync('ed25519')],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ])('%s keys', async (_name, pair) => {
    const files = build({ ...alphaDraft(), key: pair.privateKey });
    expect(await code(files, pair.publicKey.export({ type: 'spki', format: 'pem' }))).toBe('ok verified');
  });

  test('key given and nothing signed; signed and taken out; one of two is bad', async () => {
    expect(await code(build(alphaDraft()), pem)).toBe('zarf-unsigned');
    const claims = build({ ...changed(alphaDraft(), (definition) => void (definition.build['signed'] = true)), key: keys.privateKey, signature: 'both' });
    expect(await code(claims, pem)).toBe('ok verified');
    const stripped = without(without(claims, 'zarf.yaml.sig'), 'zarf.bundle.sig');
    expect(await code(stripped)).toBe('zarf-unsigned');
    expect(await code({ ...claims, 'zarf.yaml.sig': Buffer.from('other').toString('base64') }, pem)).toBe('zarf-signature-wrong');
  });

  test('odd keys and odd signatures', async () => {
    const files = build({ ...alphaDraft(), key: keys.privateKey, signature: 'bundle' });
    expect(await code(files, 'no key')).toBe('zarf-key-invalid');
    expect(await code(files, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))).toBe('zarf-key-invalid');
    expect(await code(files, generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' }))).toBe('zarf-key-invalid');
    const bundle = JSON.parse(String(files['zarf.bundle.sig'])) as Record<string, object>;
    const withBundle = (value: unknown) => code({ ...files, 'zarf.bundle.sig': typeof value === 'string' ? value : JSON.stringify(value) }, pem);
    expect(await withBundle('{')).toBe('zarf-signature-malformed');
    expect(await withBundle({ ...bundle, messageSignature: { signature: '!' } })).toBe('zarf-signature-malformed');
    expect(await withBundle({ ...bundle, messageSignature: undefined, dsseEnvelope: {} })).toBe('zarf-signature-malformed');
    expect(await withBundle({ ...bundle, verificationMaterial: { certificate: { rawBytes: 'x' } } })).toBe('zarf-signature-keyless');
    expect(await code({ ...files, 'zarf.yaml.sig': '\n' }, pem)).toBe('zarf-signature-malformed');
  });
});

describe('hostile archives', () => {
  const raw = async (entries: readonly { name: string; type?: 'symlink' | 'file'; linkname?: string }[]): Promise<Buffer> => {
    const out = pack();
    for (const entry of entries) out.entry(entry, entry.type === 'symlink' ? '' : 'x');
    out.finalize();
    const parts: Buffer[] = [];
    for await (const part of out as AsyncIterable<Buffer>) parts.push(part);
    return Buffer.concat(parts);
  };
  test.each([
    [[{ name: '../zarf.yaml' }]],
    [[{ name: '/zarf.yaml' }]],
    [[{ name: 'zarf.yaml', type: 'symlink' as const, linkname: '/etc/passwd' }]],
    [[{ name: 'zarf.yaml' }, { name: './zarf.yaml' }]],
    [[{ name: 'zarf.yaml' }, { name: 'ZARF.yaml' }]],
  ])('%j', async (entries) => expect(await code(await raw(entries))).toBe('archive-invalid'));

  test('bombs, cuts, noise', async () => {
    expect(await code(zstdCompressSync(packTar([{ name: 'zarf.yaml', data: Buffer.alloc(64 * 2 ** 20) }])))).toMatch(/^(archive|zarf)-invalid$/);
    const bytes = zstd(build(alphaDraft()));
    for (let cut = 0; cut < bytes.length; cut += 97) expect(await code(bytes.subarray(0, cut))).toMatch(/^(archive-invalid|zarf-)/);
    expect(await code(Buffer.from('hello'))).toBe('archive-invalid');
  });

  test('3,000 mutants: each is read as it was or refused, none crashes', async () => {
    const files = build({ ...alphaDraft(), key: keys.privateKey });
    const plain = packTar(Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data as Uint8Array) })));
    const flips = fc.array(fc.tuple(fc.nat(plain.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(flips, async (list) => {
        const bytes = Buffer.from(plain);
        for (const [at, value] of list) bytes[at] = value;
        const result = await inspectZarf(() => bytes, 'demo', pem);
        if (!result.ok) seen.add(result.failure.code);
        else for (const [name, file] of result.value.files) expect(file.digest, name).toBe(`sha256:${sha256(files[name]!)}`);
        if (!result.ok) expect(result.failure.code).toMatch(/^(archive-invalid|zarf-)/);
      }),
      { numRuns: 3_000, seed: 7 },
    );
    expect(seen.size).toBeGreaterThan(3);
  });
});
