import { createHash } from 'node:crypto';

/** What the lab is made of. Changing anything here changes the digest, and with it the folder the binaries are kept in. */
export const versions = { kubernetes: 'v1.37.2', etcd: 'v3.7.3', kwok: 'v0.8.0' } as const;

/** The oldest Go whose toolchain builds these versions. */
export const goVersionMin = '1.26';

export const kubernetesModule = 'k8s.io/kubernetes';

/**
 * One program for four commands, because they share almost all of their code: linking it once costs a third of linking each.
 * The first argument names the command.
 */
const kubeProgram = `package main

import (
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kube kube-apiserver|kube-controller-manager|kube-scheduler|kubectl ...")
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	switch os.Args[0] {
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
	default:
		fmt.Fprintln(os.Stderr, "kube: no such command:", os.Args[0])
		os.Exit(2)
	}
}
`;

export interface Program {
  /** File name of the result. */
  name: string;
  module: string;
  version: string;
  /** Package to build; `.` builds `main`. */
  package: string;
  /** Source of a main package of our own, when upstream's is not what we want. */
  main?: string;
  /** Extra `-X` linker settings, given the module's release time. */
  stamp: (time: string) => string[];
  tags?: readonly string[];
  /** Linked statically with C libraries of the machine. */
  cgo?: boolean;
}

/** What a program of Kubernetes says that it is, as upstream's own build sets it. */
export const kubernetesStamp =
  (version: string) =>
  (time: string): string[] =>
    ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((place) => [
      `${place}.gitVersion=${version}`,
      `${place}.gitMajor=1`,
      `${place}.gitMinor=${version.split('.')[1] ?? ''}`,
      `${place}.gitTreeState=clean`,
      `${place}.gitCommit=from-module`,
      `${place}.buildDate=${time}`,
    ]);

/** Small ones first: a broken set-up shows itself within a minute. */
export const programs: readonly Program[] = [
  { name: 'etcd', module: 'go.etcd.io/etcd/server/v3', version: versions.etcd, package: 'go.etcd.io/etcd/server/v3', stamp: () => [] },
  { name: 'kwok', module: 'sigs.k8s.io/kwok', version: versions.kwok, package: 'sigs.k8s.io/kwok/cmd/kwok', stamp: () => [] },
  { name: 'kube', module: kubernetesModule, version: versions.kubernetes, package: '.', main: kubeProgram, stamp: kubernetesStamp(versions.kubernetes) },
];

/** Folders of kwok's module that hold the stages (what a fake kubelet does next); the binary embeds none. */
export const kwokStageFolders = ['kustomize/stage/node/fast', 'kustomize/stage/node/heartbeat-with-lease', 'kustomize/stage/pod/fast'];

interface ModuleJson {
  Go?: string;
  Require?: { Path: string; Version: string; Indirect?: boolean }[] | null;
  Replace?: { Old: { Path: string; Version?: string }; New: { Path: string; Version?: string } }[] | null;
}

/**
 * Writes the go.mod of a main module of ours that has exactly upstream's requirements. Upstream's replacements by local folders only work in
 * its own source tree: Kubernetes' staging folders are published as modules (v1.37.2 as v0.37.2), everything else is published under its own version.
 */
export const moduleFile = (upstream: ModuleJson, program: Program): string => {
  const requires = (upstream.Require ?? []).map((need) => `\t${need.Path} ${need.Version}${need.Indirect === true ? ' // indirect' : ''}`);
  const replaces = (upstream.Replace ?? []).flatMap(({ Old, New }) => {
    const old = [Old.Path, Old.Version].filter(Boolean).join(' ');
    if (New.Version !== undefined) return [`\t${old} => ${New.Path} ${New.Version}`];
    if (program.module === kubernetesModule && New.Path.startsWith('./staging/')) return [`\t${old} => ${Old.Path} ${program.version.replace(/^v1/, 'v0')}`];
    return [];
  });
  const block = (word: string, lines: string[]): string => (lines.length === 0 ? '' : `\n${word} (\n${lines.join('\n')}\n)\n`);
  const head = `module lab.local/${program.name}\n\ngo ${upstream.Go ?? goVersionMin}\n`;
  return head + block('require', [...requires, `\t${program.module} ${program.version}`]) + block('replace', replaces);
};

/** Digest of everything that decides what the binaries are. Bump `recipe` when the build itself changes. */
export const recipeDigest = (platform: string): string => {
  const recipe = 1;
  const parts = programs.map((program) => [program.name, program.module, program.version, program.package, program.main ?? '', program.stamp('')]);
  return createHash('sha256')
    .update(JSON.stringify([recipe, platform, parts, kwokStageFolders]))
    .digest('hex');
};
