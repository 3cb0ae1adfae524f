import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPack, readPackArchive } from '@groundplane/hub/pack/read';
import { buildPack } from '@groundplane/hub/pack/write';
import { packTar, packTgz } from '../../hub/src/archive/write.ts';
import { plainPack, type PackTexts } from './packs.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gp-pack-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const makeFolder = async (name: string, texts: PackTexts): Promise<string> => {
  const folder = join(root, name);
  for (const [file, data] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), data);
  }
  return folder;
};
const tarFiles = (texts: PackTexts, prefix = '') => Object.entries(texts).map(([name, data]) => ({ name: prefix + name, data: Buffer.from(data as string) }));
const names = async (reading: ReturnType<typeof readPack>): Promise<string[] | string> => {
  const read = await reading;
  return read.ok ? read.value.files.map((file) => file.name) : read.failure.code;
};
const expected = Object.keys(plainPack()).toSorted();

describe('reading a pack', () => {
  test('from its folder, without what others leave behind', async () => {
    const folder = await makeFolder('plain', plainPack({ '.git/config': '', '.DS_Store': '', 'charts/._web': '', 'values.yaml~': '', '.idea/x': '' }));
    expect(await names(readPack(folder))).toEqual(expected);
  });

  test.each([
    ['at the root', '', packTgz],
    ['in a folder', 'shop-1.2.3/', packTgz],
    ['with ./ before names', './', packTgz],
    ['as zstd', 'shop/', (files: Parameters<typeof packTar>[0]) => zstdCompressSync(packTar(files))],
    ['without compression', '', packTar],
  ])('from an archive, %s', async (_, prefix, pack) => {
    expect(await names(readPackArchive(pack(tarFiles(plainPack({ '.git/config': '' }), prefix)), 'x'))).toEqual(expected);
  });

  test('what is no pack, or several, is told', async () => {
    expect(await names(readPackArchive(packTgz(tarFiles({ 'a.txt': 'x' })), 'x'))).toBe('pack-invalid');
    expect(await names(readPackArchive(packTgz([...tarFiles(plainPack(), 'a/'), ...tarFiles(plainPack(), 'b/')]), 'x'))).toBe('pack-invalid');
    expect(await names(readPackArchive(Buffer.from('nothing'), 'x'))).toBe('archive-invalid');
    expect(await names(readPackArchive(packTgz([...tarFiles(plainPack()), { name: '../evil', data: Buffer.from('') }]), 'x'))).toBe('archive-invalid');
    expect(await names(readPack(join(root, 'nowhere')))).toBe('pack-missing');
    expect(await names(readPack(await makeFolder('empty', { 'x.txt': '' })))).toBe('pack-invalid');
  });

  test('links out of the pack, to nothing and in circles are refused; those inside are followed', async () => {
    const folder = await makeFolder('links', plainPack());
    await symlink('values.yaml', join(folder, 'inside.yaml'));
    expect(await names(readPack(folder))).toEqual([...expected, 'inside.yaml'].toSorted());
    await symlink('/etc/hostname', join(folder, 'outside'));
    expect(await names(readPack(folder))).toBe('pack-link-outside');
    await rm(join(folder, 'outside'));
    await symlink('nowhere', join(folder, 'broken'));
    expect(await names(readPack(folder))).toBe('pack-link-broken');
    await rm(join(folder, 'broken'));
    await symlink('..', join(folder, 'charts/up'));
    expect(['pack-too-deep', 'pack-too-large', 'pack-link-outside']).toContain(await names(readPack(folder)));
  });
});

describe('building a pack', () => {
  test('equal files give equal bytes, wherever, whenever and in whatever form', async () => {
    const one = await makeFolder('one', plainPack());
    const two = await makeFolder('two', plainPack({ '.DS_Store': 'x' }));
    await utimes(join(two, 'pack.json'), 1, 1);
    await chmod(join(two, 'values.yaml'), 0o600);
    const archive = join(root, 'packed.tar.zst');
    await writeFile(archive, zstdCompressSync(packTar(tarFiles(plainPack(), 'shop/'))));
    const built = await Promise.all([one, two, archive].map(buildPack));
    expect(built.every((item) => item.ok)).toBe(true);
    expect(new Set(built.map((item) => item.ok && item.value.digest)).size).toBe(1);
    expect(built[0]).toMatchObject({ ok: true, value: { name: 'shop', version: '1.2.3' } });
    const [first] = built;
    const read = await names(readPackArchive(first?.ok === true ? first.value.bytes : Buffer.alloc(0), 'x'));
    expect(read).toEqual(expected);
    await writeFile(join(two, 'values.yaml'), 'pack: {}\n');
    expect(await buildPack(two)).not.toMatchObject({ value: { digest: first?.ok === true ? first.value.digest : '' } });
  });

  test('the bytes are pinned: a new version of gp must not make every pack look changed', async () => {
    const folder = await makeFolder('pinned', { 'pack.json': '{"name":"a","version":"1.0.0"}', 'values.yaml': '' });
    expect(await buildPack(folder)).toMatchObject({ ok: true, value: { digest: 'sha256:053ce2ff667a578bdc401bac2cd95eeff30771821c2a06cbadd89baa1138518c' } });
  });

  test('a pack without a name is not built', async () => {
    expect(await buildPack(await makeFolder('nameless', { 'pack.json': '{}' }))).toMatchObject({
      ok: false,
      failure: { code: 'pack-invalid', message: 'has no name' },
    });
  });
});
