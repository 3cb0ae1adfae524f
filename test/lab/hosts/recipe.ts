import { kubernetesModule, kubernetesStamp, type Program } from '../recipe.ts';

/** One Kubernetes version with what kubeadm of that version wants beside it (its `constants.go`). */
export interface KubernetesRelease {
  version: string;
  etcd: string;
  /** Tags of the images that kubeadm asks for. */
  etcdTag: string;
  pauseTag: string;
}

/** The newest one, and the minor before it to upgrade from. */
export const releases = {
  'v1.37.2': { version: 'v1.37.2', etcd: 'v3.7.0', etcdTag: '3.7.0-0', pauseTag: '3.10.2' },
  'v1.36.3': { version: 'v1.36.3', etcd: 'v3.6.8', etcdTag: '3.6.8-0', pauseTag: '3.10.2' },
} as const satisfies Record<string, KubernetesRelease>;
export type KubernetesVersion = keyof typeof releases;

const versions = { containerd: 'v2.4.2', runc: 'v1.5.2', cni: 'v1.9.1' } as const;

/** Names under which the one program of Kubernetes is known; it acts by the name it is called by, or by its first argument. */
export const kubeCommands = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubelet', 'kubeadm', 'kubectl'] as const;

/** One program for all commands: linking it once costs a sixth of linking each. */
const kubeProgram = `package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "kube" && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	switch name {
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kube-proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	case "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "kubeadm":
		kubeadmerrors.HandleError(kubeadm.Run())
	case "kubectl":
		if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
	default:
		fmt.Fprintln(os.Stderr, "kube: no such command:", name)
		os.Exit(2)
	}
}
`;

/** The workload of the tests: says WEB_TEXT and its host name over HTTP, and stops when it is told to. */
export const webProgram = `package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Println(os.Args[1:])
		return
	}
	host, _ := os.Hostname()
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s from %s\\n", os.Getenv("WEB_TEXT"), host)
	})
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-end
		os.Exit(0)
	}()
	if err := http.ListenAndServe(":8080", nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`;

/** Holds the namespaces of a pod, and collects processes that lost their parent. With `-v` it only says what it is: kubeadm's check before an upgrade waits for that. */
export const pauseProgram = `#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int signal) { (void)signal; _exit(0); }
static void collect(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0); }

int main(int count, char **words) {
	if (count > 1 && strcmp(words[1], "-v") == 0) return puts("pause") == EOF;
	struct sigaction end = {.sa_handler = leave}, child = {.sa_handler = collect, .sa_flags = SA_NOCLDSTOP};
	sigaction(SIGINT, &end, 0);
	sigaction(SIGTERM, &end, 0);
	sigaction(SIGCHLD, &child, 0);
	for (;;) pause();
}
`;

const unstamped = (): string[] => [];

export const kubernetesProgram = (version: string): Program => ({
  name: 'kube',
  module: kubernetesModule,
  version,
  package: '.',
  main: kubeProgram,
  stamp: kubernetesStamp(version),
});

const etcdPart = (name: string, part: string, version: string): Program => {
  const module = `go.etcd.io/etcd/${part}/v3`;
  return { name, module, version, package: module, stamp: unstamped };
};

export const etcdPrograms = (version: string): Program[] => [
  etcdPart('etcd', 'server', version),
  etcdPart('etcdctl', 'etcdctl', version),
  etcdPart('etcdutl', 'etcdutl', version),
];

const containerdModule = 'github.com/containerd/containerd/v2';
const containerdPart = (name: string): Program => ({
  name,
  module: containerdModule,
  version: versions.containerd,
  package: `${containerdModule}/cmd/${name}`,
  tags: ['no_btrfs', 'no_zfs', 'no_aufs', 'no_devmapper', 'netgo', 'osusergo', 'static_build'],
  stamp: () => [`${containerdModule}/version.Version=${versions.containerd.slice(1)}`],
});

const cniModule = 'github.com/containernetworking/plugins';
export const cniPlugins = ['main/bridge', 'main/loopback', 'ipam/host-local', 'meta/portmap'] as const;
export const cniName = (plugin: string): string => plugin.split('/')[1] ?? plugin;

/** What runs containers; the same beside every Kubernetes version. Small ones first: a broken set-up shows itself within a minute. */
export const runtimePrograms: readonly Program[] = [
  {
    name: 'runc',
    module: 'github.com/opencontainers/runc',
    version: versions.runc,
    package: 'github.com/opencontainers/runc',
    // The kubelet's pods ask for the default seccomp profile, and runc without it refuses them.
    tags: ['seccomp', 'netgo', 'osusergo'],
    cgo: true,
    stamp: () => [`main.version=${versions.runc.slice(1)}`],
  },
  ...cniPlugins.map((plugin) => ({
    name: cniName(plugin),
    module: cniModule,
    version: versions.cni,
    package: `${cniModule}/plugins/${plugin}`,
    stamp: () => [`${cniModule}/pkg/utils/buildversion.BuildVersion=${versions.cni}`],
  })),
  ...['ctr', 'containerd-shim-runc-v2', 'containerd'].map(containerdPart),
];
