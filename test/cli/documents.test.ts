import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gp } from './fake-io.ts';

let folder = '';
const env = { GP_HUB: 'http://127.0.0.1:9', GP_TOKEN: 'gpk_test' };
let sent = 0;
const countingFetch: typeof fetch = () => {
  sent += 1;
  return Promise.reject(new Error('nothing listens here'));
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gp-documents-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const head = (version = '1.0.0'): string =>
  `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata:\n  name: shop\n  version: ${version}\nspec:\n  type: addon\n  layers:\n`;
const layer = (lines: string): string => lines.replaceAll(/^/gm, '    ');

/** Applies a text; it must be refused before anything is sent. */
const refused = async (text: string | Uint8Array, name = 'doc.yaml') => {
  await writeFile(join(folder, name), text);
  sent = 0;
  const ran = await gp(['apply', '-f', name], { env, cwd: folder, fetch: countingFetch });
  expect(sent).toBe(0);
  expect(ran.code).toBe(1);
  return ran.error;
};

describe('mistakes in files are told with line, cause and remedy', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      'an unknown field',
      `${head()}${layer('- name: web\n  kind: addon\n  manifest: []')}`,
      /doc\.yaml:11:7: spec\.layers\[0\]: there is no field "manifest"; did you mean "manifests"\? Known fields: name, kind/,
    ],
    [
      'an unknown convenience',
      `${head()}${layer('- name: web\n  kind: addon\n  helm:\n    paht: ./x')}`,
      /doc\.yaml:12:9: spec\.layers\[0\]\.helm: there is no field "paht"; did you mean "path"\?/,
    ],
    [
      'a chart that is not named',
      `${head()}${layer('- name: web\n  kind: addon\n  helm:\n    values: "a: 1"')}`,
      /doc\.yaml:11:7: spec\.layers\[0\]\.helm\.path is missing; it is the folder of a chart/,
    ],
    [
      'a number where text belongs',
      `${head('1.10')}${layer('- {name: web, kind: addon, manifests: [{name: a, content: a}]}')}`,
      /doc\.yaml:5:12: metadata\.version must be text; write it in quotes: version: "1\.10"/,
    ],
    [
      'a wrong word',
      `${head()}${layer('- name: web\n  kind: addons\n  manifests: [{name: a, content: a}]')}`,
      /doc\.yaml:10:13: spec\.layers\[0\]\.kind must be one of os, kubernetes, network, storage, addon/,
    ],
    [
      'a missing field',
      'apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata:\n  name: c\nspec:\n  hosts: [a]\n',
      /doc\.yaml:5:1: spec\.profiles is missing; it is a list/,
    ],
    [
      'a list that is a map',
      'apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: c}\nspec:\n  profiles: {name: a, version: 1.0.0}\n',
      /doc\.yaml:5:13: spec\.profiles must be a list/,
    ],
    [
      'a name that cannot be',
      'apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: My_Cluster}\nspec: {profiles: [{name: a, version: 1.0.0}]}\n',
      /doc\.yaml:3:18: metadata\.name: must be lower-case letters/,
    ],
    ['a layer without content', `${head()}${layer('- name: web\n  kind: addon')}`, /doc\.yaml:9:7: layer web: says nothing to install/],
    [
      'two layers of one name',
      `${head()}${layer('- {name: web, kind: addon, manifests: [{name: a, content: a}]}\n- {name: web, kind: addon, manifests: [{name: a, content: a}]}')}`,
      /doc\.yaml:10:7: two layers are named web/,
    ],
    [
      'too small a number',
      `${head()}${layer('- name: web\n  kind: addon\n  manifests: [{name: a, content: a}]\n  readiness:\n    timeoutSeconds: 0')}`,
      /doc\.yaml:13:25: spec\.layers\[0\]\.readiness\.timeoutSeconds must be at least 1/,
    ],
    ['a typing error in kind', 'apiVersion: groundplane.dev/v1\nkind: Profil\n', /doc\.yaml:2:7: kind Profil is not understood; did you mean Profile\?/],
    ['an object of Kubernetes', 'apiVersion: apps/v1\nkind: Deployment\n', /kind Deployment is not understood; objects of Kubernetes belong into a layer/],
    ['another apiVersion', 'apiVersion: groundplane.dev/v2\nkind: Profile\n', /doc\.yaml:1:13: apiVersion must be groundplane\.dev\/v1/],
    ['a list as document', '- a\n', /doc\.yaml:1:1: is not a document of Groundplane/],
    [
      'a second document that is wrong',
      `${head()}${layer('- {name: web, kind: addon, manifests: [{name: a, content: a}]}')}\n---\nkind: Profile\n`,
      /doc\.yaml:11:1: apiVersion must be/,
    ],
    ['a key twice', 'apiVersion: groundplane.dev/v1\nkind: Profile\nkind: Cluster\n', /doc\.yaml:3:1: the same key is here twice/],
    ['a tab', 'apiVersion: groundplane.dev/v1\nmetadata:\n\tname: x\n', /doc\.yaml:3:\d+: a tab indents this line/],
    ['an open quote', 'apiVersion: "groundplane\n', /doc\.yaml:\d+:\d+: .*quote/i],
    ['aliases that explode', `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(10)}*a]\nc: &c [${'*b,'.repeat(10)}*b]\nkind: Profile\n`, /aliases/],
    ['nothing at all', '# only a comment\n', /doc\.yaml: holds no document/],
  ];
  test.each(cases)('%s', async (_what, text, wanted) => {
    expect(await refused(text)).toMatch(wanted);
  });

  test('every problem of every document is told at once', async () => {
    const error = await refused(`${head('1')}${layer('- {name: A, kind: addon, manifests: [{name: a, content: a}]}\n- {name: b, kind: x, manifests: []}')}`);
    expect(error).toContain('3 problems were found; nothing was sent');
    expect(error.match(/doc\.yaml:\d+:\d+/g)).toHaveLength(3);
  });

  test('the same thing twice', async () => {
    const one = `${head()}${layer('- {name: web, kind: addon, manifests: [{name: a, content: a}]}')}`;
    expect(await refused(`${one}\n---\n${one}`)).toMatch(/profile shop@1\.0\.0: is given twice, at doc\.yaml:2 and at doc\.yaml:12/);
  });

  test('another project than the flag says', async () => {
    await writeFile(
      join(folder, 'p.yaml'),
      'apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: c, project: a}\nspec: {profiles: [{name: a, version: 1.0.0}]}\n',
    );
    expect(await gp(['apply', '-f', 'p.yaml', '--project', 'b'], { env, cwd: folder })).toMatchObject({
      code: 2,
      error: expect.stringContaining('says project a, and --project says b'),
    });
  });
});

