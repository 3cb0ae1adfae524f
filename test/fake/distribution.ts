import type { Clock } from '@groundplane/agent/port/clock';
import type { Distribution, DistributionSetup, KeptFile, MachineState } from '@groundplane/agent/port/distribution';
import { versionTag } from '@groundplane/protocol/distribution/spec';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { FakeCluster } from './cluster.ts';

/** What all hosts of a simulated site share. */
export interface FakeSite {
  cluster: FakeCluster;
  clock: Clock;
  /** Names of the servers in the datastore. */
  servers: Set<string>;
  tokens: Set<string>;
  log: string[];
}

/** What lies on one machine, and what runs on it. */
export interface FakeMachine {
  name: string;
  role: DistributionSetup['role'] | undefined;
  setup: DistributionSetup | undefined;
  /** The version that is configured; what runs follows at the next start. */
  version: string | undefined;
  isRunning: boolean;
  files: Record<string, string>;
  isLost: boolean;
  certificatesLeft: number;
  snapshotAtMs: number | undefined;
  /** What serves Services does not, until it is started anew. */
  isProxyDead: boolean | 'for ever';
  failNext?: string | undefined;
}

export const fakeMachine = (name: string): FakeMachine => ({
  name,
  role: undefined,
  setup: undefined,
  version: undefined,
  isRunning: false,
  files: {},
  isLost: false,
  certificatesLeft: 1,
  snapshotAtMs: undefined,
  isProxyDead: false,
});

const manifest = '/etc/kubernetes/manifests/kube-apiserver.yaml';
const renewMs = 5_000;

const time = (clock: Clock): string => new Date(clock.wallMs()).toISOString();

/** A kubelet: makes its node, says that it is ready, and renews its lease as long as it runs. */
const createKubelet = (site: FakeSite, machine: FakeMachine) => {
  const { cluster, clock } = site;
  const beat = async (): Promise<void> => {
    if (machine.isRunning && !machine.isLost && machine.setup !== undefined) {
      const labels = machine.role === 'control-plane' ? { 'node-role.kubernetes.io/control-plane': '' } : {};
      const node: KubeObject = {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: machine.name, labels },
      };
      await cluster.apply(node, { fieldManager: 'kubelet', force: true });
      cluster.setStatus(
        { apiVersion: 'v1', kind: 'Node', name: machine.name },
        { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: machine.version } },
      );
      const lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: machine.name, namespace: 'kube-node-lease' },
        spec: { renewTime: time(clock) },
      };
      await cluster.apply(lease, { fieldManager: 'kubelet', force: true });
    }
    clock.after(renewMs, () => void beat());
  };
  clock.after(renewMs, () => void beat());
};

