import type { KeptFile } from '../port/distribution.ts';

export type RancherName = 'k3s' | 'rke2';
type Role = 'control-plane' | 'worker';

const certificates: Record<Role, readonly string[]> = {
  'control-plane': ['client-admin', 'client-controller', 'client-kube-apiserver', 'client-scheduler', 'serving-kube-apiserver'].map(
    (name) => `server/tls/${name}.crt`,
  ),
  worker: ['client-kubelet', 'serving-kubelet', 'client-kube-proxy'].map((name) => `agent/${name}.crt`),
};

/** Where k3s and rke2 have their things, as their own installation scripts put them. */
export const rancherLayout = (name: RancherName) => {
  const program = `/usr/local/bin/${name}`;
  const data = `/var/lib/rancher/${name}`;
  const units: Record<Role, string> =
    name === 'k3s' ? { 'control-plane': 'k3s.service', worker: 'k3s-agent.service' } : { 'control-plane': 'rke2-server.service', worker: 'rke2-agent.service' };
  const unitFile = (role: Role): string => `/etc/systemd/system/${units[role]}`;
  const configFile = `/etc/rancher/${name}/config.yaml`;
  const adminConfig = `/etc/rancher/${name}/${name}.yaml`;
  return {
    program,
    data,
    units,
    unitFile,
    configFile,
    adminConfig,
    nodeConfig: `${data}/agent/kubelet.kubeconfig`,
    serverToken: `${data}/server/token`,
    snapshots: `${data}/server/db/snapshots`,
    /** All that is ours on a machine but the program and what other layers keep (`registries.yaml`). The configuration is the sign that something is here: last. */
    leftovers: [
      data,
      ...Object.values(units).map((unit) => `/etc/systemd/system/${unit}`),
      '/var/lib/kubelet',
      `/run/${name}`,
      '/etc/cni/net.d',
      adminConfig,
      '/etc/rancher/node',
      configFile,
    ],
    kubectl: name === 'k3s' ? [program, 'kubectl'] : [`${data}/bin/kubectl`],
    certificates: (role: Role): string[] => certificates[role].map((path) => `${data}/${path}`),
    kept: (role: Role): Map<string, KeptFile['rule']> =>
      new Map([
        [configFile, 'exact'],
        [unitFile(role), 'exact'],
        // Without it a host that comes back under its name is refused.
        ['/etc/rancher/node/password', 'valid'],
      ]),
    /** No limit for the start: a server waits for its datastore, and systemd would kill it. `KillMode=process` leaves pods alone when it stops. */
    unit: (role: Role): string => `[Unit]
Description=${name} ${role === 'control-plane' ? 'server' : 'agent'}
After=network-online.target
Wants=network-online.target
[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
ExecStartPre=-/sbin/modprobe -a overlay br_netfilter
ExecStart=${program} ${role === 'control-plane' ? 'server' : 'agent'}
KillMode=process
Delegate=yes
CPUAccounting=yes
MemoryAccounting=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5
[Install]
WantedBy=multi-user.target
`,
    /** Mounts and network namespaces of pods, deepest first. */
    killPods: `
awk '$2 ~ "^/run/${name}|^/var/lib/rancher/${name}|^/var/lib/kubelet/pods|^/run/netns/cni-" {print $2}' /proc/self/mounts | sort -r | while read -r path; do umount -f "$path" || umount -l "$path"; done
for space in $(ip netns list 2>/dev/null | awk '/^cni-/ {print $1}'); do ip netns delete "$space"; done
true`,
  };
};