describe('files that are not as they should be', () => {
  test('missing, folder without files, nothing named', async () => {
    expect(await gp(['apply', '-f', 'none.yaml'], { env, cwd: folder })).toMatchObject({
      code: 1,
      error: expect.stringMatching(/none\.yaml: there is no such file\n {2}next: .*ls/),
    });
    await mkdir(join(folder, 'empty'), { recursive: true });
    expect(await gp(['apply', '-f', 'empty'], { env, cwd: folder })).toMatchObject({ code: 1, error: expect.stringContaining('no .yaml or .yml file') });
    expect(await gp(['apply'], { env, cwd: folder })).toMatchObject({ code: 2 });
  });

  test('huge, binary, deep', async () => {
    expect(await refused(Buffer.alloc(5 * 1024 * 1024 + 1, 'a'))).toContain('has more than 5242880 bytes');
    expect(await refused(Buffer.from([0xff, 0xfe, 0x00]))).toContain('is not UTF-8 text');
    expect(await refused(`a: ${'['.repeat(200_000)}`)).toMatch(/nested too deeply|doc\.yaml:\d+/);
    const tooLong = await gp(['apply', '-f', '-'], { env, cwd: folder, stdin: new Uint8Array(5 * 1024 * 1024 + 1).fill(97) });
    expect(tooLong).toMatchObject({ code: 1, error: expect.stringContaining('standard input: has more than') });
  });

  test('more than the hub takes, once files are read in', async () => {
    await writeFile(join(folder, 'big.txt'), 'x'.repeat(2_900_000));
    const files = [1, 2].map((index) => `        - {path: /etc/big${index}, source: ./big.txt}`).join('\n');
    expect(await refused(`${head().replace('addon', 'full')}${layer('- name: base\n  kind: os\n  os:\n    files:')}\n${files}\n`)).toMatch(
      /profile shop@1\.0\.0: has \d+ bytes with its files; the hub takes 5242880/,
    );
  });

  test('names that would steer a terminal are shown, not obeyed', async () => {
    const error = await refused(`apiVersion: groundplane.dev/v1\nkind: "\\e[2J\\u202Eevil"\n`);
    expect(error).toContain('\\u001b[2J\\u202eevil');
    expect(error).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
    const missing = await gp(['apply', '-f', '\u001b[31mred.yaml'], { env, cwd: folder });
    expect(missing.error).not.toContain('\u001b');
  });
});

