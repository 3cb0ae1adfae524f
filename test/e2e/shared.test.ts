import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import type { ClusterView } from '@groundplane/protocol/api/views';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startChild, type Child } from '../lab/children.ts';
import { identities } from '../lab/files.ts';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { until } from './site.ts';

/** Three agents of one cluster on a real API server: two that may hold the Lease, and one whose kubeconfig may only read. */
const missing = await missingForLab();
const cannot = missing.length > 0 && !isRequired('go');
const root = join(import.meta.dirname, '..', '..');
const project = 'default';
const names = ['one', 'two', 'reader'];

const map = (name: string, value: string) => ({
  name,
  content: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {value: "${value}"}\n`,
});
const specOf = (value: string, more: string[]): ProfileSpec =>
  ({
    type: 'full',
    layers: [
      { name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing' } },
      { name: 'shop', kind: 'addon', namespace: 'shop', manifests: [map('shop', value), map('same', 'x')] },
      ...more.map((name) => ({ name, kind: 'addon', namespace: name, priority: 1, manifests: [map(name, 'x')] })),
    ],
  }) as unknown as ProfileSpec;

let folder: string;
let light: LightCluster;
let hub: Child | undefined;
let client: Client;
const agents = new Map<string, Child>();
const logs: string[] = [];

const startAgent = async (name: string, ticket?: string): Promise<void> => {
  const home = join(folder, name);
  mkdirSync(join(home, 'root'), { recursive: true });
  writeFileSync(join(home, 'kubeconfig'), light.kubeconfigOf(name === 'reader' ? 'viewer' : 'admin'), { mode: 0o600 });
  const flags = { data: join(home, 'data'), root: join(home, 'root'), kubeconfig: join(home, 'kubeconfig'), name, 'local-port': '0' };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = startChild(join(root, 'agent/src/main.ts'), [...args, ...(ticket === undefined ? [] : ['--ticket', ticket])], {
    onError: (text) => void logs.push(`${name}: ${text}`),
  });
  agents.set(name, child);
  await child.ready;
};
const killAgent = async (name: string): Promise<void> => {
  agents.get(name)?.process.kill('SIGKILL');
  await agents.get(name)?.stop();
  agents.delete(name);
};
const must = async <T>(result: Promise<{ ok: true; value: T } | { ok: false; failure: { element: string; message: string } }>): Promise<T> => {
  const done = await result;
  if (!done.ok) throw new Error(`${done.failure.element}: ${done.failure.message}`);
  return done.value;
};
const kubectl = async (...args: string[]): Promise<string> => (await must(light.kubectl(args))).trim();
const cluster = (): Promise<ClusterView> => must(client.call('getCluster', { params: { project, name: 'shop' } }));
const setVersion = async (version: string, hosts: string[]): Promise<void> =>
  void (await must(client.call('applyCluster', { params: { project, name: 'shop' }, body: { spec: { profiles: [{ name: 'shop', version }], hosts } } })));
const clusterWhere = (what: string, is: (view: ClusterView) => boolean, timeoutMs = 90_000): Promise<ClusterView> =>
  until(what, async () => [await cluster()].find(is), timeoutMs).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${JSON.stringify(await cluster(), undefined, 1)}\n${logs.slice(-20).join('')}`);
  });
const holderIn = (view: ClusterView): string | undefined => view.hosts.find((host) => host.applier === 'holds')?.name;
const uidOf = (name: string): Promise<string> => kubectl('get', 'configmap', '-n', 'shop', name, '-o', 'jsonpath={.metadata.uid}');

