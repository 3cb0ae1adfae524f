import { chmod, cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packChart } from '../../hub/cli/authoring/chart.ts';
import { parseHelmIgnore } from '../../hub/cli/authoring/helmignore.ts';
import { readArchive } from '../../hub/src/archive/read.ts';
import { packTgz } from '../../hub/src/archive/write.ts';

const shop = join(import.meta.dirname, '../../examples/retail-store/charts/shop');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gp-chart-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const bounds = { bytesMax: 64 * 2 ** 20, entriesMax: 10_000, fileBytesMax: 2 ** 20 };

const namesIn = async (bytes: Uint8Array): Promise<string[]> => {
  const read = await readArchive(bytes, bounds, 'test');
  return read.ok ? read.value.map((file) => file.name) : [read.failure.message];
};

const pack = async (path: string) => {
  const packed = await packChart(path);
  if (!packed.ok) throw new Error(`${packed.failure.element}: ${packed.failure.message}`);
  return packed.value;
};

const makeChart = async (name: string, files: Record<string, string>): Promise<string> => {
  const root = join(folder, name);
  for (const [file, text] of Object.entries({ 'Chart.yaml': 'apiVersion: v2\nname: demo\nversion: 1.0.0\n', ...files })) {
    await mkdir(join(root, file, '..'), { recursive: true });
    await writeFile(join(root, file), text);
  }
  return root;
};

