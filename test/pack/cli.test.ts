import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestBytes } from '@groundplane/protocol/digest';
import { gp as run, type FakeOptions } from '../cli/fake-io.ts';
import { jsonOf, plainPack, valuesText, type PackTexts } from './packs.ts';

let cwd = '';
const presets = `presets:
- {name: small, group: Size, displayName: One host, add: "charts: {web: {replicas: 1}}"}
- {name: large, group: Size, add: "charts: {web: {replicas: 9, cache: true}}"}
`;
const schema = `charts.web.replicas:
  schema: '{{ required | format "\${number:[1-9]}" | hints "How many" }}'
`;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'gp-pack-cli-'));
  await make('plain', plainPack({ 'presets.yaml': presets, 'schema.yaml': schema }));
  await make('bad', plainPack({ 'pack.json': jsonOf({ charts: ['charts/gone.tgz'] }), 'values.yaml': 'pack:\n  namespace: "A\u001b[31mB"\n' }));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const make = async (name: string, texts: PackTexts): Promise<void> => {
  for (const [file, data] of Object.entries(texts)) {
    await mkdir(dirname(join(cwd, name, file)), { recursive: true });
    await writeFile(join(cwd, name, file), data);
  }
};
const gp = (line: readonly string[], options: FakeOptions = {}) => run(['pack', ...line], { cwd, ...options });

describe('gp pack lint', () => {
  test('0 and an empty list for a good one', async () => {
    const ran = await gp(['lint', 'plain', '-o', 'json']);
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.out)).toEqual({ pack: { name: 'shop', version: '1.2.3', layer: 'addon' }, errors: 0, warnings: 0, infos: 0, findings: [] });
    expect((await gp(['lint', 'plain'], { isTTY: true })).out).toBe('');
  });

  test('1 with errors, each at its line, and nothing that steers a terminal', async () => {
    const ran = await gp(['lint', 'bad', '--no-color'], { isTTY: true });
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('values.yaml:2:3: error: namespace is not the name of a namespace');
    expect(ran.out).not.toContain('\u001b');
    expect(ran.error).toBe('2 errors, 1 warnings, 0 remarks\n');
  });

  test('what is no pack is told with what to do', async () => {
    const ran = await gp(['lint', 'nowhere']);
    expect([ran.code, ran.error]).toEqual([1, expect.stringContaining('there is no such pack folder or archive')]);
    expect(ran.error).toContain('next: name the folder of a pack');
  });
});

describe('gp pack presets', () => {
  test('lists them', async () => {
    const ran = await gp(['presets', 'plain', '--no-color'], { isTTY: true });
    expect(ran.out).toMatch(/GROUP +PRESET +ENABLED +MEANS\nSize +small +- +One host\nSize +large +- +large\n/);
    expect(JSON.parse((await gp(['presets', 'plain', '-o', 'json'])).out)).toMatchObject([
      { name: 'small', add: { charts: { web: { replicas: 1 } } } },
      { name: 'large' },
    ]);
  });

  test('applies some: the values come out, and pipe into the next', async () => {
    const ran = await gp(['presets', 'plain', '--apply', 'Size:large']);
    expect([ran.code, ran.error]).toEqual([0, '']);
    expect(ran.out).toBe(`# spectrocloud.com/enabled-presets: Size:large\n${valuesText.replace('replicas: 2', 'replicas: 9')}    cache: true\n`);
    const again = await gp(['presets', 'plain', '-f', '-', '--apply', 'small'], { stdin: ran.out });
    expect(again.out).toBe(`# spectrocloud.com/enabled-presets: Size:small\n${valuesText.replace('replicas: 2', 'replicas: 1')}`);
    expect(JSON.parse((await gp(['presets', 'plain', '--apply', 'Size:large', '-o', 'json'])).out)).toMatchObject({ enabled: ['Size:large'], kept: [] });
  });

  test('recognises them', async () => {
    const ran = await gp(['presets', 'plain', '--detect', '-f', '-', '-o', 'json'], { stdin: 'charts: {web: {replicas: 1}}\n' });
    expect(JSON.parse(ran.out)).toEqual([{ group: 'Size', name: 'small', by: 'content', isUnchanged: true, isKnown: true }]);
    expect((await gp(['presets', 'plain', '--detect'], { isTTY: true })).error).toBe('no preset is enabled\n');
  });

  test('one that is not there, and two wishes at once', async () => {
    const ran = await gp(['presets', 'plain', '--apply', 'Size:huge']);
    expect([ran.code, ran.error]).toEqual([1, expect.stringContaining('is not one of Size:small, Size:large')]);
    expect((await gp(['presets', 'plain', '--detect', '--apply', 'small'])).code).toBe(2);
  });
});

describe('gp pack values', () => {
  test('prints the values with edits, remarks and all', async () => {
    const ran = await gp(['values', 'plain', '--set', 'charts.web.replicas=3', 'charts.web.name="007"', '--set', 'charts.web["a.b"]=[x, 1]']);
    expect([ran.code, ran.error]).toEqual([0, '']);
    expect(ran.out).toBe(`${valuesText.replace('replicas: 2', 'replicas: 3')}    name: "007"\n    a.b:\n      - x\n      - 1\n`);
  });

  test('as data, and from a file', async () => {
    expect(JSON.parse((await gp(['values', 'plain', '-o', 'json', '-f', '-', '--set', 'a=on'], { stdin: 'charts: {web: {replicas: 1}}' })).out)).toEqual({
      charts: { web: { replicas: 1 } },
      a: true,
    });
  });

  test('what the schema does not allow goes to stderr, with the line', async () => {
    const ran = await gp(['values', 'plain', '--set', 'charts.web.replicas=12']);
    expect(ran.code).toBe(1);
    expect(ran.error).toBe('values.yaml:8:5: error: charts.web.replicas "12" is not from 1 to 9. How many (value-invalid)\n');
    expect(ran.out).toContain('replicas: 12');
  });

  test('edits that cannot be made are told', async () => {
    expect((await gp(['values', 'plain', '--set', 'nothing'])).error).toContain('write it like --set charts.web.replicas=3');
    expect((await gp(['values', 'plain', '--set', 'charts.web.replicas.x=1'])).error).toContain('goes through a text or number');
  });
});

describe('gp pack build', () => {
  test('writes the archive and says its digest; twice it is the same', async () => {
    const ran = await gp(['build', 'plain', '--out', 'shop.tgz', '-o', 'json']);
    const bytes = await readFile(join(cwd, 'shop.tgz'));
    expect(JSON.parse(ran.out)).toEqual({ name: 'shop', version: '1.2.3', digest: digestBytes(bytes), bytes: bytes.length, file: 'shop.tgz' });
    expect((await gp(['build', 'shop.tgz', '--out', 'again.tgz', '-o', 'name'])).out).toBe(`${digestBytes(bytes)}\n`);
    expect(await gp(['lint', 'shop.tgz', '-o', 'json'])).toMatchObject({ code: 0 });
  });

  test('a pack with errors is not built, and nothing is left over', async () => {
    const ran = await gp(['build', 'bad', '--out', 'bad.tgz']);
    expect([ran.code, ran.error]).toEqual([1, expect.stringContaining('the pack has 2 errors; nothing was written')]);
    expect((await gp(['build', 'plain', '--out', 'no/such/folder.tgz'])).code).toBe(1);
    expect((await readdir(cwd)).filter((name) => name.includes('bad.') || name.includes('partial'))).toEqual([]);
    expect((await gp(['build', 'plain'])).code).toBe(2);
  });
});
