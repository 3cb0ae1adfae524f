import { restoreDatastore } from '@groundplane/agent/distribution/restore';
import type { KubernetesMemory } from '@groundplane/agent/observe/distribution';
import { managedKubernetesSchema } from '@groundplane/protocol/distribution/spec';
import { expect, test } from 'vitest';
import { virtualClock } from '../fake/clock.ts';
import { fakeTools } from '../fake/tools.ts';

const memory = (distribution: 'kubeadm' | 'k3s', role: 'control-plane' | 'worker' = 'control-plane'): KubernetesMemory => ({
  state: 'joined',
  layer: 'kubernetes',
  failedAttempts: 0,
  setup: {
    spec: managedKubernetesSchema.parse({ distribution, version: '1.37.2' }),
    cluster: 'site',
    role,
    identity: {
      name: 'cp1',
      address: '10.0.0.1',
      endpoint: 'api',
      endpointPort: 6443,
      alsoKnownAs: [],
      labels: {},
      taints: [],
      taintControlPlane: false,
    },
  },
});

const manifests = ['etcd', 'kube-apiserver'].map((name) => `/etc/kubernetes/manifests/${name}.yaml`);

/** A control plane with a snapshot; `cutAt` is a part of a command at which everything ends. */
const start = (cutAt?: string) => {
  const clock = virtualClock();
  const tools = fakeTools((command, files) => {
    if (cutAt !== undefined && command.includes(cutAt)) throw new Error('power cut');
    if (command === 'pgrep -x etcd') return { code: files.has(manifests[0] ?? '') ? 0 : 1 };
    return undefined;
  });
  for (const path of manifests) tools.files.set(path, 'kind: Pod\n');
  tools.files.set('/snap.db', 'snapshot');
  return { clock, tools };
};

const verbs = (commands: readonly string[]): string[] => commands.map((command) => command.split(' ').slice(0, 3).join(' '));

test('the agent rests, the servers stop, the snapshot takes the place of the data, and all of it comes back', async () => {
  const { clock, tools } = start();
  expect(await restoreDatastore({ tools, clock }, memory('kubeadm'), '/snap.db')).toEqual({ ok: true, value: undefined });
  expect(verbs(tools.commands)).toEqual([
    'systemctl stop groundplane-agent.service',
    'etcdutl snapshot status',
    'pgrep -x etcd',
    'etcdutl snapshot restore',
    'mv /var/lib/etcd/member /var/lib/etcd/member.before',
    'mv /var/lib/etcd/restored/member /var/lib/etcd/member',
    'sync -f /var/lib/etcd',
    'kubectl --kubeconfig /etc/kubernetes/admin.conf',
    'systemctl restart kubelet.service',
    'systemctl start --no-block',
  ]);
  expect(manifests.every((path) => tools.files.has(path))).toBe(true);
});

test.each(['snapshot restore', '/var/lib/etcd/member.before', '/var/lib/etcd/restored/member', 'sync -f'])(
  'cut at "%s", the same command brings it to its end',
  async (cutAt) => {
    const { clock, tools } = start(cutAt);
    await expect(restoreDatastore({ tools, clock }, memory('kubeadm'), '/snap.db')).rejects.toThrow('power cut');
    const again = start();
    again.tools.files.clear();
    for (const [path, text] of tools.files) again.tools.files.set(path, text);
    expect((await restoreDatastore({ tools: again.tools, clock }, memory('kubeadm'), '/snap.db')).ok).toBe(true);
    expect(manifests.every((path) => again.tools.files.has(path))).toBe(true);
  },
);

test('k3s restores itself', async () => {
  const { clock, tools } = start();
  expect((await restoreDatastore({ tools, clock }, memory('k3s'), '/snap.db')).ok).toBe(true);
  expect(tools.commands).toContain('/usr/local/bin/k3s server --cluster-reset --cluster-reset-restore-path=/snap.db');
});

test('nothing is touched where there is nothing to restore', async () => {
  const { clock, tools } = start();
  for (const [known, file, code] of [
    [undefined, '/snap.db', 'no-control-plane'],
    [memory('kubeadm', 'worker'), '/snap.db', 'no-control-plane'],
    [memory('kubeadm'), '/none.db', 'snapshot-missing'],
  ] as const)
    expect(await restoreDatastore({ tools, clock }, known, file)).toMatchObject({ ok: false, failure: { code } });
  expect(tools.commands).toEqual([]);
});

test('a snapshot that is not whole stops before the servers do', async () => {
  const clock = virtualClock();
  const tools = fakeTools((command) => (command.includes('snapshot status') ? { code: 1, stderr: 'hash mismatch' } : undefined));
  for (const path of [...manifests, '/snap.db']) tools.files.set(path, 'x');
  expect(await restoreDatastore({ tools, clock }, memory('kubeadm'), '/snap.db')).toMatchObject({ ok: false, failure: { code: 'snapshot-invalid' } });
  expect(manifests.every((path) => tools.files.has(path))).toBe(true);
});
