import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { packFiles } from '@groundplane/hub/pack/write';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../hub/cli/main.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { findHelmBinary, helmVersion } from '../oracle/helm-binary.ts';
import { chartOf, jsonOf, packOf } from '../pack/packs.ts';
import { build, chart, zstd } from '../zarf/writer.ts';
import { fakeIo } from './fake-io.ts';

vi.setConfig({ testTimeout: 120_000 });
const exec = promisify(execFile);
const oracle = await findHelmBinary();
const missing = 'missing' in oracle && !isRequired('go') ? oracle.missing : '';
const examples = join(import.meta.dirname, '../../examples/retail-store');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gp-render-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const gp = async (...argv: string[]): Promise<{ code: number; out: string; error: string }> => {
  const fake = fakeIo({ cwd: folder });
  const code = await run(argv, fake.io);
  return { code, out: fake.stdout(), error: fake.stderr() };
};
const write = async (files: Record<string, string | Uint8Array>): Promise<void> => {
  for (const [name, data] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), data);
  }
};
const kinds = (out: string): string[] => [...out.matchAll(/^kind: (\w+)/gm)].map((match) => match[1] ?? '');

/** Helm is not consistent about empty lines at the end of documents. */
const lines = (text: string): string => text.replaceAll(/\n+(?=---\n|$)/g, '\n');

/** A chart with everything that options of `helm template` choose from. */
const full: Record<string, string> = {
  'full/Chart.yaml': 'apiVersion: v2\nname: full\nversion: 1.2.3\n',
  'full/values.yaml': 'a: {b: 1}\nlist: [1]\ntext: x\n',
  'full/values.schema.json': '{"properties": {"text": {"type": "string"}}}',
  'full/crds/thing.yaml': 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n',
  'full/templates/map.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\ndata:\n  values: {{ .Values | toJson | quote }}\n  kube: {{ .Capabilities.KubeVersion.Version }}\n  has: "{{ .Capabilities.APIVersions.Has "own/v1" }} {{ .Release.IsUpgrade }}"\n',
  'full/templates/service.yaml':
    'apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\n# only a remark\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n',
  'full/templates/job.yaml': 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: pre-install}}\n',
  'full/templates/tests/t.yaml': 'apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n',
  'full/templates/NOTES.txt': 'Thanks for {{ .Release.Name }}.\n',
};

