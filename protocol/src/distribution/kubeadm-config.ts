import { parseDocument, stringify } from 'yaml';
import { fail, ok, type Result } from '../failure.ts';
import { isKubeletLabel } from './node-traits.ts';
import { versionTag, type ManagedKubernetes } from './spec.ts';

type Fields = { [key: string]: unknown };

export const apiPort = 6443;
const apiVersion = 'kubeadm.k8s.io/v1beta4';
const containerdSocket = 'unix:///run/containerd/containerd.sock';

const isMap = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Maps merge, null deletes, everything else is replaced (RFC 7386). */
const merged = (base: Fields, over: Fields): Fields => {
  const result: Fields = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === null) delete result[key];
    else {
      const before = result[key];
      result[key] = isMap(value) && isMap(before) ? merged(before, value) : value;
    }
  }
  return result;
};

/** A text of the profile as a map. Failure `kubernetes-config-invalid` (fatal) with the line. */
export const parseConfig = (text: string | undefined, element: string): Result<Fields> => {
  if (text === undefined || text.trim() === '') return ok({});
  const document = parseDocument(text, { uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) return fail('fatal', 'kubernetes-config-invalid', element, error.message.split('\n')[0] ?? 'is not YAML');
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (value === null) return ok({});
  return isMap(value) ? ok(value) : fail('fatal', 'kubernetes-config-invalid', element, 'has to be a map of settings');
};

/** What the configuration says about one host and its cluster. */
export interface HostIdentity {
  /** Name of the node; the host's name in the hub. */
  name: string;
  /** Address that other hosts reach it at. */
  address: string;
  /** Name or address of the API server, as every host and every kubeconfig uses it. */
  endpoint: string;
  endpointPort: number;
  /** The image of kube-vip, where the address of the API server moves between the control planes. */
  vipImage?: string | undefined;
  /** More names and addresses that the API server answers to. */
  alsoKnownAs: readonly string[];
  labels: Readonly<Record<string, string>>;
  taints: readonly { key: string; value?: string | undefined; effect: string }[];
  /** False where the control plane is alone and has to run the workload too. */
  taintControlPlane: boolean;
}

export interface JoinSecrets {
  /** Bootstrap token, `abcdef.0123456789abcdef`. */
  token: string;
  /** `sha256:…` of the cluster's CA public key. */
  caHashes: readonly string[];
  /** For control planes: key of the certificates that lie encrypted in the cluster. */
  certificateKey?: string | undefined;
}

const text = (documents: readonly Fields[]): string => documents.map((document) => stringify(document, { lineWidth: 0 })).join('---\n');

const registration = (host: HostIdentity, role: 'control-plane' | 'worker'): Fields => {
  const labels = Object.entries(host.labels).flatMap(([key, value]) => (isKubeletLabel(key) ? [`${key}=${value}`] : []));
  const controlPlaneTaint = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' };
  return {
    name: host.name,
    criSocket: containerdSocket,
    imagePullPolicy: 'IfNotPresent',
    taints: [...(role === 'control-plane' && host.taintControlPlane ? [controlPlaneTaint] : []), ...host.taints.map((taint) => ({ ...taint }))],
    kubeletExtraArgs: [{ name: 'node-ip', value: host.address }, ...(labels.length === 0 ? [] : [{ name: 'node-labels', value: labels.join(',') }])],
  };
};

const clusterConfiguration = (spec: ManagedKubernetes, host: HostIdentity, cluster: string, over: Fields): Fields =>
  merged(
    {
      apiVersion,
      kind: 'ClusterConfiguration',
      clusterName: cluster,
      kubernetesVersion: versionTag(spec.version),
      controlPlaneEndpoint: `${host.endpoint.includes(':') ? `[${host.endpoint}]` : host.endpoint}:${host.endpointPort}`,
      networking: {
        podSubnet: spec.network.podCidrs.join(','),
        serviceSubnet: spec.network.serviceCidrs.join(','),
        dnsDomain: spec.network.dnsDomain,
      },
      apiServer: { certSANs: [...new Set([host.endpoint, ...host.alsoKnownAs])] },
      etcd: { local: { dataDir: '/var/lib/etcd' } },
      ...(spec.dns ? {} : { dns: { disabled: true } }),
      ...(spec.proxy === 'none' ? { proxy: { disabled: true } } : {}),
    },
    over,
  );

const kubeletConfiguration = (over: Fields): Fields =>
  merged(
    { apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration', cgroupDriver: 'systemd', rotateCertificates: true, serverTLSBootstrap: false },
    over,
  );

const proxyConfiguration = (spec: ManagedKubernetes, over: Fields): Fields =>
  merged(
    {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: spec.proxy === 'none' ? 'iptables' : spec.proxy,
      clusterCIDR: spec.network.podCidrs.join(','),
    },
    over,
  );

/** Everything that is the same for the whole cluster: what `kubeadm init` writes down and an upgrade changes. */
const clusterDocuments = (spec: ManagedKubernetes, host: HostIdentity, cluster: string): Result<Fields[]> => {
  const overCluster = parseConfig(spec.config.cluster, 'kubernetes.config.cluster');
  if (!overCluster.ok) return overCluster;
  const overKubelet = parseConfig(spec.config.kubelet, 'kubernetes.config.kubelet');
  if (!overKubelet.ok) return overKubelet;
  const overProxy = parseConfig(spec.config.proxy, 'kubernetes.config.proxy');
  if (!overProxy.ok) return overProxy;
  return ok([clusterConfiguration(spec, host, cluster, overCluster.value), kubeletConfiguration(overKubelet.value), proxyConfiguration(spec, overProxy.value)]);
};

/** Configuration of `kubeadm init`. It leaves no token behind: hosts are invited one by one. */
export const initConfig = (spec: ManagedKubernetes, host: HostIdentity, cluster: string): Result<string> => {
  const documents = clusterDocuments(spec, host, cluster);
  if (!documents.ok) return documents;
  const init = {
    apiVersion,
    kind: 'InitConfiguration',
    bootstrapTokens: [],
    localAPIEndpoint: { advertiseAddress: host.address, bindPort: apiPort },
    nodeRegistration: registration(host, 'control-plane'),
  };
  return ok(text([init, ...documents.value]));
};

/** Configuration of `kubeadm join`. */
export const joinConfig = (host: HostIdentity, role: 'control-plane' | 'worker', secrets: JoinSecrets): string =>
  text([
    {
      apiVersion,
      kind: 'JoinConfiguration',
      discovery: {
        bootstrapToken: {
          token: secrets.token,
          apiServerEndpoint: `${host.endpoint.includes(':') ? `[${host.endpoint}]` : host.endpoint}:${host.endpointPort}`,
          caCertHashes: [...secrets.caHashes],
        },
        tlsBootstrapToken: secrets.token,
      },
      nodeRegistration: registration(host, role),
      ...(role === 'control-plane'
        ? {
            controlPlane: {
              localAPIEndpoint: { advertiseAddress: host.address, bindPort: apiPort },
              ...(secrets.certificateKey === undefined ? {} : { certificateKey: secrets.certificateKey }),
            },
          }
        : {}),
    },
  ]);