describe.skipIf(cannot)(`several hosts apply to one cluster in turn${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, () => {
  beforeAll(async () => {
    expect(missing, 'the light Kubernetes is required here').toEqual([]);
    folder = mkdtempSync(join(tmpdir(), 'gp-shared-'));
    mkdirSync(join(folder, 'kubernetes'));
    const started = await startLight({ dir: join(folder, 'kubernetes') });
    if (!started.ok) throw new Error(started.failure.message);
    light = started.value;
    hub = startChild(join(root, 'hub/src/main.ts'), ['--data', join(folder, 'hub'), '--port', '0', '--no-mqtt', '--key-file', join(folder, 'key')]);
    const ready = await hub.ready;
    client = createClient({ baseUrl: String(ready['url']), fetch, headers: () => ({ authorization: `Bearer ${readFileSync(join(folder, 'key'), 'utf8')}` }) });
    for (const [version, spec] of [
      ['1.0.0', specOf('v1', ['extra'])],
      ['1.1.0', specOf('v2', [])],
      ['1.2.0', specOf('v3', [])],
    ] as const)
      await must(client.call('applyProfile', { params: { project, name: 'shop', version }, body: { spec } }));
    const { ticket } = await must(client.call('createTicket', { params: { project }, body: { name: 'shop', autoApprove: true, uses: 3 } }));
    for (const name of names) {
      await startAgent(name, ticket);
      await until(`${name} enrolled`, async () => ((await client.call('getHost', { params: { project, name } })).ok ? true : undefined));
    }
  }, 2_400_000);

  afterAll(async () => {
    for (const name of names) await killAgent(name);
    await hub?.stop();
    await light?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  let first = '';
  let uids: string[] = [];

  test('what one host applied alone is handed over when others come, and nothing is made anew', async () => {
    await setVersion('1.0.0', ['one']);
    await clusterWhere('one applies alone', (view) => view.state === 'ready' && view.layers.every((layer) => layer.isCurrent));
    expect(await kubectl('get', 'leases', '-n', 'kube-system', '-o', 'name')).not.toContain('groundplane');
    uids = [await uidOf('shop'), await uidOf('same')];
    await setVersion('1.0.0', names);
    const view = await clusterWhere('one host holds the Lease', (item) => item.state === 'ready' && holderIn(item) !== undefined);
    first = holderIn(view) ?? '';
    expect(first).toBe('one');
    expect(view.conditions.find((condition) => condition.type === 'Applier')).toMatchObject({ status: 'True' });
    await clusterWhere('the reader says why it cannot', (item) => /403/.test(item.hosts.find((host) => host.name === 'reader')?.why ?? ''));
    expect([await uidOf('shop'), await uidOf('same')]).toEqual(uids);
    expect(await kubectl('get', 'configmaps', '-n', 'kube-system', '-o', 'name')).toContain('configmap/groundplane-layer-clu-');
  }, 200_000);

  test('when the holder is killed another one goes on: it changes, prunes, and makes nothing anew', async () => {
    await killAgent(first);
    await setVersion('1.1.0', names);
    const view = await clusterWhere('another one holds the Lease', (item) => item.hosts.find((host) => host.name === 'two')?.applier === 'holds');
    expect(holderIn(view)).toBe('two');
    await until('extra is pruned', async () => ((await kubectl('get', 'configmaps', '-A', '-o', 'name')).includes('configmap/extra') ? undefined : true));
    expect(await kubectl('get', 'configmap', '-n', 'shop', 'shop', '-o', 'jsonpath={.data.value}')).toBe('v2');
    expect([await uidOf('shop'), await uidOf('same')]).toEqual(uids);
    await startAgent(first);
    const back = await clusterWhere('all are well', (item) => item.state === 'ready' && item.hosts.find((host) => host.name === first)?.applier === 'waits');
    expect(back.drifted).toBe(0);
  }, 200_000);

  test('the rights that the manual names are enough to take over', async () => {
    const rights = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: shared, namespace: kube-system}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update, delete]}
- {apiGroups: [""], resources: [configmaps], verbs: [list, create, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shared, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: shared}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "${identities.viewer.group}"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: layers}
rules:
- {apiGroups: [""], resources: [configmaps, namespaces], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: layers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: layers}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "${identities.viewer.group}"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: layers, namespace: shop}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [create, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: layers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: layers}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "${identities.viewer.group}"}]
`;
    await must(light.kubectl(['apply', '-f', '-'], rights));
    await clusterWhere('the reader waits for its turn', (view) => view.hosts.find((host) => host.name === 'reader')?.applier === 'waits');
    await setVersion('1.2.0', ['reader']);
    await clusterWhere('the reader applies', (view) => view.state === 'ready' && holderIn(view) === 'reader');
    expect(await kubectl('get', 'configmap', '-n', 'shop', 'shop', '-o', 'jsonpath={.data.value}')).toBe('v3');
    expect([await uidOf('shop'), await uidOf('same')]).toEqual(uids);
    await setVersion('1.1.0', names);
  }, 200_000);

  test('a holder that is taken out lets go at once; a deleted cluster leaves nothing', async () => {
    await setVersion('1.1.0', ['one']);
    await clusterWhere('one applies again', (view) => view.state === 'ready' && holderIn(view) === 'one', 30_000);
    expect([await uidOf('shop'), await uidOf('same')]).toEqual(uids);
    await must(client.call('deleteCluster', { params: { project, name: 'shop' } }));
    await until('deleted', async () => ((await client.call('getCluster', { params: { project, name: 'shop' } })).ok ? undefined : true));
    expect(await kubectl('get', 'configmaps,leases', '-A', '-o', 'name')).not.toMatch(/shop|groundplane/);
  }, 200_000);
});
