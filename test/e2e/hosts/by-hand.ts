import { gatewayAddress } from '../../lab/hosts/site.ts';
import { webImage } from '../../lab/hosts/content.ts';

/** What somebody types who makes a cluster of one host by hand: the files and commands, without Groundplane. */
export const mediumPath = '/media/kubernetes';

export const containerdConfig = `version = 3
oom_score = 0
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "registry.k8s.io/pause:3.10.2"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true
`;

/** CPUAccounting and MemoryAccounting: with cgroup v1 the two controllers have to agree on the path of the unit. */
const containerdUnit = `[Unit]
Description=containerd
After=network.target

[Service]
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=1
TasksMax=infinity
LimitNOFILE=1048576
CPUAccounting=yes
MemoryAccounting=yes

[Install]
WantedBy=multi-user.target
`;

const kubeletUnit = `[Unit]
Description=kubelet
After=containerd.service
Wants=containerd.service
StartLimitIntervalSec=0

[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=1
CPUAccounting=yes
MemoryAccounting=yes

[Install]
WantedBy=multi-user.target
`;

const cniConfig = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: false,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.1.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

/** What the kernel of the test hosts asks for: cgroup v1, settings that are the machine's, and no netfilter modules to load. */
export const kubeadmConfig = (version: string, name: string, address: string): string => `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ${address}, bindPort: 6443}
nodeRegistration:
  name: ${name}
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
  taints: []
  kubeletExtraArgs: [{name: node-ip, value: ${address}}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: ${version}
networking: {serviceSubnet: 10.96.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
failCgroupV1: false
oomScoreAdj: 0
featureGates: {KubeletInUserNamespace: true}
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`;

export const webPort = 30080;

/** A workload with a roll-out, limits, a readiness probe and a port on the host. */
export const webManifest = (version: 1 | 2, replicas = 3): string => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{operator: Exists}]
      containers:
        - name: web
          image: ${webImage(version)}
          imagePullPolicy: IfNotPresent
          ports: [{containerPort: 8080}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
          resources: {requests: {cpu: 10m, memory: 8Mi}, limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: ${webPort}}]}
`;

export interface ByHandStep {
  name: string;
  argv: readonly string[];
  input?: string;
  timeoutMs?: number;
}

const writeFile = (path: string, text: string): ByHandStep => ({
  name: `write ${path}`,
  argv: ['sh', '-c', 'mkdir -p "$(dirname "$1")" && cat >"$1"', 'sh', path],
  input: text,
});

const kubectl = (...args: string[]): string[] => ['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', ...args];

/** From a bare host to a ready workload. */
export const byHandSteps = (version: string, name: string, address: string): ByHandStep[] => [
  { name: 'copy programs', argv: ['sh', '-c', `cp -a ${mediumPath}/files/. /`] },
  writeFile('/etc/containerd/config.toml', containerdConfig),
  writeFile('/etc/systemd/system/containerd.service', containerdUnit),
  writeFile('/etc/systemd/system/kubelet.service', kubeletUnit),
  writeFile('/etc/cni/net.d/10-pods.conflist', cniConfig),
  writeFile('/etc/sysctl.d/99-kubernetes.conf', 'net.ipv4.ip_forward = 1\n'),
  writeFile('/etc/hosts', `127.0.0.1\tlocalhost\n${address}\t${name}\n${gatewayAddress}\tgateway\n`),
  writeFile('/root/kubeadm.yaml', kubeadmConfig(version, name, address)),
  writeFile('/root/web.yaml', webManifest(1)),
  { name: 'sysctl', argv: ['sysctl', '-q', '--load', '/etc/sysctl.d/99-kubernetes.conf'] },
  { name: 'start containerd', argv: ['sh', '-c', 'systemctl daemon-reload && systemctl enable --now containerd && systemctl enable kubelet'] },
  { name: 'import images', argv: ['sh', '-c', `tar -C ${mediumPath}/images -cf - . | ctr --namespace k8s.io images import --local -`], timeoutMs: 300_000 },
  {
    name: 'kubeadm init',
    argv: ['kubeadm', 'init', '--config', '/root/kubeadm.yaml', '--skip-phases', 'addon/coredns', '--ignore-preflight-errors', 'all'],
    timeoutMs: 300_000,
  },
  { name: 'apply workload', argv: kubectl('apply', '-f', '/root/web.yaml') },
  { name: 'roll-out', argv: kubectl('rollout', 'status', 'deployment/web', '--timeout=180s'), timeoutMs: 200_000 },
];
