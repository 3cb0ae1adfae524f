import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocuments } from '../../hub/cli/authoring/document.ts';
import { buildPack } from '@groundplane/hub/pack/write';
import { plainPack, valuesText } from './packs.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gp-pack-apply-'));
  const texts = plainPack({
    'presets.yaml':
      'presets:\n- {name: large, group: Size, add: "charts: {web: {replicas: 9}}"}\n- {name: huge, group: Size, add: "charts: {web: {replicas: 99}}"}\n',
    'schema.yaml': `charts.web.replicas: {schema: '{{ required | format "\${number:[1-9]}" }}'}\n`,
  });
  for (const [file, data] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, 'packs/shop', file)), { recursive: true });
    await writeFile(join(folder, 'packs/shop', file), data);
  }
  await mkdir(join(folder, 'packs/broken'), { recursive: true });
  await writeFile(join(folder, 'packs/broken/pack.json'), '{"name": "b"}');
  await writeFile(join(folder, 'mine.yaml'), '# mine\ncharts:\n  web:\n    replicas: 4\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const parse = (pack: string) =>
  parseDocuments(
    [
      {
        name: 'profile.yaml',
        folder,
        text: `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: shop, version: 1.0.0}
spec:
  type: addon
  layers:
    - name: shop
      kind: addon
      pack: ${pack}
`,
      },
    ],
    'default',
    undefined,
  );
const layerOf = async (pack: string) => {
  const parsed = await parse(pack);
  if (!parsed.ok) throw new Error(parsed.trouble.details?.join('\n'));
  const [document] = parsed.value;
  if (document?.kind !== 'Profile') throw new Error('no profile');
  return { pack: document.value.spec.layers[0]?.pack, charts: document.charts };
};
const problems = async (pack: string): Promise<readonly string[]> => {
  const parsed = await parse(pack);
  return parsed.ok ? [] : (parsed.trouble.details ?? [parsed.trouble.why]);
};

describe('a pack by path in a profile', () => {
  test('is built, and its name, version and digest are filled in', async () => {
    const built = await buildPack(join(folder, 'packs/shop'));
    if (!built.ok) throw new Error(built.failure.message);
    const { pack, charts } = await layerOf('{path: ./packs/shop}');
    expect(pack).toEqual({ name: 'shop', version: '1.2.3', digest: built.value.digest });
    expect(charts).toEqual([{ kind: 'pack', ...built.value }]);
  });

  test('takes values from a file, from presets, and from both', async () => {
    expect((await layerOf('{path: ./packs/shop, valuesFile: ./mine.yaml}')).pack?.values).toBe('# mine\ncharts:\n  web:\n    replicas: 4\n');
    expect((await layerOf('{path: ./packs/shop, presets: ["Size:large"]}')).pack?.values).toBe(
      `# spectrocloud.com/enabled-presets: Size:large\n${valuesText.replace('replicas: 2', 'replicas: 9')}`,
    );
    expect((await layerOf('{path: ./packs/shop, valuesFile: ./mine.yaml, presets: [large]}')).pack?.values).toBe(
      '# spectrocloud.com/enabled-presets: Size:large\n# mine\ncharts:\n  web:\n    replicas: 9\n',
    );
  });

  test('values with references wait for them', async () => {
    expect((await layerOf('{path: ./packs/shop, values: "charts: {web: {replicas: \'{{ .spectro.var.n }}\'}}"}')).pack?.values).toContain('.spectro.var.n');
  });

  test('without a path it is a label, or one that was uploaded before', async () => {
    expect(await problems('{name: shop, version: 1.0.0}')).toEqual([expect.stringContaining('says nothing to install')]);
    expect((await layerOf(`{name: shop, version: 1.0.0, digest: "sha256:${'a'.repeat(64)}"}`)).charts).toEqual([]);
  });

  test.each([
    ['{path: ./packs/none}', /profile\.yaml:9:20: .*packs\/none: there is no such pack/],
    ['{path: ./packs/broken}', /profile\.yaml:9:20: pack\.json:1:1: error: has no version/],
    ['{path: ""}', /profile\.yaml:9:20: must be a path, like \.\/packs\/web/],
    [`{path: ./packs/shop, digest: "sha256:${'a'.repeat(64)}"}`, /give either "path" .* or "digest"/],
    ['{path: ./packs/shop, version: 2.0.0}', /profile\.yaml:9:43: says "2\.0\.0", and the pack in path is 1\.2\.3/],
    ['{path: ./packs/shop, valuesFile: ./none.yaml}', /profile\.yaml:9:46: \.\/none\.yaml: there is no such file/],
    ['{path: ./packs/shop, valuesFile: ./mine.yaml, values: "a: 1"}', /give either "valuesFile" or "values"/],
    ['{path: ./packs/shop, presets: ["Size:tiny"]}', /preset Size:tiny is not one of Size:large, Size:huge/],
    ['{path: ./packs/shop, presets: large}', /must be a list of texts like Group:name/],
    ['{path: ./packs/shop, presets: [huge]}', /profile\.yaml:9:43: values\.yaml:9:5: error: charts\.web\.replicas "99" is not from 1 to 9/],
    ['{path: ./packs/shop, values: "a: ["}', /profile\.yaml:9:42: values\.yaml:1:5: error/],
    ['{name: shop, version: 1.0.0, valuesFile: ./mine.yaml}', /needs "path", the folder or archive of the pack/],
    ['{pathh: ./packs/shop}', /there is no field "pathh"; did you mean "path"\?/],
  ])('%s is told at its line, once', async (pack, message) => {
    const found = await problems(pack);
    expect(
      found.filter((line) => message.test(line)),
      found.join('\n'),
    ).toHaveLength(1);
  });
});
