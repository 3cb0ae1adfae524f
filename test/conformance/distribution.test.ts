import { kubeadmDistribution } from '@groundplane/agent/distribution/kubeadm';
import { rancherDistribution } from '@groundplane/agent/distribution/rancher';
import { rancherLayout, type RancherName } from '@groundplane/agent/distribution/rancher-layout';
import { parse } from 'yaml';
import { distributionConformance, type SiteUnderTest } from './distribution.ts';
import { certificates, modelMachine, type ModelMachine, type Said } from './distribution-machine.ts';

/**
 * The drivers on models of their programs: what kubeadm, k3s and rke2 write, say and refuse, as far as drivers see it. kubeadm also runs for real
 * (`npm run e2e -- hosts`); k3s and rke2 could not be had, so their models follow their documentation and sources.
 */
const drained = (held: { words: string | undefined }): Said => {
  const { words } = held;
  held.words = undefined;
  return words === undefined ? { code: 0 } : { code: 1, stderr: `evicting pod\nerror when evicting pods: ${words}\n` };
};

const kubernetes = '/etc/kubernetes';
const manifests = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((name) => `${kubernetes}/manifests/${name}.yaml`);
const leaves = ['apiserver', 'apiserver-kubelet-client', 'front-proxy-client', 'etcd/server', 'etcd/peer'].map((name) => `${kubernetes}/pki/${name}.crt`);
const joinChecks = [`${kubernetes}/kubelet.conf`, `${kubernetes}/pki/ca.crt`];

const kubeadmSite = (): SiteUnderTest => {
  const tokens = new Set<string>();
  const version = '1.37.2';
  const kubeadm = (machine: ModelMachine, role: 'control-plane' | 'worker') => {
    const servers = (): void => {
      for (const path of leaves) machine.write(path, certificates.first);
      machine.write(`${kubernetes}/pki/ca.key`, 'key');
      machine.write(`${kubernetes}/admin.conf`, 'kind: Config\n');
      for (const path of manifests) machine.write(path, `spec: {containers: [{image: "registry/kube-apiserver:v${version}"}]}\n`);
    };
    const node = (): void => {
      machine.write(`${kubernetes}/pki/ca.crt`, certificates.first);
      machine.write(`${kubernetes}/kubelet.conf`, 'kind: Config\n');
      machine.write('/var/lib/kubelet/pki/kubelet-client-current.pem', certificates.renewed);
      machine.write('/var/lib/kubelet/kubeadm-flags.env', 'KUBELET_KUBEADM_ARGS=""\n');
      machine.write('/var/lib/kubelet/config.yaml', 'kind: KubeletConfiguration\n');
      machine.units.set('kubelet.service', { isEnabled: true, isActive: true, sinceMs: machine.clock.wallMs() });
    };
    /** What kubeadm's checks before the start say about files that are there, unless they are told to pass over them. */
    const inTheWay = (command: string, paths: readonly string[]): Said | undefined => {
      const checks = paths
        .filter((path) => machine.files.has(path))
        .map((path) => `FileAvailable-${path.replaceAll('/', '-')}`)
        .filter((check) => !command.includes(check));
      if (checks.length === 0) return undefined;
      return { code: 1, stderr: `[preflight] Some fatal errors occurred:\n${checks.map((check) => `\t[ERROR ${check}]: exists\n`).join('')}` };
    };
    return (command: string): Said | undefined => {
      if (!machine.files.has('/usr/bin/kubeadm')) return { code: 127, stderr: 'spawn kubeadm ENOENT' };
      const verb = command.split(' ').slice(1, 3).join(' ');
      const config = machine.files.get(/--config (\S+)/.exec(command)?.[1] ?? '') ?? '';
      if (verb === 'init --config') {
        const stopped = inTheWay(command, manifests);
        if (stopped !== undefined) return stopped;
        node();
        servers();
        return { code: 0 };
      }
      if (verb === 'join --config') {
        const stopped = inTheWay(command, joinChecks);
        if (stopped !== undefined) return stopped;
        if (![...tokens].some((token) => config.includes(token)))
          return { code: 1, stderr: "error execution phase preflight: couldn't validate the identity of the API Server: invalid bootstrap token\n" };
        if (role === 'control-plane') servers();
        node();
        return { code: 0 };
      }
      if (verb === 'token create') {
        tokens.add('abcdef.0123456789abcdef');
        return { code: 0, stdout: 'abcdef.0123456789abcdef\n' };
      }
      if (verb === 'certs renew') for (const path of leaves) machine.write(path, certificates.renewed);
      if (verb === 'reset --force')
        for (const path of [`${kubernetes}/manifests`, `${kubernetes}/pki`, '/var/lib/etcd', '/var/lib/kubelet']) machine.erase(path);
      return undefined;
    };
  };
  return {
    version,
    exact: manifests[0] ?? '',
    valid: `${kubernetes}/admin.conf`,
    mayStay: /^\/usr\//,
    machine: (_, role) => {
      const held: { words: string | undefined } = { words: undefined };
      const machine = modelMachine((made) => {
        const run = kubeadm(made, role);
        return {
          unitExists: (unit) => ['kubelet.service', 'containerd.service'].includes(unit),
          onStart: () => undefined,
          run: (command) => {
            if (command.startsWith('kubeadm ')) return run(command);
            if (command.endsWith('kubelet --version')) return { code: 0, stdout: `Kubernetes v${version}\n` };
            if (command.includes(' drain ')) return drained(held);
            if (command.includes('snapshot save')) made.write('/var/lib/etcd/groundplane-snapshot.db', 'etcd');
            const copied = /^install -D -m 0600 (\S+) (\S+)$/.exec(command);
            if (copied !== null) made.write(copied[2] ?? '', made.files.get(copied[1] ?? '') ?? '');
            return undefined;
          },
        };
      });
      for (const program of ['kubeadm', 'kubelet']) machine.files.set(`/usr/bin/${program}`, 'program');
      return {
        ...machine,
        driver: kubeadmDistribution({ tools: machine.tools, clock: machine.clock }),
        removeProgram: () => void machine.files.delete('/usr/bin/kubeadm'),
        stopServices: () => machine.units.forEach((unit) => (unit.isActive = false)),
        holdPods: (words) => (held.words = words),
      };
    },
  };
};