describe('what is given by path', () => {
  test('missing charts, values, manifests and files are told at their line', async () => {
    const base = '- name: base\n  kind: os\n  os:\n    files:\n      - path: /etc/x\n        source: ./nope.txt\n';
    const web = '- name: web\n  kind: addon\n  helm:\n    path: ./nochart\n    valuesFile: ./novalues.yaml\n';
    const more = '- name: more\n  kind: addon\n  manifests:\n    - path: ./nomanifests';
    const text = `${head().replace('addon', 'full')}${layer(`${base}${web}${more}`)}`;
    const error = await refused(text);
    expect(error).toMatch(/doc\.yaml:14:21: \.\/nope\.txt: there is no such file\. Paths count from the folder of this file/);
    expect(error).toMatch(/doc\.yaml:18:15: .*nochart: there is no such chart folder or \.tgz file/);
    expect(error).toMatch(/doc\.yaml:19:21: \.\/novalues\.yaml: there is no such file/);
    expect(error).toMatch(/doc\.yaml:23:17: \.\/nomanifests: there is no such file/);
    expect(error).toContain('4 problems');
  });

  test('both ways at once are refused', async () => {
    await writeFile(join(folder, 'x.txt'), 'x');
    const error = await refused(
      `${head()}${layer('- name: web\n  kind: addon\n  manifests:\n    - {path: ./x.txt, content: a}\n  helm:\n    path: ./x\n    chart: {}')}`,
    );
    expect(error).toContain('doc.yaml:12:18: give either "path" or "content", not both');
    expect(error).toContain('doc.yaml:14:15: give either "path" (a chart of yours) or "chart"');
    expect(error).toContain('2 problems');
  });

  test('a problem of an expanded manifest is told where the folder is named', async () => {
    await mkdir(join(folder, 'many'), { recursive: true });
    await writeFile(join(folder, 'many/a.yaml'), 'a');
    await writeFile(join(folder, 'many', `${'n'.repeat(130)}.yaml`), 'b');
    expect(await refused(`${head()}${layer('- name: web\n  kind: addon\n  manifests:\n    - {name: first, content: x}\n    - path: ./many')}`)).toMatch(
      /doc\.yaml:13:11: spec\.layers\[0\]\.manifests\[1\]\.name must have at most 128 characters/,
    );
  });

  test('paths may lead out of the folder of the file, and links are followed for single files', async () => {
    await mkdir(join(folder, 'sub'), { recursive: true });
    await writeFile(join(folder, 'outside.yaml'), 'outside');
    await symlink(join(folder, 'outside.yaml'), join(folder, 'sub/link.yaml'));
    await writeFile(
      join(folder, 'sub/doc.yaml'),
      `${head()}${layer('- name: web\n  kind: addon\n  manifests:\n    - path: ../outside.yaml\n    - path: ./link.yaml')}`,
    );
    const bodies: string[] = [];
    const answering: typeof fetch = (_input, init) => {
      if (typeof init?.body === 'string') bodies.push(init.body);
      return Promise.resolve(Response.json({ error: { kind: 'fatal', code: 'not-found', element: 'x', message: 'y' } }, { status: 404 }));
    };
    await gp(['apply', '-f', 'sub/doc.yaml'], { env, cwd: folder, fetch: answering });
    expect((JSON.parse(bodies[0] ?? '{}') as { spec: { layers: { manifests: unknown }[] } }).spec.layers[0]?.manifests).toEqual([
      { name: 'outside.yaml', content: 'outside' },
      { name: 'link.yaml', content: 'outside' },
    ]);
  });
});
