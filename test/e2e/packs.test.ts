import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterView, PlanView } from '@groundplane/protocol/api/views';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packTgz } from '@groundplane/hub/archive/write';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { build, chart, zstd } from '../zarf/writer.ts';
import { createSite, until, type TestSite } from './site.ts';

/** Packs and Zarf packages on a real API server: what comes, what goes, and what belongs to others and stays. */
const missing = await missingForLab();
const cannot = missing.length > 0 && !isRequired('go');

let site: TestSite;
let light: LightCluster;

const names = async (...args: string[]): Promise<string[]> => {
  const result = await light.kubectl([...args, '-o', 'name']);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value.trim().split('\n').filter(Boolean).toSorted();
};
const field = async (path: string, ...args: string[]): Promise<string> => {
  const result = await light.kubectl(['get', ...args, '-o', `jsonpath=${path}`]);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
};
const cluster = async (): Promise<ClusterView> => JSON.parse(await site.gpOk('get', 'cluster', 'site', '-o', 'json')) as ClusterView;
const reach = (what: string, is: (view: ClusterView) => boolean): Promise<ClusterView> =>
  until(
    what,
    async () => {
      const view = await cluster();
      return is(view) ? view : undefined;
    },
    120_000,
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${JSON.stringify(await cluster(), undefined, 1)}\n${site.logs.join('')}`);
  });

const at = (...parts: string[]): string => join(site.folder, ...parts);
const write = (path: string, data: string | Uint8Array): string => {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), data);
  return at(path);
};

const webChart = (version: string, templates: Record<string, string>): Uint8Array =>
  packTgz([
    { name: 'web/Chart.yaml', data: Buffer.from(`apiVersion: v2\nname: web\nversion: ${version}\n`) },
    { name: 'web/values.yaml', data: Buffer.from('replicas: 1\nimage: registry.example/web:1\n') },
    ...Object.entries(templates).map(([name, text]) => ({ name: `web/templates/${name}`, data: Buffer.from(text) })),
  ]);
const deployment =
  'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\nspec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: {{ .Values.image | quote }}}]}\n';
const password = 'apiVersion: v1\nkind: Secret\nmetadata: {name: generated}\nstringData: {key: {{ randAlphaNum 12 | quote }}}\n';

const valuesOf = (version: string): string => `# spectrocloud.com/enabled-presets: Size:two
pack:
  namespace: web
  additionalNamespaces: [web-extra]
  namespaceLabels:
    "web": "pod-security.kubernetes.io/enforce=baseline,team=store"
charts:
  web:
    replicas: 2 # two, for a start
    image: registry.example/web:${version}
manifests:
  settings:
    login: "{{ .spectro.var.login }}"
`;

const writePack = (version: string, templates: Record<string, string>, manifests: Record<string, string>): void => {
  const folder = `packs/web-${version}`;
  const listed = { charts: [`charts/web-${version}.tgz`], kubeManifests: Object.keys(manifests).map((name) => `manifests/${name}`) };
  write(`${folder}/pack.json`, JSON.stringify({ name: 'web', displayName: 'Web', version, layer: 'addon', ...listed }));
  write(`${folder}/values.yaml`, valuesOf(version));
  write(`${folder}/charts/web-${version}.tgz`, webChart(version, templates));
  for (const [name, text] of Object.entries(manifests)) write(`${folder}/manifests/${name}`, text);
};

const settings = 'apiVersion: v1\nkind: Secret\nmetadata: {name: settings}\nstringData: {login: {{ .Values.login | quote }}}\n';
const profile = (version: string, layers: string): string =>
  write(
    `profile-${version}.yaml`,
    `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: site, version: ${version}}\nspec:\n  type: full\n  variables: [{name: login, sensitive: true, required: true}]\n  layers:\n    - {name: kubernetes, kind: kubernetes, kubernetes: {distribution: existing}}\n${layers}`,
  );
const webLayer = (version: string): string => `    - {name: web, kind: addon, pack: {path: packs/web-${version}}, settable: [charts.web.replicas]}\n`;
const clusterFile = (version: string, more = ''): string =>
  write(
    `cluster-${version}.yaml`,
    `apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: site}\nspec:\n  profiles: [{name: site, version: ${version}}]\n  variables: {login: canary-hunter2}\n  hosts: [store-1]\n${more}`,
  );

describe.skipIf(cannot)(`packs on a real API server${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, () => {
  beforeAll(async () => {
    expect(missing, 'the light Kubernetes is required here').toEqual([]);
    site = createSite();
    mkdirSync(at('kubernetes'));
    const started = await startLight({ dir: at('kubernetes'), controllers: true, kwokNodes: 1 });
    if (!started.ok) throw new Error(started.failure.message);
    light = started.value;
    await site.startHub();
    await site.gpWith('correct horse battery staple\n', ['login', '--setup', site.setupLink(), '--name', 'admin', '--password-stdin']);
    const made = JSON.parse(await site.gpOk('ticket', 'create', 'one', '--auto-approve', '-o', 'json')) as { ticket: string };
    await site.startAgent(light.kubeconfigPath, made.ticket);
    await until('online', async () =>
      (JSON.parse(await site.gpOk('get', 'hosts', '-o', 'json')) as { online: boolean }[])[0]?.online === true ? true : undefined,
    );
  }, 2_400_000);

  afterAll(async () => {
    await site.close();
    await light.stop();
  }, 60_000);

  test('a pack runs: its chart, its template, its namespaces with labels, and the cluster shows pack and version', async () => {
    writePack(
      '1.0.0',
      { 'web.yaml': deployment, 'password.yaml': password },
      { 'settings.yaml': settings, 'page.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page, namespace: web-extra}\n' },
    );
    await site.gpOk(
      'apply',
      '-f',
      profile(
        '1.0.0',
        `${webLayer('1.0.0')}    - name: notes\n      kind: addon\n      namespace: web\n      manifests: [{name: n, content: "{apiVersion: v1, kind: ConfigMap, metadata: {name: notes}}"}]\n`,
      ),
    );
    await site.gpOk('apply', '-f', clusterFile('1.0.0', '  overrides: {web: {values: "charts: {web: {replicas: 3}}"}}\n'));
    const view = await reach('1.0.0 ready', (seen) => seen.state === 'ready' && seen.layers.every((layer) => layer.isCurrent));
    expect(view.layers.find((layer) => layer.name === 'web')).toMatchObject({
      desired: { pack: { name: 'web', version: '1.0.0' } },
      observed: { state: 'ready' },
    });
    expect(view.spec.variables['login']).toBe('‹redacted›');
    expect(await field('{.metadata.labels}', 'namespace', 'web')).toContain('"team":"store"');
    expect(await field('{.spec.replicas} {.spec.template.spec.containers[0].image}', '-n', 'web', 'deployment', 'web-web')).toBe(
      '3 registry.example/web:1.0.0',
    );
    expect(Buffer.from(await field('{.data.login}', '-n', 'web', 'secret', 'settings'), 'base64').toString()).toBe('canary-hunter2');
    expect(await names('get', 'configmap', '-n', 'web-extra', '-l', 'groundplane.dev/managed=true')).toEqual(['configmap/page']);
  });

  test('the next version: one layer goes, a Zarf package comes, a template leaves the pack; only what was ours is pruned', async () => {
    const key = await field('{.data.key}', '-n', 'web', 'secret', 'generated');
    const foreign = await light.kubectl(['create', 'configmap', 'theirs', '-n', 'web-extra']);
    expect(foreign.ok).toBe(true);
    writePack('1.1.0', { 'web.yaml': deployment, 'password.yaml': password }, { 'settings.yaml': settings });
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
            'values.yaml': 'say: nothing\n',
          }),
          'values/tool-0.1.0-0': 'say: "###ZARF_VAR_GREETING###"\n',
        },
      },
    });
    write('zarf-package-tools-amd64-0.3.0.tar.zst', zstd(files));
    await site.gpOk(
      'apply',
      '-f',
      profile(
        '1.1.0',
        `${webLayer('1.1.0')}    - {name: tools, kind: addon, zarf: {path: zarf-package-tools-amd64-0.3.0.tar.zst, variables: {GREETING: moin}}}\n`,
      ),
    );
    const file = clusterFile('1.1.0', '  overrides: {web: {values: "charts: {web: {replicas: 3}}"}}\n');
    const planned = await site.gp('diff', '-f', file, '-o', 'json');
    const plan = (JSON.parse(planned.stdout) as { plan: PlanView }[])[0]?.plan;
    expect(plan?.layers.map(({ name, change }) => [name, change])).toEqual([
      ['kubernetes', 'same'],
      ['notes', 'remove'],
      ['tools', 'add'],
      ['web', 'change'],
    ]);
    expect(
      plan?.layers
        .find((layer) => layer.name === 'web')
        ?.objects.filter((object) => object.change === 'prune')
        .map((object) => object.object),
    ).toEqual(['ConfigMap web-extra/page']);
    await site.gpOk('apply', '-f', file);
    await reach(
      '1.1.0 ready',
      (seen) =>
        seen.state === 'ready' && seen.spec.profiles[0]?.version === '1.1.0' && seen.layers.length === 3 && seen.layers.every((layer) => layer.isCurrent),
    );
    expect(await field('{.data.say}', '-n', 'tools', 'configmap', 'tool')).toBe('moin');
    expect(await names('get', 'configmap', '-n', 'web-extra', '--ignore-not-found')).toEqual(expect.arrayContaining(['configmap/theirs']));
    expect(await names('get', 'configmap', '-n', 'web-extra', '-l', 'groundplane.dev/managed=true')).toEqual([]);
    expect(await names('get', 'configmap', '-n', 'web', '-l', 'groundplane.dev/managed=true')).toEqual([]);
    // A password that a chart makes is the same after every upgrade.
    expect(await field('{.data.key}', '-n', 'web', 'secret', 'generated')).toBe(key);
    expect(await field('{.spec.template.spec.containers[0].image}', '-n', 'web', 'deployment', 'web-web')).toBe('registry.example/web:1.1.0');
  });

  test('a version of which a part is refused goes back whole: nothing is left half owned', async () => {
    writePack(
      '1.2.0',
      {
        'web.yaml': deployment,
        'more.yaml':
          'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: refused}\nspec: {ports: [{port: 99999}]}\n',
      },
      {},
    );
    await site.gpOk(
      'apply',
      '-f',
      profile(
        '1.2.0',
        `${webLayer('1.2.0')}    - {name: tools, kind: addon, zarf: {path: zarf-package-tools-amd64-0.3.0.tar.zst, variables: {GREETING: moin}}}\n`,
      ),
    );
    await site.gpOk('apply', '-f', clusterFile('1.2.0'));
    const view = await reach('rolled back', (seen) => seen.failure !== undefined && seen.hosts[0]?.phase === 'rolled-back');
    expect(JSON.stringify(view.failure)).toContain('refused');
    await until('the old version is back', async () =>
      (await field('{.spec.template.spec.containers[0].image}', '-n', 'web', 'deployment', 'web-web')) === 'registry.example/web:1.1.0' ? true : undefined,
    );
    await until('nothing of it is left', async () =>
      (await names('get', 'configmap,service', '-n', 'web', '-l', 'groundplane.dev/managed=true')).length === 0 ? true : undefined,
    );
    expect(await names('get', 'secret', '-n', 'web', '-l', 'groundplane.dev/managed=true')).toEqual(['secret/generated', 'secret/settings']);
  });

  test('a deleted cluster takes what was ours, in reverse, and leaves what others put there', async () => {
    await site.gpOk('delete', 'cluster', 'site', '--yes', '--wait');
    await until(
      'our namespaces are gone',
      async () => ((await names('get', 'namespace')).some((name) => ['namespace/web', 'namespace/tools'].includes(name)) ? undefined : true),
      60_000,
    );
    expect(await names('get', 'namespace')).toContain('namespace/web-extra');
    expect(await names('get', 'configmap', '-n', 'web-extra')).toContain('configmap/theirs');
  });
});
