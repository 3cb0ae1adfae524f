import { digestBytes } from '../digest.ts';
import type { KubernetesContent } from './content.ts';
import type { ManagedKubernetes } from './spec.ts';

/** Where the agent's own registry listens on each host; containerd asks it first and only. */
export const mirrorAddress = 'http://127.0.0.1:5081';

/** Files and units that a distribution needs on each host, whatever its role. They are the same on all hosts of a cluster, so they are part of the bundle. */
export interface MachineNeeds {
  files: { path: string; content: string; mode: string }[];
  sysctls: Record<string, string>;
  units: { name: string; content: string; enabled: boolean; active: boolean; dropIns: { name: string; content: string }[] }[];
}

const containerdConfig = (pause: string | undefined, cni: ManagedKubernetes['cni']): string => `# Written by Groundplane. Put changes into the profile.
version = 3
${pause === undefined ? '' : `[plugins.'io.containerd.cri.v1.images'.pinned_images]\n  sandbox = "${pause}"\n`}[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "/etc/containerd/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
${cni === 'bridge' ? `  conf_template = "/etc/containerd/bridge.conflist.template"\n  max_conf_num = 1\n` : ''}[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true
`;

/** containerd fills in the host's pod networks when the kubelet tells them. */
const bridgeTemplate = `{
  "cniVersion": "1.0.0",
  "name": "groundplane",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}],
        "routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`;

// Without `server`, containerd would go on to the real registry when the mirror lacks something.
const mirrorHosts = `server = "${mirrorAddress}"
[host."${mirrorAddress}"]
  capabilities = ["pull", "resolve"]
`;

const containerdUnit = (path: string): string => `[Unit]
Description=containerd container runtime
After=network.target dbus.service
[Service]
ExecStartPre=-/sbin/modprobe -a overlay br_netfilter
ExecStart=${path}
Type=notify
Delegate=yes
CPUAccounting=yes
MemoryAccounting=yes
KillMode=process
Restart=always
RestartSec=1
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999
[Install]
WantedBy=multi-user.target
`;

/** Started by kubeadm once its configuration stands; before that the condition keeps it quiet instead of in a restart loop. */
const kubeletUnit = (path: string): string => `[Unit]
Description=kubelet: the Kubernetes node agent
After=containerd.service network-online.target
Wants=containerd.service network-online.target
ConditionPathExists=/var/lib/kubelet/config.yaml
StartLimitIntervalSec=0
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=${path} $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
Restart=always
RestartSec=1
CPUAccounting=yes
MemoryAccounting=yes
[Install]
WantedBy=multi-user.target
`;

const modules = 'overlay\nbr_netfilter\n';

/** The path that content brings for a program; undefined when the host has to have it. */
const programPath = (contents: readonly KubernetesContent[], name: string): string | undefined =>
  contents.flatMap((content) => content.files).find((file) => file.path.endsWith(`/${name}`))?.path;

const file = (path: string, content: string): MachineNeeds['files'][number] => ({ path, content, mode: '0644' });

/** What kubeadm takes for granted: a container runtime, a kubelet unit, forwarding. The runtime is ours only where the content brings one. */
const kubeadmNeeds = (spec: ManagedKubernetes, contents: readonly KubernetesContent[]): MachineNeeds => {
  const containerd = programPath(contents, 'containerd');
  const kubelet = programPath(contents, 'kubelet') ?? '/usr/bin/kubelet';
  const pause = contents.flatMap((content) => content.images).find((image) => /\/pause[:@]/.test(image.ref))?.ref;
  const config = containerdConfig(pause, spec.cni);
  const runtimeFiles = [
    file('/etc/containerd/config.toml', config),
    ...(spec.cni === 'bridge' ? [file('/etc/containerd/bridge.conflist.template', bridgeTemplate)] : []),
    file('/etc/containerd/certs.d/_default/hosts.toml', mirrorHosts),
  ];
  const runtimeUnits =
    containerd === undefined
      ? []
      : [
          {
            name: 'containerd.service',
            content: containerdUnit(containerd),
            enabled: true,
            active: true,
            // A change of the configuration has to restart it: the digest makes it a change of the unit.
            dropIns: [{ name: '50-groundplane.conf', content: `# configuration ${digestBytes(config)}\n` }],
          },
        ];
  return {
    files: [
      ...(containerd === undefined ? [] : runtimeFiles),
      file('/etc/crictl.yaml', 'runtime-endpoint: unix:///run/containerd/containerd.sock\nimage-endpoint: unix:///run/containerd/containerd.sock\n'),
      file('/etc/modules-load.d/groundplane-kubernetes.conf', modules),
      // For the time between a boot and the agent's first look.
      file('/etc/sysctl.d/90-groundplane-kubernetes.conf', 'net.ipv4.ip_forward = 1\n'),
      file('/etc/systemd/system/kubelet.service', kubeletUnit(kubelet)),
    ],
    sysctls: { 'net.ipv4.ip_forward': '1' },
    units: runtimeUnits,
  };
};

/** k3s and rke2 bring their own runtime; all they need is to be told where images come from. */
const rancherNeeds = (spec: ManagedKubernetes, contents: readonly KubernetesContent[]): MachineNeeds => ({
  files:
    contents.length === 0 ? [] : [file(`/etc/rancher/${spec.distribution}/registries.yaml`, `mirrors:\n  "*":\n    endpoint:\n      - "${mirrorAddress}"\n`)],
  sysctls: { 'net.ipv4.ip_forward': '1' },
  units: [],
});

export const machineNeeds = (spec: ManagedKubernetes, contents: readonly KubernetesContent[]): MachineNeeds =>
  spec.distribution === 'kubeadm' ? kubeadmNeeds(spec, contents) : rancherNeeds(spec, contents);
