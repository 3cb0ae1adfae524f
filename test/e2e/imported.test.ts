import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterView } from '@groundplane/protocol/api/views';
import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { createSite, reachImported, until, type TestSite } from './site.ts';

/** A cluster of somebody else on a real API server: looked at, taken over, let go; and the hub dies in between. */
const missing = await missingForLab();
const cannot = missing.length > 0 && !isRequired('go');

let site: TestSite;
let light: LightCluster;
const write = (name: string, text: string): string => {
  writeFileSync(join(site.folder, name), text);
  return join(site.folder, name);
};
const names = async (...args: string[]): Promise<string[]> => {
  const result = await light.kubectl(['get', ...args, '-o', 'name']);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value.trim().split('\n').filter(Boolean).toSorted();
};
const infrastructure = async (): Promise<InfrastructureView> => JSON.parse(await site.gpOk('cloud', 'show', 'theirs', '-o', 'json')) as InfrastructureView;
const reach = (what: string, is: (view: ClusterView) => boolean): Promise<ClusterView> => reachImported(site, 'theirs', what, is);
const clusterFile = (mode: string, version?: string): string =>
  write(
    'cluster.yaml',
    `apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: theirs}\nspec:\n  profiles: [${version === undefined ? '' : `{name: extras, version: ${version}}`}]\n  infrastructure: {environment: existing, account: theirs, placement: {mode: ${mode}}}\n`,
  );
const profileFile = (version: string, color: string): string =>
  write(
    'profile.yaml',
    `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: extras, version: ${version}}\nspec:\n  type: full\n  layers:\n    - {name: kubernetes, kind: kubernetes, kubernetes: {distribution: existing}}\n    - name: paint\n      kind: addon\n      namespace: paint\n      manifests: [{name: m, content: "{apiVersion: v1, kind: ConfigMap, metadata: {name: paint}, data: {color: ${color}}}"}]\n`,
  );

