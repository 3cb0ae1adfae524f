import { createClient } from '@groundplane/protocol/api/client';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startTestHub } from '../cli/hub.ts';
import { explainGoFailure } from './build.ts';
import { labProject, prepareLab } from './demo.ts';
import { firstObjects, kubeconfigText } from './files.ts';
import { isGoEnough, missingForLab } from './prerequisite.ts';
import { moduleFile, programs, recipeDigest } from './recipe.ts';
import { labStages } from './stages.ts';

describe('lab', () => {
  test('compares Go versions by their numbers', () => {
    expect([isGoEnough('1.26.8'), isGoEnough('1.26'), isGoEnough('2.0'), isGoEnough('1.100.1'), isGoEnough('1.9.7'), isGoEnough('1.25.9')]).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test('says what is missing on another operating system', async () => {
    expect(await missingForLab('darwin')).toEqual(['The Kubernetes lab runs on Linux only; this is darwin.']);
  });

  test('the go.mod keeps requirements, maps staging folders to published modules and drops other local folders', () => {
    const kubernetes = programs.find((program) => program.name === 'kube');
    if (kubernetes === undefined) throw new Error('no kube');
    const upstream = {
      Go: '1.26.0',
      Require: [
        { Path: 'k8s.io/api', Version: 'v0.0.0' },
        { Path: 'x.example/y', Version: 'v1.2.3', Indirect: true },
      ],
      Replace: [
        { Old: { Path: 'k8s.io/api' }, New: { Path: './staging/src/k8s.io/api' } },
        { Old: { Path: 'a' }, New: { Path: 'b', Version: 'v1.0.0' } },
        { Old: { Path: 'c' }, New: { Path: '../c' } },
      ],
    };
    expect(moduleFile(upstream, kubernetes)).toBe(
      [
        'module lab.local/kube\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/api v0.0.0\n\tx.example/y v1.2.3 // indirect\n\tk8s.io/kubernetes v1.37.2\n)\n',
        'replace (\n\tk8s.io/api => k8s.io/api v0.37.2\n\ta => b v1.0.0\n)\n',
      ].join('\n'),
    );
  });

  test('binaries of different machines do not share a folder', () => {
    expect(recipeDigest('linux-x64')).toMatch(/^[0-9a-f]{64}$/);
    expect(recipeDigest('linux-x64')).not.toBe(recipeDigest('linux-arm64'));
  });

  test.each([
    ['dial tcp: lookup proxy: no such host', 'lab-no-network', 'retry'],
    ['write /x: no space left on device', 'lab-disk-full', 'blocked'],
    ['link: signal: killed', 'lab-memory', 'blocked'],
    ['main.go:1: undefined: x', 'lab-build-failed', 'blocked'],
  ])('explains %j', (output, code, kind) => {
    expect(explainGoFailure('Building', output).failure).toMatchObject({ code, kind });
  });
});

describe('what a lab begins with', () => {
  test('pods with a broken image are taken from the ready stage and given to two of our own', () => {
    const upstream =
      'kind: Stage\nmetadata: {name: pod-ready}\nspec: {resourceRef: {apiGroup: v1, kind: Pod}, selector: {matchExpressions: []}, next: {}}\n---\n';
    const stages = parseAllDocuments(labStages(upstream)).map(
      (document) => document.toJS() as { metadata: { name: string }; spec: { selector: { matchExpressions: { key: string; operator: string }[] } } },
    );
    expect(stages.map((stage) => stage.metadata.name)).toEqual(['pod-ready', 'pod-image-broken', 'pod-job-broken']);
    const [ready, broken] = stages;
    expect(ready?.spec.selector.matchExpressions).toMatchObject([{ operator: 'DoesNotExist' }]);
    expect(broken?.spec.selector.matchExpressions).toContainEqual({ key: ready?.spec.selector.matchExpressions[0]?.key, operator: 'Exists' });
  });

  test('the kubeconfig verifies the server', () => {
    const text = kubeconfigText('https://127.0.0.1:1', 'PEM', 'admin', 't');
    expect(text).toContain(`certificate-authority-data: ${Buffer.from('PEM').toString('base64')}`);
    expect(text).not.toContain('insecure');
  });

  test('begins with role bindings and the nodes asked for', () => {
    const kinds = firstObjects(2).map((object) => (object as { kind: string }).kind);
    expect(kinds).toEqual(['ClusterRoleBinding', 'ClusterRoleBinding', 'Node', 'Node']);
  });
});

test('the lab installs packs of the library; a second start changes nothing', async () => {
  const hub = await startTestHub();
  try {
    const made = await hub.gp(['create', 'api-key', 'lab', '--role', 'TenantAdmin', '-o', 'json']);
    const { key } = JSON.parse(made.out) as { key: string };
    const client = createClient({ baseUrl: hub.url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
    const first = await prepareLab({ client, url: hub.url, key });
    const profile = await client.call('getProfile', { params: { project: labProject, name: 'store', version: '1.0.0' } });
    if (!profile.ok) throw new Error(profile.failure.message);
    const packs = profile.value.spec.layers.map((layer) => layer.pack?.name);
    expect([first.layers, packs]).toEqual([6, ['debian-os', 'kubeadm', 'site-baseline', undefined, 'shop', 'monitor']]);
    await prepareLab({ client, url: hub.url, key });
    const again = await client.call('getProfile', { params: { project: labProject, name: 'store', version: '1.0.0' } });
    expect(again.ok && again.value.digest).toBe(profile.value.digest);
    expect(hub.log()).toBe('');
  } finally {
    await hub.close();
  }
}, 60_000);
