import { architectures, managedDistributions, type Architecture, type ManagedDistribution } from '@groundplane/protocol/distribution/spec';
import { Option, type Command } from 'commander';
import type { Context } from './io.ts';
import type { Outcome } from './trouble.ts';

/** Zarf packages, and what Kubernetes versions are made of. */
export const registerContent = (program: Command, act: (run: (context: Context) => Promise<Outcome>) => Promise<void>): void => {
  program
    .command('zarf')
    .description('Zarf packages, without a hub')
    .command('inspect')
    .description('check a package file and show what it holds')
    .argument('<file>', 'zarf-package-*.tar.zst, .tar, or the .part000 of a split one')
    .option('--key <path>', 'public key that the package must be signed with')
    .action((file: string, options: { key?: string }) => act(async (context) => (await import('./commands/zarf.ts')).inspect(context, file, options)));
  const kubernetes = program.command('kubernetes').description('programs and images of Kubernetes versions that agents bring up');
  kubernetes
    .command('pack')
    .description('list what lies in a folder: programs under files/, images as an OCI layout under images/; needs no hub')
    .argument('<folder>')
    .requiredOption('--kubernetes-version <version>', 'like v1.37.2')
    .addOption(new Option('--distribution <name>').choices(managedDistributions).default('kubeadm'))
    .addOption(new Option('--arch <arch>').choices(architectures).default('x64'))
    .action((folder: string, options: { kubernetesVersion: string; distribution: ManagedDistribution; arch: Architecture }) =>
      act(async (context) => (await import('./commands/kubernetes.ts')).packKubernetes(context, folder, options)),
    );
  kubernetes
    .command('upload')
    .description('bring it into the hub; what is there already is not sent again')
    .argument('<folder>')
    .action((folder: string) => act(async (context) => (await import('./commands/kubernetes.ts')).uploadKubernetes(context, folder)));
};
