import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { buildAgentPackages } from '@groundplane/installer/package';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { removePod, startPod, type Pod } from './pod.ts';
import { createSite, reachImported, until, type TestSite } from './site.ts';

/** One `kubectl apply` in somebody else's cluster: an agent as a pod, so that the hub needs no way in. Roles are enforced by a real API server. */
const missing = await missingForLab();
const cannot = missing.length > 0 && !isRequired('go');

let site: TestSite;
let light: LightCluster;
let pod: Pod;
const packages = new Map<string, string>();
const write = (name: string, text: string): string => {
  writeFileSync(join(site.folder, name), text);
  return join(site.folder, name);
};
const kubectl = async (...args: string[]): Promise<string> => {
  const result = await light.kubectl(args);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value.trim();
};
const names = async (...args: string[]): Promise<string[]> => (await kubectl('get', ...args, '-o', 'name')).split('\n').filter(Boolean).toSorted();
const hosts = async (): Promise<{ id: string; name: string; online: boolean }[]> =>
  JSON.parse(await site.gpOk('get', 'hosts', '-o', 'json')) as { id: string; name: string; online: boolean }[];
const infrastructure = async (): Promise<InfrastructureView> => JSON.parse(await site.gpOk('cloud', 'show', 'theirs', '-o', 'json')) as InfrastructureView;
const step = async (name: string): Promise<string> => {
  const found = (await infrastructure()).steps.find((item) => item.name === name);
  return `${found?.state ?? ''}: ${found?.message ?? ''}`;
};
const deployment = ['-n', 'groundplane-agent', 'deployment/groundplane-agent'] as const;
const manifestMark = (): Promise<string> =>
  kubectl('get', ...deployment, '-o', 'jsonpath={.spec.template.spec.containers[0].env[?(@.name=="GROUNDPLANE_MANIFEST")].value}');
const setMark = (mark: string): Promise<string> => kubectl('set', 'env', ...deployment, `GROUNDPLANE_MANIFEST=${mark}`);
const folder = (): string => join(site.folder, 'pods');
const start = async (name: string): Promise<Pod> => startPod(light, folder(), name);
const applyManifest = async (...args: string[]): Promise<string> => {
  const manifest = await site.gpOk('cloud', 'import', 'theirs', ...args);
  const applied = await light.kubectl(['apply', '-f', '-'], manifest);
  if (!applied.ok) throw new Error(applied.failure.message);
  return manifest;
};
const reach = (what: string, is: (view: ClusterView) => boolean): Promise<ClusterView> => reachImported(site, 'theirs', what, is, () => pod.log());
const isPainted = (view: ClusterView, version: string): boolean =>
  view.state === 'ready' && view.spec.profiles[0]?.version === version && view.layers.length === 2 && view.layers.every((layer) => layer.isCurrent);
const clusterFile = (mode: string, version?: string): string =>
  write(
    'cluster.yaml',
    `apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: theirs}\nspec:\n  profiles: [${version === undefined ? '' : `{name: extras, version: ${version}}`}]\n  infrastructure: {environment: existing, placement: {mode: ${mode}, agent: inside}}\n`,
  );
const profileFile = (version: string, color: string, isMore = false): string =>
  write(
    'profile.yaml',
    `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: extras, version: ${version}}\nspec:\n  type: full\n  layers:\n    - {name: kubernetes, kind: kubernetes, kubernetes: {distribution: existing}}\n    - name: paint\n      kind: addon\n      namespace: paint\n      manifests:\n        - {name: m, content: "{apiVersion: v1, kind: ConfigMap, metadata: {name: paint}, data: {color: ${color}}}"}\n${isMore ? '        - {name: n, content: "{apiVersion: v1, kind: ConfigMap, metadata: {name: more}, data: {}}"}\n' : ''}`,
  );
const upload = async (version: string): Promise<void> => {
  await site.gpOk('agent', 'upload', packages.get(version) ?? '', '--inside');
};

