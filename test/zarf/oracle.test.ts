import { execFile } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { openPackageFile } from '@groundplane/hub/zarf/open';
import { zarfParts } from '@groundplane/hub/zarf/parts';
import { storeZarf } from '@groundplane/hub/zarf/read';
import { zarfSpecSchema } from '@groundplane/protocol/layer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fakeContent } from '../fake/content.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { findZarfBinary } from '../oracle/zarf-binary.ts';
import { alphaDraft, build, zstd, type Files } from './writer.ts';

const run = promisify(execFile);
const oracle = await findZarfBinary();
const missing = 'missing' in oracle ? oracle.missing : '';
const zarf = 'path' in oracle ? oracle.path : '';
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gp-zarf-oracle-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const definition: Files = {
  'zarf.yaml': `kind: ZarfPackageConfig
metadata: {name: demo, version: 1.2.3, architecture: amd64}
variables: [{name: DOMAIN, default: example.com, pattern: '^[a-z.]+$'}, {name: CERT, autoIndent: true, default: "one\\ntwo"}]
constants: [{name: COLOUR, value: blue}]
components:
  - name: base
    required: true
    charts:
      - {name: web, version: 0.1.0, namespace: demo, localPath: chart, valuesFiles: [values.yaml], variables: [{name: DOMAIN, description: host, path: ingress.host}]}
    manifests:
      - {name: plain, namespace: demo, files: [cm.yaml], kustomizations: [kust]}
    files: [{source: motd, target: /etc/motd, executable: true, symlinks: [/etc/motd2]}, {source: folder, target: /opt/folder}]
    actions:
      onCreate: {before: [{cmd: "true"}]}
      onDeploy: {before: [{cmd: echo hi, setVariables: [{name: OUT}]}]}
    healthChecks: [{apiVersion: apps/v1, kind: Deployment, name: web, namespace: demo}]
  - name: extra
    manifests: [{name: more, namespace: other, files: [cm.yaml]}]
`,
  'chart/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 0.1.0\n',
  'chart/values.yaml': 'ingress: {host: none}\n',
  'chart/templates/d.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {host: "{{ .Values.ingress.host }}", colour: "###ZARF_CONST_COLOUR###"}\n',
  'values.yaml': 'more: "###ZARF_VAR_DOMAIN###"\n',
  'cm.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata:\n  cert: |\n    ###ZARF_VAR_CERT###\n',
  'kust/kustomization.yaml': 'namePrefix: k-\nresources: [a.yaml]\n',
  'kust/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n',
  motd: 'hello\n',
  'folder/a': '1',
  'folder/b/c': '2',
};

const write = async (at: string, files: Files): Promise<void> => {
  for (const [name, data] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(at, name)), { recursive: true });
    await writeFile(path.join(at, name), data);
  }
};
const env = () => ({ PATH: '/usr/bin:/bin', HOME: folder, USER: 'tester', COSIGN_PASSWORD: '' });

test('the oracle is there where it is required', () => {
  expect('missing' in oracle && isRequired('zarf') ? oracle.missing : '').toBe('');
});

describe.skipIf(missing !== '')(`packages that zarf itself makes${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
  test('are read as they were meant', async () => {
    const at = path.join(folder, 'definition');
    await write(at, definition);
    await run(zarf, ['package', 'create', '.', '--confirm', '-o', 'out', '--skip-sbom'], { cwd: at, env: env(), timeout: 60_000 });
    const [name = ''] = await readdir(path.join(at, 'out'));
    const open = await openPackageFile(path.join(at, 'out', name));
    if (!open.ok) throw new Error(open.failure.message);
    const content = fakeContent();
    const stored = await storeZarf(open.value, content, name);
    if (!stored.ok) throw new Error(stored.failure.message);
    const spec = zarfSpecSchema.parse({ package: { digest: stored.value.digest, name: 'demo', version: '1.2.3' }, components: ['extra'] });
    const parts = await zarfParts(content, spec, { layerName: 'demo', architecture: 'amd64' });
    if (!parts.ok) throw new Error(parts.failure.message);
    expect(parts.value.charts[0]?.values).toEqual(['more: "example.com"\n', 'ingress:\n  host: example.com\n']);
    expect(parts.value.manifests.map((part) => part.name)).toEqual(['base/plain-0.yaml', 'base/kustomization-plain-0.yaml', 'extra/more-0.yaml']);
    // The rendered manifests are those that zarf shows.
    const shown = await run(zarf, ['package', 'inspect', 'manifests', path.join(at, 'out', name), '--kube-version', '1.34.0'], {
      cwd: at,
      env: env(),
      timeout: 60_000,
    });
    expect(shown.stdout).toContain('    one\n    two');
    expect(parts.value.manifests[0]?.content).toContain('    one\n    two');
    expect(shown.stdout).toContain('colour: "blue"');
    expect(parts.value.manifests[1]?.content).toContain('name: k-a');
    expect(parts.value.files.map((file) => [file.target, file.content.map((entry) => entry.path)])).toEqual([
      ['/etc/motd', ['']],
      ['/opt/folder', ['a', 'b/c']],
    ]);
    expect(parts.value.warnings.filter((finding) => finding.code === 'zarf-file-unmentioned')).toEqual([]);
  });

  test('and what our test writer makes and signs, zarf takes and verifies', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const file = path.join(folder, 'zarf-package-demo-amd64-1.2.3.tar.zst');
    await writeFile(file, zstd(build({ ...alphaDraft(), key: pair.privateKey })));
    const inspect = async (key: KeyObject): Promise<string> => {
      await writeFile(path.join(folder, 'cosign.pub'), key.export({ type: 'spki', format: 'pem' }));
      const args = ['package', 'inspect', 'definition', file, '--no-color', '--key', path.join(folder, 'cosign.pub')];
      return await run(zarf, args, { cwd: folder, env: env(), timeout: 60_000 }).then(
        ({ stdout }) => stdout,
        (error: unknown) => `failed: ${String((error as { stderr?: string }).stderr)}`,
      );
    };
    expect(await inspect(pair.publicKey)).toContain('name: demo');
    expect(await inspect(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)).toMatch(/^failed: .*signature/s);
  });
});