describe.skipIf(missing !== '')(`gp render on charts is helm template ${helmVersion()}${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
  const helm = async (...args: string[]): Promise<string> => {
    if (!('path' in oracle)) throw new Error(oracle.missing);
    const env = { HOME: join(folder, 'none'), PATH: '/usr/bin:/bin' };
    return (await exec(oracle.path, ['template', ...args], { cwd: folder, env })).stdout;
  };
  beforeAll(async () => {
    await write(full);
    await write({ 'one.yaml': 'a: {c: 2}\nlist: [3, 4]\n', 'two.yaml': 'a: {b: null}\n', 'with,comma.txt': 'it has a comma\n' });
    await cp(join(examples, 'charts/shop'), join(folder, 'shop'), { recursive: true });
  });

  test.each<[string, string[], string[]?]>([
    ['nothing', []],
    ['a name and a namespace', ['--namespace', 'here'], ['--name', 'named']],
    ['values files, later ones win', ['-f', 'one.yaml', '-f', 'two.yaml']],
    ['values files with a comma', ['-f', 'one.yaml,two.yaml']],
    ['--set', ['--set', 'a.b=5,list[1]=7', '--set', 'text=null']],
    ['--set-string', ['--set-string', 'text=007,list[1]=5,list[2]=true', '--set', 'text=9']],
    ['--set-json, a value and a whole object', ['--set-json', 'a={"c":[1,null]},list=[]', '--set-json', '{"a": {"d": 1}, "text": "j"}']],
    ['--set-file', ['--set-file', 'text=one.yaml,a.b=with\\,comma.txt']],
    ['--set-literal', ['--set-literal', 'text={a,b}=c\\d']],
    [
      'all of them in an order of their own',
      ['--set-literal', 'a.b=literal', '--set-file', 'a.b=one.yaml', '--set-string', 'a.b=string', '--set', 'a.b=5,a.c=5', '--set-json', 'a.b="j",a.d="j"'],
    ],
    ['versions', ['--kube-version', '1.31', '--api-versions', 'own/v1']],
    ['custom resource definitions', ['--include-crds']],
    ['no hooks', ['--no-hooks']],
    ['no tests', ['--skip-tests']],
    ['an upgrade', ['--is-upgrade']],
    ['one template', ['--show-only', 'templates/service.yaml']],
    ['no schema', ['--skip-schema-validation', '--set', 'text=5']],
  ])('%s', async (_, args, own = []) => {
    const theirs = await helm(...(own.length === 0 ? [] : [own[1] ?? '']), 'full', ...args);
    const ours = await gp('render', 'full', ...args, ...own, '-o', 'yaml');
    expect(ours.error).toBe('');
    expect(lines(ours.out)).toBe(lines(theirs));
    expect(ours.code).toBe(0);
  });

  test('the name may come first', async () => {
    expect(lines((await gp('render', 'first', 'full', '-o', 'yaml')).out)).toBe(lines(await helm('first', 'full')));
    expect((await gp('render', 'first', 'full', '--name', 'second')).code).toBe(2);
    expect((await gp('render', 'first', 'full', 'third')).code).toBe(2);
  });

  test('a file of --set-file that is not there is named', async () => {
    expect(await gp('render', 'full', '--set-file', 'text=none.txt')).toMatchObject({ code: 1, out: '', error: expect.stringContaining('none.txt') });
  });

  test('the chart of the example, which makes a password: everything else is the same text', async () => {
    const without = (text: string): string => lines(text).replaceAll(/password: .*/g, 'password: …');
    expect(without((await gp('render', 'shop', '-o', 'yaml')).out)).toBe(without(await helm('shop')));
  });

  test('failures end with 1, say where, and print nothing', async () => {
    const bad = await gp('render', 'full', '--set', 'text=5');
    expect([bad.code, bad.out]).toEqual([1, '']);
    expect(bad.error).toMatch(/text/);
    await expect(helm('full', '--set', 'text=5')).rejects.toThrow('text');
    await write({
      'broken/Chart.yaml': 'apiVersion: v2\nname: broken\nversion: 1.0.0\n',
      'broken/templates/a.yaml': 'a: 1\nb: {{ required "give b" .Values.b }}\n',
    });
    const broken = await gp('render', 'broken');
    expect([broken.code, broken.error]).toEqual([1, expect.stringMatching(/broken\/templates\/a\.yaml.*2[\s\S]*give b/)]);
  });
});

describe('gp render', () => {
  beforeAll(() => write(full));

  test('objects as JSON, and notes on stderr', async () => {
    const json = await gp('render', 'full', '-o', 'json', '--notes');
    expect((JSON.parse(json.out) as { kind: string }[]).map((object) => object.kind)).toEqual(['Secret', 'ConfigMap', 'Service', 'Pod', 'Job']);
    expect(json.error).toContain('Thanks for release-name.');
  });

  test('a pack: folder or archive, its own values or others, single values, variables', async () => {
    const values = 'pack:\n  namespace: shop\ncharts:\n  web:\n    replicas: 1\n    who: "{{ .spectro.macro.who }}"\n';
    const built = packFiles(packOf({ 'pack.json': jsonOf(), 'values.yaml': values, 'charts/web-1.0.0.tgz': chartOf('web') }));
    if (!built.ok) throw new Error(built.failure.message);
    await write({
      'pack.tgz': built.value.bytes,
      'pack/pack.json': jsonOf(),
      'pack/values.yaml': values,
      'pack/charts/web-1.0.0.tgz': chartOf('web'),
      'other.yaml': values.replace('replicas: 1', 'replicas: 8'),
    });
    const ours = await gp('render', 'pack', '--var', 'who=Ann', '--set', 'charts.web.replicas=4', '-o', 'yaml');
    expect(kinds(ours.out)).toEqual(['Namespace', 'ConfigMap']);
    expect(ours.out).toContain('"replicas":4');
    expect(ours.out).toContain('"who":"Ann"');
    expect((await gp('render', 'pack.tgz', '--var', 'who=Ann', '-f', 'other.yaml', '-o', 'yaml')).out).toContain('"replicas":8');
    const unset = await gp('render', 'pack');
    expect([unset.code, unset.error]).toEqual([1, expect.stringContaining('spectro.macro.who')]);
  });

  test('a Zarf package with its variables', async () => {
    const files = build({
      definition: {
        kind: 'ZarfPackageConfig',
        metadata: { name: 'tools', version: '0.3.0', architecture: 'amd64' },
        build: { architecture: 'amd64', version: 'v0.60.0' },
        variables: [{ name: 'GREETING', default: 'hello' }],
        components: [
          { name: 'main', required: true, charts: [{ name: 'tool', version: '0.1.0', namespace: 'tools', localPath: 'chart', valuesFiles: ['values.yaml'] }] },
        ],
      },
      components: {
        main: {
          'charts/tool-0.1.0.tgz': chart('tool', '0.1.0', {
            'templates/t.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tool}\ndata: {say: {{ .Values.say | quote }}}\n',
          }),
          'values/tool-0.1.0-0': 'say: "###ZARF_VAR_GREETING###"\n',
        },
      },
    });
    await write({ 'zarf-package-tools-amd64-0.3.0.tar.zst': zstd(files) });
    const ours = await gp('render', 'zarf-package-tools-amd64-0.3.0.tar.zst', '--var', 'GREETING=moin', '-o', 'yaml');
    expect(ours.error).not.toContain('error');
    expect(ours.out).toContain('say: moin');
    await write({ 'renamed.tar.zst': zstd({ ...files, 'checksums.txt': 'wrong' }) });
    expect((await gp('render', 'renamed.tar.zst')).code).toBe(1);
  });

  test('a profile for a cluster: every layer, in install order', async () => {
    const ours = await gp('render', join(examples, 'profile-1.1.0.yaml'), '--cluster', join(examples, 'cluster.yaml'), '-o', 'yaml');
    expect([...new Set([...ours.out.matchAll(/^# Source: (\S+)/gm)].map((match) => match[1]))]).toEqual(['config', 'shop', 'loyalty', 'metrics']);
    const missingValue = await gp('render', join(examples, 'profile-1.1.0.yaml'));
    expect([missingValue.code, missingValue.error]).toEqual([1, expect.stringContaining('variable storeName')]);
    expect((await gp('render', join(examples, 'profile-1.1.0.yaml'), '--var', 'storeName=Zurich')).code).toBe(0);
  });

  test.each<[string, string[], number, RegExp]>([
    ['nothing there', ['none'], 1, /no such file/],
    ['a folder of something else', ['.'], 1, /without Chart\.yaml/],
    ['a file of something else', ['note.txt'], 1, /cannot be rendered|can be rendered/],
    ['an archive of something else', ['other.tgz'], 1, /neither Chart\.yaml/],
    ['an archive cut in the middle', ['cut.tgz'], 1, /damaged|neither/],
    ['a bad version', ['full', '--kube-version', 'new'], 2, /is not a Kubernetes version/],
    ['a template that is not there', ['full', '-s', 'templates/none.yaml'], 1, /no template/],
    ['no target', [], 2, /missing required argument/],
  ])('%s', async (_, args, code, said) => {
    const { packTgz } = await import('@groundplane/hub/archive/write');
    const other = packTgz([{ name: 'a/b.yaml', data: Buffer.from('x') }]);
    await write({ 'note.txt': 'x', 'other.tgz': other, 'cut.tgz': other.subarray(0, 40) });
    const ours = await gp('render', ...args);
    expect([ours.code, ours.error, ours.out]).toEqual([code, expect.stringMatching(said), '']);
  });
});

describe('gp profile', () => {
  const exported = {
    metadata: { name: 'Store', labels: { env: 'spectro__tag' } },
    spec: {
      version: '1.0.0',
      template: {
        type: 'add-on',
        packs: [
          {
            name: 'shop',
            type: 'spectro',
            layer: 'addon',
            version: '1.2.3',
            values: 'pack:\n  namespace: shop # here\n',
            registry: { metadata: { name: 'Public', kind: 'pack' } },
          },
          {
            name: 'note',
            type: 'manifest',
            layer: 'addon',
            version: '1.0.0',
            manifests: [{ name: 'n', content: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\n' }],
          },
        ],
      },
    },
  };

  test('import finds packs on this machine, the document renders, and nothing is overwritten', async () => {
    await write({
      'store.json': JSON.stringify(exported),
      'library/deep/shop-1.2.3/pack.json': jsonOf(),
      'library/deep/shop-1.2.3/values.yaml': 'pack: {}\ncharts: {web: {}}\n',
      'library/deep/shop-1.2.3/charts/web-1.0.0.tgz': chartOf('web'),
    });
    const imported = await gp('profile', 'import', 'store.json', '--packs', 'library', '--out', 'store.yaml');
    expect([imported.code, imported.out]).toEqual([0, '']);
    const document = await readFile(join(folder, 'store.yaml'), 'utf8');
    expect(document).toContain('path: library/deep/shop-1.2.3');
    expect(document).toContain('namespace: shop # here');
    const rendered = await gp('render', 'store.yaml', '-o', 'yaml');
    expect(rendered.error).not.toMatch(/^error/m);
    expect(kinds(rendered.out)).toEqual(['ConfigMap', 'Namespace', 'ConfigMap']);
    const again = await gp('profile', 'import', 'store.json', '--out', 'store.yaml');
    expect([again.code, again.error]).toEqual([1, expect.stringContaining('exists already')]);
    const open = await gp('profile', 'import', 'store.json');
    expect(open.error).toContain('still to be found before gp apply: layer shop: pack shop 1.2.3 of registry Public');
    expect((await gp('profile', 'import', 'store.yaml')).error).toContain('is not JSON');
  });

  test('export, and import again', async () => {
    const json = await gp('profile', 'export', join(examples, 'profile-1.0.0.yaml'));
    expect(json.code).toBe(0);
    await write({ 'retail.json': json.out });
    const back = await gp('profile', 'import', 'retail.json', '-o', 'json');
    expect((JSON.parse(back.out) as { spec: { layers: { name: string }[] } }).spec.layers.map((layer) => layer.name)).toEqual(
      expect.arrayContaining(['config', 'shop', 'telemetry']),
    );
    expect((await gp('profile', 'export', join(examples, 'profile-1.0.0.yaml'), '--format', 'yaml')).out).toContain('kind: Profile');
  });

  test('diff by layers and by every object; 3 when different, 0 when not', async () => {
    const [from, to] = [join(examples, 'profile-1.0.0.yaml'), join(examples, 'profile-1.1.0.yaml')];
    const plain = await gp('profile', 'diff', from, to, '-o', 'json');
    expect(plain.code).toBe(3);
    const full = await gp('profile', 'diff', from, to, '--rendered', '--cluster', join(examples, 'cluster.yaml'), '-o', 'json');
    const { rendered } = JSON.parse(full.out) as { rendered: { objects: { object: string; change: string }[]; images: { added: string[] } } };
    expect(rendered.objects).toEqual(expect.arrayContaining([expect.objectContaining({ object: 'DaemonSet ops/telemetry', change: 'remove' })]));
    expect(rendered.images.added).toContain('registry.example/shop/loyalty:1.0');
    expect((await gp('profile', 'diff', from, from)).code).toBe(0);
  });
});
