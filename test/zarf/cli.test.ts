import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTar } from '@groundplane/hub/archive/write';
import { openZarf } from '@groundplane/hub/zarf/stored';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocuments } from '../../hub/cli/authoring/document.ts';
import { gp } from '../cli/fake-io.ts';
import { fakeContent } from '../fake/content.ts';
import { alphaDraft, build, changed, sha256, zstd } from './writer.ts';

let folder = '';
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const files = build({ ...alphaDraft(), key: keys.privateKey, signature: 'bundle' });
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gp-zarf-test-'));
  const bytes = zstd(files);
  const write = (name: string, data: string | Uint8Array) => writeFile(join(folder, name), data);
  await write('demo.tar.zst', bytes);
  await write('plain.tar', packTar(Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data as Uint8Array) }))));
  await write('cosign.pub', keys.publicKey.export({ type: 'spki', format: 'pem' }));
  await write('other.pub', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
  await write('init.tar.zst', zstd(build(changed(alphaDraft(), (definition) => void (definition['kind'] = 'ZarfInitConfig')))));
  await write('big.tar.zst.part000', JSON.stringify({ Sha256Sum: sha256(bytes), Bytes: bytes.length, Count: 3 }));
  const third = Math.ceil(bytes.length / 3);
  for (const part of [1, 2, 3]) await write(`big.tar.zst.part00${part}`, bytes.subarray((part - 1) * third, part * third));
  await write('cut.tar.zst.part000', JSON.stringify({ Sha256Sum: sha256(bytes), Bytes: bytes.length, Count: 2 }));
  await write('cut.tar.zst.part001', bytes);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('gp zarf inspect', () => {
  const inspect = (...args: string[]) => gp(['zarf', 'inspect', ...args], { cwd: folder });

  test('as data and as text', async () => {
    const ran = await inspect('demo.tar.zst', '--key', 'cosign.pub', '-o', 'json');
    expect(ran.code).toBe(0);
    const data = JSON.parse(ran.out) as { package: { name: string; variables: object[] }; signature: string; files: object };
    expect(data).toMatchObject({ package: { name: 'demo' }, signature: 'verified' });
    expect(Object.keys(data.files)).toEqual(Object.keys(files));
    // The default of a sensitive variable is a secret.
    expect(ran.out).not.toContain('one\\ntwo');
    const shown = await inspect('plain.tar', '-o', 'table');
    expect(shown.out).toMatch(/name: +demo\nversion: +1\.2\.3/);
    expect(shown.out).toContain('signed; give --key cosign.pub to check it');
    expect(shown.out).toContain('base (required; 1 chart, 1 manifest, 2 images, 1 file, 3 actions)');
  });

  test('split packages, by any part', async () => {
    for (const name of ['big.tar.zst.part000', 'big.tar.zst.part002']) expect((await inspect(name, '--key', 'cosign.pub')).code).toBe(0);
    expect((await inspect('big.tar.zst')).error).toContain('big.tar.zst.part000');
    expect((await inspect('cut.tar.zst.part000')).error).toContain('cut.tar.zst.part002 of 2 parts is not beside it');
    await writeFile(join(folder, 'cut.tar.zst.part002'), 'more');
    expect((await inspect('cut.tar.zst.part000')).error).toContain('copy them again');
  });

  test.each([
    [['none.tar.zst'], 1, /there is no such file/],
    [['.'], 1, /is a folder/],
    [['demo.tar.zst', '--key', 'other.pub'], 1, /does not fit this key/],
    [['demo.tar.zst', '--key', 'none.pub'], 1, /none\.pub: there is no such file/],
    [['init.tar.zst', '--key', 'cosign.pub'], 1, /the package is not signed/],
  ])('%j', async (args, code, message) => {
    const ran = await inspect(...args);
    expect([ran.code, message.test(ran.error)], ran.error).toEqual([code, true]);
  });

  test('a package that could not be used is shown, and ends with 1', async () => {
    const ran = await inspect('init.tar.zst', '-o', 'table');
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('error: it is an init package');
  });
});

describe('zarf.path in a profile', () => {
  const parsed = (zarf: string) =>
    parseDocuments(
      [
        {
          name: 'p.yaml',
          folder,
          text: `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: shop, version: 1.0.0}\nspec:\n  type: addon\n  layers:\n    - name: web\n      kind: addon\n      zarf: ${zarf}\n`,
        },
      ],
      'default',
      undefined,
    );

  test('is read, checked and replaced; the blobs make a whole package', async () => {
    const document = await parsed('{path: ./demo.tar.zst, publicKey: ./cosign.pub, variables: {DOMAIN: a.b}}');
    if (!document.ok || document.value[0]?.kind !== 'Profile') throw new Error(JSON.stringify(document));
    const { value, charts } = document.value[0];
    const zarf = value.spec.layers[0]!.zarf!;
    expect(zarf).toMatchObject({ package: { name: 'demo', version: '1.2.3' }, variables: { DOMAIN: 'a.b' } });
    expect(charts.at(-1)?.digest).toBe(zarf.package.digest);
    const content = fakeContent();
    for (const blob of charts) expect(await content.put(blob.bytes)).toBe(blob.digest);
    expect((await openZarf(content, zarf.package.digest, 'demo')).ok).toBe(true);
  });

  test.each([
    ['{path: ./none.tar.zst}', /p\.yaml:9:\d+: .*none\.tar\.zst: there is no such file/],
    ['{path: ./init.tar.zst}', /it is an init package/],
    ['{path: ./demo.tar.zst, publicKey: ./other.pub}', /does not fit this key/],
    ['{path: ./demo.tar.zst, publicKey: ./none.pub}', /none\.pub: there is no such file/],
    ['{path: ./demo.tar.zst, publicKey: 5}', /must be the path of a public key/],
    ['{path: 5}', /must be a path/],
    ['{publicKey: x}', /is for a package of yours/],
    ['{path: x, package: {name: a}}', /not both/],
    ['{paht: x}', /there is no field "paht"; did you mean "path"/],
  ])('%s', async (zarf, message) => {
    const document = await parsed(zarf);
    expect(document.ok ? '' : [document.trouble.why, ...(document.trouble.details ?? [])].join('\n')).toMatch(message);
  });
});
