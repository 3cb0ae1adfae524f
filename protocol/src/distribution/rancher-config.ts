import { stringify } from 'yaml';
import { ok, type Result } from '../failure.ts';
import type { HostIdentity } from './kubeadm-config.ts';
import { parseConfig } from './kubeadm-config.ts';
import { isKubeletLabel } from './node-traits.ts';
import type { ManagedKubernetes } from './spec.ts';

type Rancher = 'k3s' | 'rke2';

/** Keys that make a host a member of this cluster and no other one; a profile does not touch them. */
const ownKeys = [
  'token',
  'token-file',
  'agent-token',
  'agent-token-file',
  'server',
  'cluster-init',
  'cluster-reset',
  'node-name',
  'node-ip',
  'data-dir',
  'config',
] as const;

/** Port at which servers take others in. */
export const joinPort: Record<Rancher, number> = { k3s: 6443, rke2: 9345 };

const join = (host: string, port: number): string => `https://${host.includes(':') ? `[${host}]` : host}:${port}`;

const serverKeys = (distribution: Rancher, spec: ManagedKubernetes, host: HostIdentity): Record<string, unknown> => {
  const disabled = spec.dns ? [] : [distribution === 'k3s' ? 'coredns' : 'rke2-coredns'];
  const network = distribution === 'k3s' ? { 'flannel-backend': spec.cni === 'none' ? 'none' : 'host-gw' } : { cni: spec.cni === 'none' ? 'none' : 'canal' };
  return {
    'tls-san': [...new Set([host.endpoint, ...host.alsoKnownAs])],
    'cluster-cidr': spec.network.podCidrs.join(','),
    'service-cidr': spec.network.serviceCidrs.join(','),
    'cluster-domain': spec.network.dnsDomain,
    'write-kubeconfig-mode': '0600',
    // Snapshots are taken by the agent, when they are due.
    'etcd-disable-snapshots': true,
    ...network,
    ...(distribution === 'k3s' && spec.cni === 'none' ? { 'disable-network-policy': true } : {}),
    ...(spec.proxy === 'none' ? { 'disable-kube-proxy': true } : {}),
    ...(spec.proxy === 'nftables' ? { 'kube-proxy-arg': ['proxy-mode=nftables'] } : {}),
    ...(disabled.length === 0 ? {} : { disable: disabled }),
  };
};

/**
 * `config.yaml` of k3s or rke2 for one host. `secret` is the token to join with; without it the host makes the cluster. Keys of the profile come over ours, except
 * those that say who the host is.
 */
export const rancherConfig = (spec: ManagedKubernetes, host: HostIdentity, role: 'control-plane' | 'worker', secret: string | undefined): Result<string> => {
  const distribution = spec.distribution === 'rke2' ? 'rke2' : 'k3s';
  const isServer = role === 'control-plane';
  const over = parseConfig(isServer ? spec.config.server : spec.config.agent, `kubernetes.config.${isServer ? 'server' : 'agent'}`);
  if (!over.ok) return over;
  const taints = [
    ...(isServer && host.taintControlPlane ? ['node-role.kubernetes.io/control-plane:NoSchedule'] : []),
    ...host.taints.map((taint) => `${taint.key}${taint.value === undefined ? '' : `=${taint.value}`}:${taint.effect}`),
  ];
  const labels = Object.entries(host.labels).flatMap(([key, value]) => (isKubeletLabel(key) ? [`${key}=${value}`] : []));
  const own = Object.fromEntries(Object.entries(over.value).filter(([key]) => !(ownKeys as readonly string[]).includes(key)));
  const config = {
    ...(isServer ? serverKeys(distribution, spec, host) : {}),
    ...(labels.length === 0 ? {} : { 'node-label': labels }),
    ...(taints.length === 0 ? {} : { 'node-taint': taints }),
    ...own,
    'node-name': host.name,
    'node-ip': host.address,
    ...(secret === undefined
      ? distribution === 'k3s'
        ? { 'cluster-init': true }
        : {}
      : { server: join(host.endpoint, joinPort[distribution]), token: secret }),
  };
  return ok(stringify(config, { lineWidth: 0 }));
};

/** Keys of the profile that are left out, for a warning where it is written. */
export const ignoredKeys = (text: string | undefined): string[] => {
  const parsed = parseConfig(text, 'config');
  return parsed.ok ? Object.keys(parsed.value).filter((key) => (ownKeys as readonly string[]).includes(key)) : [];
};