/** A distribution in memory: what its commands do to a shared API server and to the files of one machine. */
export const fakeDistribution = (site: FakeSite, machine: FakeMachine): Distribution => {
  createKubelet(site, machine);
  const failing = (name: string): Result<never> | undefined => {
    site.log.push(`${machine.name}: ${name}`);
    if (machine.failNext !== name) return undefined;
    machine.failNext = undefined;
    return fail('retry', 'kubernetes-failed', 'kubeadm', `${name} was cut`);
  };
  const arrive = (setup: DistributionSetup): void => {
    Object.assign(machine, { setup, role: setup.role, version: versionTag(setup.spec.version), isRunning: true });
    machine.files[manifest] = `image ${versionTag(setup.spec.version)}`;
    if (setup.role === 'control-plane') site.servers.add(machine.name);
  };
  const act = async (name: string, work: () => void | Promise<void>): Promise<Result<void>> => {
    const failed = failing(name);
    if (failed !== undefined) return failed;
    await work();
    return ok(undefined);
  };
  return {
    adminConfig: '/etc/kubernetes/admin.conf',
    nodeConfig: '/etc/kubernetes/kubelet.conf',
    hasSharedConfig: true,
    look: (_, kept) => {
      const state: MachineState = {
        hasTraces: machine.setup !== undefined,
        controlPlaneVersion: machine.role === 'control-plane' ? /v\S+/.exec(machine.files[manifest] ?? '')?.[0] : undefined,
        kubeletVersion: machine.version,
        isStale: false,
        services: machine.isRunning ? 'running' : 'stopped',
        certificates: machine.setup === undefined ? undefined : { left: machine.certificatesLeft },
        broken: Object.entries(kept).flatMap(([path, file]) => (machine.files[path] === file.content ? [] : [path])),
        renewed: [],
        hasProxy: machine.isRunning,
        snapshotAgeMs: machine.role === 'control-plane' ? (machine.snapshotAtMs === undefined ? 1e12 : site.clock.wallMs() - machine.snapshotAtMs) : undefined,
      };
      return Promise.resolve(ok(state));
    },
    keep: () =>
      Promise.resolve(
        ok(Object.fromEntries(Object.entries(machine.files).map(([path, content]): [string, KeptFile] => [path, { content, mode: '0600', rule: 'exact' }]))),
      ),
    repair: (kept, parts) => act('repair', () => parts.forEach((path) => (machine.files[path] = kept[path]?.content ?? ''))),
    init: (setup) =>
      act('init', async () => {
        if (site.servers.size > 0 && !site.servers.has(machine.name)) throw new Error(`${machine.name} makes a second cluster`);
        arrive(setup);
        await site.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } }, { fieldManager: 'k', force: true });
        await site.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-node-lease' } }, { fieldManager: 'k', force: true });
        await site.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } }, { fieldManager: 'k', force: true });
        await site.cluster.apply(
          {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'kubernetes', namespace: 'default' },
            spec: { clusterIP: '10.96.0.1', ports: [{ port: 443 }] },
          },
          { fieldManager: 'k', force: true },
        );
        const data = { ClusterConfiguration: `kubernetesVersion: ${versionTag(setup.spec.version)}\n` };
        await site.cluster.apply(
          { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kubeadm-config', namespace: 'kube-system' }, data },
          { fieldManager: 'kubeadm', force: true },
        );
      }),
    join: async (setup, secrets) => {
      const failed = failing('join');
      if (failed !== undefined) return failed;
      if (!site.tokens.has(secrets.token)) return fail('retry', 'join-refused', 'kubeadm', 'the token is invalid');
      arrive(setup);
      return ok(undefined);
    },
    startedAtMs: () => Promise.resolve(undefined),
    start: (restart) => act(restart ? 'restart' : 'start', () => void (machine.isRunning = true)),
    upgrade: (setup, isFirst) =>
      act(isFirst ? 'upgrade first' : 'upgrade', async () => {
        if (isFirst) {
          const data = { ClusterConfiguration: `kubernetesVersion: ${versionTag(setup.spec.version)}\n` };
          await site.cluster.apply(
            { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kubeadm-config', namespace: 'kube-system' }, data },
            { fieldManager: 'kubeadm', force: true },
          );
        }
        arrive(setup);
      }),
    healServicePath: () => act('heal services', () => void (machine.isProxyDead = machine.isProxyDead === 'for ever' ? 'for ever' : false)),
    renewCertificates: () => act('renew', () => void (machine.certificatesLeft = 1)),
    saveDatastore: () => act('save', () => void (machine.snapshotAtMs = site.clock.wallMs())),
    wipe: (_, isLast) =>
      act(isLast ? 'wipe last' : 'wipe', () => {
        if (!isLast) site.servers.delete(machine.name);
        Object.assign(machine, fakeMachine(machine.name));
      }),
    invite: (role) => {
      const token = `token-${site.tokens.size}-${role}`;
      site.tokens.add(token);
      return Promise.resolve(ok({ token, caHashes: [] }));
    },
    drain: (node) => act(`drain ${node}`, () => undefined),
    forgetServer: (node) => act(`forget ${node}`, () => void site.servers.delete(node)),
  };
};