const rancherSite = (distribution: RancherName) => (): SiteUnderTest => {
  const layout = rancherLayout(distribution);
  const tokens = new Set<string>();
  const version = '1.35.2';
  const programs = (machine: ModelMachine, held: { words: string | undefined }) => {
    let journal = '';
    const onStart = (unit: string): void => {
      const role = unit === layout.units['control-plane'] ? 'control-plane' : 'worker';
      const config = (parse(machine.files.get(layout.configFile) ?? '') ?? {}) as { token?: string; server?: string };
      const state = machine.units.get(unit);
      if (config.server !== undefined && !tokens.has(config.token ?? '')) {
        journal = 'level=fatal msg="token is not valid"';
        if (state !== undefined) state.isActive = false;
        return;
      }
      journal = '';
      const isFirst = !machine.files.has('/etc/rancher/node/password');
      const pem = isFirst ? certificates.first : certificates.renewed;
      machine.write('/etc/rancher/node/password', 'secret');
      for (const path of layout.certificates(role)) if (!machine.files.has(path)) machine.write(path, pem);
      if (role === 'control-plane') machine.write(layout.serverToken, 'K10aa::server:bb\n');
      if (role === 'control-plane') machine.write(layout.adminConfig, 'kind: Config\n');
      if (distribution === 'rke2') machine.write(`${layout.data}/bin/kubectl`, 'program');
      machine.write(layout.nodeConfig, 'kind: Config\n');
    };
    const snapshots = (): string[] => [...machine.files.keys()].filter((path) => path.startsWith(`${layout.snapshots}/groundplane-`)).toSorted();
    const run = (command: string): Said | undefined => {
      if (command === `${layout.program} --version`) return { code: 0, stdout: `${distribution} version v${version}+${distribution}1 (abc)\n` };
      if (command.startsWith('journalctl')) return { code: 0, stdout: journal };
      if (command.includes(' drain ')) return drained(held);
      if (command.includes('etcd-snapshot save'))
        machine.write(`${layout.snapshots}/groundplane-one-${String(1_790_000_000 + snapshots().length + machine.files.size)}`, 'etcd');
      if (command.includes('etcd-snapshot prune')) {
        const keep = Number(/--snapshot-retention (\d+)/.exec(command)?.[1]);
        const all = snapshots();
        for (const path of all.slice(0, Math.max(0, all.length - keep))) machine.erase(path);
      }
      if (command.includes('certificate rotate')) for (const role of ['control-plane', 'worker'] as const) layout.certificates(role).forEach(machine.erase);
      if (command.includes('token create')) {
        tokens.add('abcdef.0123456789abcdef');
        return { code: 0, stdout: 'abcdef.0123456789abcdef\n' };
      }
      return undefined;
    };
    return { unitExists: (unit: string) => [...machine.files.keys()].some((path) => path.endsWith(`/${unit}`)), onStart, run };
  };
  return {
    version,
    exact: layout.configFile,
    valid: '/etc/rancher/node/password',
    mayStay: /^\/usr\//,
    machine: () => {
      const held: { words: string | undefined } = { words: undefined };
      const machine = modelMachine((made) => programs(made, held));
      machine.files.set(layout.program, 'program');
      tokens.add('K10aa::server:bb');
      return {
        ...machine,
        driver: rancherDistribution(distribution, { tools: machine.tools, clock: machine.clock }),
        removeProgram: () => void machine.files.delete(layout.program),
        stopServices: () => machine.units.forEach((unit) => (unit.isActive = false)),
        holdPods: (words) => (held.words = words),
      };
    },
  };
};

distributionConformance('kubeadm', kubeadmSite);
distributionConformance('k3s', rancherSite('k3s'));
distributionConformance('rke2', rancherSite('rke2'));