describe.skipIf(cannot)(`an agent inside of a cluster${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, { timeout: 300_000 }, () => {
  beforeAll(async () => {
    expect(missing, 'the light Kubernetes is required here').toEqual([]);
    site = createSite();
    mkdirSync(join(site.folder, 'kubernetes'));
    const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
    for (const version of ['0.1.0', '0.2.0']) {
      const out = join(site.folder, 'packages');
      const built = await buildAgentPackages({ archs: [arch], out, version, level: 1, keyPem: undefined });
      if (!built.ok) throw new Error(built.failure.message);
      packages.set(version, join(out, built.value.find((item) => item.name.endsWith('.zst'))?.name ?? ''));
    }
    const started = await startLight({ dir: join(site.folder, 'kubernetes'), controllers: true, kwokNodes: 2 });
    if (!started.ok) throw new Error(started.failure.message);
    light = started.value;
    // No way in: private addresses are not allowed, and there is no kubeconfig anywhere.
    await site.startHub();
    await site.gpWith('correct horse battery staple\n', ['login', '--setup', site.setupLink(), '--name', 'admin', '--password-stdin']);
  }, 2_400_000);

  afterAll(async () => {
    await pod?.stop('SIGKILL');
    await site?.close();
    await light?.stop();
  }, 60_000);

  test('an import without an agent to run says what to do', async () => {
    const refused = await site.gp('cloud', 'import', 'theirs');
    expect([refused.code === 0, refused.stderr]).toEqual([false, expect.stringContaining('gp agent upload FILE… --inside')]);
    expect(JSON.parse(await site.gpOk('get', 'clusters', '-o', 'json'))).toEqual([]);
    await upload('0.1.0');
  });

  test('read-only: one apply, and the hub sees the cluster; nothing in it may be changed', async () => {
    const before = await names('namespaces');
    const shown = JSON.parse(await site.gpOk('cloud', 'import', 'theirs', '--mode', 'read-only', '-o', 'json')) as { manifest: string; url: string };
    const fetched = await fetch(shown.url);
    expect([fetched.status, await fetched.text()]).toEqual([200, shown.manifest]);
    const applied = await light.kubectl(['apply', '-f', shown.url]);
    expect(applied.ok ? '' : applied.failure.message).toBe('');
    expect(await step('control-plane')).toContain('waiting: waits for the agent');
    pod = await start('pod-a');
    await until('seen', async () => ((await infrastructure()).version === undefined ? undefined : true), 90_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${pod.log()}\n${site.logs.join('')}`);
    });
    expect(await step('control-plane')).toMatch(/^done: Kubernetes v1\.\d+.*, 2 of 2 nodes ready, \d+ workloads$/);
    expect(await pod.probe('/readyz')).toBe(200);
    expect(await names('namespaces')).toEqual([...before, 'namespace/groundplane-agent'].toSorted());
    // The address was good for one agent.
    expect((await fetch(shown.url)).status).toBe(404);
    const may = async (...what: string[]): Promise<string> => {
      const done = await light.kubectl(['auth', 'can-i', ...what, '--as', 'system:serviceaccount:groundplane-agent:groundplane-agent']);
      return done.ok ? done.value.trim() : 'no';
    };
    expect([
      await may('list', 'nodes'),
      await may('create', 'configmaps', '-n', 'default'),
      await may('get', 'secrets', '-n', 'default'),
      await may('get', 'secrets/groundplane-agent-ticket', '-n', 'groundplane-agent'),
      await may('delete', 'namespaces/default'),
      await may('delete', 'namespaces/groundplane-agent'),
    ]).toEqual(['yes', 'no', 'no', 'no', 'no', 'yes']);
  });

  test('full, while the cluster gave no more than looking: nothing changes, and it is told what to do', async () => {
    await site.gpOk('apply', '-f', profileFile('1.0.0', 'red'));
    await site.gpOk('apply', '-f', clusterFile('full', '1.0.0'));
    await until('told', async () => ((await step('account')).includes('gp cloud import theirs --mode full') ? true : undefined));
    await reach('refused', (view) => view.state !== 'ready' && view.layers.some((layer) => /forbidden|denied/.test(layer.observed?.message ?? '')));
    expect(await names('namespaces')).not.toContain('namespace/paint');
  });

  test('full: the same agent applies its layers once it may', async () => {
    const [known] = await hosts();
    await applyManifest();
    const view = await reach('1.0.0 ready', (seen) => isPainted(seen, '1.0.0'));
    expect(view.hosts.map((host) => [host.id, host.name])).toEqual([[known?.id, 'theirs-agent']]);
    expect(await kubectl('get', '-n', 'paint', 'configmap', 'paint', '-o', 'jsonpath={.data.color}')).toBe('red');
    await until('no step left open', async () => ((await infrastructure()).steps.every((item) => item.state === 'done') ? true : undefined), 90_000);
  });

  test('it goes on without the hub, and follows after a kill -9 of it', async () => {
    await site.killHub();
    await kubectl('delete', '-n', 'paint', 'configmap', 'paint');
    await until('healed alone', async () => ((await names('-n', 'paint', 'configmap')).includes('configmap/paint') ? true : undefined));
    await site.startHub();
    await site.gpOk('apply', '-f', profileFile('1.1.0', 'blue', true));
    await site.gpOk('apply', '-f', clusterFile('full', '1.1.0'));
    await reach('1.1.0 ready', (seen) => isPainted(seen, '1.1.0'));
    expect(await names('-n', 'paint', 'configmap', '-l', 'groundplane.dev/managed=true')).toEqual(['configmap/more', 'configmap/paint']);
  });

  test('a pod elsewhere without any memory is the same agent, and knows what the first one made', async () => {
    const [known] = await hosts();
    await removePod(pod, folder());
    // As if the manifest had been applied by a release of before.
    const mark = await manifestMark();
    expect(mark).toMatch(/^[0-9a-f]{16}$/);
    expect((await infrastructure()).notices).toEqual([]);
    await setMark('older');
    pod = await start('pod-b');
    // Made by pod-a only, and left out now: whoever forgot it would leave it behind.
    await site.gpOk('apply', '-f', profileFile('1.2.0', 'green'));
    await site.gpOk('apply', '-f', clusterFile('full', '1.2.0'));
    await reach('1.2.0 ready', (seen) => isPainted(seen, '1.2.0'));
    expect(await names('-n', 'paint', 'configmap', '-l', 'groundplane.dev/managed=true')).toEqual(['configmap/paint']);
    expect((await hosts()).map((host) => [host.id, host.name, host.online])).toEqual([[known?.id, 'theirs-agent', true]]);
    await until(
      'told',
      async () => ((await infrastructure()).notices.some((text) => text.includes('gp cloud import theirs --mode full')) ? true : undefined),
      90_000,
    );
    await setMark(mark);
  });

  test('of two pods one acts; the other takes over when its Lease is over, and nobody takes them for clones', async () => {
    const second = await start('pod-c');
    await until('waits', () => (second.log().includes('another pod acts') ? true : undefined));
    expect(await kubectl('get', '-n', 'groundplane-agent', 'lease', 'groundplane-agent', '-o', 'jsonpath={.spec.holderIdentity}')).toBe('pod-b');
    await removePod(pod, folder(), 'SIGKILL');
    pod = second;
    await site.gpOk('apply', '-f', profileFile('1.3.0', 'white'));
    await site.gpOk('apply', '-f', clusterFile('full', '1.3.0'));
    await reach('1.3.0 ready', (seen) => isPainted(seen, '1.3.0'));
    expect((await hosts()).map((host) => host.name)).toEqual(['theirs-agent']);
    expect(await site.gpOk('get', 'events', '-o', 'json')).not.toContain('CloneSuspected');
    await until('the manifest is as it should be', async () => ((await infrastructure()).notices.length === 0 ? true : undefined), 90_000);
  });

  test('a new agent comes by itself: the deployment changes, and the next pod runs it', async () => {
    await upload('0.2.0');
    const wanted = async (): Promise<string> =>
      kubectl('get', '-n', 'groundplane-agent', 'deployment', 'groundplane-agent', '-o', 'jsonpath={.spec.template.spec.containers[0].env}');
    await until('changed', async () => ((await wanted()).includes('0.2.0') ? true : undefined));
    await removePod(pod, folder());
    pod = await start('pod-d');
    await until(
      'runs',
      async () =>
        (await site.gpOk('get', 'hosts', '-o', 'json')).includes('"agentVersion": "0.2.0"') ||
        (await site.gpOk('describe', 'host', 'theirs-agent')).includes('0.2.0')
          ? true
          : undefined,
      60_000,
    );
  });

  test('an OS layer is refused where there is no machine, and the layers before go on', async () => {
    const os = `    - {name: base, kind: os, os: {sysctls: {net.ipv4.ip_forward: "1"}}}\n`;
    const text = readFileSync(profileFile('1.4.0', 'black'), 'utf8').replace('  layers:\n', `  layers:\n${os}`);
    await site.gpOk('apply', '-f', write('profile.yaml', text));
    await site.gpOk('apply', '-f', clusterFile('full', '1.4.0'));
    await until(
      'refused',
      async () => ((await site.gpOk('get', 'cluster', 'theirs', '-o', 'json')).includes('has no machine of ours') ? true : undefined),
      90_000,
    );
    await site.gpOk('apply', '-f', clusterFile('full', '1.3.0'));
    await reach('1.3.0 again', (seen) => isPainted(seen, '1.3.0'));
  });

  test('back to read-only: its layers leave, and so do its rights', async () => {
    await site.gpOk('apply', '-f', clusterFile('read-only'));
    await until(
      'rights given back',
      async () => ((await kubectl('get', 'clusterrole', 'groundplane-agent', '-o', 'jsonpath={.rules}')).includes('"*"') ? undefined : true),
      90_000,
    );
    await until('its namespace goes', async () => ((await names('namespaces')).includes('namespace/paint') ? undefined : true));
  });

  test('deleted: layers, then the agent itself; nothing is left in the cluster or in the hub', async () => {
    await site.gpOk('apply', '-f', clusterFile('full', '1.3.0'));
    await applyManifest();
    await reach('there again', (seen) => isPainted(seen, '1.3.0'));
    await site.gpOk('delete', 'cluster', 'theirs', '--yes');
    await until('the pod goes', () => (pod.isOver() ? true : undefined), 90_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${pod.log()}`);
    });
    await until('deleted', async () => ((JSON.parse(await site.gpOk('get', 'clusters', '-o', 'json')) as unknown[]).length === 0 ? true : undefined), 90_000);
    await until('empty', async () => ((await names('namespaces')).includes('namespace/groundplane-agent') ? undefined : true), 90_000);
    await until(
      'no roles',
      async () => ((await names('clusterroles,clusterrolebindings')).some((name) => name.includes('groundplane')) ? undefined : true),
      90_000,
    );
    expect(await names('-A', 'configmap,secret,role,rolebinding,serviceaccount,lease', '-l', 'groundplane.dev/managed=true')).toEqual([]);
    expect(await hosts()).toEqual([]);
  });

  test('read-only, and deleted: it needs no more rights to take itself away', async () => {
    await applyManifest('--mode', 'read-only');
    pod = await start('pod-e');
    await until('seen', async () => ((await infrastructure()).version === undefined ? undefined : true), 90_000);
    await site.gpOk('delete', 'cluster', 'theirs', '--yes');
    await until('deleted', async () => ((JSON.parse(await site.gpOk('get', 'clusters', '-o', 'json')) as unknown[]).length === 0 ? true : undefined), 90_000);
    await until(
      'empty',
      async () => ((await names('namespaces,clusterroles,clusterrolebindings')).some((name) => name.includes('groundplane')) ? undefined : true),
      90_000,
    );
  });

  test('what the hub has forgotten by force is cleaned up by deleting the same manifest', async () => {
    const manifest = await applyManifest();
    await site.gpOk('delete', 'cluster', 'theirs', '--yes', '--force');
    const deleted = await light.kubectl(['delete', '-f', '-', '--wait=false'], manifest);
    expect(deleted.ok ? '' : deleted.failure.message).toBe('');
    await until(
      'empty',
      async () => ((await names('namespaces,clusterroles,clusterrolebindings')).some((name) => name.includes('groundplane')) ? undefined : true),
      90_000,
    );
  });
});