describe('packing a chart', () => {
  test('the same folder gives the same bytes, whatever its dates, modes and place are', async () => {
    const first = await pack(shop);
    const copy = join(folder, 'copied-elsewhere');
    await cp(shop, copy, { recursive: true });
    await utimes(join(copy, 'values.yaml'), 1, 1);
    await chmod(join(copy, 'values.yaml'), 0o600);
    const second = await pack(copy);
    expect(second.digest).toBe(first.digest);
    expect(Buffer.compare(second.bytes, first.bytes)).toBe(0);
    await writeFile(join(copy, 'values.yaml'), 'replicas: 3\n');
    expect((await pack(copy)).digest).not.toBe(first.digest);
  });

  test('the bytes are pinned: a new version of gp must not make every chart look changed', async () => {
    expect((await pack(await makeChart('pinned', { 'templates/a.yaml': 'a: 1\n', 'values.yaml': '' }))).digest).toBe(
      'sha256:8ed04b7224f9377dfb278b3ddb0592b3844f654d4dfa00255480688ed3edc61b',
    );
  });

  test('Chart.yaml first, below the name of the chart; subcharts and CRDs included', async () => {
    const packed = await pack(shop);
    expect(packed).toMatchObject({ name: 'shop', version: '1.0.0' });
    const names = await namesIn(packed.bytes);
    expect(names[0]).toBe('shop/Chart.yaml');
    expect(names).toEqual(expect.arrayContaining(['shop/crds/coupons.yaml', 'shop/charts/cache/Chart.yaml', 'shop/templates/NOTES.txt']));
    expect(names.slice(1)).toEqual(names.slice(1).toSorted());
  });

  test('.helmignore keeps things out, and Helm’s own rule keeps hidden templates out', async () => {
    const root = await makeChart('ignoring', {
      '.helmignore': '# comment\n*.bak\n/docs\nsecret/\ntemplates/test-?.yaml\n',
      'a.bak': '',
      'deep/b.bak': '',
      'docs/x': '',
      'deep/docs/kept': '',
      'secret/key': '',
      'deep/secret/key': '',
      'templates/test-1.yaml': '',
      'templates/test-10.yaml': '',
      'templates/.hidden.yaml': '',
      'templates/web.yaml': '',
    });
    expect(await namesIn((await pack(root)).bytes)).toEqual([
      'demo/Chart.yaml',
      'demo/.helmignore',
      'demo/deep/docs/kept',
      'demo/templates/test-10.yaml',
      'demo/templates/web.yaml',
    ]);
  });

  test('patterns as Helm reads them', () => {
    const matches = (rules: string, path: string, isFolder = false): boolean => {
      const ignore = parseHelmIgnore(rules, 'x');
      if (!ignore.ok) throw new Error(ignore.failure.message);
      return ignore.value(path, isFolder);
    };
    expect(matches('[a-c].txt', 'b.txt')).toBe(true);
    expect(matches('[^a-c].txt', 'b.txt')).toBe(false);
    expect(matches(String.raw`\*.txt`, 'b.txt')).toBe(false);
    expect(matches('a/*/c', 'a/b/c')).toBe(true);
    expect(matches('a/*', 'a/b/c')).toBe(false);
    expect(matches('.git/', '.git')).toBe(false);
    expect(matches('.git/', 'x/.git', true)).toBe(true);
    // Not what git does: everything that the line does not match stays out.
    expect(matches('!*.yaml', 'values.yaml')).toBe(false);
    expect(matches('!*.yaml', 'readme.md')).toBe(true);
    for (const bad of ['a/**/b', '[a', '\\']) expect(parseHelmIgnore(bad, 'x')).toMatchObject({ ok: false, failure: { code: 'helmignore-invalid' } });
    expect(matches('a*c*e', 'abcdce')).toBe(true);
    expect(matches('a*c*e', 'abcdc')).toBe(false);
    expect(matches('**.txt'.slice(1), '.txt')).toBe(true);
    // Exponential patterns end at once.
    expect(matches(`${'*a'.repeat(50)}b`, 'a'.repeat(5_000))).toBe(false);
  });

  test('long names survive', async () => {
    const name = `demo/${'d'.repeat(80)}/${'ü'.repeat(90)}.yaml`;
    const found = await readArchive(
      packTgz([
        { name: 'demo/Chart.yaml', data: Buffer.from('x') },
        { name, data: Buffer.from('long') },
      ]),
      bounds,
      'test',
      (item) => item === name,
    );
    expect(found.ok && found.value.map((file) => file.data.toString())).toEqual(['long']);
  });

  test('more than one stored block', () => {
    const data = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
    const bytes = packTgz([{ name: 'a', data }]);
    expect(Buffer.compare(gunzipSync(bytes).subarray(512, 512 + data.length), data)).toBe(0);
  });

  test('an archive is taken as it is', async () => {
    const folderPacked = await pack(shop);
    await writeFile(join(folder, 'shop.tgz'), folderPacked.bytes);
    expect(await pack(join(folder, 'shop.tgz'))).toMatchObject({ digest: folderPacked.digest, name: 'shop', version: '1.0.0' });
  });

  test('what is no chart is told', async () => {
    const message = async (path: string): Promise<string> => {
      const packed = await packChart(path);
      return packed.ok ? 'packed' : packed.failure.message;
    };
    await writeFile(join(folder, 'text.tgz'), 'text');
    await writeFile(join(folder, 'other.tgz'), packTgz([{ name: 'readme', data: Buffer.from('x') }]));
    await writeFile(join(folder, 'cut.tgz'), packTgz([{ name: 'demo/Chart.yaml', data: Buffer.from('x') }]).subarray(0, 300));
    await mkdir(join(folder, 'nochart'), { recursive: true });
    expect(await message(join(folder, 'none'))).toContain('no such chart folder');
    expect(await message(join(folder, 'text.tgz'))).toContain('is a gzipped tar archive; make one');
    expect(await message(join(folder, 'cut.tgz'))).toContain('is a gzipped tar archive; make one');
    expect(await message(join(folder, 'other.tgz'))).toContain('holds no <name>/Chart.yaml');
    expect(await message(join(folder, 'nochart'))).toContain('has no Chart.yaml');
    expect(await message(await makeChart('unnamed', { 'Chart.yaml': 'version: 1.0.0' }))).toContain('needs a name and a version');
    expect(await message(await makeChart('climbing', { 'Chart.yaml': 'name: ../up\nversion: 1.0.0' }))).toContain('letters, digits');
    expect(
      await message(
        await makeChart('incomplete', {
          'Chart.yaml': 'name: x\nversion: 1.0.0\ndependencies: [{name: db, version: 1}, {name: cache, version: 1}]\n',
          'charts/cache-1.0.0.tgz': '',
        }),
      ),
    ).toMatch(/not in charts\/: db\. Fetch them first: helm dependency update/);
  });

  test('links stay inside of the chart', async () => {
    const root = await makeChart('linked', { 'values.yaml': 'a: 1\n' });
    await symlink(join(root, 'values.yaml'), join(root, 'same.yaml'));
    expect(await namesIn((await pack(root)).bytes)).toContain('demo/same.yaml');
    await writeFile(join(folder, 'private.key'), 'secret');
    await symlink(join(folder, 'private.key'), join(root, 'key'));
    expect(await packChart(root)).toMatchObject({ ok: false, failure: { code: 'chart-link-outside' } });
    await rm(join(root, 'key'));
    await symlink(root, join(root, 'loop'));
    expect(await packChart(root)).toMatchObject({ ok: false, failure: { code: 'chart-too-deep' } });
    await rm(join(root, 'loop'));
    await symlink(join(root, 'gone'), join(root, 'broken'));
    expect(await packChart(root)).toMatchObject({ ok: false, failure: { code: 'chart-link-broken' } });
  });
});