describe.skipIf(cannot)(`an imported cluster${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, () => {
  beforeAll(async () => {
    expect(missing, 'the light Kubernetes is required here').toEqual([]);
    site = createSite();
    mkdirSync(join(site.folder, 'kubernetes'));
    const started = await startLight({ dir: join(site.folder, 'kubernetes'), controllers: true, kwokNodes: 1 });
    if (!started.ok) throw new Error(started.failure.message);
    light = started.value;
    await site.startHub({ args: ['--egress-allow', '127.0.0.0/8'] });
    await site.gpWith('correct horse battery staple\n', ['login', '--setup', site.setupLink(), '--name', 'admin', '--password-stdin']);
  }, 2_400_000);

  afterAll(async () => {
    await site.close();
    await light.stop();
  }, 60_000);

  test('a kubeconfig is taken when it works, and refused with the reason when it names files, runs programs or does not work', async () => {
    const account = (kubeconfig: string): string => JSON.stringify({ kind: 'kubeconfig', secret: { type: 'kubeconfig', kubeconfig } });
    const set = (kubeconfig: string) => site.gpWith(account(kubeconfig), ['cloud', 'account', 'set', 'theirs', '-f', '-']);
    const withUser = (user: string): string =>
      `apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: "${light.server}", insecure-skip-tls-verify: true}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: ${user}}]\n`;
    for (const [user, words] of [
      ['{tokenFile: /etc/passwd}', 'names files on disk'],
      ['{exec: {command: touch, args: [/tmp/never], apiVersion: client.authentication.k8s.io/v1}}', 'exec'],
      ['{token: wrong}', '401'],
    ] as const) {
      const refused = await set(withUser(user));
      expect([refused.code === 0, refused.stderr], user).toEqual([false, expect.stringContaining(words)]);
    }
    const taken = await set(light.kubeconfig);
    expect([taken.code, taken.stderr]).toEqual([0, '']);
    expect(taken.stdout).toMatch(/Kubernetes v1\.\d+/);
    expect(await site.gpOk('cloud', 'account', 'list', '-o', 'json')).not.toContain(light.adminToken);
  });

  test('read-only: it is looked at, and nothing in it changes', async () => {
    const before = await names('namespaces');
    await site.gpOk('apply', '-f', clusterFile('read-only'));
    await until('seen', async () => ((await infrastructure()).version === undefined ? undefined : true));
    expect((await infrastructure()).steps).toEqual([
      expect.objectContaining({ name: 'control-plane', state: 'done', message: expect.stringContaining('nodes ready') }),
    ]);
    expect(await names('namespaces')).toEqual(before);
    const view = await reach('ready', (seen) => seen.state === 'ready');
    expect(view.hosts).toEqual([]);
  });

  test('full: its layers are applied by the agent in the hub, which goes on after a kill -9', async () => {
    await site.gpOk('apply', '-f', profileFile('1.0.0', 'red'));
    await site.gpOk('apply', '-f', clusterFile('full', '1.0.0'));
    const view = await reach('1.0.0 ready', (seen) => seen.state === 'ready' && seen.layers.length === 2 && seen.layers.every((layer) => layer.isCurrent));
    expect(view.hosts.map((host) => host.name)).toEqual(['theirs-hub']);
    expect(await names('-n', 'paint', 'configmap', '-l', 'groundplane.dev/managed=true')).toEqual(['configmap/paint']);
    await site.killHub();
    await site.startHub({ args: ['--egress-allow', '127.0.0.0/8'] });
    await site.gpOk('apply', '-f', profileFile('1.1.0', 'blue'));
    await site.gpOk('apply', '-f', clusterFile('full', '1.1.0'));
    await reach(
      '1.1.0 ready',
      (seen) =>
        seen.state === 'ready' && seen.layers.every((layer) => layer.isCurrent && layer.desired !== undefined) && seen.spec.profiles[0]?.version === '1.1.0',
    );
    const color = await light.kubectl(['get', '-n', 'paint', 'configmap', 'paint', '-o', 'jsonpath={.data.color}']);
    expect(color).toEqual({ ok: true, value: 'blue' });
  });

  test('an API server that is away is told, and its return noticed', async () => {
    // An account that changes is looked at again at once.
    const set = async (): Promise<void> => {
      const body = JSON.stringify({ kind: 'kubeconfig', secret: { type: 'kubeconfig', kubeconfig: light.kubeconfig } });
      expect((await site.gpWith(body, ['cloud', 'account', 'set', 'theirs', '--no-validate', '-f', '-'])).code).toBe(0);
    };
    await light.pause();
    await set();
    await until(
      'told',
      async () => ((await infrastructure()).steps.some((step) => step.name === 'control-plane' && step.state !== 'done') ? true : undefined),
      150_000,
    );
    const back = await light.resume();
    expect(back.ok).toBe(true);
    await set();
    await until('back', async () => ((await infrastructure()).steps.every((step) => step.state === 'done') ? true : undefined), 150_000);
  }, 400_000);

  test('let go: back to read-only leaves nothing of ours, and so does deletion', async () => {
    await site.gpOk('apply', '-f', clusterFile('read-only'));
    await until(
      'gone',
      async () =>
        (await names('namespaces')).includes('namespace/paint') && (await names('-n', 'paint', 'configmap')).includes('configmap/paint') ? undefined : true,
      120_000,
    );
    await until('nobody left', async () => ((JSON.parse(await site.gpOk('get', 'hosts', '-o', 'json')) as unknown[]).length === 0 ? true : undefined), 120_000);
    await site.gpOk('apply', '-f', clusterFile('full', '1.1.0'));
    await reach('there again', (seen) => seen.state === 'ready' && seen.layers.length === 2 && seen.layers.every((layer) => layer.isCurrent));
    await site.gpOk('delete', 'cluster', 'theirs', '--yes');
    await until('deleted', async () => ((JSON.parse(await site.gpOk('get', 'clusters', '-o', 'json')) as unknown[]).length === 0 ? true : undefined), 120_000);
    expect((await names('-A', 'configmap,secret,role,rolebinding,serviceaccount', '-l', 'groundplane.dev/managed=true')).length).toBe(0);
    await site.gpOk('cloud', 'account', 'delete', 'theirs');
  }, 600_000);
});
